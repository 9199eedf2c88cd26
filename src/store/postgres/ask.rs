//! Questions that take one round trip.
//!
//! A statement in a transaction of its own takes four: BEGIN with its limits, Parse, Execute, and ROLLBACK before the
//! connection can be used again; and none is kept prepared, since PgBouncer runs the next one on another server. Here all
//! of it is one message, which a server runs as one transaction and answers at once. It is a message of the simple
//! protocol, whose answers are text, but for those of binary cursors: so each question is one of these.

use std::{fmt::Write as _, mem};

use futures_core::Stream;
use sqlx::{
    AssertSqlSafe, Either,
    postgres::{PgQueryResult, PgRow},
    raw_sql,
};

use super::store::PostgresStore;

impl PostgresStore {
    /// Asks some questions, each a single SELECT, and returns the rows of each. One transaction that only reads, under
    /// the limits, for the tenant that this store is held to.
    ///
    /// The rows are read by [`decode`](super::decode) alone: sqlx takes all that comes this way for text.
    pub(super) async fn ask<const N: usize>(
        &self,
        questions: [String; N],
    ) -> Result<[Vec<PgRow>; N], sqlx::Error> {
        let mut sql = self.asking_at_once();
        for (number, question) in questions.iter().enumerate() {
            // Writing to memory cannot fail.
            let _infallible = write!(
                sql,
                "; declare ask_{number} binary no scroll cursor for {question}; fetch all from ask_{number}"
            );
        }
        let mut connection = self.connection().await?;
        let mut answers = raw_sql(AssertSqlSafe(sql)).fetch_many(&mut *connection);
        let (mut statements, mut rows) = (Vec::new(), Vec::new());
        while let Some(answer) = next(&mut answers).await {
            match answer? {
                Either::Left(_) => statements.push(mem::take(&mut rows)),
                Either::Right(row) => rows.push(row),
            }
        }
        // Of each question the second of its two statements has the rows; those before them set the transaction up.
        let first = statements.len().saturating_sub(2 * N);
        let mut asked = statements.into_iter().skip(first).skip(1).step_by(2);
        Ok(std::array::from_fn(|_| asked.next().unwrap_or_default()))
    }
}

async fn next(
    answers: &mut (impl Stream<Item = Result<Either<PgQueryResult, PgRow>, sqlx::Error>> + Unpin),
) -> Option<Result<Either<PgQueryResult, PgRow>, sqlx::Error>> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *answers).poll_next(context)).await
}

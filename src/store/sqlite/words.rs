//! The text index: which words occur in which row.
//!
//! FTS5 without content: the index alone, so that no text is stored twice. It is given words as the query
//! language knows them, spelt so that its own tokenizer has nothing left to decide. The fold fills it behind
//! the writers; what it has not reached yet is looked through, so that an answer is always complete.
//!
//! What is deleted or erased leaves the index in the same transaction, by triggers. FTS5 only marks it as
//! gone, so the next fold puts the index together anew, and what is erased is overwritten.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::{
    asking::Asking,
    error::store_error,
    filter::{Absent, render},
    rollup::{Piece, Stand, stand, stands_at, step},
    rows::{self, COLUMN_LIST},
    sql::Sql,
    store::SqliteStore,
};
use crate::{
    query::{
        Direction, Expr, Filter, Page, PageRequest, Place, TEXT_FIELDS, Test, TextSearch, words,
    },
    record::hex,
    store::{
        StoreError, StoreErrorKind,
        scan::{self, Candidates},
    },
};

pub(super) const NAME: &str = "text";

/// Longer words are cut, in the text as in the question; what is found is looked at again.
const MAX_WORD: usize = 64;
/// Rows of the first look: a common word fills a page with them.
const FIRST_LOOK: usize = 128;
const LEAST: Duration = Duration::from_millis(250);

/// Spells a word in ASCII letters and digits. The beginning of a word gives the beginning of its spelling;
/// that different words may be spelt alike costs a second look and nothing else.
fn spell(word: &str, to: &mut String) {
    let begins = to.len();
    for c in word.chars() {
        if c.is_ascii_alphanumeric() {
            to.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                let _infallible = write!(to, "q{byte:02x}");
            }
        }
    }
    to.truncate((begins + MAX_WORD).min(to.len()));
}

fn spelt<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut spelt = String::new();
    for word in texts.flat_map(words) {
        if !spelt.is_empty() {
            spelt.push(' ');
        }
        spell(&word, &mut spelt);
    }
    spelt
}

/// Returns what FTS5 is asked for; `None` where no words have to occur.
fn asked(filter: &Filter) -> Option<String> {
    let mut asked = String::new();
    for part in filter.expr().conjuncts() {
        let Expr::Test(Test::Text(phrase)) = part else { continue };
        asked.push_str(if asked.is_empty() { "\"" } else { " AND \"" });
        for (n, word) in phrase.words().iter().enumerate() {
            asked.push_str(if n == 0 { "" } else { " " });
            spell(word, &mut asked);
        }
        asked.push_str(if phrase.is_prefix() { "\" *" } else { "\"" });
    }
    (!asked.is_empty()).then_some(asked)
}

async fn make(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let columns = TEXT_FIELDS.join(", ");
    let folded = "(SELECT last_row FROM activity_folds WHERE name = 'text')";
    let gone = "DELETE FROM activity_words WHERE rowid = OLD.rowid; \
         INSERT OR IGNORE INTO activity_words_again (again) VALUES (OLD.rowid);";
    let sql = format!(
        "CREATE VIRTUAL TABLE IF NOT EXISTS activity_words USING fts5( \
           words, content = '', contentless_delete = 1, tokenize = 'ascii'); \
         CREATE TABLE IF NOT EXISTS activity_words_again (again INTEGER PRIMARY KEY) STRICT; \
         CREATE TRIGGER IF NOT EXISTS activity_words_deleted AFTER DELETE ON activity_records \
         WHEN OLD.rowid <= {folded} BEGIN {gone} END; \
         CREATE TRIGGER IF NOT EXISTS activity_words_erased AFTER UPDATE OF {columns} \
         ON activity_records WHEN OLD.rowid <= {folded} BEGIN {gone} END; \
         INSERT OR IGNORE INTO activity_folds (name, position, seq, last_row) \
         VALUES ('text', 0, 0, 0);"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}

/// Adds the words of the rows that a condition names.
async fn add(connection: &mut SqliteConnection, sql: Sql) -> Result<(), sqlx::Error> {
    let rows = sql.query()?.fetch_all(&mut *connection).await?;
    for row in &rows {
        let texts = (0..TEXT_FIELDS.len()).map(|n| row.try_get::<Option<&str>, _>(n + 1));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let words = spelt(texts.into_iter().flatten());
        if !words.is_empty() {
            sqlx::query("INSERT INTO activity_words (rowid, words) VALUES (?, ?)")
                .bind(row.try_get::<i64, _>(0)?)
                .bind(words)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

fn texts_of(condition: &str) -> Sql {
    Sql::new(format!(
        "SELECT rowid, {} FROM activity_records WHERE {condition}",
        TEXT_FIELDS.join(", ")
    ))
}

async fn add_pieces(
    connection: &mut SqliteConnection,
    pieces: &[Piece],
) -> Result<(), sqlx::Error> {
    for piece in pieces {
        let mut sql = texts_of("writer_id = ");
        sql.bind(piece.writer_id).push(" AND seq BETWEEN ").bind(piece.first_seq);
        sql.push(" AND ").bind(piece.last_seq);
        add(connection, sql).await?;
    }
    Ok(())
}

impl SqliteStore {
    pub(super) async fn make_text_index(&self) -> Result<(), StoreError> {
        self.write("make the text index", async |connection| make(connection).await).await
    }

    /// Folds at most so many further entries into the text index, and returns how far it has come; `None`
    /// when there is none.
    pub(super) async fn fold_words(
        &self,
        entries: usize,
    ) -> Result<Option<(i64, bool)>, StoreError> {
        const DOING: &str = "fold records into the text index";
        let Some(mut at) = self.fold_stands(NAME).await? else { return Ok(None) };
        let again = "SELECT EXISTS (SELECT 1 FROM activity_words_again)";
        let again: bool = sqlx::query_scalar(again)
            .fetch_one(self.pool())
            .await
            .map_err(|error| store_error(DOING, error))?;
        if again {
            self.write(DOING, async |connection| {
                add(connection, texts_of("rowid IN (SELECT again FROM activity_words_again)"))
                    .await?;
                sqlx::raw_sql(
                    "DELETE FROM activity_words_again; \
                     INSERT INTO activity_words (activity_words) VALUES ('optimize');",
                )
                .execute(&mut *connection)
                .await
                .map(|_| ())
            })
            .await?;
        }
        let mut entries = self.entries_after(at, entries).await?;
        while let Some((pieces, to)) = step(&mut entries, at) {
            let Some(last) = pieces.last().copied() else { break };
            let done = self
                .write(DOING, async |connection| {
                    if stand(connection, NAME).await? != Some(at) {
                        return Ok(false);
                    }
                    add_pieces(connection, &pieces).await?;
                    stands_at(connection, NAME, to, last).await?;
                    Ok(true)
                })
                .await?;
            if !done {
                let Stand { position, .. } = self.fold_stands(NAME).await?.unwrap_or_default();
                return Ok(Some((position, false)));
            }
            at = to;
        }
        Ok(Some((at.position, true)))
    }

    /// Reads a page in the order of the commits, where the text index can; `None` where the order is that of
    /// time.
    pub(super) async fn page_of_words(
        &self,
        filter: &Filter,
        request: &PageRequest,
    ) -> Result<Option<Page>, StoreError> {
        let Some(asked) = asked(filter) else { return Ok(None) };
        if matches!(request.after, Some(Place::Occurred(_)))
            || self.fold_stands(NAME).await?.is_none()
        {
            return Ok(None);
        }
        let begun = Instant::now();
        let first = AtomicBool::new(true);
        let page = scan::page(filter, request, false, TextSearch::Indexed, async |after, limit| {
            let after = match after {
                None => None,
                Some(Place::Committed(row)) => Some(row),
                Some(Place::Occurred(_)) => {
                    let doing = "read a page: the place is of another order";
                    return Err(StoreError::new(StoreErrorKind::Data, doing));
                }
            };
            let look = if first.swap(false, Ordering::Relaxed) {
                limit.min(FIRST_LOOK.max(2 * request.limit))
            } else {
                limit
            };
            let left = request.patience.saturating_sub(begun.elapsed()).max(LEAST);
            let sql = candidates(filter, &asked, request.direction, after, look);
            self.rows_of_words(sql, look, left)
                .await
                .map_err(|error| store_error("read records by their words", error))
        })
        .await?;
        Ok(Some(page))
    }

    async fn rows_of_words(
        &self,
        sql: Sql,
        look: usize,
        patience: Duration,
    ) -> Result<Candidates, sqlx::Error> {
        let mut asking = Asking::begin(self.pool()).await?;
        asking.patience(patience).await?;
        let answer = asking.rows(sql).await?;
        asking.release();
        let mut found = Candidates { records: Vec::new(), unreadable: 0, next: None };
        let mut last = None;
        for row in &answer.rows {
            let place = Place::Committed(row.try_get("r")?);
            last = Some(place);
            match rows::record(row) {
                Ok(record) => found.records.push((place, record)),
                Err(error) => {
                    let id = row.try_get::<&[u8], _>("id").map(hex).unwrap_or_default();
                    tracing::error!(
                        id,
                        %error,
                        "a row of activity_records does not read as a record and is left out"
                    );
                    found.unreadable += 1;
                }
            }
        }
        found.next = last.filter(|_| !answer.whole || answer.rows.len() >= look);
        Ok(found)
    }
}

/// Asks for rows in the order of the commits: those that the index knows, those that it has not reached, and
/// those that it has to look at again.
fn candidates(
    filter: &Filter,
    asked: &str,
    direction: Direction,
    after: Option<i64>,
    look: usize,
) -> Sql {
    let (beyond, order) = match direction {
        Direction::Older => (" < ", "DESC"),
        Direction::Newer => (" > ", "ASC"),
    };
    let bound = |sql: &mut Sql, column: &str| {
        if let Some(after) = after {
            sql.push(" AND ").push(column).push(beyond).bind(after);
        }
    };
    let words = filter.expr().conjuncts().filter(|p| matches!(p, Expr::Test(Test::Text(_))));
    let mut sql = Sql::new(format!("SELECT {}, found.r FROM (", *COLUMN_LIST));
    sql.push("SELECT rowid AS r FROM activity_words WHERE activity_words MATCH ").bind(asked);
    bound(&mut sql, "rowid");
    sql.push(" UNION SELECT again FROM activity_words_again WHERE 1");
    bound(&mut sql, "again");
    sql.push(" UNION SELECT rowid FROM activity_records WHERE rowid > ");
    sql.push("(SELECT last_row FROM activity_folds WHERE name = 'text') AND ");
    sql.append(&render(words, Absent::Null).sql);
    bound(&mut sql, "rowid");
    sql.push(&format!(" ORDER BY r {order} LIMIT "));
    sql.bind(i64::try_from(look).unwrap_or(i64::MAX));
    sql.push(") AS found CROSS JOIN activity_records AS kept ON kept.rowid = found.r");
    sql.push(&format!(" ORDER BY found.r {order}"));
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Phrase;

    #[test]
    fn a_beginning_is_spelt_as_the_beginning_of_the_whole() {
        let spell = |word: &str| {
            let mut to = String::new();
            super::spell(word, &mut to);
            to
        };
        assert_eq!(spell("caf\u{e9}"), "cafqc3qa9");
        for (begins, word) in [("caf", "caf\u{e9}"), ("\u{fc}b", "\u{fc}bergang"), ("a", "a")] {
            assert!(spell(word).starts_with(&spell(begins)));
        }
        assert_eq!(spell(&"x".repeat(99)).len(), MAX_WORD);
    }

    #[test]
    fn only_words_that_must_occur_are_asked_for() {
        let text = |text| Expr::Test(Test::Text(Phrase::new(text).unwrap()));
        let filter = Filter::new().and(text("order_55")).and(Expr::Not(Box::new(text("x"))));
        assert_eq!(asked(&filter).unwrap(), "\"order 55\"");
        let prefix = Expr::Test(Test::Text(Phrase::new("can").unwrap().prefix()));
        assert_eq!(asked(&filter.and(prefix)).unwrap(), "\"order 55\" AND \"can\" *");
        assert_eq!(asked(&Filter::new().and(Expr::Any(vec![text("a"), text("b")]))), None);
    }
}

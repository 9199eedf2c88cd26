//! A statement that is put together from pieces, with its values.

use std::sync::Arc;

use sqlx::{Arguments as _, AssertSqlSafe, Sqlite, query::Query, sqlite::SqliteArguments};

/// Statements of more values than this are not kept ready on their connection.
const KEPT_BINDS: usize = 64;

/// A value of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bind {
    Integer(i64),
    Text(Arc<str>),
    Bytes(Vec<u8>),
}

impl From<i64> for Bind {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&str> for Bind {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Bind {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// A piece of SQL with one `?` for each of its values, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) binds: Vec<Bind>,
}

impl Sql {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), binds: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value, and its `?`.
    pub(super) fn bind(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.text.push('?');
        self.binds.push(value.into());
        self
    }

    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.binds.extend(other.binds.iter().cloned());
        self
    }

    /// Adds pieces with something between them.
    pub(super) fn join<'p>(
        &mut self,
        pieces: impl IntoIterator<Item = &'p Self>,
        between: &str,
    ) -> &mut Self {
        for (n, piece) in pieces.into_iter().enumerate() {
            if n > 0 {
                self.push(between);
            }
            self.append(piece);
        }
        self
    }

    /// Makes the statement. Its text was put together from constants, names of fields and `?`.
    pub(super) fn query(self) -> Result<Query<'static, Sqlite, SqliteArguments>, sqlx::Error> {
        // What is as long as somebody's list will not come again, and would be kept for nothing.
        let again = self.binds.len() <= KEPT_BINDS;
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.binds.len(), 0);
        for value in self.binds {
            match value {
                Bind::Integer(number) => arguments.add(number),
                Bind::Text(text) => arguments.add(text),
                Bind::Bytes(bytes) => arguments.add(bytes),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(sqlx::query_with(AssertSqlSafe(self.text), arguments).persistent(again))
    }
}

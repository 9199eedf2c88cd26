//! The text index: which words occur in which row.
//!
//! FTS5 without content: the index alone, so that no text is stored twice. It is given words as the query
//! language knows them, spelt so that its own tokenizer has nothing left to decide. The fold fills it behind
//! the writers; what it has not reached yet is looked through, so that an answer is always complete.
//!
//! What is deleted or erased leaves the index in the same transaction, by triggers. FTS5 only marks it as
//! gone, so the folds that follow put the index together anew, in short steps, and what is erased is
//! overwritten.

use std::{
    fmt::Write as _,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{
    asking::{Asking, Ended},
    error::store_error,
    filter::{Absent, render},
    packed::{self, COLUMNS},
    page::say_unreadable,
    rollup::{Piece, Stand, stand, stands_at, step},
    sql::Sql,
    store::SqliteStore,
};
use crate::{
    query::{
        Direction, Expr, Filter, Page, PageRequest, Place, TEXT_FIELDS, Test, TextSearch, words,
    },
    record::Record,
    store::{
        StoreError, StoreErrorKind,
        scan::{self, Candidates},
    },
};

pub(super) const NAME: &str = "text";
const DOING: &str = "fold records into the text index";

/// Longer words are cut, in the text as in the question; what is found is looked at again.
const MAX_WORD: usize = 64;
/// Rows of the first look: a common word fills a page with them.
const FIRST_LOOK: usize = 128;
const LEAST: Duration = Duration::from_millis(250);
/// Rows that the index has not reached are looked through in windows, where all of them at once take too long;
/// and no window is smaller than the second number.
const WINDOW: i64 = 20_000;
const LEAST_WINDOW: i64 = 50;

/// Rows that are indexed again in one step.
const AGAIN: i64 = 200;
/// Pages of the index that one step puts together anew.
const PAGES: i64 = 64;
/// In the list of rows to be looked at again: the index is to be put together anew, and: it is being so.
const PUT_TOGETHER: i64 = -2;
const GOES_ON: i64 = -1;

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
         CREATE TRIGGER IF NOT EXISTS activity_words_deleted BEFORE DELETE ON activity_records \
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
        let Some(mut at) = self.fold_stands(NAME).await? else { return Ok(None) };
        self.tidy_words().await?;
        let mut entries = self.entries_after(at, entries).await?;
        while let Some((pieces, to)) = step(&mut entries, at) {
            let Some(last) = pieces.last().copied() else { break };
            let done = self
                .write_step(DOING, async |connection| {
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

    /// Indexes again what was erased from, and puts the index together anew after it: step by step, until
    /// nothing of it is left.
    pub(super) async fn tidy_words(&self) -> Result<(), StoreError> {
        let again = "SELECT EXISTS (SELECT 1 FROM activity_words_again)";
        let mut left: bool = sqlx::query_scalar(again)
            .fetch_one(self.pool())
            .await
            .map_err(|error| store_error(DOING, error))?;
        while left {
            left = self.write_step(DOING, tidy).await?;
        }
        Ok(())
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
        let looking = Looking {
            filter,
            asked,
            direction: request.direction,
            ends: Instant::now() + request.patience,
            said: AtomicBool::new(false),
            window: self.window(),
        };
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
            let looked = looking.candidates(self.pool(), after, look).await;
            looked.map_err(|error| store_error("read records by their words", error))
        })
        .await?;
        Ok(Some(page))
    }
}

/// Does one step of tidying; tells whether there is more to do.
async fn tidy(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT again FROM activity_words_again ORDER BY again DESC LIMIT ?")
            .bind(AGAIN)
            .fetch_all(&mut *connection)
            .await?;
    let Some(&first) = rows.first() else { return Ok(false) };
    if first > 0 {
        let last = rows.iter().copied().rfind(|row| *row > 0).unwrap_or(first);
        // What the fold has not reached, it will.
        let mut sql = texts_of(
            "rowid <= (SELECT last_row FROM activity_folds WHERE name = 'text') \
             AND rowid IN (SELECT again FROM activity_words_again WHERE again >= ",
        );
        sql.bind(last).push(")");
        add(connection, sql).await?;
        // Whatever was being put together begins anew, with the rows that are gone now.
        sqlx::query("DELETE FROM activity_words_again WHERE again >= ? OR again < 0")
            .bind(last)
            .execute(&mut *connection)
            .await?;
        let marked = "INSERT INTO activity_words_again (again) VALUES (?)";
        sqlx::query(marked).bind(PUT_TOGETHER).execute(connection).await?;
        return Ok(true);
    }
    // A negative number begins, whatever there is; positive ones go on. FTS5 has done when a step changes
    // next to nothing.
    let begins = first == PUT_TOGETHER;
    let changes = "SELECT total_changes()";
    let before: i64 = sqlx::query_scalar(changes).fetch_one(&mut *connection).await?;
    sqlx::query("INSERT INTO activity_words (activity_words, rank) VALUES ('merge', ?)")
        .bind(if begins { -PAGES } else { PAGES })
        .execute(&mut *connection)
        .await?;
    let after: i64 = sqlx::query_scalar(changes).fetch_one(&mut *connection).await?;
    if after - before >= 2 {
        let goes_on = "UPDATE activity_words_again SET again = ? WHERE again < 0";
        sqlx::query(goes_on).bind(GOES_ON).execute(connection).await?;
        return Ok(true);
    }
    sqlx::query("DELETE FROM activity_words_again WHERE again < 0").execute(connection).await?;
    Ok(false)
}

/// A question for words, as its pages are worked on.
struct Looking<'q> {
    filter: &'q Filter,
    asked: String,
    direction: Direction,
    ends: Instant,
    /// Whether it was said that rows are unreadable.
    said: AtomicBool,
    /// Rows of a window, where it is known from the start that windows are needed.
    window: Option<i64>,
}

impl Looking<'_> {
    async fn candidates(
        &self,
        pool: &SqlitePool,
        after: Option<i64>,
        look: usize,
    ) -> Result<Candidates, sqlx::Error> {
        let mut asking = Asking::begin(pool).await?;
        // Only what the index has not reached takes long, and only as long as that is much.
        let (mut window, mut up_to) = (self.window.unwrap_or(WINDOW), None);
        if self.window.is_some() {
            up_to = self.window(&mut asking, after, window).await?;
        }
        loop {
            let left = self.ends.saturating_duration_since(Instant::now());
            asking.patience(left.max(LEAST)).await?;
            let mut read = Read::default();
            let sql = candidates(self.filter, &self.asked, self.direction, after, up_to, look);
            let ended = asking.each(sql, |row| read.take(&row, &self.said)).await?;
            let next = match ended {
                Ended::Whole if read.count < look => up_to,
                Ended::OutOfTime if read.last.is_none() => {
                    if up_to.is_some() {
                        window = (window / 8).max(LEAST_WINDOW);
                    }
                    let smaller = self.window(&mut asking, after, window).await?;
                    if smaller.is_some() && smaller != up_to {
                        up_to = smaller;
                        continue;
                    }
                    after.or(Some(self.outermost()))
                }
                _ => read.last,
            };
            asking.release();
            let Read { records, unreadable, .. } = read;
            return Ok(Candidates { records, unreadable, next: next.map(Place::Committed) });
        }
    }

    /// Returns the row at which a window ends, inclusive; `None` where the rest is the index's alone.
    async fn window(
        &self,
        asking: &mut Asking,
        after: Option<i64>,
        rows: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        let ends = "SELECT (SELECT last_row FROM activity_folds WHERE name = 'text'), \
             (SELECT coalesce(max(rowid), 0) FROM activity_records)";
        let ends = asking.rows(Sql::new(ends)).await?.rows;
        let ends = ends.first().ok_or(sqlx::Error::RowNotFound)?;
        let (folded, last) = (ends.try_get::<i64, _>(0)?, ends.try_get::<i64, _>(1)?);
        Ok(match self.direction {
            Direction::Older => {
                let from = after.unwrap_or(i64::MAX).min(last.saturating_add(1));
                (from > folded + 1).then(|| from.saturating_sub(rows).max(folded + 1))
            }
            Direction::Newer => {
                let from = after.unwrap_or(0);
                let to = if from < folded { folded } else { from.saturating_add(rows) };
                (to < last).then_some(to)
            }
        })
    }

    /// Returns a place that the first page begins at.
    const fn outermost(&self) -> i64 {
        match self.direction {
            Direction::Older => i64::MAX,
            Direction::Newer => 0,
        }
    }
}

/// Rows as records, as they come.
#[derive(Default)]
struct Read {
    records: Vec<(Place, Record)>,
    count: usize,
    bytes: usize,
    unreadable: u64,
    last: Option<i64>,
}

impl Read {
    fn take(&mut self, row: &SqliteRow, said: &AtomicBool) -> ControlFlow<()> {
        let Ok(place) = row.try_get("r") else { return ControlFlow::Break(()) };
        self.count += 1;
        self.last = Some(place);
        match packed::record(row) {
            Ok(record) => {
                self.bytes += record.footprint();
                self.records.push((Place::Committed(place), record));
            }
            Err(error) => {
                if !said.swap(true, Ordering::Relaxed) {
                    say_unreadable(row, &error);
                }
                self.unreadable += 1;
            }
        }
        if self.bytes > scan::BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Asks for rows in the order of the commits: those that the index knows, those that it has not reached, and
/// those that it has to look at again.
fn candidates(
    filter: &Filter,
    asked: &str,
    direction: Direction,
    after: Option<i64>,
    up_to: Option<i64>,
    look: usize,
) -> Sql {
    let (beyond, within, order) = match direction {
        Direction::Older => (" < ", " >= ", "DESC"),
        Direction::Newer => (" > ", " <= ", "ASC"),
    };
    let bound = |sql: &mut Sql, column: &str| {
        for (comparison, place) in [(beyond, after), (within, up_to)] {
            if let Some(place) = place {
                sql.push(" AND ").push(column).push(comparison).bind(place);
            }
        }
    };
    let words = filter.expr().conjuncts().filter(|p| matches!(p, Expr::Test(Test::Text(_))));
    let mut sql = Sql::new(format!("SELECT {}, found.r FROM (", *COLUMNS));
    sql.push("SELECT rowid AS r FROM activity_words WHERE activity_words MATCH ").bind(asked);
    bound(&mut sql, "rowid");
    sql.push(" UNION SELECT again FROM activity_words_again WHERE again > 0");
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

//! Pages: candidates in the order of time, by keyset over the leaves.
//!
//! Month by month and index by index the server reads in the order of the page and stops at its limit, so
//! that a page costs the same at any depth. What no index finds it may look for through the whole log: so
//! such a question is tried for a moment, and then asked in windows of so many rows, each of which says how
//! far it came.

use std::{
    fmt::Write as _,
    future::poll_fn,
    time::{Duration, Instant},
};

use futures_core::Stream as _;
use sqlx::{AssertSqlSafe, PgConnection, query, raw_sql};

use super::{
    column::COLUMNS,
    decode::{self, Cells as _},
    error::is_canceled,
    filter::{Condition, List, bind_all, push_and, words_are_indexed},
    find::Find,
    literal::time_literal,
    months,
    store::{Failure, PostgresStore, done, statement_limit},
};
use crate::{
    query::{Direction, Filter, Keyset, Page, PageRequest, Place, Test, TextSearch},
    record::{Record, RecordId},
    store::{
        Index, StoreError, StoreErrorKind,
        scan::{self, Candidates},
    },
};

/// How long a question is tried as it is.
const TRIAL: Duration = Duration::from_millis(250);

/// How long a window should take, so that the time that somebody gave is kept to.
const WINDOW: Duration = Duration::from_millis(200);

/// The rows of the first window, and the bounds of further ones.
const FIRST_ROWS: usize = 5_000;
const ROWS: std::ops::RangeInclusive<usize> = 1_000..=500_000;

/// So many rows are read at the most for a page that is put together from the pages of several values.
const TOGETHER: usize = 10_000;

/// How a page is read, from fetch to fetch.
struct Pace {
    /// Whether the question is asked in windows.
    windows: bool,
    rows: usize,
    ends: Instant,
}

/// A part of the log, in a direction: strictly after, and up to, inclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) direction: Direction,
    pub(super) after: Option<Keyset>,
    pub(super) up_to: Option<Keyset>,
}

impl PostgresStore {
    pub(super) async fn page(
        &self,
        filter: &Filter,
        request: &PageRequest,
    ) -> Result<Page, StoreError> {
        let made = self.serving(filter).await?;
        let is_held = self.is_held() && self.keeps_tenants().await?;
        let (condition, find) = if is_held {
            let parts = filter.expr().conjuncts();
            (Condition::held(parts, filter, &made), Find::of(filter, &made))
        } else {
            (Condition::with(filter, &made), None)
        };
        let text = if !filter.asks_for_text() {
            TextSearch::None
        } else if words_are_indexed(filter, &made) {
            TextSearch::Indexed
        } else {
            TextSearch::Scanned
        };
        let pace = tokio::sync::Mutex::new(Pace {
            windows: self.window_rows().is_some(),
            rows: self.window_rows().unwrap_or(FIRST_ROWS),
            ends: Instant::now() + request.patience,
        });
        let page = scan::page(filter, request, condition.exact, text, async |after, limit| {
            let after = match after {
                None => None,
                Some(Place::Occurred(place)) => Some(place),
                Some(Place::Committed(_)) => {
                    let doing = "read a page: the place is of another order";
                    return Err(StoreError::new(StoreErrorKind::Data, doing));
                }
            };
            let stretch = Stretch { direction: request.direction, after, up_to: None };
            let mut pace = pace.lock().await;
            let read = async {
                if let Some(find) = &find
                    && !pace.windows
                {
                    if let Some(found) = self.found(find, stretch, limit, pace.ends).await? {
                        return Ok(found);
                    }
                    pace.windows = true;
                }
                self.candidates(&condition, stretch, limit, &mut pace).await
            };
            self.bounded("read a page", read).await
        })
        .await?;
        if page.unreadable > 0 {
            tracing::error!(
                rows = page.unreadable,
                "rows of the log cannot be read as records and are left out: somebody edited them"
            );
        }
        Ok(page)
    }

    /// Returns the indexes that were asked for, where the filter has a use for them.
    async fn serving(&self, filter: &Filter) -> Result<Vec<Index>, StoreError> {
        let text = filter.asks_for_text();
        let metadata = filter.expr().any_test(&|test| matches!(test, Test::Json(..)));
        if !text && !metadata {
            return Ok(Vec::new());
        }
        let made = self.memory().indexes();
        let is_there = |wanted: bool, index| !wanted || made.contains(&index);
        if is_there(text, Index::Text) && is_there(metadata, Index::Metadata) {
            return Ok(made);
        }
        let made = self.made().await?;
        self.memory().learn_indexes(&made);
        Ok(made)
    }

    async fn keeps_tenants(&self) -> Result<bool, StoreError> {
        if let Some(apart) = self.memory().apart() {
            return Ok(apart);
        }
        self.bounded("look whether tenants are kept apart", async {
            let mut transaction = self.reading().await?;
            let apart = self.memory().keeps_tenants(&mut transaction).await?;
            done(transaction);
            Ok(apart)
        })
        .await
    }

    /// Returns the plan by which a page would be read, for tests of what it costs.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    #[doc(hidden)]
    pub async fn explain(
        &self,
        filter: &Filter,
        request: &PageRequest,
    ) -> Result<String, StoreError> {
        let condition = Condition::with(filter, &self.serving(filter).await?);
        let after = match request.after {
            Some(Place::Occurred(place)) => Some(place),
            _ => None,
        };
        let stretch = Stretch { direction: request.direction, after, up_to: None };
        let page = page_sql(&condition, stretch, request.limit.saturating_add(1));
        let sql = format!("explain (analyze, costs off, timing off, summary off) {page}");
        self.bounded("explain a page", async {
            let mut transaction = self.reading().await?;
            let rows = bind_all(query(AssertSqlSafe(sql)), &condition.values)
                .persistent(false)
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            let lines = rows.iter().map(|row| Ok(row.text(0)?.unwrap_or_default().to_owned()));
            Ok(lines.collect::<Result<Vec<_>, sqlx::Error>>()?.join("\n"))
        })
        .await
    }

    /// Reads candidates as the pace says.
    async fn candidates(
        &self,
        condition: &Condition,
        stretch: Stretch,
        limit: usize,
        pace: &mut Pace,
    ) -> Result<Candidates, Failure> {
        if pace.windows {
            return self.window(condition, stretch, limit, pace).await;
        }
        // What an index finds needs no trial.
        let is_trial = !condition.rest.is_empty();
        let mut transaction = if is_trial {
            let left = pace.ends.saturating_duration_since(Instant::now());
            self.reading_within(TRIAL.min(left)).await?
        } else {
            self.reading().await?
        };
        let months = match self.memory().months(&mut transaction).await {
            Err(source) if is_trial && is_canceled(&source) => {
                done(transaction);
                pace.windows = true;
                return self.window(condition, stretch, limit, pace).await;
            }
            months => months?,
        };
        let ends = months::ends(&months, stretch.direction, stretch.after, condition.range);
        let mut found = Candidates { records: Vec::new(), unreadable: 0, next: None };
        let (mut step, mut rows, mut bytes) = (stretch, 0, 0);
        for end in ends.into_iter().map(Some).chain([None]) {
            step.up_to = end;
            let room = (limit - rows, scan::BYTES.saturating_sub(bytes));
            match read(&mut transaction, condition, step, room).await {
                Ok((read, count)) => {
                    rows += count;
                    bytes += read.records.iter().map(|(_, r)| r.footprint()).sum::<usize>();
                    found.records.extend(read.records);
                    found.unreadable += read.unreadable;
                    found.next = read.next;
                }
                Err(source) if is_trial && is_canceled(&source) => {
                    done(transaction);
                    pace.windows = true;
                    if step.after == stretch.after {
                        return self.window(condition, stretch, limit, pace).await;
                    }
                    found.next = step.after.map(Place::Occurred);
                    return Ok(found);
                }
                Err(source) => return Err(source.into()),
            }
            if is_trial && Instant::now() >= pace.ends {
                // Each step has a limit of its own, and together they would take longer than was given.
                found.next = found.next.or(end.map(Place::Occurred));
            }
            if found.next.is_some() {
                break;
            }
            step.after = end;
        }
        done(transaction);
        Ok(found)
    }

    /// Reads candidates of as many rows as should take a moment.
    async fn window(
        &self,
        condition: &Condition,
        stretch: Stretch,
        limit: usize,
        pace: &mut Pace,
    ) -> Result<Candidates, Failure> {
        let mut transaction = self.reading().await?;
        let begun = Instant::now();
        let end = end_of_window(&mut transaction, condition, stretch, pace.rows).await?;
        let window = Stretch { up_to: end, ..stretch };
        let (mut found, _rows) =
            read(&mut transaction, condition, window, (limit, scan::BYTES)).await?;
        done(transaction);
        if found.next.is_none() {
            found.next = end.map(Place::Occurred);
        }
        let taken = begun.elapsed();
        if self.window_rows().is_some() {
            // As it was asked for.
        } else if taken < WINDOW / 2 {
            pace.rows = (pace.rows * 2).min(*ROWS.end());
        } else if taken > WINDOW * 2 {
            pace.rows = (pace.rows / 2).max(*ROWS.start());
        }
        Ok(found)
    }
}

/// Sets how long the statements that follow in this transaction may take.
pub(super) async fn within(
    connection: &mut PgConnection,
    limit: Duration,
) -> Result<(), sqlx::Error> {
    raw_sql(AssertSqlSafe(statement_limit(limit))).execute(connection).await?;
    Ok(())
}

/// Reads the rows of a stretch that meet the condition, at most so many, and of so many bytes and one more;
/// tells how many there were.
async fn read(
    connection: &mut PgConnection,
    condition: &Condition,
    stretch: Stretch,
    (limit, room): (usize, usize),
) -> Result<(Candidates, usize), sqlx::Error> {
    let sql = page_sql(condition, stretch, limit);
    let asked = bind_all(query(AssertSqlSafe(sql)), &condition.values).persistent(false);
    let mut rows = std::pin::pin!(asked.fetch(connection));
    let mut found = Candidates { records: Vec::new(), unreadable: 0, next: None };
    let (mut count, mut bytes) = (0, 0);
    let at = |name| Record::FIELDS.iter().position(|field| field.name() == name).unwrap_or(0);
    let (at, id) = (at("occurred_at"), at("id"));
    // What is left when it is enough, the connection reads and throws away before its next statement.
    while let Some(row) = poll_fn(|context| rows.as_mut().poll_next(context)).await {
        let row = row?;
        count += 1;
        match decode::record(&row) {
            Ok(record) => {
                bytes += record.footprint();
                found.records.push(scan::placed(record));
            }
            Err(_) => found.unreadable += 1,
        }
        if count >= limit || bytes > room {
            found.next = Some(Place::Occurred(place(&row, at, id)?));
            break;
        }
    }
    Ok((found, count))
}

/// Returns the place of the last of so many rows, whether or not they meet what no index finds; `None`
/// where there are fewer.
async fn end_of_window(
    connection: &mut PgConnection,
    condition: &Condition,
    stretch: Stretch,
    rows: usize,
) -> Result<Option<Keyset>, sqlx::Error> {
    let sql = window_sql(condition, stretch, rows);
    let row = bind_all(query(AssertSqlSafe(sql)), &condition.values[..condition.indexed_values])
        .persistent(false)
        .fetch_optional(connection)
        .await?;
    row.map(|row| place(&row, 0, 1)).transpose()
}

fn place(row: &sqlx::postgres::PgRow, at: usize, id: usize) -> Result<Keyset, sqlx::Error> {
    Ok(Keyset {
        occurred_at: row.moment(at)?.unwrap_or_default(),
        id: RecordId::from_bytes(row.array(id)?),
    })
}

/// Returns the statement for the candidates of a page.
pub(super) fn page_sql(condition: &Condition, stretch: Stretch, limit: usize) -> String {
    let select = format!("select {} from", COLUMNS.as_str());
    let end = format!(" order by {} limit {}", stretch.order(), bounded(limit));
    let mut sql = format!("{select} activity.records where true");
    let bare = sql.len();
    if let Some(List { column, values, count }) = condition.push_beside_list(&mut sql)
        && count.saturating_mul(limit) <= TOGETHER
    {
        // Each value by itself, since of a list the server would sort all that there is.
        push_and(&mut sql, &format!("{column} = wanted.value"));
        stretch.push(&mut sql);
        return format!(
            "{select} unnest({values}) as wanted (value) cross join lateral ({sql}{end}) as r{end}"
        );
    }
    sql.truncate(bare);
    condition.push(&mut sql);
    stretch.push(&mut sql);
    sql + &end
}

/// Returns the statement for the end of a window.
fn window_sql(condition: &Condition, stretch: Stretch, rows: usize) -> String {
    let mut sql = "select occurred_at, id from activity.records where true".to_owned();
    condition.push_indexed(&mut sql);
    stretch.push(&mut sql);
    let skipped = bounded(rows.saturating_sub(1));
    put(&mut sql, format_args!(" order by {} offset {skipped} limit 1", stretch.order()));
    sql
}

impl Stretch {
    pub(super) fn order(self) -> &'static str {
        match self.direction {
            Direction::Older => "occurred_at desc, id desc",
            Direction::Newer => "occurred_at, id",
        }
    }

    /// Appends its bounds as conditions.
    fn push(self, sql: &mut String) {
        let (beyond, within) = match self.direction {
            Direction::Older => ("<", ">"),
            Direction::Newer => (">", "<"),
        };
        for (place, operator, inclusive) in [(self.after, beyond, ""), (self.up_to, within, "=")] {
            let Some(Keyset { occurred_at, id }) = place else { continue };
            let at = time_literal(occurred_at);
            // The first condition says nothing new, but by it other months are left out.
            push_and(
                sql,
                &format!(
                    "occurred_at {operator}= {at} \
                     and (occurred_at, id) {operator}{inclusive} ({at}, '{id}'::uuid)"
                ),
            );
        }
    }
}

fn put(sql: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = sql.write_fmt(text);
}

pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::postgres::filter::Bound;

    const NEWEST: Stretch = Stretch { direction: Direction::Older, after: None, up_to: None };

    #[test]
    fn values_are_bound_and_never_part_of_the_statement() {
        let hostile = "x'; drop table activity.records; --";
        let filter = Filter::new()
            .any_of("entity_id", [hostile])
            .unwrap()
            .any_of("action", ["Create", "UPDATE"])
            .unwrap();
        let condition = Condition::of(&filter);
        let sql = page_sql(&condition, NEWEST, 51);
        assert!(!sql.contains("drop"));
        assert!(sql.contains("entity_id = $1 and lower(action) = any($2)"), "{sql}");
        let any = vec!["create".to_owned(), "update".to_owned()];
        assert_eq!(condition.values, [Bound::Text(hostile.to_owned()), Bound::Texts(any)]);
    }

    #[test]
    fn of_a_list_each_value_is_looked_up_by_itself() {
        let list = ["ana", "bob", "ana"];
        let of = |filter: &Filter, limit| {
            let condition = Condition::of(filter);
            (page_sql(&condition, NEWEST, limit), condition.values)
        };
        let actors = Filter::new().any_of("actor_id", list).unwrap();
        let both = Bound::Texts(vec!["ana".to_owned(), "bob".to_owned()]);
        let (sql, values) = of(&actors, 51);
        assert!(sql.contains("from unnest($1) as wanted (value) cross join lateral"), "{sql}");
        assert!(sql.contains("where true and actor_id = wanted.value order by"), "{sql}");
        assert_eq!(
            values,
            std::slice::from_ref(&both),
            "each once: else a record would come twice"
        );
        let (sql, _) = of(&actors, TOGETHER);
        assert!(sql.contains("where true and actor_id = any($1) order by"), "{sql}");
        // Beside what leaves more, and not beside what leaves less.
        let (sql, values) = of(&actors.clone().any_of("tenant_id", ["north"]).unwrap(), 51);
        assert!(sql.contains("tenant_id = $1 and actor_id = wanted.value"), "{sql}");
        assert_eq!(values, [Bound::Text("north".to_owned()), both]);
        let (sql, _) = of(&actors.any_of("session_id", ["one"]).unwrap(), 51);
        assert!(!sql.contains("wanted"), "{sql}");
        let actions = Filter::new().any_of("action", ["create", "update"]).unwrap();
        let (sql, _) = of(&actions, 51);
        assert!(!sql.contains("wanted"), "{sql}");
        let tenants = ["north", "south"];
        let (sql, _) = of(&Filter::new().any_of("tenant_id", tenants).unwrap(), 51);
        assert!(sql.contains("where true and tenant_id = wanted.value order by"), "{sql}");
        let (sql, _) = of(&actions.any_of("tenant_id", tenants).unwrap(), 51);
        assert!(!sql.contains("wanted"), "{sql}");
        let one = Filter::new().any_of("action", ["Create", "create"]).unwrap();
        assert!(of(&one, 51).0.contains("lower(action) = $1"));
    }

    #[test]
    fn a_condition_that_nothing_can_meet_selects_nothing() {
        let filter = Filter::new().any_of("action", ["\0"]).unwrap();
        let condition = Condition::of(&filter);
        assert!(page_sql(&condition, NEWEST, 1).contains("and false"));
        assert!(condition.values.is_empty());
    }
}

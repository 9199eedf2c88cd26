//! Pages in the order of time.
//!
//! What has an index is found by it. What has none is looked for along the index by time, in windows: each
//! ends after so many rows, so that a rare thing takes many short statements instead of one that nobody can
//! stop, and a page whose time is up knows where to go on.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sqlx::{Row as _, SqlitePool, sqlite::SqliteRow};

use super::{
    asking::{Asking, Ended},
    filter::{Absent, MAX_BINDS, Rendered, render},
    packed::{self, COLUMNS},
    rows,
    sql::{Bind, Sql},
};
use crate::{
    query::{Direction, Expr, Filter, Keyset, Place, Test, folds_case},
    record::{Field, Record, RecordId, hex},
    store::scan::{self, Candidates},
    time::Timestamp,
};

/// Rows of a window: some tens of milliseconds where every one has to be looked at.
const WINDOW: i64 = 20_000;
/// Where so many take longer than a window is given, fewer are tried, but no fewer than this.
const LEAST_WINDOW: i64 = 50;
/// How long a question may try without windows: much longer than one with an index takes.
const FIRST_TRY: Duration = Duration::from_millis(200);
/// A window is given so long, however little is left: otherwise a page may never get on.
const LEAST: Duration = Duration::from_millis(250);
/// Of so many values each is looked up by itself, and the answers are merged.
const MAX_ARMS: usize = 32;

/// Fields with an index that goes on by time.
const INDEXED: [&str; 9] = [
    "request_id",
    "trace_id",
    "correlation_id",
    "session_id",
    "actor_id",
    "ip",
    "tenant_id",
    "entity_type",
    "action",
];

/// A filter, made ready to be asked for page by page.
pub(super) struct Question {
    whole: Rendered,
    /// One condition for each value of a list, where merging them beats sorting all of it.
    arms: Vec<Sql>,
    direction: Direction,
    windowed: AtomicBool,
    /// Rows of a window.
    window: i64,
    /// Whether it was said that rows are unreadable.
    said: AtomicBool,
    begun: Instant,
    patience: Duration,
}

impl Question {
    /// `window` is so many rows where it is known from the start that windows are needed.
    pub(super) fn new(
        filter: &Filter,
        direction: Direction,
        patience: Duration,
        window: Option<i64>,
    ) -> Self {
        let whole = render(filter.expr().conjuncts(), Absent::Null);
        Self {
            whole,
            arms: arms(filter),
            direction,
            windowed: AtomicBool::new(window.is_some()),
            window: window.unwrap_or(WINDOW),
            said: AtomicBool::new(false),
            begun: Instant::now(),
            patience,
        }
    }

    /// Tells whether every candidate passes the filter.
    pub(super) const fn is_exact(&self) -> bool {
        self.whole.exact
    }

    fn left(&self) -> Duration {
        self.patience.saturating_sub(self.begun.elapsed())
    }

    /// Asks for candidates after a place, up to another, inclusive.
    pub(super) fn page(&self, after: Option<Keyset>, up_to: Option<Keyset>, limit: usize) -> Sql {
        let (beyond, within, order) = match self.direction {
            Direction::Older => (" < (", " >= (", "DESC"),
            Direction::Newer => (" > (", " <= (", "ASC"),
        };
        let mut bounds = Sql::default();
        for (comparison, place) in [(beyond, after), (within, up_to)] {
            if let Some(Keyset { occurred_at, id }) = place {
                bounds.push(" AND (occurred_at, id)").push(comparison);
                bounds.bind(occurred_at.as_micros()).push(", ");
                bounds.bind(Bind::Bytes(id.as_bytes().to_vec())).push(")");
            }
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if self.arms.is_empty() {
            let mut sql = Sql::new(format!("SELECT {} FROM activity_records WHERE ", *COLUMNS));
            sql.append(&self.whole.sql).append(&bounds);
            sql.push(&format!(" ORDER BY occurred_at {order}, id {order} LIMIT ")).bind(limit);
            return sql;
        }
        let mut sql = Sql::new(format!("SELECT {} FROM (", *COLUMNS));
        for (n, arm) in self.arms.iter().enumerate() {
            sql.push(if n == 0 { "" } else { " UNION ALL " });
            sql.push("SELECT rowid AS r, occurred_at AS o, id AS i FROM activity_records WHERE ");
            sql.append(arm).append(&bounds);
        }
        sql.push(&format!(" ORDER BY o {order}, i {order} LIMIT ")).bind(limit);
        sql.push(") AS found CROSS JOIN activity_records AS kept ON kept.rowid = found.r");
        sql.push(&format!(" ORDER BY found.o {order}, found.i {order}"));
        sql
    }

    /// Asks for the place at which a window ends.
    fn window(&self, filter: &Filter, after: Option<Keyset>, rows: i64) -> Sql {
        let mut sql = Sql::new(
            "SELECT occurred_at, id FROM activity_records INDEXED BY activity_records_time WHERE 1",
        );
        let (from, to) = filter.range();
        for (comparison, bound) in [(" AND occurred_at >= ", from), (" AND occurred_at < ", to)] {
            if let Some(bound) = bound {
                sql.push(comparison).bind(bound.as_micros());
            }
        }
        let (beyond, order) = match self.direction {
            Direction::Older => (" < (", "DESC"),
            Direction::Newer => (" > (", "ASC"),
        };
        if let Some(Keyset { occurred_at, id }) = after {
            sql.push(" AND (occurred_at, id)").push(beyond).bind(occurred_at.as_micros());
            sql.push(", ").bind(Bind::Bytes(id.as_bytes().to_vec())).push(")");
        }
        sql.push(&format!(" ORDER BY occurred_at {order}, id {order} LIMIT 1 OFFSET "));
        sql.bind(rows - 1);
        sql
    }

    pub(super) async fn candidates(
        &self,
        pool: &SqlitePool,
        filter: &Filter,
        after: Option<Keyset>,
        limit: usize,
    ) -> Result<Candidates, sqlx::Error> {
        let mut asking = Asking::begin(pool).await?;
        if !self.windowed.load(Ordering::Relaxed) {
            asking.patience(FIRST_TRY.min(self.left().max(LEAST))).await?;
            let mut read = Rows::new(self, limit);
            let ended = asking.each(self.page(after, None, limit), |row| read.take(&row)).await?;
            if ended == Ended::OutOfTime {
                self.windowed.store(true, Ordering::Relaxed);
            }
            if ended == Ended::Whole || read.last.is_some() {
                asking.release();
                let next = read.last.filter(|_| ended != Ended::Whole || read.is_full());
                return Ok(read.up_to(next));
            }
        }
        let mut window = self.window;
        loop {
            asking.patience(self.left().max(LEAST)).await?;
            let end = asking.rows(self.window(filter, after, window)).await?;
            let up_to = end.rows.first().map(place).transpose()?;
            let mut read = Rows::new(self, limit);
            let mut ended = Ended::OutOfTime;
            if end.whole {
                let sql = self.page(after, up_to, limit);
                ended = asking.each(sql, |row| read.take(&row)).await?;
            }
            let next = match ended {
                Ended::Whole if !read.is_full() => up_to,
                Ended::OutOfTime if read.last.is_none() => {
                    // Nothing came in all that time: a smaller window gets on where this one did not.
                    if window > LEAST_WINDOW {
                        window = (window / 8).max(LEAST_WINDOW);
                        continue;
                    }
                    Some(after.unwrap_or(self.outermost()))
                }
                _ => read.last,
            };
            asking.release();
            return Ok(read.up_to(next));
        }
    }

    /// Says once per page that there are rows which somebody edited into something else than records.
    fn say_unreadable(&self, row: &SqliteRow, error: &sqlx::Error) {
        if !self.said.swap(true, Ordering::Relaxed) {
            say_unreadable(row, error);
        }
    }

    /// Returns a place that the first page begins at.
    fn outermost(&self) -> Keyset {
        match self.direction {
            Direction::Older => Keyset { occurred_at: Timestamp::from_micros(i64::MAX), id: LAST },
            Direction::Newer => {
                Keyset { occurred_at: Timestamp::from_micros(i64::MIN), id: RecordId::NIL }
            }
        }
    }
}

const LAST: RecordId = RecordId::from_bytes([0xff; 16]);

/// Rows as records, as they come.
struct Rows<'q> {
    question: &'q Question,
    limit: usize,
    count: usize,
    bytes: usize,
    records: Vec<(Place, Record)>,
    unreadable: u64,
    last: Option<Keyset>,
}

impl<'q> Rows<'q> {
    const fn new(question: &'q Question, limit: usize) -> Self {
        let records = Vec::new();
        Self { question, limit, count: 0, bytes: 0, records, unreadable: 0, last: None }
    }

    fn is_full(&self) -> bool {
        self.count >= self.limit
    }

    /// Takes a row, and leaves out what somebody edited into something else than a record.
    fn take(&mut self, row: &SqliteRow) -> ControlFlow<()> {
        self.count += 1;
        match packed::record(row) {
            Ok(record) => {
                let place = Keyset::of(&record);
                self.bytes += record.footprint();
                self.records.push((Place::Occurred(place), record));
                self.last = Some(place);
            }
            Err(error) => {
                self.question.say_unreadable(row, &error);
                self.unreadable += 1;
                let place = place(row).ok().or_else(|| beside(row, self.question.direction));
                self.last = place.or(self.last);
            }
        }
        if self.bytes > scan::BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn up_to(self, next: Option<Keyset>) -> Candidates {
        let Self { records, unreadable, .. } = self;
        Candidates { records, unreadable, next: next.map(Place::Occurred) }
    }
}

/// Says that a row is left out, and which.
pub(super) fn say_unreadable(row: &SqliteRow, error: &sqlx::Error) {
    let id = row.try_get::<&[u8], _>("id").map(hex).unwrap_or_default();
    tracing::error!(
        id,
        %error,
        "a row of activity_records does not read as a record and is left out, and so are others of its page, \
         if there are any"
    );
}

fn place(row: &SqliteRow) -> Result<Keyset, sqlx::Error> {
    Ok(Keyset {
        occurred_at: Timestamp::from_micros(row.try_get("occurred_at")?),
        id: RecordId::from_bytes(rows::array(row.try_get("id")?)?),
    })
}

/// Returns a place after a row whose very id is no id: the end of its microsecond.
fn beside(row: &SqliteRow, direction: Direction) -> Option<Keyset> {
    let occurred_at = Timestamp::from_micros(row.try_get("occurred_at").ok()?);
    let id = match direction {
        Direction::Older => RecordId::NIL,
        Direction::Newer => LAST,
    };
    Some(Keyset { occurred_at, id })
}

/// Splits a filter by the values of one list, where the list is what its index would be entered by: SQLite
/// would sort all that it finds under the values, newest and oldest alike.
fn arms(filter: &Filter) -> Vec<Sql> {
    let parts: Vec<_> = filter.expr().conjuncts().collect();
    let list = |name: &str, part: &&Expr| match part {
        Expr::Test(Test::OneOf(field, values)) if field.name() == name => values.len(),
        _ => 0,
    };
    let one_of = |name: &str, len: std::ops::RangeInclusive<usize>| {
        parts.iter().position(|part| len.contains(&list(name, part)))
    };
    let entity = one_of("entity_type", 1..=1).and_then(|_| one_of("entity_id", 2..=MAX_ARMS));
    let single = INDEXED.iter().any(|name| one_of(name, 1..=1).is_some());
    let split = match entity {
        Some(ids) => ids,
        None if single => return Vec::new(),
        None => match INDEXED.iter().find_map(|name| one_of(name, 2..=MAX_ARMS)) {
            Some(list) => list,
            None => return Vec::new(),
        },
    };
    let Expr::Test(Test::OneOf(field, values)) = parts[split] else { return Vec::new() };
    let mut values: Vec<String> = if folds_case(field) {
        values.iter().map(|value| value.to_ascii_lowercase()).collect()
    } else {
        values.clone()
    };
    values.sort_unstable();
    values.dedup();
    let arms: Vec<_> = values.into_iter().map(|value| arm(&parts, split, field, value)).collect();
    // Each repeats the values of the other conditions.
    let values: usize = arms.iter().map(|arm| arm.binds.len()).sum();
    if values > MAX_BINDS { Vec::new() } else { arms }
}

fn arm(parts: &[&Expr], split: usize, field: &'static Field, value: String) -> Sql {
    let one = Expr::Test(Test::OneOf(field, vec![value]));
    let of_arm = parts.iter().enumerate().map(|(n, part)| if n == split { &one } else { *part });
    render(of_arm, Absent::Null).sql
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::{
        super::store::{STREAMS, SqliteStore},
        *,
    };
    use crate::query::Phrase;

    /// Returns how SQLite would answer, step by step.
    async fn plan(store: &SqliteStore, sql: &str) -> String {
        // Values have no influence on the plan: they are bound, and there are no statistics.
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(store.pool())
            .await
            .unwrap();
        rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join(" \n") + " "
    }

    fn any(field: &str, values: &[&str]) -> Filter {
        Filter::new().any_of(field, values.iter().copied()).unwrap()
    }

    async fn plans(store: &SqliteStore, filter: &Filter) -> Vec<String> {
        let place = Keyset { occurred_at: Timestamp::default(), id: RecordId::NIL };
        let mut plans = Vec::new();
        for direction in [Direction::Older, Direction::Newer] {
            let question = Question::new(filter, direction, Duration::ZERO, None);
            for (after, up_to) in [(None, None), (Some(place), None), (Some(place), Some(place))] {
                let plan = plan(store, &question.page(after, up_to, 50).text).await;
                // Ties of one microsecond may be sorted by id, and the one page that was merged from several
                // lists, but never all that was found.
                let sorted = plan.matches("TEMP B-TREE FOR ORDER BY").count();
                assert!(sorted <= usize::from(!question.arms.is_empty()), "{filter:?}: {plan}");
                let scans = plan.matches("SCAN activity_records ").count();
                let by_time =
                    plan.matches("SCAN activity_records USING INDEX activity_records_time");
                assert_eq!(scans, by_time.count(), "{filter:?}: {plan}");
                plans.push(plan);
            }
        }
        plans
    }

    #[tokio::test]
    async fn what_has_an_index_is_found_by_it_in_the_order_of_time() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let entity = any("entity_type", &["order"]).any_of("entity_id", ["55"]).unwrap();
        for (filter, index, step) in [
            (entity.clone(), "entity", "(entity_type=? AND entity_id=?"),
            (entity.from(Timestamp::default()), "entity", "(entity_type=? AND entity_id=?"),
            (any("entity_type", &["order"]), "kind", "(entity_type=?"),
            (any("actor_id", &["ana"]), "actor", "(actor_id=?"),
            (any("action", &["create"]), "action", "(action=?"),
            (any("action", &["create", "delete"]), "action", "(action=?"),
            (any("action", &["create"]).from(Timestamp::default()), "action", "(action=? AND"),
            (any("tenant_id", &["acme"]), "tenant", "(tenant_id=?"),
            (any("tenant_id", &["acme", "globex"]), "tenant", "(tenant_id=?"),
            (any("session_id", &["s"]), "session", "(session_id=?"),
            (any("request_id", &["r"]), "request", "(request_id=?"),
            (any("correlation_id", &["c"]), "correlation", "(correlation_id=?"),
            (Filter::new().and(address("192.0.2.7")), "ip", "(ip=?"),
            (
                any("actor_id", &["ana"]).any_of("outcome", ["denied"]).unwrap(),
                "actor",
                "(actor_id=?",
            ),
        ] {
            for plan in plans(&store, &filter).await {
                assert!(plan.contains(&format!("INDEX activity_records_{index} {step}")), "{plan}");
            }
        }
        for plan in plans(&store, &Filter::new()).await {
            assert!(plan.contains("INDEX activity_records_time"), "{plan}");
        }
    }

    fn address(text: &str) -> Expr {
        Expr::Test(Test::Network(Field::named("ip").unwrap(), text.parse().unwrap()))
    }

    #[tokio::test]
    async fn what_has_none_is_looked_for_along_the_time_within_the_range() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let mut filters: Vec<_> = [
            "operation",
            "category",
            "entity_id",
            "actor_type",
            "org_id",
            "trace_id",
            "outcome",
            "method",
            "route",
            "channel",
            "origin",
            "service",
            "rule",
        ]
        .into_iter()
        .map(|field| any(field, &["x"]))
        .collect();
        let field = |name| Field::named(name).unwrap();
        for test in [
            Test::Contains(field("subject_ids"), vec!["x".to_owned()]),
            Test::Number(field("status"), Some(500), None),
            Test::Text(Phrase::new("order").unwrap()),
        ] {
            filters.push(Filter::new().and(Expr::Test(test)));
        }
        for filter in filters {
            for plan in plans(&store, &filter).await {
                assert!(plan.contains("INDEX activity_records_time"), "{filter:?}: {plan}");
            }
            let within = filter.from(Timestamp::default()).to(Timestamp::default());
            for plan in plans(&store, &within).await {
                assert!(plan.contains("INDEX activity_records_time (occurred_at>?"), "{plan}");
            }
        }
        let question = Question::new(&Filter::new(), Direction::Older, Duration::ZERO, None);
        let window = plan(&store, &question.window(&Filter::new(), None, WINDOW).text).await;
        assert!(window.contains("USING COVERING INDEX activity_records_time"), "{window}");
    }

    #[tokio::test]
    async fn the_ledger_and_its_records_are_found_by_index() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        for (sql, step) in [
            (
                "SELECT max(last_seq) FROM activity_ledger WHERE writer_id = ?",
                "USING COVERING INDEX activity_ledger_stream (writer_id=?)",
            ),
            ("SELECT * FROM activity_ledger WHERE position > ? ORDER BY position", "PRIMARY KEY"),
            (
                "SELECT * FROM activity_records WHERE writer_id = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                "INDEX activity_records_stream (writer_id=? AND seq>? AND seq<?)",
            ),
            (
                "SELECT * FROM activity_records WHERE occurred_at BETWEEN ? AND ? AND id = ?",
                "INDEX activity_records_time (occurred_at>? AND occurred_at<?)",
            ),
        ] {
            let plan = plan(&store, sql).await;
            assert!(plan.contains(step) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
        let plan = plan(&store, &format!("{STREAMS} SELECT sum(last_seq) FROM streams")).await;
        assert_eq!(plan.matches("SEARCH ").count(), 3, "{plan}");
        assert!(!plan.contains("SCAN activity_ledger") && !plan.contains("SCAN e"), "{plan}");
    }
}

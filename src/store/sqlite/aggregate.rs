//! Counting by value and over time.
//!
//! Three sources, each for what it covers: the rollup, for all tenants at once or by tenant, the rollup by
//! person, and the records themselves.
//! From a rollup come whole hours, days and months; the edges of a range, and what is not folded in yet,
//! are counted from the records. All of it sees one moment.

use std::time::{Duration, Instant};

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{
    asking::Asking,
    filter::{Absent, render},
    rollup::Stand,
    spans::{Cut, Grain, Span},
    sql::Sql,
    store::SqliteStore,
};
use crate::{
    query::{Aggregate, Aggregated, Counter, Expr, Filter, Test},
    record::{Field, Kind, Outcome},
    time::Timestamp,
};

/// More records than this that are not folded in yet are left to the fold.
const FEW: i64 = 20_000;
/// Records of a statement, where no index finds them.
const WINDOW: i64 = 50_000;
/// The values that a rollup keeps.
const KEPT: [&str; 5] = ["category", "entity_type", "action", "operation", "outcome"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Rollup,
    /// The rollup, tenant by tenant.
    Tenants,
    Persons,
    Records,
}

/// Values that are counted together, from one source.
struct Part {
    source: Source,
    /// Indexes of [`Aggregate::dimensions`].
    dimensions: Vec<usize>,
    total: bool,
    series: bool,
}

/// A question as it is worked on.
pub(super) struct Counting<'a> {
    filter: &'a Filter,
    ask: &'a Aggregate,
    asking: Asking,
    begun: Instant,
    counter: Counter<'a>,
    /// Every record that can pass lies in it.
    range: Span,
    complete: bool,
    exact: bool,
    stand: Stand,
    behind: i64,
    /// Whether what is not folded in yet is counted.
    fresh: bool,
}

fn is_time(part: &Expr) -> bool {
    matches!(part, Expr::Test(Test::Time(field, ..)) if field.name() == "occurred_at")
}

fn field_of(test: &Test) -> Option<&'static Field> {
    match test {
        Test::Present(field) | Test::OneOf(field, _) | Test::Like(field, _) => Some(field),
        _ => None,
    }
}

/// Tells which rollup can answer a filter; the other conditions than those of time and tenant may have any
/// shape, as long as they ask for nothing that it does not keep.
fn source(filter: &Filter) -> Source {
    let (mut person, mut tenants) = (false, 0);
    for part in filter.expr().conjuncts() {
        let tenant =
            matches!(part, Expr::Test(Test::OneOf(field, _)) if field.name() == "tenant_id");
        tenants += usize::from(tenant);
        if is_time(part) || tenant {
            continue;
        }
        let beyond = |test: &Test| {
            !field_of(test)
                .is_some_and(|field| KEPT.contains(&field.name()) || field.name() == "actor_id")
        };
        if part.any_test(&beyond) {
            return Source::Records;
        }
        if part.any_test(&|test| field_of(test).is_some_and(|f| f.name() == "actor_id")) {
            // Records of nobody are not in the rollup by person.
            if !matches!(part, Expr::Test(_)) {
                return Source::Records;
            }
            person = true;
        }
    }
    match (person, tenants) {
        // Only of one list is it certain that each record under it is counted once.
        (_, 2..) => Source::Records,
        (true, _) => Source::Persons,
        (false, _) => Source::Rollup,
    }
}

fn countable(field: &Field) -> bool {
    matches!(field.kind(), Kind::Text | Kind::Word | Kind::Integer)
}

fn parts(filter: &Filter, ask: &Aggregate) -> Vec<Part> {
    let covering = source(filter);
    let series = ask.edges.len() > 1;
    let mut parts = vec![Part { source: covering, dimensions: Vec::new(), total: true, series }];
    for (index, field) in ask.dimensions.iter().enumerate().filter(|(_, f)| countable(f)) {
        let source = match covering {
            Source::Records => Source::Records,
            covering if KEPT.contains(&field.name()) => covering,
            _ if field.name() == "actor_id" => Source::Persons,
            Source::Persons if field.name() == "tenant_id" => Source::Persons,
            _ if field.name() == "tenant_id" => Source::Tenants,
            _ => Source::Records,
        };
        match parts.iter_mut().find(|part| part.source == source) {
            Some(part) => part.dimensions.push(index),
            None => {
                parts.push(Part { source, dimensions: vec![index], total: false, series: false })
            }
        }
    }
    parts
}

impl<'a> Counting<'a> {
    pub(super) async fn begin(
        store: &SqliteStore,
        filter: &'a Filter,
        ask: &'a Aggregate,
    ) -> Result<Self, sqlx::Error> {
        let mut asking = Asking::begin(store.pool()).await?;
        asking.one_moment().await?;
        Ok(Self {
            filter,
            ask,
            asking,
            begun: Instant::now(),
            counter: Counter::new(ask),
            range: Span { from: 0, to: 0 },
            complete: true,
            exact: true,
            stand: Stand::default(),
            behind: 0,
            fresh: true,
        })
    }

    pub(super) async fn run(mut self) -> Result<Aggregated, sqlx::Error> {
        let ends = Sql::new(
            "SELECT (SELECT min(occurred_at) FROM activity_records), \
               (SELECT max(occurred_at) FROM activity_records), f.position, f.seq, \
               (SELECT coalesce(max(position), 0) FROM activity_ledger), \
               (SELECT committed_at FROM activity_ledger ORDER BY position DESC LIMIT 1), \
               (SELECT committed_at FROM activity_ledger WHERE position = f.position) \
             FROM activity_folds AS f WHERE name = 'rollups'",
        );
        let rows = self.asking.rows(ends).await?.rows;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        self.stand = Stand { position: row.try_get(2)?, seq: row.try_get(3)? };
        self.behind = row.try_get::<i64, _>(4)? - self.stand.position;
        let newest = row.try_get::<Option<i64>, _>(5)?.map(Timestamp::from_micros);
        let folded = row.try_get::<Option<i64>, _>(6)?.map(Timestamp::from_micros);
        let (first, last) = (row.try_get::<Option<i64>, _>(0)?, row.try_get::<Option<i64>, _>(1)?);
        let parts = parts(self.filter, self.ask);
        let folds = parts.iter().any(|part| part.source != Source::Records);
        if let (Some(first), Some(last)) = (first, last) {
            self.reach(first, last);
            if folds && self.behind > 0 {
                self.fresh = self.unfolded().await? <= FEW;
                self.exact = self.fresh;
            }
            self.asking.patience(self.left()).await?;
            for part in &parts {
                self.part(part).await?;
            }
        }
        let Self { counter, asking, complete, exact, behind, fresh, .. } = self;
        asking.end().await?;
        Ok(Aggregated {
            complete,
            exact: exact && complete,
            as_of: if fresh { newest } else { folded },
            behind: if fresh { 0 } else { behind.unsigned_abs() },
            ..counter.finish()
        })
    }

    fn left(&self) -> Duration {
        self.ask.patience.saturating_sub(self.begun.elapsed())
    }

    /// Confines the range to where records are; an end beyond all of them may as well lie further out, where
    /// a month ends.
    fn reach(&mut self, first: i64, last: i64) {
        let (from, to) = self.filter.range();
        let first = Grain::Month.floor(first).min(first);
        let end = Grain::Month.ceil(last.saturating_add(1)).max(last.saturating_add(1));
        self.range = Span {
            from: from.map_or(first, |from| from.as_micros().max(first)),
            to: to.map_or(end, |to| to.as_micros().min(end)),
        };
    }

    /// Returns the number of records that are not folded in yet.
    async fn unfolded(&mut self) -> Result<i64, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT coalesce(sum(count), 0) FROM \
             (SELECT count FROM activity_ledger WHERE position > ",
        );
        // Each entry has at least one.
        sql.bind(self.stand.position).push(" ORDER BY position LIMIT ").bind(FEW + 1).push(")");
        let rows = self.asking.rows(sql).await?.rows;
        rows.first().map_or(Ok(0), |row| row.try_get(0))
    }

    async fn part(&mut self, part: &Part) -> Result<(), sqlx::Error> {
        if self.range.is_empty() {
            return Ok(());
        }
        if part.source == Source::Records {
            return self.count_all(part).await;
        }
        let grains = match part.source {
            Source::Persons => &Grain::ALL[..2],
            _ => &Grain::ALL[..],
        };
        let mut whole = Cut::default();
        whole.add(self.range, grains);
        let mut slots = Cut::default();
        for slot in self.slots(part) {
            slots.add(slot, grains);
        }
        for &(grain, span) in &whole.whole {
            self.count_buckets(part, grain, span, false).await?;
        }
        for &(grain, span) in &slots.whole {
            self.count_buckets(part, grain, span, true).await?;
        }
        let values = Part { dimensions: part.dimensions.clone(), series: false, ..*part };
        for &span in whole.rest.iter().rev() {
            self.windows(&values, span).await?;
        }
        let series = Part { dimensions: Vec::new(), total: false, ..*part };
        for &span in slots.rest.iter().rev() {
            for piece in self.slots(&series).into_iter().rev() {
                self.windows(&series, piece.within(span)).await?;
            }
        }
        if self.fresh && self.behind > 0 {
            self.not_folded(part, &whole, &slots).await?;
        }
        Ok(())
    }

    /// Returns the slots of the series as far as they lie in the range.
    fn slots(&self, part: &Part) -> Vec<Span> {
        if !part.series {
            return Vec::new();
        }
        let edges = self.ask.edges.windows(2);
        let slots =
            edges.map(|edges| Span { from: edges[0].as_micros(), to: edges[1].as_micros() });
        slots.map(|slot| slot.within(self.range)).filter(|slot| !slot.is_empty()).collect()
    }

    fn columns(&self, part: &Part) -> String {
        let names = part.dimensions.iter().map(|index| self.ask.dimensions[*index].name());
        let mut columns: Vec<_> = names.map(|name| format!("{name} COLLATE BINARY")).collect();
        if part.series {
            columns.push("outcome COLLATE BINARY".to_owned());
        }
        columns.join(", ")
    }

    async fn count_buckets(
        &mut self,
        part: &Part,
        grain: Grain,
        span: Span,
        series: bool,
    ) -> Result<(), sqlx::Error> {
        let tenants = self.filter.tenants();
        let persons = part.source == Source::Persons;
        let conditions = self.filter.expr().conjuncts().filter(|part| {
            !is_time(part)
                && !matches!(part, Expr::Test(Test::OneOf(f, _)) if f.name() == "tenant_id")
        });
        let condition = render(conditions, Absent::Empty);
        let asked = Part {
            source: part.source,
            dimensions: if series { Vec::new() } else { part.dimensions.clone() },
            total: part.total && !series,
            series,
        };
        let columns = self.columns(&asked);
        let table = if persons { "activity_rollup_persons" } else { "activity_rollup" };
        let bucket = if series { "bucket, " } else { "" };
        let list = if columns.is_empty() { String::new() } else { format!(", {columns}") };
        let mut sql = Sql::new(format!(
            "SELECT sum(records), {}{list} FROM {table} WHERE grain = {} AND ",
            if series { "bucket" } else { "0" },
            grain as i64
        ));
        match &tenants {
            None if persons => {}
            // Each is found by a step in the key: its buckets are then a range of it.
            None if part.source == Source::Tenants => drop(sql.push(&format!(
                "tenant_id IN (WITH RECURSIVE tenants (name) AS ( \
                   SELECT min(tenant_id) FROM {table} WHERE grain = {grain} AND tenant_id > '' \
                   UNION ALL SELECT (SELECT min(r.tenant_id) FROM {table} AS r \
                     WHERE r.grain = {grain} AND r.tenant_id > tenants.name) \
                   FROM tenants WHERE name IS NOT NULL \
                 ) SELECT name FROM tenants WHERE name IS NOT NULL) AND ",
                grain = grain as i64
            ))),
            None => drop(sql.push("tenant_id = '' AND ")),
            Some(tenants) => {
                sql.push("tenant_id IN (");
                let tenants = tenants.iter().filter(|tenant| !tenant.is_empty());
                for (n, tenant) in tenants.enumerate() {
                    sql.push(if n == 0 { "" } else { ", " }).bind(tenant.as_str());
                }
                sql.push(") AND ");
            }
        }
        sql.push("bucket >= ").bind(span.from).push(" AND bucket < ").bind(span.to);
        sql.push(" AND ").append(&condition.sql);
        let group = format!("{bucket}{columns}");
        if !group.is_empty() {
            sql.push(" GROUP BY ").push(group.trim_end_matches(", "));
        }
        let answer = self.asking.rows(sql).await?;
        self.complete &= answer.whole;
        for row in &answer.rows {
            self.add(&asked, row, None)?;
        }
        Ok(())
    }

    /// Adds a row: its number, its moment, its values, and its outcome where a series is made.
    fn add(&mut self, part: &Part, row: &SqliteRow, at: Option<i64>) -> Result<(), sqlx::Error> {
        let Some(count) = row.try_get::<Option<i64>, _>(0)? else { return Ok(()) };
        let count = count.max(0).unsigned_abs();
        if count == 0 {
            return Ok(());
        }
        if part.total {
            self.counter.add_total(count);
        }
        for (column, index) in (2..).zip(&part.dimensions) {
            if self.ask.dimensions[*index].kind() == Kind::Integer {
                if let Some(number) = row.try_get::<Option<i64>, _>(column)? {
                    self.counter.add_value(*index, &number.to_string(), count);
                }
            } else if let Some(text) = row.try_get::<Option<&str>, _>(column)?
                && !text.is_empty()
            {
                self.counter.add_value(*index, text, count);
            }
        }
        if part.series {
            let at = at.map_or_else(|| row.try_get(1), Ok)?;
            let outcome = row.try_get::<&str, _>(2 + part.dimensions.len())?;
            if let Ok(outcome) = outcome.parse::<Outcome>() {
                self.counter.add_to_slot(Timestamp::from_micros(at), outcome, count);
            }
        }
        Ok(())
    }

    /// Counts from the records in the range alone.
    async fn count_all(&mut self, part: &Part) -> Result<(), sqlx::Error> {
        // Newest first, so that what is left out when the time is up is the oldest.
        let slots = self.slots(part);
        let mut to = self.range.to;
        for slot in slots.iter().rev() {
            let after = Part { dimensions: part.dimensions.clone(), series: false, ..*part };
            self.windows(&after, Span { from: slot.to, to }).await?;
            self.windows(part, *slot).await?;
            to = slot.from;
        }
        let before = Part { dimensions: part.dimensions.clone(), series: false, ..*part };
        self.windows(&before, Span { from: self.range.from, to }).await
    }

    /// Counts the records of a span, in statements of so many rows each.
    async fn windows(&mut self, part: &Part, span: Span) -> Result<(), sqlx::Error> {
        let condition =
            render(self.filter.expr().conjuncts().filter(|part| !is_time(part)), Absent::Null);
        let columns = self.columns(part);
        let mut span = span;
        while !span.is_empty() && self.complete {
            let mut edge = Sql::new(
                "SELECT occurred_at FROM activity_records INDEXED BY activity_records_time \
                 WHERE occurred_at >= ",
            );
            edge.bind(span.from).push(" AND occurred_at < ").bind(span.to);
            edge.push(" ORDER BY occurred_at DESC LIMIT 1 OFFSET ").bind(WINDOW);
            let edge = self.asking.rows(edge).await?;
            let from = match edge.rows.first() {
                Some(row) => row.try_get(0)?,
                None => span.from,
            };
            let list = if columns.is_empty() { String::new() } else { format!(", {columns}") };
            let mut sql =
                Sql::new(format!("SELECT count(*), 0{list} FROM activity_records WHERE "));
            sql.push("occurred_at >= ").bind(from).push(" AND occurred_at < ").bind(span.to);
            sql.push(" AND ").append(&condition.sql);
            if !columns.is_empty() {
                sql.push(" GROUP BY ").push(&columns);
            }
            let answer = self.asking.rows(sql).await?;
            if !answer.whole || !edge.whole {
                // Of a window only all of it is counted.
                self.complete = false;
                return Ok(());
            }
            for row in &answer.rows {
                self.add(part, row, Some(span.from))?;
            }
            span.to = from;
        }
        Ok(())
    }

    /// Counts what lies in whole buckets, and is not folded into them yet.
    async fn not_folded(
        &mut self,
        part: &Part,
        whole: &Cut,
        slots: &Cut,
    ) -> Result<(), sqlx::Error> {
        let condition = render(self.filter.expr().conjuncts(), Absent::Null);
        let asked = Part { dimensions: part.dimensions.clone(), series: true, ..*part };
        let columns = self.columns(&asked);
        let mut sql = Sql::new(format!(
            "SELECT 1, occurred_at, {columns} FROM activity_ledger AS e CROSS JOIN activity_records AS r \
             ON r.writer_id = e.writer_id AND r.seq BETWEEN e.first_seq AND e.last_seq \
             WHERE e.position > "
        ));
        sql.bind(self.stand.position);
        sql.push(" AND (e.position > ").bind(self.stand.position + 1);
        sql.push(" OR r.seq > ").bind(self.stand.seq).push(") AND ").append(&condition.sql);
        let answer = self.asking.rows(sql).await?;
        self.complete &= answer.whole;
        for row in &answer.rows {
            let at = row.try_get(1)?;
            let values = Part { dimensions: part.dimensions.clone(), series: false, ..*part };
            if whole.covers(at) {
                self.add(&values, row, None)?;
            }
            if part.series && slots.covers(at) {
                let outcome = row.try_get::<&str, _>(2 + part.dimensions.len())?;
                if let Ok(outcome) = outcome.parse::<Outcome>() {
                    self.counter.add_to_slot(Timestamp::from_micros(at), outcome, 1);
                }
            }
        }
        Ok(())
    }
}

/// Tells whether the rollups alone know how many records pass.
pub(super) fn is_covered(filter: &Filter) -> bool {
    source(filter) == Source::Rollup
}

//! Counting by value and over time: whole buckets from rollups, their edges and what is not folded yet from
//! rows, everything else from the rows in the range as far as the time allows.

use std::{
    fmt::Write as _,
    ops::Range,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgConnection, postgres::PgRow, query};

use super::{
    column::SqlType,
    decode::{Cells as _, integer},
    error::is_canceled,
    filter::{Bound, Condition, bind_all, push_and},
    literal::{text_literal, time_literal},
    page::within,
    read::HEAD,
    rollup::{Cover, Rollup},
    store::{Failure, PostgresStore, done},
};
use crate::{
    query::{Aggregate, Aggregated, Counter, Filter},
    record::{Field, Outcome},
    store::{StoreError, scan},
    time::Timestamp,
};

/// More records than this, not folded yet, are not counted from their rows: the answer says how far it is
/// behind.
const TAIL_ROWS: i64 = 50_000;

/// How much of the range is counted at first, newest first; and how long a step should take.
const FIRST_STEP: Duration = Duration::from_secs(3_600);
const STEP: Duration = Duration::from_millis(200);

/// Where rollups and ledger stand.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// When the first month of the log begins, and when the last one ends.
    months: Option<(Timestamp, Timestamp)>,
    folded: i64,
    folded_at: Option<Timestamp>,
    head: i64,
    head_at: Option<Timestamp>,
}

/// What one statement counts: the dimensions, and slots of time where wanted.
struct Question<'a> {
    ask: &'a Aggregate,
    condition: &'a Condition,
    /// The dimensions that it counts, by their place.
    dimensions: Vec<usize>,
    /// Whether it counts the total and the series, which only one of several may.
    whole: bool,
}

impl PostgresStore {
    pub(super) async fn counted(
        &self,
        filter: &Filter,
        ask: &Aggregate,
    ) -> Result<Aggregated, StoreError> {
        let condition = Condition::of(filter);
        if !condition.exact {
            let counted =
                scan::aggregate(ask, async |request| self.page(filter, &request).await).await?;
            let head_at = self.bounded("read the ledger", async {
                let mut transaction = self.at_one_moment().await?;
                let standing = standing(&mut transaction).await?;
                done(transaction);
                Ok(standing.head_at)
            });
            return Ok(Aggregated { as_of: head_at.await?, ..counted });
        }
        // The time is the caller's, and the server's own limit is set for each statement.
        let limits = self.limits().at_least(ask.patience.saturating_mul(2));
        limits.bounded("count records", self.count_exactly(filter, &condition, ask)).await
    }

    async fn count_exactly(
        &self,
        filter: &Filter,
        condition: &Condition,
        ask: &Aggregate,
    ) -> Result<Aggregated, Failure> {
        let begun = Instant::now();
        let mut transaction = self.at_one_moment().await?;
        let standing = standing(&mut transaction).await?;
        let mut counter = Counter::new(ask);
        let mut open: Vec<_> = (0..ask.dimensions.len()).collect();
        let (mut whole, mut counted_tail) = (true, true);
        for rollup in [Rollup::Plain, Rollup::Persons] {
            let (dimensions, rest): (Vec<_>, Vec<_>) =
                open.iter().partition(|index| rollup.counts(ask.dimensions[**index]));
            // The persons' rollup knows only records that name an actor, hence no total.
            let total = whole && rollup == Rollup::Plain;
            if !rollup.covers(filter) || dimensions.is_empty() && !total {
                continue;
            }
            let question = Question { ask, condition, dimensions, whole: total };
            counted_tail &=
                question.by_rollup(&mut transaction, rollup, standing, &mut counter).await?;
            open = rest;
            whole &= !total;
        }
        let mut complete = true;
        if whole || !open.is_empty() {
            let question = Question { ask, condition, dimensions: open, whole };
            complete = question.by_rows(&mut transaction, begun, &mut counter).await?;
        }
        done(transaction);
        let (as_of, behind) = if counted_tail {
            (standing.head_at, 0)
        } else {
            (standing.folded_at, u64::try_from(standing.head - standing.folded).unwrap_or(0))
        };
        Ok(Aggregated {
            exact: complete && counted_tail,
            complete,
            as_of,
            behind,
            ..counter.finish()
        })
    }
}

async fn standing(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    // The months by the bounds of their tables: to ask every leaf for its first and last row takes longer
    // than all the rest. What was made ahead and is empty counts for nothing.
    let sql = format!(
        "select p.position, p.as_of, {HEAD}, (select e.committed_at from activity.ledger_entries e \
         where e.position is not null order by e.position desc limit 1), m.starts, m.ends \
         from activity.rollup_progress p, ( \
            select min(substring(b.bound from 'FROM \\(''([^'']+)''\\)')::timestamptz) as starts, \
                max(substring(b.bound from 'TO \\(''([^'']+)''\\)')::timestamptz) as ends \
            from (select pg_get_expr(c.relpartbound, c.oid) as bound \
                from pg_inherits i join pg_class c on c.oid = i.inhrelid \
                where i.inhparent = 'activity.records'::regclass) b) m"
    );
    let row = query(AssertSqlSafe(sql)).persistent(false).fetch_one(connection).await?;
    Ok(Standing {
        folded: integer(&row, 0)?,
        folded_at: row.moment(1)?,
        head: integer(&row, 2)?,
        head_at: row.moment(3)?,
        months: row.moment(4)?.zip(row.moment(5)?),
    })
}

impl Question<'_> {
    /// Counts whole buckets from a rollup and the rest from rows; tells whether what is not folded yet was
    /// counted too.
    async fn by_rollup(
        &self,
        connection: &mut PgConnection,
        rollup: Rollup,
        standing: Standing,
        counter: &mut Counter<'_>,
    ) -> Result<bool, sqlx::Error> {
        let Some(range) = self.range(standing) else { return Ok(true) };
        let cover = Cover::of(range, &self.ask.edges);
        let buckets = cover.buckets.iter().map(|(grain, range)| {
            format!("(grain = '{}' and {})", grain.as_str(), between("bucket", range))
        });
        let buckets: Vec<_> = buckets.collect();
        if !buckets.is_empty() {
            let source = self.rollup_source(rollup, &buckets.join(" or "));
            self.count(connection, &source, "occurred_at", "n", counter).await?;
        }
        if !cover.rows.is_empty() {
            let rows: Vec<_> =
                cover.rows.iter().map(|range| between("occurred_at", range)).collect();
            let within = format!("({})", rows.join(" or "));
            self.count(connection, &self.row_source(&within), "occurred_at", "1", counter).await?;
        }
        if cover.buckets.is_empty() || standing.folded >= standing.head {
            return Ok(true);
        }
        let Some(tail) = self.tail_source(connection, standing, &cover).await? else {
            return Ok(false);
        };
        self.count(connection, &tail, "occurred_at", "1", counter).await?;
        Ok(true)
    }

    /// Returns the range that is to be counted, bounded on both sides: by whole months where the question
    /// leaves it open.
    fn range(&self, standing: Standing) -> Option<Range<Timestamp>> {
        let (from, to) = self.condition.range;
        let open = from.is_none() || to.is_none();
        let (first, end) = if open { standing.months? } else { Default::default() };
        let (from, to) = (from.unwrap_or(first), to.unwrap_or(end));
        (from < to).then_some(from..to)
    }

    /// Counts the rows in the range, newest first; tells whether the time sufficed.
    async fn by_rows(
        &self,
        connection: &mut PgConnection,
        begun: Instant,
        counter: &mut Counter<'_>,
    ) -> Result<bool, sqlx::Error> {
        let Some(there) = bounds(connection, self.condition).await? else { return Ok(true) };
        let first = there.start;
        let mut end = there.end.saturating_add(Duration::from_micros(1));
        let mut step = FIRST_STEP;
        while end > first {
            let left = self.ask.patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let start = end.saturating_sub(step).max(first);
            let range = start.as_micros()..end.as_micros();
            let source = self.row_source(&between("occurred_at", &range));
            within(connection, left).await?;
            let step_begun = Instant::now();
            match self.count(connection, &source, "occurred_at", "1", counter).await {
                Err(source) if is_canceled(&source) => return Ok(false),
                done => done?,
            }
            end = start;
            let taken = step_begun.elapsed();
            if taken < STEP / 4 {
                step = step.saturating_mul(4);
            } else if taken > STEP * 2 {
                step /= 2;
            }
        }
        Ok(true)
    }

    /// Runs one statement over a source of rows: each with its dimensions, its outcome, a moment and a
    /// number.
    async fn count(
        &self,
        connection: &mut PgConnection,
        source: &str,
        moment: &str,
        number: &str,
        counter: &mut Counter<'_>,
    ) -> Result<(), sqlx::Error> {
        let mut sets = Vec::new();
        let mut columns = String::new();
        for index in &self.dimensions {
            let _infallible = write!(columns, ", d{index}");
            sets.push(format!("(d{index})"));
        }
        let slots = self.whole && self.ask.edges.len() > 1;
        let mut groups = "0".to_owned();
        if self.whole {
            sets.push("(outcome)".to_owned());
            columns.push_str(", outcome");
        }
        let mut slot = String::new();
        if slots {
            sets.push("(slot, outcome)".to_owned());
            let edges: Vec<_> = self.ask.edges.iter().map(|edge| time_literal(*edge)).collect();
            let _infallible =
                write!(slot, ", width_bucket({moment}, array[{}]) as slot", edges.join(", "));
            columns.push_str(", slot");
        }
        if sets.is_empty() {
            return Ok(());
        }
        let grouped: Vec<_> = columns.trim_start_matches(", ").split(", ").collect();
        groups.clear();
        let _infallible = write!(groups, "grouping({})", grouped.join(", "));
        let mut source = format!("select s.*{slot} from ({source}) s");
        let mut number = number;
        if number == "n" && sets.len() > 1 {
            // A rollup has many rows of one combination, one for each tenant and bucket: put together once,
            // there are few to be grouped in each way.
            let all = grouped.join(", ");
            source = format!(
                "select {all}, sum({number})::bigint as n from ({source}) s group by {all}"
            );
            number = "n";
        }
        let sql = format!(
            "select {groups}::bigint, sum({number})::bigint{} \
             from ({source}) s group by grouping sets ({})",
            grouped.iter().fold(String::new(), |mut all, column| {
                let _infallible = write!(all, ", {column}::text");
                all
            }),
            sets.join(", "),
        );
        let rows = bind_all(query(AssertSqlSafe(sql)), &self.condition.values)
            .persistent(false)
            .fetch_all(connection)
            .await?;
        rows.iter().try_for_each(|row| self.take(row, grouped.len(), slots, counter))
    }

    /// Adds a row of the answer, whose first number tells by a bit each which columns it is not grouped by.
    fn take(
        &self,
        row: &PgRow,
        columns: usize,
        slots: bool,
        counter: &mut Counter<'_>,
    ) -> Result<(), sqlx::Error> {
        let (groups, count) = (integer(row, 0)?, integer(row, 1)?);
        let count = u64::try_from(count).unwrap_or(0);
        let grouped_by = |column: usize| groups >> (columns - 1 - column) & 1 == 0;
        for (column, index) in self.dimensions.iter().enumerate() {
            if grouped_by(column) {
                if let Some(value) = row.text(2 + column)?.filter(|value| !value.is_empty()) {
                    counter.add_value(*index, value, count);
                }
                return Ok(());
            }
        }
        let outcome_at = self.dimensions.len();
        let by_slot = slots && grouped_by(outcome_at + 1);
        if !by_slot {
            counter.add_total(count);
            return Ok(());
        }
        let outcome = row.text(2 + outcome_at)?.and_then(|word| word.parse::<Outcome>().ok());
        let slot = row.text(3 + outcome_at)?.and_then(|text| text.parse::<usize>().ok());
        // Slot 0 lies before the first edge.
        let at =
            slot.and_then(|slot| slot.checked_sub(1)).and_then(|slot| self.ask.edges.get(slot));
        if let (Some(outcome), Some(at)) = (outcome, at) {
            counter.add_to_slot(*at, outcome, count);
        }
        Ok(())
    }

    fn row_source(&self, within: &str) -> String {
        let mut sql = format!(
            "select {} from activity.records where {within}",
            self.columns(|field| match SqlType::of(field) {
                SqlType::Class => format!("nullif({}, '')", field.name()),
                SqlType::Text => field.name().to_owned(),
                _ => format!("{}::text", field.name()),
            }),
        );
        self.condition.push(&mut sql);
        sql
    }

    fn rollup_source(&self, rollup: Rollup, buckets: &str) -> String {
        let fields = rollup.fields().iter().fold(String::new(), |mut all, name| {
            let _infallible = write!(all, ", nullif({name}, '') as {name}");
            all
        });
        let mut sql = format!(
            "select n, {} from (select bucket as occurred_at, count as n{fields} from {} r \
             where ({buckets}){}) r where true",
            self.columns(|field| field.name().to_owned()),
            rollup.table(),
            self.tenant(),
        );
        // The range is the buckets' affair.
        push_and(&mut sql, &self.condition.indexed);
        push_and(&mut sql, &self.condition.rest);
        sql
    }

    /// Returns once more the condition on a single tenant, in the form that the index understands.
    fn tenant(&self) -> String {
        let prefix = "tenant_id = $";
        let found = self.condition.indexed.split(" and ").find_map(|part| {
            let number = part.strip_prefix(prefix)?.parse::<usize>().ok()?;
            matches!(self.condition.values.get(number - 1), Some(Bound::Text(_)))
                .then(|| format!(" and r.tenant_id = ${number}"))
        });
        found.unwrap_or_default()
    }

    /// Returns the rows that are not folded yet and lie in the buckets; `None` when they are too many.
    async fn tail_source(
        &self,
        connection: &mut PgConnection,
        standing: Standing,
        cover: &Cover,
    ) -> Result<Option<String>, sqlx::Error> {
        let sql = format!(
            "select month, class, writer_id, first_seq, last_seq, records from activity.runs({}, {})",
            standing.folded, standing.head
        );
        let rows = query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await?;
        let buckets: Vec<_> =
            cover.buckets.iter().map(|(_, range)| between("occurred_at", range)).collect();
        let (mut sources, mut count) = (Vec::new(), 0);
        for row in &rows {
            let (first_seq, last_seq) = (integer(row, 3)?, integer(row, 4)?);
            count += integer(row, 5)?;
            if count > TAIL_ROWS {
                return Ok(None);
            }
            let month = row.text(0)?.unwrap_or_default();
            let Ok(start) = format!("{month}-01T00:00:00Z").parse::<Timestamp>() else { continue };
            let month = start.as_micros()..start.month().next().start().as_micros();
            let within = format!(
                "{} and retention_class = {} and writer_id = {} \
                 and seq between {first_seq} and {last_seq} and ({})",
                between("occurred_at", &month),
                text_literal(row.text(1)?.unwrap_or_default()),
                integer(row, 2)?,
                buckets.join(" or "),
            );
            sources.push(self.row_source(&within));
        }
        Ok(Some(sources.join(" union all ")).filter(|_| !sources.is_empty()))
    }

    /// Returns the columns of a source.
    fn columns(&self, expression: impl Fn(&Field) -> String) -> String {
        let mut columns = "occurred_at, outcome".to_owned();
        for index in &self.dimensions {
            let field = self.ask.dimensions[*index];
            let _infallible = write!(columns, ", {} as d{index}", expression(field));
        }
        columns
    }
}

/// Returns the first and the last moment of the records in the condition's range.
async fn bounds(
    connection: &mut PgConnection,
    condition: &Condition,
) -> Result<Option<Range<Timestamp>>, sqlx::Error> {
    let ranged = Condition { range: condition.range, ..Condition::default() };
    let mut within = String::new();
    ranged.push_indexed(&mut within);
    let sql = format!(
        "select min(occurred_at), max(occurred_at) from activity.records where true{within}"
    );
    let row = query(AssertSqlSafe(sql)).persistent(false).fetch_one(connection).await?;
    Ok(row.moment(0)?.zip(row.moment(1)?).map(|(first, last)| first..last))
}

fn between(column: &str, range: &Range<i64>) -> String {
    let [from, to] = [range.start, range.end].map(|at| time_literal(Timestamp::from_micros(at)));
    format!("({column} >= {from} and {column} < {to})")
}

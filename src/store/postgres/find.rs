//! Finding records of one tenant where the database keeps tenants apart.
//!
//! Below a row-level policy the server uses an index only for what cannot leak: `=` on text may, `lower(…)`,
//! `@@` and `<<=` may not, and would be looked for through the whole of the tenant. So places of such records
//! come from `activity.find`, which holds to the tenant by itself, in the order of the page; their rows are
//! then read as ever, under the policy, and meet the rest of the filter.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgConnection, query};

use super::{
    column::COLUMNS,
    decode::{self, Cells as _},
    error::is_canceled,
    filter::{Bound, Condition, bind_all, metadata_question},
    index,
    literal::{time_literal, time_text},
    page::{Stretch, bounded},
    store::{Failure, PostgresStore, done},
};
use crate::{
    query::{Direction, Expr, Filter, Keyset, Place, Test, folds_case},
    record::RecordId,
    store::{
        Index,
        scan::{self, Candidates},
    },
    time::Timestamp,
};

/// How long places are looked for before the question is asked in windows.
const TRIAL: Duration = Duration::from_secs(1);

/// So many places at once, where the rest of the filter may leave few of them.
const PLACES: usize = 1_000;

/// What `activity.find` is asked for.
#[derive(Debug, Default)]
pub(super) struct Find {
    actions: Option<Vec<String>>,
    words: Option<String>,
    metadata: Option<String>,
    network: Option<String>,
    range: (Option<Timestamp>, Option<Timestamp>),
    /// What the rows of the places have to meet.
    rest: Condition,
}

impl Find {
    /// Takes out of a filter what an index would find but for the policy; `None` when that is nothing.
    pub(super) fn of(filter: &Filter, made: &[Index]) -> Option<Self> {
        let mut find = Self { range: filter.range(), ..Self::default() };
        let mut rest = Vec::new();
        for part in filter.expr().conjuncts() {
            if !matches!(part, Expr::Test(test) if find.take(test, made)) {
                rest.push(part);
            }
        }
        find.rest = Condition::held(rest, filter, made);
        let is_something = find.actions.is_some()
            || find.words.is_some()
            || find.metadata.is_some()
            || find.network.is_some();
        is_something.then_some(find)
    }

    /// Takes a test over; false when it is for the rows.
    fn take(&mut self, test: &Test, made: &[Index]) -> bool {
        match test {
            Test::OneOf(field, wanted) if field.name() == "action" && self.actions.is_none() => {
                let storable = |value: &&String| !value.is_empty() && !value.contains('\0');
                let fold = |value: &String| match folds_case(field) {
                    true => value.to_ascii_lowercase(),
                    false => value.clone(),
                };
                self.actions = Some(wanted.iter().filter(storable).map(fold).collect());
                true
            }
            Test::Network(field, network) if field.name() == "ip" && self.network.is_none() => {
                // Of a single address an index knows by equality, which does not leak.
                if !network.is_whole() {
                    self.network = Some(network.to_string());
                }
                !network.is_whole()
            }
            Test::Text(phrase) if self.words.is_none() && made.contains(&Index::Text) => {
                self.words = index::phrase(phrase);
                self.words.is_some()
            }
            Test::Json(field, path, wanted)
                if field.name() == "metadata"
                    && self.metadata.is_none()
                    && made.contains(&Index::Metadata) =>
            {
                self.metadata = metadata_question(path, wanted);
                self.metadata.is_some()
            }
            _ => false,
        }
    }
}

impl PostgresStore {
    /// Reads candidates from the places that `find` has; `None` when that takes too long.
    pub(super) async fn found(
        &self,
        find: &Find,
        stretch: Stretch,
        limit: usize,
        ends: Instant,
    ) -> Result<Option<Candidates>, Failure> {
        let left = ends.saturating_duration_since(Instant::now());
        let mut transaction = self.reading_within(TRIAL.min(left)).await?;
        let most = if find.rest.is_empty() { limit } else { limit.max(PLACES) };
        let places = match places(&mut transaction, find, stretch, most).await {
            Err(source) if is_canceled(&source) => return Ok(None),
            places => places?,
        };
        let mut found = Candidates { records: Vec::new(), unreadable: 0, next: None };
        if places.len() >= most {
            found.next = places.last().copied().map(Place::Occurred);
        }
        let (mut bytes, mut rows) = (0, 0);
        // Not all at once: of what is large, a page takes few.
        for some in places.chunks(most.min(scan_step(limit))) {
            let read = match rows_at(&mut transaction, find, stretch, some).await {
                Err(source) if is_canceled(&source) => return Ok(None),
                read => read?,
            };
            for row in &read {
                rows += 1;
                match decode::record(row) {
                    Ok(record) => {
                        bytes += record.footprint();
                        found.records.push(scan::placed(record));
                    }
                    Err(_) => found.unreadable += 1,
                }
            }
            if (rows >= limit || bytes > scan::BYTES) && some.last() != places.last() {
                found.next = some.last().copied().map(Place::Occurred);
                break;
            }
        }
        done(transaction);
        Ok(Some(found))
    }
}

/// Returns how many rows are read at once.
fn scan_step(limit: usize) -> usize {
    limit.clamp(1, 200)
}

/// Asks for places in the order of the page.
async fn places(
    connection: &mut PgConnection,
    find: &Find,
    stretch: Stretch,
    most: usize,
) -> Result<Vec<Keyset>, sqlx::Error> {
    let moment = |at: Option<Timestamp>| at.map_or_else(|| "null".to_owned(), time_literal);
    let place = |place: Option<Keyset>| match place {
        None => "null, null".to_owned(),
        Some(Keyset { occurred_at, id }) => format!("{}, '{id}'::uuid", time_literal(occurred_at)),
    };
    let sql = format!(
        "select occurred_at, id from activity.find($1, $2, $3, $4::text::inet, {}, {}, {}, {}, {}, {})",
        moment(find.range.0),
        moment(find.range.1),
        stretch.direction == Direction::Older,
        place(stretch.after),
        place(stretch.up_to),
        bounded(most),
    );
    let rows = query(AssertSqlSafe(sql))
        .bind(find.actions.clone())
        .bind(find.words.clone())
        .bind(find.metadata.clone())
        .bind(find.network.clone())
        .persistent(false)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let occurred_at = row.moment(0)?.unwrap_or_default();
            Ok(Keyset { occurred_at, id: RecordId::from_bytes(row.array(1)?) })
        })
        .collect()
}

/// Reads the rows at these places that meet the rest.
async fn rows_at(
    connection: &mut PgConnection,
    find: &Find,
    stretch: Stretch,
    places: &[Keyset],
) -> Result<Vec<sqlx::postgres::PgRow>, sqlx::Error> {
    let times = places.iter().map(|place| place.occurred_at);
    let (Some(first), Some(last)) = (times.clone().min(), times.clone().max()) else {
        return Ok(Vec::new());
    };
    let mut values: Vec<_> = find.rest.values.clone();
    values.push(Bound::Texts(times.map(time_text).collect()));
    values.push(Bound::Texts(places.iter().map(|place| place.id.to_string()).collect()));
    let (at, id) = (values.len() - 1, values.len());
    let mut sql = format!(
        "select {} from activity.records where occurred_at >= {} and occurred_at <= {} \
         and (occurred_at, id) in (select * from unnest(${at}::text[]::timestamptz[], ${id}::text[]::uuid[]))",
        COLUMNS.as_str(),
        time_literal(first),
        time_literal(last),
    );
    find.rest.push(&mut sql);
    sql.push_str(" order by ");
    sql.push_str(stretch.order());
    bind_all(query(AssertSqlSafe(sql)), &values).persistent(false).fetch_all(connection).await
}

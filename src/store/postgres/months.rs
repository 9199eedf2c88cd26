//! The months that have leaves, and how a page goes from one to the next.
//!
//! To plan a statement over every leaf of a log takes the server longer than to read a page: milliseconds
//! for a year of five classes, against tenths of one for a month. So a page is asked of the month where it
//! begins, and only when that does not fill it of the one before, then of two, of four, and at last of all the
//! rest.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{PgConnection, query};

use super::decode::{Cells as _, integer};
use crate::{
    query::{Direction, Keyset},
    record::RecordId,
    store::Index,
    time::Timestamp,
};

/// How long the months are remembered. Nothing depends on their being right but how soon a page is full.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Months that have leaves and have begun, ascending: those made ahead hold nothing as a rule. By their bounds
/// and not their names, which anybody may choose; and not by their size, which would lock each leaf.
const MONTHS: &str = "\
    select m.starts from ( \
        select substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \\(''([^'']+)''\\)')::timestamptz \
            as starts \
        from pg_inherits i join pg_class c on c.oid = i.inhrelid \
        where i.inhparent = 'activity.records'::regclass) m \
    where m.starts <= now() order by 1";

/// What a store remembers of its database from one question to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    months: Mutex<Option<(Instant, Arc<[Timestamp]>)>>,
    /// Indexes that are there; one that was made stays.
    indexes: Mutex<Vec<Index>>,
    /// Whether the database keeps tenants apart.
    apart: Mutex<Option<(Instant, bool)>>,
}

impl Memory {
    pub(super) fn indexes(&self) -> Vec<Index> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn learn_indexes(&self, made: &[Index]) {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&made.to_vec());
    }

    /// Returns whether the database keeps tenants apart, if that was asked lately. It does so by itself: this
    /// only says which way of asking is the shorter.
    pub(super) fn apart(&self) -> Option<bool> {
        let (asked, apart) = (*self.apart.lock().unwrap_or_else(PoisonError::into_inner))?;
        (asked.elapsed() < REMEMBERED).then_some(apart)
    }

    /// Asks whether the database keeps tenants apart.
    pub(super) async fn keeps_tenants(
        &self,
        connection: &mut PgConnection,
    ) -> Result<bool, sqlx::Error> {
        let sql = "select c.relrowsecurity::int::bigint from pg_class c \
                   where c.oid = to_regclass('activity.records')";
        let row = query(sql).persistent(false).fetch_optional(connection).await?;
        let apart = row.map_or(Ok(0), |row| integer(&row, 0))? != 0;
        *self.apart.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), apart));
        Ok(apart)
    }

    /// Returns where the months begin, and asks for them when they were not asked for lately.
    pub(super) async fn months(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Arc<[Timestamp]>, sqlx::Error> {
        if let Some((asked, months)) = &*self.months.lock().unwrap_or_else(PoisonError::into_inner)
            && asked.elapsed() < REMEMBERED
        {
            return Ok(Arc::clone(months));
        }
        let rows = query(MONTHS).persistent(false).fetch_all(connection).await?;
        let months = rows.iter().map(|row| Ok(row.moment(0)?.unwrap_or_default()));
        let months: Arc<[Timestamp]> = months.collect::<Result<Vec<_>, sqlx::Error>>()?.into();
        *self.months.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&months)));
        Ok(months)
    }
}

/// Returns the places at which the steps of a page end, inclusive; the last step has no end.
///
/// Whatever the months, each place of the log lies in exactly one step, so that outdated ones cost time and
/// nothing else. `bounds` are those that the filter sets.
pub(super) fn ends(
    months: &[Timestamp],
    direction: Direction,
    after: Option<Keyset>,
    bounds: (Option<Timestamp>, Option<Timestamp>),
) -> Vec<Keyset> {
    let at = after.map(|place| place.occurred_at);
    let (from, to) = bounds;
    let (from, to) = match direction {
        Direction::Older => (from, earlier(at, to)),
        Direction::Newer => (from.max(at), to),
    };
    let begins = months.iter().copied();
    let mut ends: Vec<_> = begins
        .filter(|at| from.is_none_or(|from| from < *at) && to.is_none_or(|to| *at < to))
        .collect();
    match direction {
        Direction::Older => ends.reverse(),
        // Before the first month there is nothing to step through.
        Direction::Newer if ends.first() == months.first() && !ends.is_empty() => {
            ends.remove(0);
        }
        Direction::Newer => {}
    }
    // After one month, one more, then two, four, eight.
    let mut next = 0;
    let stepped = ends.into_iter().enumerate().filter(|(n, _)| {
        let is_end = *n == next;
        next = if is_end { 2 * next + 1 } else { next };
        is_end
    });
    let ends = stepped.map(|(_, begins)| end(direction, begins));
    // A page may have ended with a step, and the next one that ended there too would never get on.
    ends.filter(|end| Some(*end) != after).collect()
}

/// Returns the last place before the step that a month divides from the next.
fn end(direction: Direction, begins: Timestamp) -> Keyset {
    match direction {
        Direction::Older => Keyset { occurred_at: begins, id: RecordId::NIL },
        Direction::Newer => Keyset {
            occurred_at: begins.saturating_sub(Duration::from_micros(1)),
            id: RecordId::from_bytes([0xff; 16]),
        },
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(month: i32, day: u64) -> Timestamp {
        let start = crate::time::Month::from_index(2026 * 12 + month - 1).start();
        start.saturating_add(Duration::from_secs((day - 1) * 24 * 60 * 60))
    }

    fn shown(
        direction: Direction,
        after: Option<Timestamp>,
        bounds: (Option<Timestamp>, Option<Timestamp>),
    ) -> Vec<String> {
        let months: Vec<_> = (1..=12).map(|month| at(month, 1)).collect();
        let after = after.map(|occurred_at| Keyset { occurred_at, id: RecordId::NIL });
        let ends = ends(&months, direction, after, bounds);
        ends.iter().map(|end| end.occurred_at.to_string()[5..10].to_owned()).collect()
    }

    #[test]
    fn steps_begin_with_a_month_and_double() {
        let unbounded = (None, None);
        assert_eq!(shown(Direction::Older, None, unbounded), ["12-01", "11-01", "09-01", "05-01"]);
        assert_eq!(shown(Direction::Older, Some(at(3, 9)), unbounded), ["03-01", "02-01"]);
        // A place at the very beginning of a month has nothing before it in that month.
        assert_eq!(shown(Direction::Older, Some(at(3, 1)), unbounded), ["02-01", "01-01"]);
        assert_eq!(shown(Direction::Newer, Some(at(10, 9)), unbounded), ["10-31", "11-30"]);
        assert_eq!(shown(Direction::Newer, None, unbounded), ["01-31", "02-28", "04-30", "08-31"]);
    }

    #[test]
    fn a_step_never_ends_where_the_page_begins() {
        let months: Vec<_> = (1..=12).map(|month| at(month, 1)).collect();
        for direction in [Direction::Older, Direction::Newer] {
            for begins in ends(&months, direction, None, (None, None)) {
                let ends = ends(&months, direction, Some(begins), (None, None));
                let gets_on = |end: &Keyset| match direction {
                    Direction::Older => *end < begins,
                    Direction::Newer => *end > begins,
                };
                assert!(ends.iter().all(gets_on), "{begins:?} {ends:?}");
            }
        }
    }

    #[test]
    fn a_range_has_steps_only_within() {
        let march = (Some(at(3, 1)), Some(at(4, 1)));
        assert!(shown(Direction::Older, None, march).is_empty());
        assert!(shown(Direction::Newer, None, march).is_empty());
        let spring = (Some(at(3, 2)), Some(at(5, 2)));
        assert_eq!(shown(Direction::Older, None, spring), ["05-01", "04-01"]);
        assert_eq!(shown(Direction::Newer, None, spring), ["03-31", "04-30"]);
    }

    #[test]
    fn without_months_there_is_one_step() {
        assert!(ends(&[], Direction::Older, None, (None, None)).is_empty());
        assert!(ends(&[at(1, 1)], Direction::Newer, None, (None, None)).is_empty());
    }
}

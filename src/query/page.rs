//! Pages by keyset: stable while records arrive.

use std::time::Duration;

use crate::{
    record::{Record, RecordId},
    time::Timestamp,
};

/// The place of a record in the order of time: by `occurred_at`, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyset {
    /// When it occurred.
    pub occurred_at: Timestamp,
    /// Its id.
    pub id: RecordId,
}

impl Keyset {
    /// Returns the place of `record`.
    #[must_use]
    pub const fn of(record: &Record) -> Self {
        Self { occurred_at: record.occurred_at, id: record.id }
    }
}

/// A place between records, in the order of the page that it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the order of time.
    Occurred(Keyset),
    /// In the order of the commits, by a number that only its store understands: a text index answers
    /// faster so.
    Committed(i64),
}

impl Place {
    /// Returns the next place in a direction: what lies strictly beyond *that*, going back, begins with what
    /// is here.
    #[must_use]
    pub fn step(self, direction: Direction) -> Self {
        match (self, direction) {
            (Self::Committed(number), Direction::Older) => {
                Self::Committed(number.saturating_sub(1))
            }
            (Self::Committed(number), Direction::Newer) => {
                Self::Committed(number.saturating_add(1))
            }
            (Self::Occurred(Keyset { occurred_at, id }), direction) => {
                let id = u128::from_be_bytes(*id.as_bytes());
                let micros = occurred_at.as_micros();
                let (id, micros) = match direction {
                    Direction::Older => match id.checked_sub(1) {
                        Some(id) => (id, micros),
                        None => (u128::MAX, micros.saturating_sub(1)),
                    },
                    Direction::Newer => match id.checked_add(1) {
                        Some(id) => (id, micros),
                        None => (0, micros.saturating_add(1)),
                    },
                };
                let occurred_at = Timestamp::from_micros(micros);
                Self::Occurred(Keyset { occurred_at, id: RecordId::from_bytes(id.to_be_bytes()) })
            }
        }
    }
}

/// Which way pages go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Direction {
    /// From the newest to the oldest.
    #[default]
    Older,
    /// From the oldest to the newest.
    Newer,
}

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PageRequest {
    /// The place that the page begins strictly after, in its direction; `None` for the first page.
    pub after: Option<Place>,
    /// Which way to go.
    pub direction: Direction,
    /// How many records at most.
    pub limit: usize,
    /// How long to look for records that no index finds. What was found by then is the page.
    pub patience: Duration,
}

impl PageRequest {
    /// Longer than any question that an index answers, and short enough for somebody who waits.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(5);

    /// Asks for the newest `limit` records.
    #[must_use]
    pub const fn newest(limit: usize) -> Self {
        Self { after: None, direction: Direction::Older, limit, patience: Self::DEFAULT_PATIENCE }
    }

    /// Asks for the oldest `limit` records.
    #[must_use]
    pub const fn oldest(limit: usize) -> Self {
        Self { direction: Direction::Newer, ..Self::newest(limit) }
    }

    /// Begins after a place.
    #[must_use]
    pub const fn after(self, place: Place) -> Self {
        Self { after: Some(place), ..self }
    }

    /// Looks for so long at most.
    #[must_use]
    pub const fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }
}

/// One page of records.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The records, in the direction that was asked for.
    pub records: Vec<Record>,
    /// The place of the first record, for going back.
    pub first: Option<Place>,
    /// Where the next page in this direction begins; `None` when this is the last.
    pub next: Option<Place>,
    /// False when the time was up before the page was full: `next` goes on from there, even if no record
    /// was found yet.
    pub complete: bool,
    /// How words were looked for.
    pub text: TextSearch,
    /// Rows that cannot be read as records, because somebody edited them by hand, and are left out.
    pub unreadable: u64,
}

/// How words were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextSearch {
    /// There were none in the filter.
    #[default]
    None,
    /// By the text index. The page is in the order of the commits where its places say so.
    Indexed,
    /// By reading the records in the range of time.
    Scanned,
}

/// How many records pass a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The number.
    pub value: u64,
    /// What it is to the true one.
    pub relation: Relation,
}

/// What a number is to the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is the true one.
    Equal,
    /// There are at least so many.
    AtLeast,
    /// There are about so many.
    Estimate,
}

impl Relation {
    /// Returns the word that the API uses: `eq`, `gte` or `estimate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::AtLeast => "gte",
            Self::Estimate => "estimate",
        }
    }
}

/// How carefully to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// About how many, at once.
    Estimate,
    /// Exactly, up to so many.
    UpTo(u64),
}

impl Count {
    /// An exact count stops here: counting on would read the whole log.
    pub const CAP: u64 = 10_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_to_the_very_next_place() {
        let place = |micros, id: u128| {
            let id = RecordId::from_bytes(id.to_be_bytes());
            Place::Occurred(Keyset { occurred_at: Timestamp::from_micros(micros), id })
        };
        assert_eq!(place(5, 7).step(Direction::Older), place(5, 6));
        assert_eq!(place(5, 0).step(Direction::Older), place(4, u128::MAX));
        assert_eq!(place(5, u128::MAX).step(Direction::Newer), place(6, 0));
        for place in [place(i64::MIN, 0), place(5, 7), Place::Committed(9)] {
            assert_eq!(place.step(Direction::Newer).step(Direction::Older), place);
        }
    }
}

//! A place in the ledger, between two records.

use crate::{query::LiveCursor, time::Timestamp};

/// A place between two records of the ledger: behind everything up to and with the entry at `position`,
/// and behind the records of the next entry up to its `taken`-th number.
///
/// Counted in numbers and not in rows, so that a place stays where it is when retention ends some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) position: i64,
    pub(super) taken: i64,
}

impl Place {
    /// Behind the whole entry at `position`.
    pub(super) const fn behind(position: i64) -> Self {
        Self { position, taken: 0 }
    }

    /// Behind the record with number `seq` of the entry at `position`, whose first number is `first_seq`.
    pub(super) const fn within(position: i64, first_seq: i64, seq: i64) -> Self {
        Self { position: position - 1, taken: seq - first_seq + 1 }
    }

    pub(super) fn of_cursor(cursor: &LiveCursor) -> Self {
        match cursor.k {
            u32::MAX => Self::behind(cursor.position),
            taken => Self { position: cursor.position - 1, taken: i64::from(taken) },
        }
    }

    pub(super) fn cursor(self, now: Timestamp) -> LiveCursor {
        if self.taken == 0 {
            return LiveCursor::behind(self.position, now);
        }
        // An entry is a batch: far smaller than that.
        let k = u32::try_from(self.taken).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
        LiveCursor { position: self.position + 1, k, now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_cursor() {
        for place in [Place::behind(0), Place::behind(9), Place::within(9, 100, 102)] {
            assert_eq!(Place::of_cursor(&place.cursor(Timestamp::default())), place);
        }
        let nothing_taken = LiveCursor { position: 9, k: 0, now: Timestamp::default() };
        assert_eq!(Place::of_cursor(&nothing_taken), Place::behind(8));
    }
}

//! What was taken out of the log because its time was over.

use serde_json::{Value, json};

use super::{Entry, Frontier, Hash};
use crate::{
    record::{Category, Origin, Record, hex, unhex},
    time::Month,
};

/// The action of the record that tells of a removal.
pub(crate) const RETENTION_RUN: &str = "retention_run";

/// Records of one month and retention class that were taken out: those of every entry of the ledger that is of
/// them, from one position to another.
///
/// A record says so before the first of them goes. Their entries stay in the ledger, so that whoever holds one of
/// the records, or a proof of it, can still show that it was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The month.
    pub month: Month,
    /// The retention class.
    pub class: String,
    /// How many records.
    pub records: i64,
    /// How many entries of the ledger account for them.
    pub entries: i64,
    /// The position of the first of these entries.
    pub first: i64,
    /// The position of the last of these entries.
    pub last: i64,
    /// The RFC 6962 root over these entries, in the order of their positions.
    pub root: Hash,
}

impl Removal {
    /// Tells whether it is of this entry's records.
    #[must_use]
    pub fn covers(&self, entry: &Entry) -> bool {
        self.is_of(entry) && (self.first..=self.last).contains(&entry.position)
    }

    fn is_of(&self, entry: &Entry) -> bool {
        self.month == entry.new.month && self.class == entry.new.class
    }

    /// Returns it as the metadata of its record.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "month": self.month.to_string(),
            "class": self.class,
            "count": self.records,
            "entries": self.entries,
            "first": self.first,
            "last": self.last,
            "root": hex(&self.root),
        })
    }

    /// Reads what a record tells; `None` when it is no record of a removal that the log itself made.
    #[must_use]
    pub fn told(record: &Record) -> Option<Self> {
        if record.category != Category::System
            || record.origin != Origin::System
            || record.action != RETENTION_RUN
        {
            return None;
        }
        Self::read(&serde_json::from_str(record.metadata.as_str()).ok()?)
    }

    /// Reads what stands in the metadata of a record.
    pub(crate) fn read(told: &Value) -> Option<Self> {
        let number = |key: &str| told[key].as_i64().filter(|number| *number >= 1);
        Some(Self {
            month: told["month"].as_str()?.parse().ok()?,
            class: told["class"].as_str()?.to_owned(),
            records: number("count")?,
            entries: number("entries")?,
            first: number("first")?,
            last: number("last")?,
            root: unhex(told["root"].as_str()?)?,
        })
    }
}

/// Adds up what is, or was, taken out, entry by entry.
#[derive(Debug, Clone, Default)]
pub struct RemovalCount {
    pub(crate) records: i64,
    first: i64,
    last: i64,
    entries: Frontier,
}

impl RemovalCount {
    /// Takes the next entry, by its position.
    pub fn push(&mut self, entry: &Entry) {
        self.push_hashed(entry, entry.leaf_hash());
    }

    pub(crate) fn push_hashed(&mut self, entry: &Entry, hash: Hash) {
        if self.entries.size() == 0 {
            self.first = entry.position;
        }
        self.last = entry.position;
        self.records = self.records.saturating_add(entry.new.count());
        self.entries.push(hash);
    }

    /// Returns the position of the entry that was taken last; 0 before the first.
    #[cfg(feature = "archive")]
    pub(crate) const fn last(&self) -> i64 {
        self.last
    }

    /// Returns the removal of all of them; `None` when there was none.
    #[must_use]
    pub fn of(&self, month: Month, class: &str) -> Option<Removal> {
        let entries = i64::try_from(self.entries.size()).unwrap_or(i64::MAX);
        (entries > 0).then(|| Removal {
            month,
            class: class.to_owned(),
            records: self.records,
            entries,
            first: self.first,
            last: self.last,
            root: self.entries.root(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Json;

    #[test]
    fn what_a_record_tells_is_what_was_told_and_only_the_log_itself_tells_it() {
        let removal = Removal {
            month: Month::from_index(2026 * 12),
            class: "activity".to_owned(),
            records: 3,
            entries: 2,
            first: 1,
            last: 7,
            root: [0xa7; 32],
        };
        let mut record = Record {
            category: Category::System,
            origin: Origin::System,
            metadata: Json::from_stored(removal.to_json().to_string()),
            ..Record::default()
        };
        record.action.set(RETENTION_RUN);
        assert_eq!(Removal::told(&record), Some(removal.clone()));
        let by_hand = Record { origin: Origin::Manual, ..record.clone() };
        assert_eq!(Removal::told(&by_hand), None);
        for (key, wrong) in
            [("root", json!("a7")), ("last", json!(-1)), ("month", json!("2026-13"))]
        {
            let mut told = removal.to_json();
            told[key] = wrong;
            let metadata = Json::from_stored(told.to_string());
            assert_eq!(Removal::told(&Record { metadata, ..record.clone() }), None, "{key}");
        }
    }
}

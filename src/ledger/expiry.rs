//! Addresses that were taken out of records, which stay.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    record::{Category, Group, Groups, Origin, Record},
    time::{Month, Timestamp},
};

/// The action of the record that tells which addresses are about to go.
pub(crate) const ADDRESSES_EXPIRED: &str = "addresses_expired";

const DAY: u64 = 24 * 60 * 60;
/// So far the clock of a service may be ahead of that of its store.
const SKEW: Duration = Duration::from_secs(60 * 60);

/// Addresses whose time is over: the group [`Network`](Group::Network) of the records of one month and retention class,
/// of every entry of the ledger that is of them from one position to another.
///
/// A record says so before the first of them goes. It does not name the records one by one, as that of an erasure does:
/// which they may be follows from the ledger, and from how long they were to be kept. Records under a hold keep theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressExpiry {
    /// The month.
    pub month: Month,
    /// The retention class.
    pub class: String,
    /// The position of the first entry.
    pub first: i64,
    /// The position of the last entry.
    pub last: i64,
    /// For how many days they were kept, from the last moment of the month.
    pub days: u32,
}

impl AddressExpiry {
    /// Tells whether it is of the records of an entry.
    #[must_use]
    pub fn covers(&self, month: Month, class: &str, position: i64) -> bool {
        self.month == month && self.class == class && (self.first..=self.last).contains(&position)
    }

    /// Returns when their time is over.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        let time = Duration::from_secs(u64::from(self.days) * DAY);
        self.month.next().start().saturating_add(time)
    }

    /// Tells whether an entry can hold the record of it: their time was over when it was committed, whatever the record
    /// says itself of when that was, and it is about what stands before it.
    #[must_use]
    pub fn fits(&self, position: i64, committed_at: Timestamp) -> bool {
        self.due() <= committed_at.saturating_add(SKEW) && self.last < position
    }

    /// Returns it as the metadata of its record.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "month": self.month.to_string(),
            "class": self.class,
            "groups": Groups::of(Group::Network).to_string(),
            "first": self.first,
            "last": self.last,
            "days": self.days,
        })
    }

    /// Reads what a record tells; `None` when it is no such record that the log itself made, and when it was made
    /// before the time was over: whoever empties addresses early has no record that says so.
    #[must_use]
    pub fn told(record: &Record) -> Option<Self> {
        if record.category != Category::System
            || record.origin != Origin::System
            || record.action != ADDRESSES_EXPIRED
        {
            return None;
        }
        let told: Value = serde_json::from_str(record.metadata.as_str()).ok()?;
        let position = |key: &str| told[key].as_i64().filter(|position| *position >= 1);
        let groups = Groups::parse(told["groups"].as_str()?)?;
        let days = told["days"].as_u64().and_then(|days| u32::try_from(days).ok());
        let told = Self {
            month: told["month"].as_str()?.parse().ok()?,
            class: told["class"].as_str()?.to_owned(),
            first: position("first")?,
            last: position("last")?,
            days: days.filter(|days| *days >= 1)?,
        };
        let is_due = told.due() <= record.occurred_at;
        (groups == Groups::of(Group::Network) && is_due).then_some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Json;

    fn expiry() -> AddressExpiry {
        AddressExpiry {
            month: Month::from_index(2026 * 12),
            class: "activity".to_owned(),
            first: 3,
            last: 7,
            days: 30,
        }
    }

    fn telling(facts: &Value, at: &str) -> Record {
        let mut record = Record {
            category: Category::System,
            origin: Origin::System,
            occurred_at: at.parse().unwrap(),
            metadata: Json::from_stored(facts.to_string()),
            ..Record::default()
        };
        record.action.set(ADDRESSES_EXPIRED);
        record
    }

    #[test]
    fn what_a_record_tells_is_what_was_told_when_the_time_was_over() {
        let expiry = expiry();
        let facts = expiry.to_json();
        assert_eq!(facts["groups"], "n");
        let due = "2026-03-03T00:00:00Z";
        assert_eq!(expiry.due(), due.parse().unwrap());
        let record = telling(&facts, due);
        assert_eq!(AddressExpiry::told(&record).as_ref(), Some(&expiry));
        assert_eq!(AddressExpiry::told(&telling(&facts, "2026-03-02T23:59:59Z")), None, "early");
        let by_hand = Record { origin: Origin::Manual, ..record.clone() };
        assert_eq!(AddressExpiry::told(&by_hand), None);
        let fits = |position, at: &str| expiry.fits(position, at.parse().unwrap());
        assert!(fits(8, due) && fits(8, "2026-03-02T23:30:00Z"), "clocks are not the same");
        assert!(!fits(8, "2026-03-02T12:00:00Z"), "dated ahead");
        assert!(!fits(7, due), "it tells of itself, or of what comes later");
        let deed = Record { category: Category::Activity, ..record };
        assert_eq!(AddressExpiry::told(&deed), None);
        for (key, wrong) in [
            ("days", json!(0)),
            ("days", json!(31)),
            ("first", json!(0)),
            ("groups", json!("in")),
            ("month", json!("2026-02")),
        ] {
            let mut facts = facts.clone();
            facts[key] = wrong;
            assert_eq!(AddressExpiry::told(&telling(&facts, due)), None, "{facts}");
        }
    }

    #[test]
    fn it_covers_the_entries_of_its_month_and_class_between_its_positions() {
        let expiry = expiry();
        let month = expiry.month;
        for position in [3, 5, 7] {
            assert!(expiry.covers(month, "activity", position));
        }
        for position in [2, 8] {
            assert!(!expiry.covers(month, "activity", position));
        }
        assert!(!expiry.covers(month.next(), "activity", 5));
        assert!(!expiry.covers(month, "authentication", 5));
    }
}

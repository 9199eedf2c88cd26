//! Which addresses are gone already, as the log tells.

use serde_json::{Value, json};

use super::{Unit, UnitFacts, removals::told_as};
use crate::{
    ledger::{ADDRESSES_EXPIRED, AddressExpiry},
    record::{Category, Origin, Record},
    store::{Read, StoreError},
    time::Timestamp,
};

/// The action of the record that says how far the addresses of a unit are gone.
pub(crate) const ADDRESSES_ENDED: &str = "addresses_ended";

/// What becomes of the addresses in the records of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addresses {
    /// Their time is over since then.
    Expired(Timestamp),
    /// Their time is over then.
    Until(Timestamp),
    /// They are gone; those of held records are not.
    Ended,
    /// They stay as long as the records.
    WithRecords,
}

/// How far the addresses of a unit are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressesEnded {
    /// Of which unit.
    pub unit: Unit,
    /// The position of the last entry of the ledger that was looked at.
    pub last: i64,
    /// How many records were emptied.
    pub records: u64,
    /// How many of all up to there are held, and keep theirs.
    pub held: u64,
    /// How many records placed and lifted holds by then.
    pub(crate) holds: u64,
}

impl AddressesEnded {
    pub(crate) const fn new(unit: Unit, last: i64, records: u64, held: u64, holds: u64) -> Self {
        Self { unit, last, records, held, holds }
    }

    /// Returns behind which position there may be more to do, under so many records of holds, and how many up to there
    /// are held: what was held is looked at again when holds were placed or lifted since.
    const fn done(&self, holds: u64) -> (i64, u64) {
        if self.held == 0 || self.holds == holds { (self.last, self.held) } else { (0, 0) }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "month": self.unit.month.to_string(),
            "class": self.unit.class,
            "last": self.last,
            "count": self.records,
            "held": self.held,
            "holds": self.holds,
        })
    }

    fn told(record: &Record) -> Option<Self> {
        let told = facts(record)?;
        let number = |key: &str| told[key].as_u64();
        Some(Self {
            unit: unit(&told)?,
            last: told["last"].as_i64()?,
            records: number("count")?,
            held: number("held")?,
            holds: number("holds")?,
        })
    }
}

/// That the addresses in a part of an archive are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchivedAddressesEnded {
    /// The archive.
    pub location: String,
    /// The part.
    pub part: String,
    /// Of which unit its records are.
    pub unit: Unit,
    /// How many of them were emptied.
    pub records: u64,
    /// How many are held, and keep theirs.
    pub held: u64,
    /// How many records placed and lifted holds by then.
    pub(crate) holds: u64,
}

impl ArchivedAddressesEnded {
    /// As [`AddressesEnded`] but for the position, so that neither is taken for the other.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "month": self.unit.month.to_string(),
            "class": self.unit.class,
            "archive": { "location": self.location, "part": self.part },
            "count": self.records,
            "held": self.held,
            "holds": self.holds,
        })
    }

    fn told(record: &Record) -> Option<Self> {
        let told = facts(record)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let number = |key: &str| told[key].as_u64();
        Some(Self {
            location: text(&told["archive"]["location"])?,
            part: text(&told["archive"]["part"])?,
            unit: unit(&told)?,
            records: number("count")?,
            held: number("held")?,
            holds: number("holds")?,
        })
    }
}

/// What the log tells of the addresses in one archive.
#[derive(Debug, Default)]
pub(crate) struct ToldOfArchive(Vec<ArchivedAddressesEnded>);

impl ToldOfArchive {
    /// Tells whether there is nothing to do in a part, under so many records of holds.
    pub(crate) fn is_done(&self, part: &str, holds: u64) -> bool {
        let of_it = self.0.iter().filter(|ended| ended.part == part);
        let newest = of_it.max_by_key(|ended| ended.holds);
        newest.is_some_and(|ended| ended.held == 0 || ended.holds == holds)
    }
}

/// Returns what a log tells of the addresses in an archive.
pub(crate) async fn told_of_archived_addresses<S: Read>(
    store: &S,
    location: &str,
) -> Result<ToldOfArchive, StoreError> {
    let mut told = told_as(store, ADDRESSES_ENDED, ArchivedAddressesEnded::told).await?;
    told.retain(|ended| ended.location == location);
    Ok(ToldOfArchive(told))
}

/// Returns what a record says of how far addresses are gone, if it is one of the log itself that does.
fn facts(record: &Record) -> Option<Value> {
    let is_own = record.category == Category::System
        && record.origin == Origin::System
        && record.action == ADDRESSES_ENDED;
    is_own.then(|| serde_json::from_str(record.metadata.as_str()).ok()).flatten()
}

fn unit(told: &Value) -> Option<Unit> {
    let month = told["month"].as_str()?.parse().ok()?;
    Some(Unit { month, class: told["class"].as_str()?.to_owned() })
}

/// What the log tells of addresses.
#[derive(Debug, Default)]
pub(crate) struct Told {
    announced: Vec<AddressExpiry>,
    ended: Vec<AddressesEnded>,
}

impl Told {
    /// Returns behind which position of a unit's there may be addresses, under so many records of holds, and how many up
    /// to there are held.
    pub(crate) fn done(&self, unit: &Unit, holds: u64) -> (i64, u64) {
        let of_it = self.ended.iter().filter(|ended| ended.unit == *unit);
        let newest = of_it.max_by_key(|ended| (ended.last, ended.holds));
        newest.map_or((0, 0), |ended| ended.done(holds))
    }

    /// Tells whether it was announced already that the addresses of a unit go, as far as its last entry.
    pub(crate) fn is_announced(&self, facts: &UnitFacts, after: i64) -> bool {
        self.announced.iter().any(|expiry| {
            expiry.covers(facts.unit.month, &facts.unit.class, facts.last)
                && expiry.first <= facts.first.max(after + 1)
        })
    }
}

/// Returns what a log tells of addresses.
pub(crate) async fn told_of_addresses<S: Read>(store: &S) -> Result<Told, StoreError> {
    Ok(Told {
        announced: told_as(store, ADDRESSES_EXPIRED, AddressExpiry::told).await?,
        ended: told_as(store, ADDRESSES_ENDED, AddressesEnded::told).await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::Json, time::Month};

    fn unit(class: &str) -> Unit {
        Unit { month: Month::from_index(2026 * 12), class: class.to_owned() }
    }

    #[test]
    fn what_is_told_comes_back_and_only_from_the_log_itself() {
        let ended = AddressesEnded::new(unit("activity"), 9, 4, 1, 2);
        let mut record = Record {
            category: Category::System,
            origin: Origin::System,
            metadata: Json::from_stored(ended.to_json().to_string()),
            ..Record::default()
        };
        record.action.set(ADDRESSES_ENDED);
        assert_eq!(AddressesEnded::told(&record), Some(ended));
        let by_hand = Record { origin: Origin::Manual, ..record };
        assert_eq!(AddressesEnded::told(&by_hand), None);
    }

    #[test]
    fn what_is_told_of_an_archive_is_not_taken_for_the_log() {
        let ended = ArchivedAddressesEnded {
            location: "file:/srv/archive".to_owned(),
            part: "manifests/1".to_owned(),
            unit: unit("activity"),
            records: 4,
            held: 1,
            holds: 2,
        };
        let mut record = Record {
            category: Category::System,
            origin: Origin::System,
            metadata: Json::from_stored(ended.to_json().to_string()),
            ..Record::default()
        };
        record.action.set(ADDRESSES_ENDED);
        assert_eq!(ArchivedAddressesEnded::told(&record).as_ref(), Some(&ended));
        assert_eq!(AddressesEnded::told(&record), None);
        let by_hand = Record { origin: Origin::Manual, ..record.clone() };
        assert_eq!(ArchivedAddressesEnded::told(&by_hand), None);
        let of_log = AddressesEnded::new(unit("activity"), 9, 4, 1, 2);
        record.metadata = Json::from_stored(of_log.to_json().to_string());
        assert_eq!(ArchivedAddressesEnded::told(&record), None);

        let told = ToldOfArchive(vec![ended.clone()]);
        assert!(told.is_done("manifests/1", 2));
        assert!(!told.is_done("manifests/1", 3), "what was held may be lifted");
        assert!(!told.is_done("manifests/2", 2));
        let told = ToldOfArchive(vec![ArchivedAddressesEnded { held: 0, ..ended }]);
        assert!(told.is_done("manifests/1", 3), "nothing was held");
    }

    #[test]
    fn what_was_held_is_looked_at_again_when_holds_have_changed() {
        let ended = |last, held, holds| AddressesEnded::new(unit("activity"), last, 0, held, holds);
        let done = |ended, holds| {
            let told = Told { announced: Vec::new(), ended };
            told.done(&unit("activity"), holds)
        };
        assert_eq!(done(vec![], 0), (0, 0));
        assert_eq!(done(vec![ended(9, 0, 0)], 5), (9, 0), "nothing was held");
        assert_eq!(done(vec![ended(9, 1, 1)], 1), (9, 1), "what goes on behind it spares it too");
        assert_eq!(done(vec![ended(9, 1, 1)], 2), (0, 0), "it may be lifted");
        assert_eq!(done(vec![ended(9, 1, 1), ended(9, 0, 2)], 2), (9, 0));
        assert_eq!(done(vec![ended(9, 0, 1), ended(12, 0, 1)], 1), (12, 0));
        let other = AddressesEnded::new(unit("consent"), 9, 0, 0, 0);
        assert_eq!(done(vec![other], 0), (0, 0));
    }
}

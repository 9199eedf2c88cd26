//! Counts by value, as answers show them.

use serde::{Serialize, Serializer};

use crate::{
    query::{Aggregated, ByOutcome},
    record::{Field, Record},
};

/// `{"value": count, …}`, the most frequent first.
#[derive(Debug)]
pub(super) struct ByValue(pub(super) Vec<(String, u64)>);

impl Serialize for ByValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(value, count)| (value, count)))
    }
}

/// `{"success": count, …}`, without those that are nothing.
#[derive(Debug)]
pub(super) struct ByOutcomes(pub(super) ByOutcome);

impl Serialize for ByOutcomes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(outcome, count)| (outcome.as_str(), count)))
    }
}

/// Takes the counts of the next dimension out of an answer.
pub(super) fn next_of(by: &mut std::vec::IntoIter<Vec<(String, u64)>>) -> ByValue {
    ByValue(by.next().unwrap_or_default())
}

/// Returns the record's field of a name that stands in this program.
pub(super) fn field(name: &'static str) -> &'static Field {
    Record::FIELDS.iter().find(|field| field.name() == name).expect("a test asks for each of them")
}

/// Joins how exact two answers are.
pub(super) const fn both(a: &Aggregated, b: &Aggregated) -> (bool, bool) {
    (a.exact && b.exact, a.complete && b.complete)
}

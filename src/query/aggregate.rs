//! Counts by value and over time: what stats and facets are made of.

use std::{collections::HashMap, time::Duration};

use crate::{
    record::{Field, Outcome, Record, Value},
    time::Timestamp,
};

/// What to count.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Fields of text or of a closed vocabulary, or integers; each is counted by its values.
    pub dimensions: Vec<&'static Field>,
    /// How many values of each dimension are wanted, the most frequent first.
    pub top: usize,
    /// The slots over time: slot n is from edge n, inclusive, to edge n + 1, exclusive. Ascending. Empty
    /// when no series is wanted.
    pub edges: Vec<Timestamp>,
    /// How long to read records that no rollup covers.
    pub patience: Duration,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aggregated {
    /// Records that pass.
    pub total: u64,
    /// For each dimension in its order, values and their numbers, the most frequent first, ties by value.
    pub by: Vec<Vec<(String, u64)>>,
    /// For each slot, the numbers by outcome.
    pub series: Vec<ByOutcome>,
    /// Whether the numbers are those of the whole log as it stands, none of it still to be folded.
    pub exact: bool,
    /// False when the time was up: the numbers are those of what was read by then, newest first.
    pub complete: bool,
    /// The commit that the numbers stand at; `None` when nothing is folded yet.
    pub as_of: Option<Timestamp>,
    /// Ledger entries that are not counted yet.
    pub behind: u64,
}

/// Numbers by outcome, in the order of [`Outcome::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByOutcome(pub [u64; Outcome::ALL.len()]);

impl ByOutcome {
    /// Returns the sum.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds to an outcome's number.
    pub fn add(&mut self, outcome: Outcome, count: u64) {
        if let Some(n) = Outcome::ALL.iter().position(|other| *other == outcome) {
            self.0[n] += count;
        }
    }

    /// Returns the numbers that are not nothing.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
}

/// Counts records one by one: the meaning of an [`Aggregate`], and how it is answered where neither rollup
/// nor SQL can.
#[derive(Debug)]
pub struct Counter<'a> {
    ask: &'a Aggregate,
    total: u64,
    by: Vec<HashMap<String, u64>>,
    series: Vec<ByOutcome>,
}

impl<'a> Counter<'a> {
    /// Begins at nothing.
    #[must_use]
    pub fn new(ask: &'a Aggregate) -> Self {
        Self {
            ask,
            total: 0,
            by: vec![HashMap::new(); ask.dimensions.len()],
            series: vec![ByOutcome::default(); ask.edges.len().saturating_sub(1)],
        }
    }

    /// Counts a record.
    pub fn add(&mut self, record: &Record) {
        self.total += 1;
        for (field, counts) in self.ask.dimensions.iter().zip(&mut self.by) {
            let value = match field.value(record) {
                Value::Text(text) => text.to_owned(),
                Value::Integer(number) => number.to_string(),
                _ => continue,
            };
            *counts.entry(value).or_default() += 1;
        }
        self.add_to_slot(record.occurred_at, record.outcome, 1);
    }

    /// Counts so many of one outcome into the slot of a moment.
    pub fn add_to_slot(&mut self, at: Timestamp, outcome: Outcome, count: u64) {
        let slot = self.ask.edges.partition_point(|edge| *edge <= at);
        if let Some(slot) = slot.checked_sub(1).and_then(|slot| self.series.get_mut(slot)) {
            slot.add(outcome, count);
        }
    }

    /// Counts so many of one value of the dimension at `index`.
    pub fn add_value(&mut self, index: usize, value: &str, count: u64) {
        if let Some(counts) = self.by.get_mut(index) {
            *counts.entry(value.to_owned()).or_default() += count;
        }
    }

    /// Adds to the total.
    pub fn add_total(&mut self, count: u64) {
        self.total += count;
    }

    /// Returns the numbers; the caller says how exact they are.
    #[must_use]
    pub fn finish(self) -> Aggregated {
        let by = self
            .by
            .into_iter()
            .map(|counts| {
                let mut counts: Vec<_> = counts.into_iter().collect();
                counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                counts.truncate(self.ask.top);
                counts
            })
            .collect();
        Aggregated { total: self.total, by, series: self.series, ..Aggregated::default() }
    }
}

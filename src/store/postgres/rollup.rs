//! Which questions the rollups answer, and how a range of time falls into their buckets.

use std::ops::Range;

use crate::{
    query::{Expr, Filter, Test},
    record::Field,
    time::Timestamp,
};

/// The table of a rollup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rollup {
    Plain,
    /// What is about persons.
    Persons,
}

impl Rollup {
    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::Plain => "activity.rollups",
            Self::Persons => "activity.person_rollups",
        }
    }

    /// The fields of its key; those that may be absent are empty text there.
    pub(super) const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Plain => {
                &["tenant_id", "category", "entity_type", "action", "operation", "outcome"]
            }
            Self::Persons => &["tenant_id", "category", "actor_id", "outcome"],
        }
    }

    /// Tells whether it counts by `field`. Of persons only who they are: what names no actor is not in it.
    pub(super) fn counts(self, field: &Field) -> bool {
        match self {
            Self::Plain => self.has(field),
            Self::Persons => field.name() == "actor_id",
        }
    }

    fn has(self, field: &Field) -> bool {
        self.fields().contains(&field.name())
    }

    /// Tells whether it can be asked for what passes `filter`: every test, but those that bound the whole
    /// range of time, is of a field of the key.
    pub(super) fn covers(self, filter: &Filter) -> bool {
        filter.expr().conjuncts().all(|part| match part {
            Expr::Test(Test::Time(field, ..)) if field.name() == "occurred_at" => true,
            part => !part.any_test(&|test| !self.covers_test(test)),
        })
    }

    fn covers_test(self, test: &Test) -> bool {
        match test {
            Test::Present(field) | Test::OneOf(field, _) | Test::Like(field, _) => self.has(field),
            _ => false,
        }
    }
}

/// How long the buckets of a rollup are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    Hour,
    Day,
    Month,
}

impl Grain {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// A range of time as whole buckets, and what is left over at its edges.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Cover {
    /// Buckets, by where they begin.
    pub(super) buckets: Vec<(Grain, Range<i64>)>,
    /// To be counted from rows.
    pub(super) rows: Vec<Range<i64>>,
}

impl Cover {
    /// Cuts a range so that no bucket lies across one of `edges`, which ascend.
    pub(super) fn of(range: Range<Timestamp>, edges: &[Timestamp]) -> Self {
        let mut cover = Self::default();
        let (start, to) = (range.start.as_micros(), range.end.as_micros());
        let inner = edges.iter().map(|edge| edge.as_micros());
        let inner = inner.filter(|edge| (start + 1..to).contains(edge));
        let mut from = start;
        for edge in inner.chain([to]) {
            if from < edge {
                cover.add(from..edge);
            }
            from = edge;
        }
        cover
    }

    fn add(&mut self, Range { start, end }: Range<i64>) {
        let (first, last) = (up(start, HOUR), down(end, HOUR));
        if first >= last {
            return self.add_rows(start..end);
        }
        self.add_rows(start..first);
        self.add_hours(first..last);
        self.add_rows(last..end);
    }

    fn add_hours(&mut self, Range { start, end }: Range<i64>) {
        let (first, last) = (up(start, DAY), down(end, DAY));
        if first >= last {
            return self.add_buckets(Grain::Hour, start..end);
        }
        self.add_buckets(Grain::Hour, start..first);
        self.add_days(first..last);
        self.add_buckets(Grain::Hour, last..end);
    }

    fn add_days(&mut self, Range { start, end }: Range<i64>) {
        let month = Timestamp::from_micros(start).month();
        let first = if month.start().as_micros() == start { month } else { month.next() };
        let last = Timestamp::from_micros(end).month();
        let (first, last) = (first.start().as_micros(), last.start().as_micros());
        if first >= last {
            return self.add_buckets(Grain::Day, start..end);
        }
        self.add_buckets(Grain::Day, start..first);
        self.add_buckets(Grain::Month, first..last);
        self.add_buckets(Grain::Day, last..end);
    }

    fn add_buckets(&mut self, grain: Grain, range: Range<i64>) {
        if range.is_empty() {
            return;
        }
        match self.buckets.iter_mut().rev().find(|(other, _)| *other == grain) {
            Some((_, before)) if before.end == range.start => before.end = range.end,
            _ => self.buckets.push((grain, range)),
        }
    }

    fn add_rows(&mut self, range: Range<i64>) {
        if range.is_empty() {
            return;
        }
        match self.rows.last_mut() {
            Some(before) if before.end == range.start => before.end = range.end,
            _ => self.rows.push(range),
        }
    }
}

fn down(micros: i64, unit: i64) -> i64 {
    micros.div_euclid(unit) * unit
}

fn up(micros: i64, unit: i64) -> i64 {
    down(micros.saturating_add(unit - 1), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn shown(cover: &Cover) -> Vec<String> {
        let span = |range: &Range<i64>| {
            let [start, end] = [range.start, range.end]
                .map(|at| Timestamp::from_micros(at).to_string()[5..16].to_owned());
            format!("{start} {end}")
        };
        let buckets = cover
            .buckets
            .iter()
            .map(|(grain, range)| format!("{} {}", grain.as_str(), span(range)));
        buckets.chain(cover.rows.iter().map(|range| format!("rows {}", span(range)))).collect()
    }

    #[test]
    fn a_range_is_months_days_hours_and_rows() {
        let range = at("2026-01-30T22:30:00Z")..at("2026-04-02T01:10:00Z");
        assert_eq!(
            shown(&Cover::of(range, &[])),
            [
                "hour 01-30T23:00 01-31T00:00",
                "day 01-31T00:00 02-01T00:00",
                "month 02-01T00:00 04-01T00:00",
                "day 04-01T00:00 04-02T00:00",
                "hour 04-02T00:00 04-02T01:00",
                "rows 01-30T22:30 01-30T23:00",
                "rows 04-02T01:00 04-02T01:10",
            ]
        );
    }

    #[test]
    fn no_bucket_lies_across_an_edge() {
        let range = at("2026-01-01T00:00:00Z")..at("2026-01-03T00:00:00Z");
        let edges = [at("2026-01-01T18:30:00Z"), at("2026-01-02T18:00:00Z")];
        assert_eq!(
            shown(&Cover::of(range, &edges)),
            [
                "hour 01-01T00:00 01-01T18:00",
                // Two runs of one grain that touch are one; the edge between them is an hour's.
                "hour 01-01T19:00 01-03T00:00",
                "rows 01-01T18:00 01-01T19:00",
            ]
        );
    }

    #[test]
    fn a_filter_is_covered_by_the_fields_of_the_key() {
        let filter =
            Filter::new().any_of("action", ["a"]).unwrap().from(at("2026-01-01T00:00:00Z"));
        assert!(Rollup::Plain.covers(&filter) && !Rollup::Persons.covers(&filter));
        let by_person = Filter::new().any_of("actor_id", ["a"]).unwrap();
        assert!(!Rollup::Plain.covers(&by_person));
        let nested = Expr::Any(vec![by_person.into(), Expr::EVERY]);
        assert!(!Rollup::Plain.covers(&Filter::new().and(nested)));
    }
}

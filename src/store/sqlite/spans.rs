//! Ranges of time as whole hours, days and months, and what is left at their edges.

use crate::time::Timestamp;

/// How long a bucket of the rollups is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grain {
    Hour = 1,
    Day = 2,
    Month = 3,
}

const HOUR: i64 = 3_600_000_000;

impl Grain {
    /// Every grain, the longest first.
    pub(super) const ALL: [Self; 3] = [Self::Month, Self::Day, Self::Hour];

    /// Returns the beginning of the bucket that a moment lies in.
    pub(super) fn floor(self, at: i64) -> i64 {
        match self {
            Self::Hour => at - at.rem_euclid(HOUR),
            Self::Day => at - at.rem_euclid(24 * HOUR),
            Self::Month => Timestamp::from_micros(at).month().start().as_micros(),
        }
    }

    /// Returns the first beginning of a bucket at a moment or later.
    pub(super) fn ceil(self, at: i64) -> i64 {
        let floor = self.floor(at);
        match self {
            _ if floor == at => at,
            Self::Hour => floor + HOUR,
            Self::Day => floor + 24 * HOUR,
            Self::Month => Timestamp::from_micros(at).month().next().start().as_micros(),
        }
    }
}

/// A range of time in microseconds: from, inclusive, and to, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    pub(super) const fn is_empty(self) -> bool {
        self.from >= self.to
    }

    pub(super) const fn holds(self, at: i64) -> bool {
        self.from <= at && at < self.to
    }

    pub(super) fn within(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// Spans cut into buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// Of whole buckets.
    pub(super) whole: Vec<(Grain, Span)>,
    /// What no bucket covers.
    pub(super) rest: Vec<Span>,
}

impl Cut {
    /// Adds a span, cut into the longest buckets that it holds.
    pub(super) fn add(&mut self, span: Span, grains: &[Grain]) {
        if span.is_empty() {
            return;
        }
        let Some((grain, finer)) = grains.split_first() else {
            match self.rest.last_mut() {
                Some(last) if last.to == span.from => last.to = span.to,
                _ => self.rest.push(span),
            }
            return;
        };
        let whole = Span { from: grain.ceil(span.from), to: grain.floor(span.to) };
        if whole.is_empty() {
            return self.add(span, finer);
        }
        self.add(Span { to: whole.from, ..span }, finer);
        match self.whole.last_mut() {
            Some((last, before)) if last == grain && before.to == whole.from => {
                before.to = whole.to
            }
            _ => self.whole.push((*grain, whole)),
        }
        self.add(Span { from: whole.to, ..span }, finer);
    }

    /// Tells whether a moment lies in a whole bucket.
    pub(super) fn covers(&self, at: i64) -> bool {
        self.whole.iter().any(|(_, span)| span.holds(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_micros()
    }

    #[test]
    fn a_range_is_months_days_hours_and_two_edges() {
        let mut cut = Cut::default();
        let span = Span { from: at("2026-01-30T21:30:00Z"), to: at("2026-04-02T01:00:00.5Z") };
        cut.add(span, &Grain::ALL);
        let part = |grain, from, to| (grain, Span { from: at(from), to: at(to) });
        assert_eq!(
            cut.whole,
            [
                part(Grain::Hour, "2026-01-30T22:00:00Z", "2026-01-31T00:00:00Z"),
                part(Grain::Day, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
                part(Grain::Month, "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"),
                part(Grain::Day, "2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"),
                part(Grain::Hour, "2026-04-02T00:00:00Z", "2026-04-02T01:00:00Z"),
            ]
        );
        assert_eq!(cut.rest.len(), 2);
        assert!(cut.covers(at("2026-03-01T00:00:00Z")) && !cut.covers(span.from));
    }

    #[test]
    fn neighbours_of_one_length_are_one_range() {
        let mut cut = Cut::default();
        for day in 0..20 {
            let from = day * 24 * HOUR;
            cut.add(Span { from, to: from + 24 * HOUR }, &Grain::ALL);
        }
        assert_eq!(cut.whole, [(Grain::Day, Span { from: 0, to: 20 * 24 * HOUR })]);
    }

    #[test]
    fn nothing_is_left_out_or_covered_twice() {
        for (from, to) in [(-5, 7), (HOUR, HOUR), (-HOUR, 3 * HOUR), (1, 90 * 24 * HOUR + 3)] {
            let mut cut = Cut::default();
            cut.add(Span { from, to }, &Grain::ALL);
            let whole = cut.whole.iter().map(|(_, span)| span.to - span.from).sum::<i64>();
            let rest = cut.rest.iter().map(|span| span.to - span.from).sum::<i64>();
            assert_eq!(whole + rest, to - from);
        }
    }
}

//! Which groups were erased, and which records say so.
//!
//! A record `erased` is written before what it tells of is done, so that nothing is ever gone without it. It names
//! the records by stream and number, and their groups by their letters: `{"7": "1-5:inc,9:i"}`.
//!
//! Addresses whose time is over are told of by month and class, and by position in the ledger.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use serde_json::{Map, Value};

use crate::{
    ledger::AddressExpiry,
    record::{Group, Groups, WriterId},
    time::Month,
};

/// Which groups of which records an erasure takes, in the form in which its record names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ErasedList(BTreeMap<WriterId, Vec<Run>>);

/// Consecutive numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: i64,
    last: i64,
    groups: Groups,
}

impl ErasedList {
    /// Adds a record; those of one stream in the order of their numbers make the shortest list.
    pub(crate) fn add(&mut self, stream: WriterId, seq: i64, groups: Groups) {
        let runs = self.0.entry(stream).or_default();
        match runs.last_mut() {
            Some(run) if run.last.checked_add(1) == Some(seq) && run.groups == groups => {
                run.last = seq;
            }
            _ => runs.push(Run { first: seq, last: seq, groups }),
        }
    }

    /// Returns the groups of a record that it takes.
    pub(crate) fn groups(&self, stream: WriterId, seq: i64) -> Groups {
        let runs = self.0.get(&stream).into_iter().flatten();
        let of = runs.filter(|run| (run.first..=run.last).contains(&seq)).map(|run| run.groups);
        of.fold(Groups::NONE, Groups::and)
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut streams = Map::new();
        for (stream, runs) in &self.0 {
            let mut text = String::new();
            for Run { first, last, groups } in runs {
                let comma = if text.is_empty() { "" } else { "," };
                let _infallible = match first == last {
                    true => write!(text, "{comma}{first}:{groups}"),
                    false => write!(text, "{comma}{first}-{last}:{groups}"),
                };
            }
            streams.insert(stream.to_string(), text.into());
        }
        Value::Object(streams)
    }

    /// Reads what [`to_json`](Self::to_json) wrote; `None` where it is something else.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let mut list = BTreeMap::new();
        for (stream, runs) in value.as_object()? {
            let runs = runs.as_str()?.split(',').map(run).collect::<Option<_>>()?;
            list.insert(stream.parse().ok()?, runs);
        }
        Some(Self(list))
    }
}

fn run(text: &str) -> Option<Run> {
    let (numbers, letters) = text.split_once(':')?;
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let run = Run {
        first: first.parse().ok()?,
        last: last.parse().ok()?,
        groups: Groups::parse(letters)?,
    };
    (1 <= run.first && run.first <= run.last).then_some(run)
}

/// What was found erased, and what was told of, by group and stream.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// With the position of the entry, and in its order.
    gone: BTreeMap<(usize, WriterId), Vec<Gone>>,
    told: BTreeMap<(usize, WriterId), Vec<(i64, i64)>>,
    /// The months and classes in which something is gone, each with the number that stands for it.
    units: BTreeMap<(Month, String), u32>,
    expired: Vec<AddressExpiry>,
    /// How many of the gone are apart.
    apart: usize,
}

/// So many of the gone are told apart by their entries. Behind that those that follow each other count as one, of which
/// all or nothing is told: a log most of whose addresses have expired has one for each entry.
const APART: usize = 1 << 17;

/// Consecutive numbers whose group is gone, of one entry or of some that follow each other in their stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    /// The position of the first entry, and of the last.
    pub(super) position: i64,
    pub(super) until: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    /// The number of the month and class.
    pub(super) unit: u32,
}

impl Erasures {
    pub(super) fn found(
        &mut self,
        group: usize,
        stream: WriterId,
        gone: Gone,
        unit: &Option<(Month, String)>,
    ) {
        let unit = unit.as_ref().map_or(u32::MAX, |unit| match self.units.get(unit) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.units.len()).unwrap_or(u32::MAX);
                self.units.insert(unit.clone(), number);
                number
            }
        });
        let runs = self.gone.entry((group, stream)).or_default();
        match runs.last_mut() {
            Some(run)
                if (run.until == gone.position || self.apart >= APART)
                    && (run.unit, run.last.checked_add(1)) == (unit, Some(gone.first)) =>
            {
                (run.last, run.until) = (gone.last, gone.until);
            }
            _ => {
                self.apart += 1;
                runs.push(Gone { unit, ..gone });
            }
        }
    }

    /// Takes what the log tells of addresses whose time was over.
    pub(super) fn expired(&mut self, expiry: AddressExpiry) {
        self.expired.push(expiry);
    }

    pub(super) fn told(&mut self, list: ErasedList) {
        for (stream, runs) in list.0 {
            for Run { first, last, groups } in runs {
                for index in 0..Group::ERASABLE.len() {
                    if groups.has(Group::ERASABLE[index]) {
                        self.told.entry((index, stream)).or_default().push((first, last));
                    }
                }
            }
        }
    }

    /// Returns what is gone and no record tells of.
    pub(super) fn untold(&self) -> Vec<(Group, WriterId, Gone)> {
        let mut untold = Vec::new();
        let mut expired: HashMap<u32, Vec<(i64, i64)>> = HashMap::new();
        for AddressExpiry { month, class, first, last, .. } in &self.expired {
            if let Some(unit) = self.units.get(&(*month, class.clone())) {
                expired.entry(*unit).or_default().push((*first, *last));
            }
        }
        for told in expired.values_mut() {
            *told = joined(std::mem::take(told));
        }
        let is_expired = |group: Group, gone: &Gone| {
            let told = expired.get(&gone.unit).map_or(&[][..], Vec::as_slice);
            let covers =
                |(first, last): &(i64, i64)| *first <= gone.position && gone.until <= *last;
            group == Group::Network && told.iter().any(covers)
        };
        for ((index, stream), gone) in &self.gone {
            let told = self.told.get(&(*index, *stream)).map_or(&[][..], Vec::as_slice);
            let told = joined(told.to_vec());
            let group = Group::ERASABLE[*index];
            for gone in gone.iter().filter(|gone| !is_expired(group, gone)) {
                let left = left_of(*gone, &told);
                untold.extend(left.map(|gone| (group, *stream, gone)));
            }
        }
        untold
    }
}

/// Sorts runs, and joins those that touch.
fn joined(mut runs: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    runs.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::with_capacity(runs.len());
    for (first, last) in runs {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Returns the parts of a run that none of the others, sorted and apart, covers.
fn left_of(gone: Gone, told: &[(i64, i64)]) -> impl Iterator<Item = Gone> {
    let begins = told.partition_point(|(_, last)| *last < gone.first);
    let mut left = Vec::new();
    let mut next = gone.first;
    for (first, last) in &told[begins..] {
        if *first > gone.last {
            break;
        }
        if next < *first {
            left.push(Gone { first: next, last: first - 1, ..gone });
        }
        next = next.max(last.saturating_add(1));
    }
    if next <= gone.last {
        left.push(Gone { first: next, ..gone });
    }
    left.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() {
        let mut list = ErasedList::default();
        let (one, other) = (WriterId::new(7), WriterId::new(i64::MAX));
        for seq in 1..=5 {
            list.add(one, seq, Groups::ALL);
        }
        list.add(one, 9, Groups::of(Group::Identity));
        list.add(other, 3, Groups::of(Group::Content));
        let json = list.to_json();
        assert_eq!(json["7"], "1-5:intc,9:i");
        assert_eq!(ErasedList::from_json(&json), Some(list));
        for bad in ["", "1", "1:x", "0:i", "5-1:i", "-3:i", "1:i,"] {
            assert_eq!(ErasedList::from_json(&serde_json::json!({ "7": bad })), None, "{bad}");
        }
    }

    #[test]
    fn what_is_gone_is_told_of_group_by_group_and_number_by_number() {
        let stream = WriterId::new(7);
        let mut erasures = Erasures::default();
        let gone = |first, last| Gone { position: 1, until: 1, first, last, unit: 0 };
        erasures.found(0, stream, gone(1, 10), &None);
        erasures.found(3, stream, gone(4, 4), &None);
        let mut list = ErasedList::default();
        list.add(stream, 3, Groups::of(Group::Identity));
        list.add(stream, 4, Groups::of(Group::Identity));
        list.add(stream, 7, Groups::ALL);
        erasures.told(list.clone());
        erasures.told(list);
        let left: Vec<_> = erasures
            .untold()
            .iter()
            .map(|(group, _, gone)| (*group, gone.first, gone.last))
            .collect();
        let identity = Group::Identity;
        assert_eq!(
            left,
            [(identity, 1, 2), (identity, 5, 6), (identity, 8, 10), (Group::Content, 4, 4)]
        );
    }

    #[test]
    fn what_expired_is_told_of_by_month_class_and_position_and_of_addresses_alone() {
        let stream = WriterId::new(7);
        let month = Month::from_index(2026 * 12);
        let mut erasures = Erasures::default();
        let unit = |month, class: &str| Some((month, class.to_owned()));
        let gone = [
            (Group::Network, 3, unit(month, "activity")),
            (Group::Network, 7, unit(month, "activity")),
            (Group::Network, 8, unit(month, "activity")),
            (Group::Network, 4, unit(month, "authentication")),
            (Group::Network, 5, unit(month.next(), "activity")),
            (Group::Identity, 6, unit(month, "activity")),
        ];
        for (place, (group, position, unit)) in (1..).zip(gone) {
            let index = Group::ERASABLE.iter().position(|one| *one == group).unwrap();
            let gone = Gone { position, until: position, first: place, last: place, unit: 0 };
            erasures.found(index, stream, gone, &unit);
        }
        assert_eq!(erasures.untold().len(), 6);
        let class = "activity".to_owned();
        erasures.expired(AddressExpiry { month, class, first: 3, last: 7, days: 30 });
        let mut left: Vec<_> = erasures.untold().iter().map(|(_, _, gone)| gone.position).collect();
        left.sort_unstable();
        assert_eq!(left, [4, 5, 6, 8]);
    }

    #[test]
    fn what_follows_each_other_is_one_where_there_is_much() {
        let stream = WriterId::new(7);
        let month = Month::from_index(2026 * 12);
        let network = Group::ERASABLE.iter().position(|one| *one == Group::Network).unwrap();
        let unit = |class: &str| Some((month, class.to_owned()));
        let expiry = |last| {
            let class = "activity".to_owned();
            AddressExpiry { month, class, first: 1, last, days: 30 }
        };
        let found = |apart, last| {
            let mut erasures = Erasures { apart, ..Erasures::default() };
            for position in 1..=100 {
                let gone =
                    Gone { position, until: position, first: position, last: position, unit: 0 };
                erasures.found(network, stream, gone, &unit("activity"));
            }
            erasures.expired(expiry(40));
            erasures.expired(expiry(last));
            let untold = erasures.untold().into_iter().map(|(_, _, gone)| (gone.first, gone.last));
            (erasures.gone.values().map(Vec::len).sum::<usize>(), untold.collect::<Vec<_>>())
        };
        assert_eq!(found(0, 100), (100, vec![]));
        assert_eq!(found(APART, 100), (1, vec![]));
        assert_eq!(found(0, 99), (100, vec![(100, 100)]));
        assert_eq!(found(APART, 99), (1, vec![(1, 100)]), "of all or of nothing");
        let mut erasures = Erasures { apart: APART, ..Erasures::default() };
        for (seq, class) in [(1, "activity"), (2, "consent"), (4, "consent")] {
            let gone = Gone { position: seq, until: seq, first: seq, last: seq, unit: 0 };
            erasures.found(network, stream, gone, &unit(class));
        }
        assert_eq!(erasures.untold().len(), 3, "of another unit, and not the next number");
    }
}

//! Which groups were erased, and which records say so.
//!
//! A record `erased` is written before what it tells of is done, so that nothing is ever gone without it. It names
//! the records by stream and number, and their groups by their letters: `{"7": "1-5:inc,9:i"}`.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Map, Value};

use crate::record::{Group, Groups, WriterId};

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
}

/// Consecutive numbers of one entry whose group is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) position: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Erasures {
    pub(super) fn found(&mut self, group: usize, stream: WriterId, gone: Gone) {
        self.gone.entry((group, stream)).or_default().push(gone);
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
        for ((index, stream), gone) in &self.gone {
            let told = self.told.get(&(*index, *stream)).map_or(&[][..], Vec::as_slice);
            let told = joined(told.to_vec());
            for gone in gone {
                let left = left_of(*gone, &told);
                let group = Group::ERASABLE[*index];
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
        erasures.found(0, stream, Gone { position: 1, first: 1, last: 10 });
        erasures.found(3, stream, Gone { position: 1, first: 4, last: 4 });
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
}

//! What arrives of people who were erased.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex as Turn, time::Instant};

use super::{
    on_the_way::{OnTheWay, Sending},
    subject::Known,
};
use crate::{
    pipeline::admit::append_list,
    privacy::Keys,
    record::{Canonical, Group, Groups, Record, Seal},
    store::{
        self, AnyStore, Erase as _, ErasedGroups, ErasedSubject, Holds, Restricted, StoreError,
        holds,
    },
    time::Timestamp,
};

/// The list is never older than this when a batch is sent, as long as it can be read.
pub(super) const AGE: Duration = Duration::from_secs(2);
/// Whoever erases may have a clock that is behind by so much.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// So many are read at once.
const PAGE: usize = 1_000;

/// Those who were erased, as far as they are known here, and what is done to records about them.
pub(in crate::pipeline) struct Arrivals {
    source: Option<(AnyStore, Keys)>,
    state: Mutex<State>,
    /// When the list was asked for; held while it is.
    asked: Turn<Option<Instant>>,
    on_the_way: Arc<OnTheWay>,
}

/// Who was erased that was not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum News {
    Nobody,
    /// Somebody, the last of them before this.
    Before(Timestamp),
    /// Somebody, since the list was last read.
    Now,
}

#[derive(Default)]
struct State {
    known: Known,
    /// The number of the last that was read.
    number: i64,
    /// The list has been read.
    is_read: bool,
}

impl Arrivals {
    /// Asks this store for the list; without one, or without keys, nobody is known.
    pub(in crate::pipeline) fn new(source: Option<(AnyStore, Keys)>) -> Self {
        Self { source, state: Mutex::default(), asked: Turn::default(), on_the_way: Arc::default() }
    }

    /// Returns which records of a batch are about somebody who was erased, of the time before, and which of their groups.
    pub(in crate::pipeline) fn concerned(&self, batch: &[Box<Record>]) -> Vec<(usize, Groups)> {
        let Some((_, keys)) = &self.source else { return Vec::new() };
        let state = self.lock();
        if state.known.is_empty() {
            return Vec::new();
        }
        let is_there =
            |record: &Record, group: Group| matches!(record.seals.of(group), Seal::Salted(_));
        let concerned = |(at, record): (usize, &Record)| {
            let groups = state.known.concerned(record, keys);
            let groups: Groups = groups.iter().filter(|group| is_there(record, *group)).collect();
            (!groups.is_empty()).then_some((at, groups))
        };
        batch.iter().map(|record| &**record).enumerate().filter_map(concerned).collect()
    }

    /// Takes note of a batch that is looked at and sent, until what this returns is dropped.
    pub(in crate::pipeline) fn sending(&self) -> Sending {
        self.on_the_way.begin()
    }

    /// Waits until the batches are stored, or given up, that were looked at before.
    pub(super) async fn arrived(&self) {
        self.on_the_way.arrived().await;
    }

    /// Returns the holds that stand; `None` where they are not known: this process may not read the log, or the store does
    /// not answer. Asked for when somebody who was erased arrives, and not otherwise.
    pub(in crate::pipeline) async fn holds(&self) -> Option<Holds> {
        let (store, _) = self.source.as_ref()?;
        let asked = holds(store).await.inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "which legal holds stand is not known: what arrives of people who were erased is kept aside until it is"
            );
        });
        asked.ok()
    }

    /// Takes what is about somebody who was erased out of records that are about to be stored, and returns what a hold
    /// keeps of them. Where the holds are not known everything is kept: it is looked at again with what is due.
    ///
    /// As it was never stored, nothing of what is emptied is to be told: these records say so themselves, among their
    /// redactions.
    pub(in crate::pipeline) fn strip(
        batch: &mut [Box<Record>],
        concerned: &[(usize, Groups)],
        holds: Option<&Holds>,
    ) -> Vec<Restricted> {
        let mut canonical = Canonical::new();
        let mut restricted = Vec::new();
        for (at, groups) in concerned {
            let Some(record) = batch.get_mut(*at) else { continue };
            if holds.is_none_or(|holds| holds.held(record).is_some())
                && let Some(kept) = Restricted::of(record, *groups)
                && let Some(gone) = ErasedGroups::of(record, *groups, &mut canonical)
            {
                store::empty(record, &gone);
                record.seals.restrict(kept.groups);
                restricted.push(kept);
                continue;
            }
            empty(record, *groups);
        }
        restricted
    }

    /// Knows them from now on.
    pub(super) fn learn(&self, subjects: &[ErasedSubject]) {
        let mut state = self.lock();
        subjects.iter().for_each(|subject| state.known.add(subject.clone()));
    }

    /// Reads what is new on the list, unless that was done a moment ago, and tells what it takes to forget those who are.
    /// Of several writers one asks, and the others wait for what it learns.
    ///
    /// # Errors
    ///
    /// When the list cannot be read; it is asked for again a moment later.
    pub(in crate::pipeline) async fn refresh(&self) -> Result<News, StoreError> {
        let Some((store, _)) = &self.source else { return Ok(News::Nobody) };
        let mut asked = self.asked.lock().await;
        let now = Instant::now();
        if asked.is_some_and(|asked| now.saturating_duration_since(asked) < AGE) {
            return Ok(News::Nobody);
        }
        *asked = Some(now);
        let number = self.lock().number;
        let new = read(store, number).await?;
        let last = new.iter().map(|(_, subject)| subject.before).max();
        let mut state = self.lock();
        for (number, subject) in new {
            state.number = number;
            state.known.add(subject);
        }
        let is_first = !std::mem::replace(&mut state.is_read, true);
        Ok(match last {
            None => News::Nobody,
            // All that there ever was: what this process has written since knows them.
            Some(last) if is_first => News::Before(last.saturating_add(CLOCKS_APART)),
            Some(_) => News::Now,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can unwind leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties groups of a sealed record that is not stored yet, and returns those that there were: the record says so
/// itself, among its redactions.
pub(super) fn empty(record: &mut Record, groups: Groups) -> Groups {
    let mut emptied = Groups::NONE;
    for group in groups.iter() {
        if matches!(record.seals.of(group), Seal::Salted(_)) {
            record.clear_group(group);
            record.seals.set(group, Seal::Empty);
            let group_name = group.as_str();
            let said =
                format!("[{{\"field\":\"{group_name}\",\"path\":\"\",\"method\":\"erased\"}}]");
            append_list(record.redactions.buffer(), &said);
            emptied = emptied.and(Groups::of(group));
        }
    }
    emptied
}

/// As [`empty`], of a record that has no salts yet, since it waits in a file: it gets none.
pub(super) fn empty_unsealed(record: &mut Record, groups: Groups) -> Groups {
    let seals = record.seals;
    record.seal([[0; 16]; 4]);
    let emptied = empty(record, groups);
    for group in Group::ERASABLE.into_iter().filter(|group| !emptied.has(*group)) {
        record.seals.set(group, seals.of(group));
    }
    emptied
}

/// Reads the list from behind a number on.
pub(super) async fn read(
    store: &AnyStore,
    mut after: i64,
) -> Result<Vec<(i64, ErasedSubject)>, StoreError> {
    let mut all = Vec::new();
    loop {
        let page = store.erased_subjects(after, PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map_or(after, |(number, _)| *number);
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test(start_paused = true)]
    async fn what_was_on_the_list_before_is_news_of_then() {
        let store = AnyStore::new(MemoryStore::new());
        let erased = |before| ErasedSubject {
            digest: format!("p1.{before}"),
            erasure: String::new(),
            before: Timestamp::from_micros(before),
            types: Vec::new(),
            groups: String::new(),
        };
        let arrivals = || Arrivals::new(Some((store.clone(), Keys::ephemeral())));
        let first = arrivals();
        assert_eq!(first.refresh().await.unwrap(), News::Nobody);
        store.add_erased_subjects(&[erased(7), erased(5)]).await.unwrap();
        tokio::time::advance(AGE).await;
        assert_eq!(first.refresh().await.unwrap(), News::Now);
        tokio::time::advance(AGE).await;
        assert_eq!(first.refresh().await.unwrap(), News::Nobody);
        // A process that is started later finds what is no news.
        let later = arrivals();
        let last = Timestamp::from_micros(7).saturating_add(CLOCKS_APART);
        assert_eq!(later.refresh().await.unwrap(), News::Before(last));
        store.add_erased_subjects(&[erased(6)]).await.unwrap();
        tokio::time::advance(AGE).await;
        assert_eq!(later.refresh().await.unwrap(), News::Now);
    }
}

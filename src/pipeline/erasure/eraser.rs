//! The work itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{
    archived::{self, ArchiveErasure},
    arrivals,
    certificate::{Certificate, ErasurePlan, SignedHead},
    error::EraseError,
    outside::{Concerned, Does, Outside, QUARANTINE, Reached, SPOOL, SPOOL_QUARANTINE},
    request::ErasureRequest,
    restriction::{Dues, HeldBy},
    search::{Found, Search},
    shelved::Shelved,
    subject::{self, ErasedPeople, Known, Strangers},
};
use crate::{
    pipeline::{Admission, own, recorder::Recorder, subject::Sought},
    privacy::Keys,
    record::{Canonical, Groups, Operation, Record, RecordId},
    store::{
        AnyStore, Archival, ERASED, Erase as _, ErasedGroups, ErasedList, ErasedSubject,
        ErasurePlace, RESTRICTED, Read as _, by_group, holds, make_checkpoint,
    },
    time::Timestamp,
};

/// So many records are announced and emptied at once: the log waits for as long.
pub(super) const STEP: usize = 200;
/// So often what came meanwhile is looked for.
pub(super) const PASSES: u32 = 20;
/// A record that is not stored by then is not going to be soon.
const STORED_WITHIN: Duration = Duration::from_secs(30);
/// After this every pipeline has read the list, and what it sent before is stored.
const LEARNT: Duration = arrivals::AGE.saturating_add(Duration::from_millis(500));
/// A file that is not removed by then is held by something: a request under way, or a store that is away.
const LEFT_WITHIN: Duration = Duration::from_secs(10);
/// Entries of the ledger that are read at once.
const ENTRIES: usize = 500;

/// Erases people from a log: see [`Pipeline::eraser`](crate::Pipeline::eraser). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Eraser {
    recorder: Recorder,
    store: AnyStore,
    keys: Keys,
    flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

/// How far an erasure has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Erasing {
    /// How many records were emptied.
    pub records: u64,
    /// How many of their groups.
    pub groups: u64,
}

/// An erasure under way.
pub(super) struct Work<'r> {
    request: &'r ErasureRequest,
    erasure: String,
    at: Timestamp,
    records: u64,
    groups: BTreeMap<&'static str, u64>,
    /// How many records were restricted.
    restricted: u64,
    archive: Option<ArchiveErasure>,
    outside: Reached,
    told_by: Vec<RecordId>,
}

impl Eraser {
    pub(in crate::pipeline) fn new(
        recorder: Recorder,
        store: AnyStore,
        flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
    ) -> Result<Self, EraseError> {
        let keys = recorder.keys().cloned().ok_or_else(EraseError::no_keys)?;
        Ok(Self { recorder, store, keys, flushes })
    }

    pub(super) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    pub(super) const fn store(&self) -> &AnyStore {
        &self.store
    }

    /// Says what an erasure would reach, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the request is not sound, or the store cannot be asked.
    pub async fn plan(&self, request: &ErasureRequest) -> Result<ErasurePlan, EraseError> {
        let archive = self.recorder.core().archive.as_deref();
        let mut plan = Self::plan_of(&self.store, &self.keys, archive, request).await?;
        self.has_left(&mut plan.places, self.recorder.core().spooling.is_some());
        Ok(plan)
    }

    /// As [`plan`](Self::plan), of a log that nothing is recorded in meanwhile, and of its archive if there is one.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan).
    pub async fn plan_of(
        store: &AnyStore,
        keys: &Keys,
        archive: Option<&dyn Archival>,
        request: &ErasureRequest,
    ) -> Result<ErasurePlan, EraseError> {
        request.check()?;
        let sought = Sought::new(request.subject.clone(), keys.clone());
        let names = sought.names();
        let (mut records, mut groups) = (0, BTreeMap::new());
        let mut search = Search::new(store, request, &sought);
        while let Some(found) = search.next().await? {
            records += found.erased.len() as u64;
            add(&mut groups, by_group(&found.erased));
        }
        let mut held = std::mem::take(&mut search.held);
        let tenant = request.subject.tenant.as_deref();
        let before = HeldBy::of(store, tenant, |record| sought.erased_from(record, request.groups));
        let before = before.await?;
        held.records += before.records;
        for (hold, records) in before.by {
            *held.by.entry(hold).or_default() += records;
        }
        let concerned = concerned_by(&sought, request);
        let outside = Outside::of(request).await?.reach(store, &concerned, Does::Plan).await?;
        let mut places = places(store, archive, request, &names).await?;
        outside.tell(&mut places, true);
        let archive = match archive {
            Some(archive) => {
                Some(archived::planned(store, archive, |record| concerned(record)).await?)
            }
            None => None,
        };
        let Reached { spools, quarantines } = outside;
        Ok(ErasurePlan {
            records,
            groups,
            held: held.records,
            held_by: held.by,
            archive,
            spools,
            quarantines,
            places,
        })
    }

    /// Erases a person: what the log holds of him, and what arrives of him later.
    ///
    /// Safe to repeat, and to begin again after it was interrupted: what is erased already is not counted again.
    ///
    /// # Errors
    ///
    /// When the request is not sound, a record that tells of it cannot be stored, or the store cannot be asked. What was
    /// erased by then stays so, and the log tells of it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it after the step that it is in; begin it again.
    pub async fn erase(
        &self,
        request: &ErasureRequest,
        mut progress: impl FnMut(Erasing),
    ) -> Result<Certificate, EraseError> {
        request.check()?;
        // Held to the end: who starts with a spool meanwhile would send what this does not look at.
        let outside = Outside::of(request).await?;
        let mut work = self.begin(request);
        let sought = Sought::new(request.subject.clone(), self.keys.clone());
        let names = sought.names();
        let checkpoint_before = self.checkpoint().await?;
        // First of all: what arrives from here on is emptied before it is stored.
        let subjects = subject::entries(request, &names, &self.keys, &work.erasure, work.at);
        self.store.add_erased_subjects(&subjects).await?;
        self.recorder.core().erased.learn(&subjects);
        self.arrived().await?;
        let mut is_whole = true;
        for pass in 0..PASSES {
            let before = (work.records, work.restricted);
            let mut search = Search::new(&self.store, request, &sought);
            is_whole = true;
            while let Some(found) = search.next().await? {
                is_whole = self.step(&mut work, found, &mut progress).await?;
                if !is_whole {
                    break;
                }
            }
            if is_whole && (work.records, work.restricted) == before && (pass > 0 || request.alone)
            {
                break;
            }
            if pass == 0 && !request.alone {
                // Other processes may have read the list a moment before the name was on it.
                sleep(LEARNT).await;
            }
        }
        if !is_whole {
            return Err(EraseError::unsettled());
        }
        // Behind the log: what is archived from here on is archived as emptied.
        let concerned = concerned_by(&sought, request);
        work.archive = self.erase_archived(&mut work, |record| concerned(record)).await?;
        work.outside = outside.reach(&self.store, &concerned, Does::Erase).await?;
        let concerned = |record: &Record| concerned(record);
        self.end(work, checkpoint_before, &names, subjects, concerned, &mut progress).await
    }

    /// Erases everybody on the list, and on a list that was kept outside, from what is in the log: after a backup
    /// was restored.
    ///
    /// Reads every record. The request says on which basis and who; whom it names does not matter. Erasures on the log's own list
    /// of which no digest is under these keys are counted in [`Certificate::other_keys`].
    ///
    /// # Errors
    ///
    /// As [`erase`](Self::erase), and before anything is changed when an erasure of `kept`, or every one on the log's list, is
    /// under other keys than these: nobody would be found, and it would look done.
    ///
    /// # Cancel safety
    ///
    /// As [`erase`](Self::erase).
    pub async fn replay(
        &self,
        request: &ErasureRequest,
        kept: &[ErasedSubject],
        mut progress: impl FnMut(Erasing),
    ) -> Result<Certificate, EraseError> {
        request.check()?;
        let listed = arrivals::read(&self.store, 0).await?;
        let listed: Vec<_> = listed.into_iter().map(|(_, subject)| subject).collect();
        let of_kept = Strangers::among(kept, &self.keys);
        if of_kept.erasures > 0 {
            return Err(EraseError::other_keys(of_kept.erasures));
        }
        let strangers = Strangers::among(&listed, &self.keys);
        if kept.is_empty() && strangers.are_all {
            return Err(EraseError::other_keys(strangers.erasures));
        }
        let outside = Outside::of(request).await?;
        let mut work = self.begin(request);
        let checkpoint_before = self.checkpoint().await?;
        let new: Vec<_> = kept.iter().filter(|one| !listed.contains(one)).cloned().collect();
        self.store.add_erased_subjects(&new).await?;
        self.recorder.core().erased.learn(&new);
        self.arrived().await?;
        let mut known = Known::default();
        listed.into_iter().chain(new.iter().cloned()).for_each(|subject| known.add(subject));
        let mut is_whole = known.is_empty();
        for _pass in 0..PASSES {
            if is_whole {
                break;
            }
            is_whole = self.empty_known(&mut work, &known, &mut progress).await?;
        }
        if !is_whole {
            return Err(EraseError::unsettled());
        }
        let is_anybody = !known.is_empty();
        let keys = self.keys.clone();
        let concerned: Concerned = Arc::new(move |record| known.concerned(record, &keys));
        if is_anybody {
            let archive = self.recorder.core().archive.as_deref();
            let shelved = Shelved::of(&self.store, archive).await?;
            let people = ErasedPeople::of(&self.store, self.keys.clone()).await?;
            work.archive = self.erase_archived(&mut work, |record| concerned(record)).await?;
            // Whoever is listed under other keys was passed over, also who came to the list meanwhile.
            if let Some(archive) = work.archive.as_ref().filter(|_| people.strangers() == 0) {
                let told_by = self.record(shelved.done(archive), request).await?;
                work.told_by.push(told_by);
            }
        }
        work.outside = outside.reach(&self.store, &concerned, Does::Erase).await?;
        let concerned = |record: &Record| concerned(record);
        let end = self.end(work, checkpoint_before, &[], new, concerned, &mut progress);
        let other_keys = Some(strangers.erasures).filter(|erasures| *erasures > 0);
        Ok(Certificate { other_keys, ..end.await? })
    }

    /// Empties whatever there is about the people in `known`; says whether it came to the end: it begins again where a
    /// hold was placed or lifted meanwhile.
    async fn empty_known(
        &self,
        work: &mut Work<'_>,
        known: &Known,
        progress: &mut impl FnMut(Erasing),
    ) -> Result<bool, EraseError> {
        let holds = holds(&self.store).await?;
        let mut canonical = Canonical::new();
        let mut found = Found::under(&holds);
        let mut after = 0;
        // What is written meanwhile, the records of this among it, is emptied as it arrives.
        let head = self.store.head().await?;
        while after < head {
            let entries = self.store.entries(after, ENTRIES).await?;
            let Some(last) = entries.last().map(|entry| entry.position) else { break };
            for entry in &entries {
                for record in self.store.entry_records(entry).await? {
                    let groups = known.concerned(&record, &self.keys);
                    let store = &self.store;
                    found.take(store, &holds, &record, groups, &mut canonical).await?;
                    if found.len() == STEP {
                        let found = std::mem::replace(&mut found, Found::under(&holds));
                        if !self.step(work, found, progress).await? {
                            return Ok(false);
                        }
                    }
                }
            }
            after = last;
        }
        Ok(found.len() == 0 || self.step(work, found, progress).await?)
    }

    fn begin<'r>(&self, request: &'r ErasureRequest) -> Work<'r> {
        let core = self.recorder.core();
        let at = core.clock.now();
        let erasure = RecordId::from_bytes(core.ids.id(at)).to_string();
        Work {
            request,
            erasure,
            at,
            records: 0,
            groups: BTreeMap::new(),
            restricted: 0,
            archive: None,
            outside: Reached::default(),
            told_by: Vec::new(),
        }
    }

    async fn end(
        &self,
        mut work: Work<'_>,
        checkpoint_before: Option<SignedHead>,
        names: &[String],
        subjects: Vec<ErasedSubject>,
        concerned: impl Fn(&Record) -> Groups + Send,
        progress: &mut impl FnMut(Erasing),
    ) -> Result<Certificate, EraseError> {
        self.end_dues(&mut work, progress).await?;
        let tenant = work.request.subject.tenant.as_deref();
        let held = HeldBy::of(&self.store, tenant, concerned).await?;
        if work.told_by.is_empty() {
            // That nothing was found is a result too.
            self.announce(&mut work, &[]).await?;
        }
        self.store.scrub().await?;
        let archive = self.recorder.core().archive.as_deref();
        let mut places = places(&self.store, archive, work.request, names).await?;
        let is_gone = self.leave_spool().await;
        self.has_left(&mut places, is_gone);
        work.outside.tell(&mut places, is_gone || self.recorder.core().spooling.is_none());
        let by = &work.request.by;
        Ok(Certificate {
            erasure: work.erasure,
            at: work.at,
            basis: work.request.basis.clone(),
            by: format!("{}:{}", by.kind().as_str(), by.id()),
            records: work.records,
            groups: work.groups,
            held: held.records,
            held_by: held.by,
            other_keys: None,
            archive: work.archive,
            spools: work.outside.spools,
            quarantines: work.outside.quarantines,
            told_by: work.told_by,
            checkpoint_before,
            checkpoint_after: self.checkpoint().await?,
            places,
            subjects,
        })
    }

    /// Says of the spool of this process, if it has one, whether its files are gone.
    fn has_left(&self, places: &mut [ErasurePlace], is_gone: bool) {
        if self.recorder.core().spooling.is_none() {
            return;
        }
        let spool = places.iter_mut().filter(|place| place.place == SPOOL);
        spool.for_each(|place| (place.reached, place.how) = (is_gone, OF_OWN_SPOOL));
    }

    /// Lets the files go of what the spool has sent, and tells whether they are gone.
    async fn leave_spool(&self) -> bool {
        let Some(spooling) = &self.recorder.core().spooling else { return false };
        let (spool, room) = (spooling.spool.clone(), spooling.spool.room());
        let leaving = spool.clone();
        let left = tokio::task::spawn_blocking(move || leaving.leave_stored(None)).await.is_ok();
        let gone = async {
            loop {
                let tidied = room.notified();
                let mut tidied = std::pin::pin!(tidied);
                tidied.as_mut().enable();
                if spool.has_left() {
                    return;
                }
                tidied.await;
            }
        };
        left && timeout(LEFT_WITHIN, gone).await.is_ok()
    }

    /// Announces what will be emptied or restricted, and does it; says whether it did: the store refuses where other holds
    /// were told of by then than were looked at. What was announced and not done is found again.
    async fn step(
        &self,
        work: &mut Work<'_>,
        found: Found,
        progress: &mut impl FnMut(Erasing),
    ) -> Result<bool, EraseError> {
        let Found { erased, held, told } = found;
        if !erased.is_empty() {
            self.announce(work, &erased).await?;
            if self.store.erase(&erased, told).await?.is_none() {
                return Ok(false);
            }
            work.records += erased.len() as u64;
            add(&mut work.groups, by_group(&erased));
            progress(work.come());
        }
        if !held.kept.is_empty() {
            let holds: Vec<_> = held.holds.iter().map(ToString::to_string).collect();
            self.tell(work, RESTRICTED, &held.groups, &holds).await?;
            if self.store.restrict(&held.groups, &held.kept, told).await?.is_none() {
                return Ok(false);
            }
            work.restricted += held.kept.len() as u64;
        }
        Ok(true)
    }

    /// Lets go what no hold keeps aside any more, of whomever it is.
    async fn end_dues(
        &self,
        work: &mut Work<'_>,
        progress: &mut impl FnMut(Erasing),
    ) -> Result<(), EraseError> {
        let mut dues = Dues::new(&self.store);
        while let Some(due) = dues.next().await? {
            let id = self.record(due.telling(), work.request).await?;
            work.told_by.push(id);
            if dues.end(&due).await? {
                work.records += due.records();
                add(&mut work.groups, due.groups());
                progress(work.come());
            }
        }
        Ok(())
    }

    /// Records which groups of which records are about to be emptied, and returns when it is committed.
    pub(super) async fn announce(
        &self,
        work: &mut Work<'_>,
        found: &[ErasedGroups],
    ) -> Result<(), EraseError> {
        let id = self.tell(work, ERASED, found, &[]).await?;
        work.told_by.push(id);
        Ok(())
    }

    async fn tell(
        &self,
        work: &Work<'_>,
        action: &str,
        found: &[ErasedGroups],
        holds: &[String],
    ) -> Result<RecordId, EraseError> {
        let mut places: Vec<_> =
            found.iter().map(|record| (record.writer_id, record.seq, record.groups())).collect();
        places.sort_unstable_by_key(|(stream, seq, _)| (*stream, *seq));
        let mut list = ErasedList::default();
        for (stream, seq, groups) in places {
            list.add(stream, seq, groups);
        }
        let mut facts = serde_json::json!({
            "erasure": work.erasure,
            "basis": work.request.basis,
            "count": found.len(),
            "groups": by_group(found),
            "records": list.to_json(),
        });
        if action == RESTRICTED {
            facts["holds"] = holds.into();
        }
        let mut record = own::record(action, 4, &facts);
        record.operation = Operation::Delete;
        record.tenant_id.set(work.request.subject.tenant.as_deref().unwrap_or_default());
        self.record(record, work.request).await
    }

    /// Records something that is done for a request, and returns when it is committed.
    async fn record(
        &self,
        mut record: Box<Record>,
        request: &ErasureRequest,
    ) -> Result<RecordId, EraseError> {
        let core = self.recorder.core();
        record.occurred_at = core.clock.now();
        record.id = RecordId::from_bytes(core.ids.id(record.occurred_at));
        record.set_actor(&request.by);
        // Whose clock is far ahead is given another time, and with it another id.
        let Admission::Accepted(id) = self.recorder.announce(record) else {
            return Err(EraseError::unrecorded());
        };
        self.flush().await?;
        if self.store.record(id).await?.is_none() {
            return Err(EraseError::unrecorded());
        }
        Ok(id)
    }

    /// Waits until what was recorded so far is stored, and what this process moves out of outboxes and was looked at before
    /// the list was as it is now.
    async fn arrived(&self) -> Result<(), EraseError> {
        self.flush().await?;
        let arrived = timeout(STORED_WITHIN, self.recorder.core().erased.arrived()).await;
        arrived.map_err(|_| EraseError::unrecorded())
    }

    /// Waits until what was recorded so far is stored.
    async fn flush(&self) -> Result<(), EraseError> {
        let (reply, settled) = oneshot::channel();
        let sent = self.flushes.send(reply).is_ok();
        match timeout(STORED_WITHIN, settled).await {
            Ok(Ok(())) if sent => Ok(()),
            _ => Err(EraseError::unrecorded()),
        }
    }

    async fn checkpoint(&self) -> Result<Option<SignedHead>, EraseError> {
        let now = self.recorder.core().clock.now();
        let made = make_checkpoint(&self.store, self.keys.signing_seeds(), now).await?;
        Ok(made.map(|kept| SignedHead { size: kept.size, note: kept.note }))
    }
}

impl Work<'_> {
    fn come(&self) -> Erasing {
        Erasing { records: self.records, groups: self.groups.values().sum() }
    }
}

/// Says which groups of a record go with whom a request names.
fn concerned_by(sought: &Sought, request: &ErasureRequest) -> Concerned {
    let (sought, groups) = (sought.clone(), request.groups);
    Arc::new(move |record| sought.erased_from(record, groups))
}

/// Returns the places beside the records: those of the store, and those of the pipelines.
async fn places(
    store: &AnyStore,
    archive: Option<&dyn Archival>,
    request: &ErasureRequest,
    names: &[String],
) -> Result<Vec<ErasurePlace>, EraseError> {
    let mut places = match names.is_empty() {
        true => Vec::new(),
        false => store.erasure_places(names).await?,
    };
    if request.subject.tenant.is_some() {
        // What is counted there may be another tenant's.
        places.iter_mut().for_each(|place| place.count = None);
    }
    places.extend(OF_PIPELINES);
    places.extend(archived::place(store, archive).await?);
    Ok(places)
}

/// How it is with the spool of a process that erases itself.
const OF_OWN_SPOOL: &str = "what waits in it is emptied as it is stored, by every pipeline with these keys, and files whose \
     records are stored are removed: of the process that erases at once, of any other one with the next batch that it stores";

/// What lies outside of the store.
const OF_PIPELINES: [ErasurePlace; 6] = [
    ErasurePlace {
        place: SPOOL,
        count: None,
        reached: false,
        how: "who erases here has none of his own: every pipeline with these keys empties what waits in its own as it is \
              stored, and removes the files whose records are stored with the next batch that it stores; one that is \
              down does it once it is started again, or erase again with its spool (`--spool`)",
    },
    ErasurePlace {
        place: SPOOL_QUARANTINE,
        count: None,
        reached: false,
        how: "copies of damaged files, in the folder `quarantine` of each spool, stay for whoever looks into the damage: \
              remove them by hand, or erase again with the spool (`--spool`) while its process is down",
    },
    ErasurePlace {
        place: "outbox",
        count: None,
        reached: true,
        how: "emptied as it is moved into the log; the row is deleted with it",
    },
    ErasurePlace {
        place: "ingest_keys",
        count: None,
        reached: true,
        how: "hold digests and no names, and are forgotten after a day",
    },
    ErasurePlace {
        place: QUARANTINE,
        count: None,
        reached: false,
        how: "a quarantine file has whole records, one a line: erase again with it (`--quarantine`)",
    },
    ErasurePlace {
        place: "exports_and_backups",
        count: None,
        reached: false,
        how: "what was taken out of the log is not the log's: delete exports, and after restoring a backup run \
              `activity subject erase --replay` with the certificates",
    },
];

pub(super) fn add(groups: &mut BTreeMap<&'static str, u64>, more: BTreeMap<&'static str, u64>) {
    for (group, count) in more {
        *groups.entry(group).or_default() += count;
    }
}

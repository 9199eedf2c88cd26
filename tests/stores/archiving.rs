//! Where an archive is set, nothing goes that is not in it, and nobody who is erased stays in it. The archive is one in
//! memory, so that it can fail, and somebody can come between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tower_activity::{
    Keys, Pipeline,
    ledger::{Removal, RemovalCount, verify::Verdict},
    pipeline::{ErasureRequest, HoldRequest, Released, RetentionRun},
    record::{Actor, Canonical, Group, Groups, Json, Record, RecordId, Seal},
    rules::{RetentionPolicy, Rules, SizeLimit},
    store::{
        AnyStore, Archival, ArchivedPart, Archiving, Audit, ErasedGroup, ErasedGroups,
        Maintain as _, Read as _, Retain as _, Unit,
    },
    time::{ManualClock, Timestamp},
};

use crate::{
    erasing::pipeline,
    expiry::from_somewhere,
    records::salts,
    retention::{old, telling},
    suite::{Fixture, PATIENCE, all, append},
};

/// What happens while something is archived.
type Meanwhile = Box<dyn FnOnce(AnyStore) -> Archiving<'static, ()> + Send>;

type Work = Box<dyn FnOnce() -> Archiving<'static, ()> + Send>;

#[derive(Clone, Default)]
struct Shelf(Arc<Inside>);

#[derive(Default)]
struct Inside {
    parts: Mutex<BTreeMap<String, Vec<Record>>>,
    away: AtomicBool,
    unwritable: AtomicBool,
    kept: AtomicU64,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// What happens once a part was read.
    after_reading: Mutex<Option<Work>>,
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shelf")
    }
}

impl Shelf {
    fn parts(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Record>>> {
        self.0.parts.lock().unwrap()
    }

    fn holds(&self) -> BTreeSet<(i64, i64)> {
        let parts = self.parts();
        parts.values().flatten().map(|record| (record.writer_id.get(), record.seq)).collect()
    }

    fn while_it_archives(&self, work: Meanwhile) {
        *self.0.meanwhile.lock().unwrap() = Some(work);
    }

    fn is_there(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match self.0.away.load(Ordering::SeqCst) {
            true => Err("the shelf is away".into()),
            false => Ok(()),
        }
    }
}

impl Archival for Shelf {
    fn location(&self) -> String {
        "memory:shelf".to_owned()
    }

    fn keep<'a>(
        &'a self,
        store: &'a AnyStore,
        removal: &'a Removal,
        _seeds: &'a [[u8; 32]],
        _now: Timestamp,
    ) -> Archiving<'a, Vec<ArchivedPart>> {
        Box::pin(async move {
            self.0.kept.fetch_add(1, Ordering::SeqCst);
            self.is_there()?;
            let unit = Unit { month: removal.month, class: removal.class.clone() };
            let mut count = RemovalCount::default();
            let mut records = Vec::new();
            for entry in store.unit_entries(&unit, removal.first - 1, 10_000).await? {
                if entry.position <= removal.last {
                    count.push(&entry);
                    records.extend(store.entry_records(&entry).await?);
                }
            }
            assert_eq!(count.of(removal.month, &removal.class).as_ref(), Some(removal));
            let name = format!("{unit} {}-{}", removal.first, removal.last);
            self.parts().entry(name.clone()).or_insert(records);
            let meanwhile = self.0.meanwhile.lock().unwrap().take();
            if let Some(meanwhile) = meanwhile {
                meanwhile(store.clone()).await?;
            }
            Ok(vec![ArchivedPart { name, manifest: [7; 32] }])
        })
    }

    fn parts(&self) -> Archiving<'_, Vec<String>> {
        Box::pin(async move {
            self.is_there()?;
            Ok(self.parts().keys().cloned().collect())
        })
    }

    fn unit_of(&self, part: &str) -> Option<Unit> {
        let (unit, _positions) = part.rsplit_once(' ')?;
        let (month, class) = unit.split_once(' ')?;
        Some(Unit { month: month.parse().ok()?, class: class.to_owned() })
    }

    fn find<'a>(
        &'a self,
        part: &'a str,
        concerned: &'a mut (dyn FnMut(&Record) -> Groups + Send),
    ) -> Archiving<'a, Vec<ErasedGroups>> {
        Box::pin(async move {
            self.is_there()?;
            let mut canonical = Canonical::new();
            let records = self.parts()[part].clone();
            let found = records.iter().filter_map(|record| {
                let groups = concerned(record);
                ErasedGroups::of(record, groups, &mut canonical)
            });
            let found = found.collect();
            let work = self.0.after_reading.lock().unwrap().take();
            if let Some(work) = work {
                work().await?;
            }
            Ok(found)
        })
    }

    fn empty<'a>(
        &'a self,
        _store: &'a AnyStore,
        part: &'a str,
        records: &'a [ErasedGroups],
        _now: Timestamp,
    ) -> Archiving<'a, u64> {
        Box::pin(async move {
            self.is_there()?;
            if self.0.unwritable.load(Ordering::SeqCst) {
                return Err("the shelf is read-only".into());
            }
            let mut parts = self.parts();
            let mut count = 0;
            for record in parts.get_mut(part).into_iter().flatten() {
                let place = (record.writer_id, record.seq);
                for erased in
                    records.iter().filter(|erased| (erased.writer_id, erased.seq) == place)
                {
                    for (group, erased) in Group::ERASABLE.into_iter().zip(&erased.groups) {
                        let Some(ErasedGroup { commitment, .. }) = erased else { continue };
                        record.seals.set(group, Seal::Erased(*commitment));
                        if group == Group::Identity {
                            record.actor_name.set("");
                        }
                        count += 1;
                    }
                }
            }
            Ok(count)
        })
    }
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

async fn run<F: Fixture>(store: &F::Store, shelf: &Shelf) -> RetentionRun {
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    let builder = builder.retention_policy(RetentionPolicy::default()).archive(shelf.clone());
    let pipeline = builder.start().await.unwrap();
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    let run = run.await.expect("it ends").unwrap();
    pipeline.shutdown(PATIENCE).await;
    run
}

/// Three records of two entries, of a month that is over.
async fn over<F: Fixture>(store: &F::Store) {
    for seqs in [1..=2, 3..=3] {
        let records: Vec<_> = seqs.map(|seq| old(7, seq, "2026-01-10", "authentication")).collect();
        append(store, &records).await.unwrap();
    }
}

async fn left<F: Fixture>(store: &F::Store) -> BTreeSet<(i64, i64)> {
    let all = all(store).await;
    let left = all.iter().filter(|record| record.retention_class == "authentication");
    left.map(|record| (record.writer_id.get(), record.seq)).collect()
}

async fn told<F: Fixture>(store: &F::Store) -> Vec<serde_json::Value> {
    let all = all(store).await;
    let told = all.iter().filter(|record| record.action == "retention_run");
    told.map(|record| serde_json::from_str(record.metadata.as_str()).unwrap()).collect()
}

async fn is_unaltered<F: Fixture>(store: &F::Store) -> u64 {
    let report = Audit::new(store).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    report.expired
}

pub(crate) async fn nothing_goes_that_could_not_be_archived<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    over::<F>(&store).await;
    let shelf = Shelf::default();
    shelf.0.away.store(true, Ordering::SeqCst);
    let failed = run::<F>(&store, &shelf).await;
    assert!(failed.ended.is_empty() && failed.busy.is_empty());
    let said: Vec<_> = failed.unarchived.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["2026-01 authentication: the shelf is away"]);
    assert_eq!(left::<F>(&store).await.len(), 3);
    assert!(told::<F>(&store).await.is_empty(), "nothing is told of that does not go");
    shelf.0.away.store(false, Ordering::SeqCst);
    let done = run::<F>(&store, &shelf).await;
    assert!(done.unarchived.is_empty() && done.ended.len() == 1);
    assert!(left::<F>(&store).await.is_empty());
    assert_eq!(shelf.holds(), BTreeSet::from([(7, 1), (7, 2), (7, 3)]));
    let told = told::<F>(&store).await;
    let archive = &told[0]["archive"];
    assert_eq!((told.len(), archive["location"].as_str()), (1, Some("memory:shelf")));
    let name = shelf.parts().keys().next().unwrap().clone();
    let part = serde_json::json!([{ "part": name, "manifest": "07".repeat(32) }]);
    assert_eq!(archive["parts"], part);
    assert_eq!(is_unaltered::<F>(&store).await, 3);
}

pub(crate) async fn what_comes_between_archive_and_removal_is_archived_before_it_goes<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    over::<F>(&store).await;
    let shelf = Shelf::default();
    let late = fixture.open().await;
    shelf.while_it_archives(Box::new(move |_| {
        Box::pin(async move {
            append(&late, &[old(8, 1, "2026-01-15", "authentication")]).await?;
            Ok(())
        })
    }));
    run::<F>(&store, &shelf).await;
    let (kept, left_then) = (shelf.holds(), left::<F>(&store).await);
    for place in [(7, 1), (7, 2), (7, 3), (8, 1)] {
        assert!(kept.contains(&place) || left_then.contains(&place), "{place:?} is nowhere");
    }
    // What was left goes with the next run, and is archived by then.
    run::<F>(&store, &shelf).await;
    assert!(left::<F>(&store).await.is_empty());
    assert_eq!(shelf.holds().len(), 4);
    assert_eq!(is_unaltered::<F>(&store).await, 4);
}

pub(crate) async fn what_is_held_is_neither_archived_nor_removed<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    over::<F>(&store).await;
    let holder = pipeline::<F>(&store, &Keys::ephemeral()).await;
    let custodian = holder.custodian().unwrap();
    let hold = HoldRequest::new("category:authentication", "a case").by(Actor::user("dpo"));
    let placed = custodian.place(&hold).await.unwrap();
    let shelf = Shelf::default();
    let run_then = run::<F>(&store, &shelf).await;
    assert_eq!((run_then.held.len(), run_then.ended.len()), (1, 0));
    assert_eq!(shelf.0.kept.load(Ordering::SeqCst), 0, "nobody was asked to keep it");
    custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    holder.shutdown(PATIENCE).await;
    assert_eq!(run::<F>(&store, &shelf).await.ended.len(), 1);
    assert_eq!(shelf.holds().len(), 3);
}

pub(crate) async fn what_was_told_of_without_an_archive_is_archived_and_told_of_anew<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    over::<F>(&store).await;
    let facts = store.units().await.unwrap().remove(0);
    let removal = tower_activity::store::removal_of(&store, &facts).await.unwrap().unwrap();
    append(&store, &[telling(9, 1, &removal)]).await.unwrap();
    let shelf = Shelf::default();
    let done = run::<F>(&store, &shelf).await;
    assert!(done.ended[0].archived.is_some());
    let told = told::<F>(&store).await;
    assert_eq!(told.iter().filter(|told| told["archive"].is_object()).count(), 1);
    assert_eq!((shelf.holds().len(), told.len()), (3, 2));
    assert_eq!(is_unaltered::<F>(&store).await, 3);
}

/// A record about Ana, of a month that is over.
fn about_ana(seq: i64) -> Box<Record> {
    let mut record = old(7, seq, "2026-01-10", "authentication");
    record.actor_id.set("ana");
    record.actor_name.set(crate::erasing::NAME);
    record.seal(salts(seq));
    record
}

async fn erased<F: Fixture>(
    store: &F::Store,
    keys: &Keys,
    shelf: &Shelf,
) -> Result<tower_activity::pipeline::Certificate, tower_activity::pipeline::EraseError> {
    let builder = Pipeline::builder(store.clone()).keys(keys.clone()).archive(shelf.clone());
    let pipeline = builder.start().await.unwrap();
    let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
    let done = pipeline.eraser().unwrap().erase(&request, |_| {}).await;
    pipeline.shutdown(PATIENCE).await;
    done
}

pub(crate) async fn an_erasure_that_does_not_reach_the_archive_is_not_finished<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records: Vec<_> = (1..=250).map(about_ana).collect();
    append(&store, &records).await.unwrap();
    append(&store, &[old(8, 1, "2026-01-11", "authentication")]).await.unwrap();
    let (keys, shelf) = (Keys::ephemeral(), Shelf::default());
    assert_eq!(run::<F>(&store, &shelf).await.ended.len(), 1);
    for blocked in [&shelf.0.away, &shelf.0.unwritable] {
        blocked.store(true, Ordering::SeqCst);
        let error = erased::<F>(&store, &keys, &shelf).await.unwrap_err();
        assert!(error.is_archive(), "{error}");
        assert!(error.to_string().contains("not finished"), "{error}");
        blocked.store(false, Ordering::SeqCst);
    }
    let names = |shelf: &Shelf| {
        let parts = shelf.parts();
        parts.values().flatten().filter(|record| !record.actor_name.is_absent()).count()
    };
    let before = names(&shelf);
    let certificate = erased::<F>(&store, &keys, &shelf).await.unwrap();
    let archive = certificate.archive.unwrap();
    assert_eq!((archive.parts, archive.records, archive.held), (1, 250, 0));
    assert_eq!(before - names(&shelf), 250, "Ana's, and nobody else's");
    let place = certificate.places.iter().find(|place| place.place == "archive").unwrap();
    assert!(place.reached);
    is_unaltered::<F>(&store).await;
    let again = erased::<F>(&store, &keys, &shelf).await.unwrap().archive.unwrap();
    assert_eq!((again.parts, again.records), (0, 0), "there is nothing more");
}

pub(crate) async fn an_archive_that_nobody_named_is_told_of<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &[about_ana(1)]).await.unwrap();
    let (keys, shelf) = (Keys::ephemeral(), Shelf::default());
    run::<F>(&store, &shelf).await;
    let without = pipeline::<F>(&store, &keys).await;
    let request = ErasureRequest::new("ana", "x").alone();
    let certificate = without.eraser().unwrap().erase(&request, |_| {}).await.unwrap();
    assert!(certificate.archive.is_none());
    let place = certificate.places.iter().find(|place| place.place == "archive").unwrap();
    assert!(!place.reached && place.how.contains("--archive"), "{place:?}");
    without.shutdown(PATIENCE).await;
    // The certificate brings the archive up to date as well, by way of the list.
    let builder = Pipeline::builder(store.clone()).keys(keys.clone()).archive(shelf.clone());
    let with = builder.start().await.unwrap();
    let replayed = with.eraser().unwrap().replay(&request, &certificate.subjects, |_| {}).await;
    assert_eq!(replayed.unwrap().archive.unwrap().records, 1);
    with.shutdown(PATIENCE).await;
    is_unaltered::<F>(&store).await;
}

pub(crate) async fn what_is_held_stays_in_the_archive<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &[about_ana(1)]).await.unwrap();
    let (keys, shelf) = (Keys::ephemeral(), Shelf::default());
    run::<F>(&store, &shelf).await;
    let holder = pipeline::<F>(&store, &keys).await;
    let custodian = holder.custodian().unwrap();
    let hold = HoldRequest::new("actor_id:ana", "a case").by(Actor::user("dpo"));
    let placed = custodian.place(&hold).await.unwrap();
    let archive = erased::<F>(&store, &keys, &shelf).await.unwrap().archive.unwrap();
    assert_eq!((archive.parts, archive.held), (0, 1));
    custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    let archive = erased::<F>(&store, &keys, &shelf).await.unwrap().archive.unwrap();
    assert_eq!((archive.records, archive.held), (1, 0));
    holder.shutdown(PATIENCE).await;
}

/// How many records on the shelf say who acted.
fn names(shelf: &Shelf) -> usize {
    let parts = shelf.parts();
    let has = |record: &&Record| matches!(record.seals.of(Group::Identity), Seal::Salted(_));
    parts.values().flatten().filter(has).count()
}

/// A log whose only records are in an archive, of two people of whom one was erased and is held there.
async fn held_on_the_shelf<F: Fixture>(store: &F::Store, keys: &Keys) -> (Shelf, RecordId) {
    append(store, &[about_ana(1)]).await.unwrap();
    append(store, &[old(8, 1, "2026-01-11", "authentication")]).await.unwrap();
    let shelf = Shelf::default();
    run::<F>(store, &shelf).await;
    let holder = pipeline::<F>(store, keys).await;
    let hold = HoldRequest::new("actor_id:ana", "a case").by(Actor::user("dpo"));
    let hold = holder.custodian().unwrap().place(&hold).await.unwrap().hold.id;
    holder.shutdown(PATIENCE).await;
    let archive = erased::<F>(store, keys, &shelf).await.unwrap().archive.unwrap();
    assert_eq!((archive.records, archive.held, names(&shelf)), (0, 1, 2));
    (shelf, hold)
}

async fn lifted<F: Fixture>(
    store: &F::Store,
    keys: Option<&Keys>,
    shelf: Option<&Shelf>,
    hold: RecordId,
    tenant: Option<&str>,
) -> Released {
    let mut builder = Pipeline::builder(store.clone());
    if let Some(keys) = keys {
        builder = builder.keys(keys.clone());
    }
    if let Some(shelf) = shelf {
        builder = builder.archive(shelf.clone());
    }
    let pipeline = builder.start().await.unwrap();
    let custodian = pipeline.custodian().unwrap();
    let done = custodian.lift(hold, &Actor::user("dpo"), "settled", tenant).await.unwrap();
    pipeline.shutdown(PATIENCE).await;
    done
}

/// Whoever lifts the hold needs to know nothing: of whom it was, nor when he was erased.
pub(crate) async fn what_a_hold_kept_in_the_archive_goes_when_it_is_lifted<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let (shelf, hold) = held_on_the_shelf::<F>(&store, &keys).await;
    let done = lifted::<F>(&store, Some(&keys), Some(&shelf), hold, None).await;
    let archive = done.archive.expect("it was gone through");
    assert_eq!((archive.parts, archive.records, archive.held), (1, 1, 0));
    assert_eq!(archive.location, "memory:shelf");
    assert!(done.left.is_empty(), "{:?}", done.left);
    assert_eq!(names(&shelf), 1, "nobody else's");
    // The log tells of it first, and then that it was done: nobody goes through it again.
    let told = all(&store).await.into_iter().filter(|record| record.action == "erased");
    let told: Vec<serde_json::Value> =
        told.map(|record| serde_json::from_str(record.metadata.as_str()).unwrap()).collect();
    assert!(
        told.iter()
            .any(|told| told["records"]["7"].as_str().is_some_and(|run| run.starts_with("1:"))),
        "{told:#?}"
    );
    assert!(told.iter().any(|told| told["archive"]["lifted"] == 1), "{told:#?}");
    let again = lifted::<F>(&store, Some(&keys), Some(&shelf), hold, None).await;
    assert_eq!((again.archive, again.left), (None, vec![]));
    assert_eq!(run_with::<F>(&store, &keys, &shelf).await.released, None);
    is_unaltered::<F>(&store).await;
}

/// Where it cannot, it says so, and the next run of the retention makes up for it.
pub(crate) async fn an_archive_that_is_not_known_when_a_hold_is_lifted_is_named_and_made_up_for<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let (shelf, hold) = held_on_the_shelf::<F>(&store, &keys).await;
    let unknown = lifted::<F>(&store, Some(&keys), None, hold, None).await;
    assert_eq!((unknown.archive, names(&shelf)), (None, 2));
    let left = &unknown.left[0];
    assert_eq!((unknown.left.len(), left.location.as_str()), (1, "memory:shelf"));
    assert!(left.how.contains("subject erase --replay --archive memory:shelf"), "{left:?}");
    // Without keys, under others, and where it is away: said each time, and nothing is called done.
    let others = Keys::ephemeral();
    for (keys, says) in [(None, "key file"), (Some(&others), "that the services have")] {
        let failed = lifted::<F>(&store, keys, Some(&shelf), hold, None).await;
        assert_eq!((failed.archive, failed.left.len()), (None, 1));
        assert!(failed.left[0].how.contains(says), "{:?}", failed.left);
    }
    shelf.0.away.store(true, Ordering::SeqCst);
    let failed = lifted::<F>(&store, Some(&keys), Some(&shelf), hold, None).await;
    assert!(failed.left[0].how.contains("could not be reached"), "{:?}", failed.left);
    let failed = run_with::<F>(&store, &keys, &shelf).await;
    assert!(failed.released.is_none() && !failed.unemptied.is_empty(), "{failed:?}");
    shelf.0.away.store(false, Ordering::SeqCst);
    assert_eq!(names(&shelf), 2);
    let run = run_with::<F>(&store, &keys, &shelf).await;
    assert_eq!((run.released.map(|done| done.records), names(&shelf)), (Some(1), 1));
    assert!(run.unemptied.is_empty());
    let again = lifted::<F>(&store, Some(&keys), None, hold, None).await;
    assert!(again.left.is_empty(), "{again:?}");
    is_unaltered::<F>(&store).await;
}

/// What the answer says to run is enough: nobody's name is needed for it.
pub(crate) async fn a_replay_goes_through_an_archive_that_was_left<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let (shelf, hold) = held_on_the_shelf::<F>(&store, &keys).await;
    assert_eq!(lifted::<F>(&store, Some(&keys), None, hold, None).await.left.len(), 1);
    let replayed = async |keys: &Keys| {
        let builder = Pipeline::builder(store.clone()).keys(keys.clone()).archive(shelf.clone());
        let pipeline = builder.start().await.unwrap();
        let request = ErasureRequest::new("(everybody on the list)", "erased before").alone();
        let done = pipeline.eraser().unwrap().replay(&request, &[], |_| {}).await;
        pipeline.shutdown(PATIENCE).await;
        done.map(|done| done.archive.unwrap().records)
    };
    let refused = replayed(&Keys::ephemeral()).await.unwrap_err();
    assert!(refused.is_configuration(), "{refused}");
    assert_eq!(names(&shelf), 2, "under other keys");
    assert_eq!(lifted::<F>(&store, Some(&keys), None, hold, None).await.left.len(), 1);
    assert_eq!((replayed(&keys).await.unwrap(), names(&shelf)), (1, 1));
    assert_eq!(lifted::<F>(&store, Some(&keys), None, hold, None).await.left, []);
    is_unaltered::<F>(&store).await;
}

async fn run_with<F: Fixture>(store: &F::Store, keys: &Keys, shelf: &Shelf) -> RetentionRun {
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    let builder = builder.retention_policy(RetentionPolicy::default()).archive(shelf.clone());
    let pipeline = builder.keys(keys.clone()).start().await.unwrap();
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    let run = run.await.expect("it ends").unwrap();
    pipeline.shutdown(PATIENCE).await;
    run
}

/// How many records on the shelf say whence.
fn addresses(shelf: &Shelf) -> usize {
    let parts = shelf.parts();
    let has = |record: &&Record| matches!(record.seals.of(Group::Network), Seal::Salted(_));
    parts.values().flatten().filter(has).count()
}

/// Three records whose addresses are due, gone from the log into an archive that cannot be changed, and the run that did it.
async fn read_only_shelf<F: Fixture>() -> (F, F::Store, Shelf, RetentionRun) {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records: Vec<_> =
        (1..=3).map(|seq| from_somewhere(7, seq, "2026-01-10", "authentication")).collect();
    append(&store, &records).await.unwrap();
    let shelf = Shelf::default();
    shelf.0.unwritable.store(true, Ordering::SeqCst);
    let run = run::<F>(&store, &shelf).await;
    assert_eq!(run.ended.len(), 1, "the records are archived, and go");
    assert_eq!(addresses(&shelf), 3, "archived as they were, and not yet emptied");
    (fixture, store, shelf, run)
}

pub(crate) async fn addresses_that_the_archive_does_not_let_go_of_are_told_of<F: Fixture>() {
    let (_fixture, store, shelf, failed) = read_only_shelf::<F>().await;
    let why = "2026-01 authentication 1-1: the shelf is read-only";
    assert_eq!(failed.unemptied, [why]);
    assert!(failed.archived_addresses.is_empty());
    shelf.0.unwritable.store(false, Ordering::SeqCst);
    let done = run::<F>(&store, &shelf).await;
    assert_eq!((done.unemptied.len(), done.archived_addresses[0].records), (0, 3));
    assert_eq!(addresses(&shelf), 0);
    let parts = &done.archived_addresses[0];
    assert_eq!((&*parts.location, parts.held), ("memory:shelf", 0));
    assert!(run::<F>(&store, &shelf).await.archived_addresses.is_empty(), "it is done");
    is_unaltered::<F>(&store).await;
}

/// A hold that is placed while a part of the archive is looked through keeps what it finds there.
pub(crate) async fn a_hold_that_came_while_the_archive_was_read_wins<F: Fixture>() {
    let (_fixture, store, shelf, _) = read_only_shelf::<F>().await;
    shelf.0.unwritable.store(false, Ordering::SeqCst);
    let holder = Pipeline::builder(store.clone()).clock(ManualClock::at(now())).start().await;
    let holder = Arc::new(holder.unwrap());
    let places = Arc::clone(&holder);
    *shelf.0.after_reading.lock().unwrap() = Some(Box::new(move || {
        Box::pin(async move {
            let request = HoldRequest::new("path:/orders/2", "a case").by(Actor::user("dpo"));
            places.custodian()?.place(&request).await?;
            Ok(())
        })
    }));
    let run = run::<F>(&store, &shelf).await;
    let ended: Vec<_> = run.archived_addresses.iter().map(|it| (it.records, it.held)).collect();
    assert_eq!(ended, [(2, 1)], "{run:?}");
    assert_eq!(addresses(&shelf), 1);
    let held = shelf.parts().values().flatten().any(|record| {
        record.seq == 2 && matches!(record.seals.of(Group::Network), Seal::Salted(_))
    });
    assert!(held, "the one that is held");
    Arc::into_inner(holder).unwrap().shutdown(PATIENCE).await;
    is_unaltered::<F>(&store).await;
}

/// Months that are forced out are archived first, each whole; what is held is neither archived nor forced out.
pub(crate) async fn what_goes_before_its_time_is_archived_and_what_is_held_stays<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    for (first, day) in [(1, "2026-09-10"), (3, "2026-10-10"), (5, "2026-11-10")] {
        let records: Vec<_> =
            (first..first + 2).map(|seq| old(7, seq, day, "authentication")).collect();
        append(&store, &records).await.unwrap();
    }
    while store.fold(100).await.unwrap().behind() > 0 {}
    let shelf = Shelf::default();
    // As small as a limit can be; whether the log is larger depends on the store, so it is told to be.
    let limit = SizeLimit::new(1_000_000).unwrap();
    let used = store.storage().await.unwrap().used;
    let filler = usize::try_from((1_200_000 - used).max(0)).unwrap();
    fill::<F>(&store, filler).await;
    let policy = RetentionPolicy::default().max_size(Some(limit));
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    let builder = builder.retention_policy(policy).archive(shelf.clone());
    let pipeline = builder.start().await.unwrap();
    let custodian = pipeline.custodian().unwrap();
    let hold = HoldRequest::new("category:authentication at:2026-09", "a case");
    let placed = custodian.place(&hold.by(Actor::user("dpo"))).await.unwrap();
    let forced = async || {
        let run = tokio::time::timeout(PATIENCE, pipeline.force_retention(|_| {}));
        run.await.expect("it ends").unwrap()
    };
    // Nothing goes where the archive is away, however large the log is.
    shelf.0.away.store(true, Ordering::SeqCst);
    let away = forced().await;
    assert!(away.size.is_some_and(|full| full.is_over()), "{away:?}");
    assert!(away.ended.is_empty());
    assert_eq!(away.unarchived.len(), 1, "{away:?}");
    assert_eq!(left::<F>(&store).await.len(), 6);
    shelf.0.away.store(false, Ordering::SeqCst);
    let gone = forced().await;
    let ended: Vec<_> = gone.ended.iter().map(|ended| ended.removal.month.to_string()).collect();
    assert_eq!(ended, ["2026-10"], "September is held, and November is not over");
    assert!(gone.ended[0].forced && gone.ended[0].archived.is_some());
    assert_eq!(gone.held[0].unit.to_string(), "2026-09 authentication");
    assert_eq!(shelf.holds(), BTreeSet::from([(7, 3), (7, 4)]), "all of it, and nothing else");
    assert_eq!(left::<F>(&store).await, BTreeSet::from([(7, 1), (7, 2), (7, 5), (7, 6)]));
    let told = told::<F>(&store).await;
    assert_eq!((&told[0]["why"], told.len()), (&"max_size".into(), 1));
    assert_eq!(told[0]["archive"]["location"], "memory:shelf");
    custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert_eq!(forced().await.ended.len(), 1);
    pipeline.shutdown(PATIENCE).await;
    assert_eq!(shelf.holds(), BTreeSet::from([(7, 1), (7, 2), (7, 3), (7, 4)]));
    assert_eq!(is_unaltered::<F>(&store).await, 4);
}

/// Adds at least so many bytes that are kept for ever.
async fn fill<F: Fixture>(store: &F::Store, bytes: usize) {
    let records: Vec<_> = (1..=i64::try_from(bytes / 8_000 + 1).unwrap())
        .map(|seq| {
            let mut record = old(8, seq, "2026-11-10", "consent");
            let text = crate::expiry::noise(seq);
            record.metadata = Json::of(&serde_json::json!({ "x": text })).unwrap();
            record.seal(salts(seq));
            record
        })
        .collect();
    append(store, &records).await.unwrap();
}

pub(crate) async fn rules_that_name_an_archive_do_not_start_without<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let rules = r#"{ "retention": { "archive": "s3://audit/shop" } }"#;
    let rules = Rules::rest().with_json(rules).unwrap();
    assert_eq!(rules.retention_archive(), Some("s3://audit/shop"));
    let without = Pipeline::builder(store.clone()).rules(rules.clone()).start().await;
    let refused = without.unwrap_err().to_string();
    assert!(refused.contains("s3://audit/shop"), "{refused}");
    let with = Pipeline::builder(store).rules(rules).archive(Shelf::default()).start().await;
    with.unwrap().shutdown(PATIENCE).await;
    // Over HTTP it is not set: where records go is for whoever runs the service.
    let set = RetentionPolicy::from_json(&serde_json::json!({ "archive": "s3://elsewhere" }));
    assert!(set.unwrap_err().to_string().contains("`archive`"));
}

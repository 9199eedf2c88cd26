//! With a spool: nothing that was accepted is lost, whatever becomes of the store or of the process.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::watch;
use tower_activity::{
    pipeline::{Admission, DropReason, Overflow, Pipeline, PipelineBuilder, ShutdownReport},
    record::{Category, Record, RecordId, WriterId},
    store::{
        Append, Appended, Appender, Batch, MemoryAppender, MemoryStore, StoreError, StoreErrorKind,
    },
};

use crate::{
    SOON, login, numbered, numbers, quick,
    scripted::{Scripted, Step},
};

const TRANSIENT: StoreErrorKind = StoreErrorKind::Transient;
/// Passes while the store is away; nothing depends on how late that is.
const AT_ONCE: Duration = Duration::from_millis(200);

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .unwrap()
}

fn spooled<S: Append>(store: S, folder: &Path) -> PipelineBuilder<S> {
    quick(store).spool(folder).fsync_interval(Duration::from_millis(1))
}

fn adds_up(report: &ShutdownReport) -> bool {
    report.received == report.stored + report.spooled + report.queued + report.dropped.total()
}

/// Far longer than anything here takes on a busy machine: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(300);

async fn flushed(pipeline: &Pipeline) {
    tokio::time::timeout(PATIENCE, pipeline.flush()).await.expect("the flush got stuck");
}

/// Returns when nobody holds a folder any longer: it is given back by a thread that syncs first.
fn given_back(folder: &Path) {
    let lock = std::fs::File::open(folder.join("lock")).unwrap();
    let (locked, waits) = std::sync::mpsc::channel();
    // Whoever waits for a lock cannot be given up, and is left to the end of the process.
    std::thread::spawn(move || {
        let held = lock.lock();
        drop(lock);
        locked.send(held)
    });
    waits.recv_timeout(PATIENCE).expect("the folder is given back").unwrap();
}

fn action(records: &[Arc<Record>], action: &str) -> Vec<serde_json::Value> {
    let found = records.iter().filter(|record| record.action == action);
    found.map(|record| serde_json::from_str(record.metadata.as_str()).unwrap()).collect()
}

#[tokio::test]
async fn what_is_recorded_goes_through_the_folder_and_is_stored_once_in_order() {
    let (folder, store) = (folder(), MemoryStore::new());
    let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
    for n in 0..100 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    flushed(&pipeline).await;
    assert_eq!(numbers(&store.all()), (0..100).collect::<Vec<_>>());
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.spooled, tally.queued), (100, 100, 0, 0));
    assert_eq!((tally.own, tally.drained), (1, 0));
    let report = pipeline.shutdown(SOON).await;
    assert_eq!(report.to_string(), "stored 100 · spooled 0 · dropped 0 · gaps 0");
    let records = store.all();
    let seqs: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=102).collect::<Vec<_>>());
    let last = records.last().unwrap();
    assert_eq!((records[0].action.as_str(), last.action.as_str()), ("started", "stopped"));
    assert_eq!(last.metadata.as_str(), "{\"last_seq\":102}");
    assert!(records.iter().all(|record| record.recorded_at >= record.occurred_at));
    let after = pipeline.recorder().record(numbered(7));
    assert_eq!(after, Admission::Dropped(DropReason::Closed));
    assert!(adds_up(&pipeline.shutdown(SOON).await));
}

#[tokio::test]
async fn errors_of_every_class_are_waited_out_and_nothing_is_lost_or_doubled() {
    for steps in [
        vec![Step::Fail(TRANSIENT), Step::NoConnection(TRANSIENT), Step::NoPosition(TRANSIENT)],
        vec![Step::CommitThenFail(TRANSIENT), Step::CommitThenFail(StoreErrorKind::StalePrimary)],
        vec![Step::Pass, Step::CommitThenPanic, Step::Panic, Step::CommitThenFail(TRANSIENT)],
        vec![Step::Fail(StoreErrorKind::Configuration), Step::CommitThenFail(TRANSIENT)],
    ] {
        let (folder, store) = (folder(), Scripted::new(steps.clone()));
        let pipeline = spooled(store.clone(), folder.path()).batch_rows(10).start().await.unwrap();
        for n in 0..100 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        flushed(&pipeline).await;
        assert_eq!(store.steps_left(), 0, "{steps:?}");
        let records = store.memory.all();
        assert_eq!(numbers(&records), (0..100).collect::<Vec<_>>(), "{steps:?}");
        let tally = pipeline.tally();
        assert_eq!((tally.received, tally.stored, tally.spooled), (100, 100, 0), "{steps:?}");
        let report = pipeline.shutdown(SOON).await;
        assert_eq!((report.stored, report.spooled, report.dropped.total()), (100, 0, 0));
    }
}

#[tokio::test]
async fn while_the_store_is_away_everything_waits_on_the_disk_and_nothing_in_memory() {
    let (folder, store) = (folder(), Scripted::gated());
    let pipeline = spooled(store.clone(), folder.path())
        .queue(64)
        .queue_bytes(2 << 20)
        .batch_bytes(1 << 20)
        .batch_rows(500)
        .start()
        .await
        .unwrap();
    let count = 20_000;
    for n in 0..count {
        let long = numbered(n).describe(&"x".repeat(500));
        assert!(pipeline.recorder().record(long).is_accepted(), "five times the queue's bytes");
    }
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.spooled), (count as u64, count as u64));
    assert_eq!((tally.stored, tally.queued, tally.dropped.total()), (0, 0, 0));
    store.open_gate();
    flushed(&pipeline).await;
    assert_eq!(numbers(&store.memory.all()), (0..count).collect::<Vec<_>>());
    let report = pipeline.shutdown(SOON).await;
    assert_eq!(report.to_string(), format!("stored {count} · spooled 0 · dropped 0 · gaps 0"));
}

#[tokio::test]
async fn what_a_shutdown_leaves_in_the_spool_the_next_process_stores_once() {
    let (folder, memory) = (folder(), Scripted::gated());
    let pipeline = spooled(memory.clone(), folder.path()).batch_rows(30).start().await.unwrap();
    for n in 0..100 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    // Some of it is stored already.
    memory.reached().await;
    memory.let_one_through();
    memory.reached_times(2).await;
    let ending = tokio::time::timeout(PATIENCE, pipeline.shutdown(AT_ONCE));
    let report = ending.await.expect("it does not wait for the store");
    assert!(adds_up(&report), "{report:?}");
    assert_eq!(report.stored + report.spooled, 100, "nothing is dropped: {report:?}");
    assert!(report.spooled > 0);
    assert_eq!(pipeline.shutdown(SOON).await, report);
    drop(pipeline);
    given_back(folder.path());

    memory.open_gate();
    let pipeline = spooled(memory.clone(), folder.path()).start().await.unwrap();
    assert!(pipeline.recorder().record(numbered(1_000)).is_accepted());
    flushed(&pipeline).await;
    memory.holds(|store| store.len() == 104).await;
    let mut all = numbers(&memory.memory.all());
    all.sort_unstable();
    assert_eq!(all, (0..100).chain([1_000]).collect::<Vec<_>>());
    let records = memory.memory.all();
    let first = records[0].writer_id;
    let old: Vec<_> = records.iter().filter(|record| record.writer_id == first).collect();
    let seqs: Vec<_> = old.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=102).collect::<Vec<_>>(), "under its old name, to the last word");
    assert_eq!(old.last().unwrap().action, "stopped");
    let report = pipeline.shutdown(SOON).await;
    assert_eq!((report.received, report.stored, report.spooled), (1, 1, 0));
    drop(pipeline);
    given_back(folder.path());

    // A third one finds nothing left to send.
    let count = memory.memory.all().len();
    let pipeline = spooled(memory.clone(), folder.path()).start().await.unwrap();
    flushed(&pipeline).await;
    pipeline.shutdown(SOON).await;
    assert_eq!(memory.memory.all().len(), count + 2, "that it started and stopped");
}

/// A store that can be put back to an earlier state.
#[derive(Clone)]
struct Backup {
    current: Arc<Mutex<MemoryStore>>,
    /// How often it was put back; told of each commit too.
    generation: Arc<watch::Sender<usize>>,
}

struct BackupAppender {
    inner: MemoryAppender,
    made: usize,
    generation: Arc<watch::Sender<usize>>,
}

impl Backup {
    fn new() -> Self {
        let generation = Arc::new(watch::Sender::new(0));
        Self { current: Arc::new(Mutex::new(MemoryStore::new())), generation }
    }

    /// Waits for the commit after which it is so.
    async fn holds(&self, so: impl Fn(&[Arc<Record>]) -> bool) {
        let mut commits = self.generation.subscribe();
        let holds = commits.wait_for(|_| so(&self.all()));
        tokio::time::timeout(PATIENCE, holds).await.expect("all is there again").unwrap();
    }

    fn all(&self) -> Vec<Arc<Record>> {
        self.current.lock().unwrap().all().into_iter().map(Arc::from).collect()
    }

    /// Keeps the first `count` records.
    async fn restore(&self, count: usize) {
        let mut left = count;
        let is_kept = |_: &Record| {
            let is_kept = left > 0;
            left = left.saturating_sub(1);
            is_kept
        };
        self.keep(is_kept).await;
    }

    /// Keeps some of the records.
    async fn keep(&self, mut is_kept: impl FnMut(&Record) -> bool) {
        let old = self.current.lock().unwrap().clone();
        let fresh = MemoryStore::new();
        let mut appender = fresh.connect().await.unwrap();
        for record in old.all().iter().filter(|record| is_kept(record)) {
            let one = [Box::new(Record::clone(record))];
            appender.append(Batch::new(&one).unwrap()).await.unwrap();
        }
        *self.current.lock().unwrap() = fresh;
        self.generation.send_modify(|generation| *generation += 1);
    }
}

impl Append for Backup {
    type Appender = BackupAppender;

    async fn connect(&self) -> Result<BackupAppender, StoreError> {
        let current = self.current.lock().unwrap().clone();
        let made = *self.generation.borrow();
        let generation = Arc::clone(&self.generation);
        Ok(BackupAppender { inner: current.connect().await?, made, generation })
    }
}

impl BackupAppender {
    fn check(&self) -> Result<(), StoreError> {
        if self.made == *self.generation.borrow() {
            return Ok(());
        }
        Err(StoreError::new(TRANSIENT, "the server was started again"))
    }
}

impl Appender for BackupAppender {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        self.check()?;
        self.inner.position(writer_id).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        self.check()?;
        let appended = self.inner.append(batch).await?;
        self.generation.send_modify(|_| {});
        Ok(appended)
    }
}

#[tokio::test]
async fn a_store_that_was_put_back_is_sent_again_what_it_lost_with_the_same_salts() {
    let (folder, store) = (folder(), Backup::new());
    let pipeline = spooled(store.clone(), folder.path()).batch_rows(10).start().await.unwrap();
    for n in 0..100 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    flushed(&pipeline).await;
    let before = store.all();
    assert_eq!(before.len(), 101);
    store.restore(41).await;
    assert!(pipeline.recorder().record(numbered(100)).is_accepted());
    flushed(&pipeline).await;
    // What was lost is there again, and then it is told of.
    let sent_again = |records: &[Arc<Record>]| {
        numbers(records.iter().map(|record| &**record)).len() == 101
            && !action(records, "restored").is_empty()
    };
    store.holds(sent_again).await;
    let after = store.all();
    assert_eq!(
        numbers(after.iter().map(|record| &**record)),
        (0..=100).collect::<Vec<_>>(),
        "in order, each of them once"
    );
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(one, other, "the same record, to the salts");
    }
    let restored = action(&after, "restored");
    assert_eq!(restored.len(), 1);
    assert_eq!((&restored[0]["found_seq"], &restored[0]["count"]), (&41.into(), &60.into()));
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.spooled), (101, 101, 0), "counted once");
    assert!(adds_up(&pipeline.shutdown(SOON).await));
}

/// Nobody was there to see it go back: the folder says how far it was.
#[tokio::test]
async fn a_store_that_was_put_back_while_the_process_was_down_is_found_out() {
    let (folder, store) = (folder(), Backup::new());
    let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
    for n in 0..20 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    flushed(&pipeline).await;
    assert_eq!(pipeline.shutdown(SOON).await.stored, 20);
    drop(pipeline);
    given_back(folder.path());
    let before = store.all();
    store.restore(5).await;
    let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
    let is_again = |all: &[Arc<Record>]| {
        numbers(all.iter().map(|record| &**record)).len() == 20
            && !action(all, "restored").is_empty()
    };
    store.holds(is_again).await;
    let old = before[0].writer_id;
    let mut after = store.all();
    after.retain(|record| record.writer_id == old);
    assert_eq!(after, before, "the same records, to the salts");
    let restored = action(&store.all(), "restored");
    assert_eq!(restored.len(), 1, "{restored:?}");
    assert_eq!(restored[0]["writer_id"], old.to_string());
    assert_eq!((&restored[0]["found_seq"], &restored[0]["count"]), (&5.into(), &17.into()));
    assert!(adds_up(&pipeline.shutdown(SOON).await));
    drop(pipeline);
    given_back(folder.path());
    // It is told of once.
    let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
    flushed(&pipeline).await;
    pipeline.shutdown(SOON).await;
    assert_eq!(action(&store.all(), "restored").len(), 1);
}

/// The stream of this process lost nothing; that of the one before did, and was stored to its end long ago.
#[tokio::test]
async fn a_store_that_was_put_back_is_sent_again_what_it_lost_of_earlier_processes() {
    let (folder, away, store) = (folder(), Scripted::gated(), Backup::new());
    let pipeline = spooled(away.clone(), folder.path()).start().await.unwrap();
    for n in 0..20 {
        assert!(pipeline.recorder().record(numbered(n)).is_accepted());
    }
    assert_eq!(pipeline.shutdown(AT_ONCE).await.spooled, 20);
    drop(pipeline);
    given_back(folder.path());
    let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
    let stream = |number: &str| {
        let all = store.all();
        let found = all.iter().find(|record| record.entity_id == number);
        found.map(|record| record.writer_id)
    };
    // With what the new one says first.
    store.holds(|all| all.len() == 23).await;
    flushed(&pipeline).await;
    let (before, old) = (store.all(), stream("7").unwrap());
    store.keep(|record| record.writer_id != old || record.seq <= 5).await;
    assert!(pipeline.recorder().record(numbered(100)).is_accepted());
    let of_old = || store.all().into_iter().filter(|r| r.writer_id == old).collect::<Vec<_>>();
    store.holds(|all| all.iter().filter(|record| record.writer_id == old).count() == 22).await;
    let mut was = before;
    was.retain(|record| record.writer_id == old);
    assert_eq!(of_old(), was, "the same records, to the salts");
    flushed(&pipeline).await;
    store.holds(|all| !action(all, "restored").is_empty()).await;
    let restored = action(&store.all(), "restored");
    assert_eq!(restored.len(), 1, "{restored:?}");
    assert_eq!(restored[0]["writer_id"], old.to_string());
    assert_eq!((&restored[0]["found_seq"], &restored[0]["count"]), (&5.into(), &17.into()));
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.drained), (1, 1, 22), "counted once");
    assert!(adds_up(&pipeline.shutdown(SOON).await));
}

/// Two processes with copies of one folder: whoever is slower finds that the store has it all.
#[tokio::test]
async fn what_somebody_else_has_sent_counts_as_a_duplicate_and_is_not_sent_again() {
    what_a_copy_has_sent_is_not_sent_again(numbered).await;
}

/// Each of the two cuts its batches elsewhere, and puts each in the order of its leaves.
#[tokio::test]
async fn what_somebody_else_has_sent_of_several_leaves_is_not_sent_again() {
    let of_two_leaves = |n: usize| if n.is_multiple_of(3) { login(n) } else { numbered(n) };
    what_a_copy_has_sent_is_not_sent_again(of_two_leaves).await;
}

async fn what_a_copy_has_sent_is_not_sent_again(made: impl Fn(usize) -> Record) {
    let (folder, store) = (folder(), Scripted::gated());
    let pipeline = spooled(store.clone(), folder.path()).batch_rows(10).start().await.unwrap();
    for n in 0..100 {
        assert!(pipeline.recorder().record(made(n)).is_accepted());
    }
    store.reached().await;
    // Up to a number in the middle of a batch.
    let names = std::fs::read_dir(folder.path()).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let stream = names.find_map(|name| i64::from_str_radix(&name, 16).ok()).unwrap();
    let copies: Vec<_> = (1..=45_usize)
        .map(|seq| {
            // The first says that the process started.
            let mut copy =
                if seq == 1 { Record::by("ana").created("start", "x") } else { made(seq - 2) };
            copy.id = RecordId::from_bytes([u8::try_from(seq).unwrap(); 16]);
            (copy.writer_id, copy.seq) = (WriterId::new(stream), seq as i64);
            copy.retention_class.set(copy.category.as_str());
            copy.seal([[7; 16]; 4]);
            Box::new(copy)
        })
        .collect();
    let mut other = store.memory.connect().await.unwrap();
    other.append(Batch::new(&copies).unwrap()).await.unwrap();
    store.open_gate();
    flushed(&pipeline).await;
    let tally = pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.spooled), (100, 100, 0), "{tally:?}");
    assert_eq!(tally.duplicates, 45);
    let mut stored = numbers(&store.memory.all());
    stored.sort_unstable();
    assert_eq!(stored, (0..100).collect::<Vec<_>>(), "each of them once");
    assert!(adds_up(&pipeline.shutdown(SOON).await));
}

#[tokio::test]
async fn whoever_waits_for_room_in_the_spool_is_refused_when_the_door_is_closed() {
    let (folder, store) = (folder(), Scripted::gated());
    let waits = Overflow::Block(Duration::from_secs(86_400));
    let builder = spooled(store.clone(), folder.path()).spool_cap(8 << 20).overflow(waits);
    let pipeline = builder.start().await.unwrap();
    let recorder = pipeline.recorder();
    let large = |n| numbered(n).describe(&"x".repeat(2_040)).metadata(&["y".repeat(3_000)]);
    while recorder.record(large(1)).is_accepted() {}
    let waiting = recorder.record_wait(large(2));
    let both = async { tokio::join!(biased; waiting, pipeline.shutdown(AT_ONCE)) };
    let (waited, report) = tokio::time::timeout(PATIENCE, both).await.expect("nobody waits on");
    assert_eq!(waited, Admission::Dropped(DropReason::Closed));
    assert!(adds_up(&report), "{report:?}");
    assert_eq!(report.dropped.of(DropReason::Closed), 1);
}

#[tokio::test]
async fn a_full_spool_sheds_general_records_first_and_tells_how_many() {
    let (folder, store) = (folder(), Scripted::gated());
    let cap = 8 << 20;
    let pipeline = spooled(store.clone(), folder.path()).spool_cap(cap).start().await.unwrap();
    let recorder = pipeline.recorder();
    let large = |n| numbered(n).describe(&"x".repeat(2_040)).metadata(&["y".repeat(3_000)]);
    let (mut accepted, mut shed) = (Vec::new(), 0);
    for n in 0..3_000 {
        match recorder.record(large(n)) {
            Admission::Accepted(_) => accepted.push(n),
            other => {
                assert_eq!(other, Admission::Dropped(DropReason::SpoolFull));
                shed += 1;
            }
        }
    }
    assert!(shed > 0 && !accepted.is_empty());
    // An eighth is the security lane's.
    for n in 5_000..5_050 {
        assert!(recorder.record(login(n)).is_accepted(), "under a flood of the other lane");
        accepted.push(n);
    }
    assert!(recorder.record(large(1)).is_accepted() || pipeline.tally().dropped.total() > shed);
    let shed = pipeline.tally().dropped.of(DropReason::SpoolFull);
    assert_eq!(pipeline.tally().queued, 0, "what was accepted is in the folder");
    store.open_gate();
    flushed(&pipeline).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.spooled), (accepted.len() as u64, 0));
    let mut stored = numbers(&store.memory.all());
    stored.sort_unstable();
    assert_eq!(stored, accepted);
    let report = pipeline.shutdown(SOON).await;
    assert!(adds_up(&report), "{report:?}");
    let records: Vec<Arc<Record>> = store.memory.all().into_iter().map(Arc::from).collect();
    let gaps = action(&records, "gap");
    let told: u64 = gaps.iter().map(|gap| gap["count"].as_u64().unwrap()).sum();
    assert_eq!((told, report.gaps), (shed, gaps.len() as u64));
    assert!(gaps.iter().all(|gap| gap["reason"] == "spool_full"));
}

#[tokio::test]
async fn a_record_that_the_store_cannot_take_is_stood_for_by_a_stub() {
    let (folder, store) = (folder(), Scripted::refusing(|record| record.entity_id == "37"));
    let pipeline = spooled(store.clone(), folder.path()).batch_rows(20).start().await.unwrap();
    for n in 0..60 {
        // Of two leaves, in turns: their order in an append is not that of the frames.
        let record = if n % 2 == 0 { numbered(n) } else { login(n) };
        assert!(pipeline.recorder().record(record).is_accepted());
    }
    flushed(&pipeline).await;
    let tally = pipeline.tally();
    assert_eq!((tally.stored, tally.quarantined, tally.spooled), (60, 1, 0));
    let records = store.memory.all();
    let mut stored = numbers(&records);
    stored.sort_unstable();
    assert_eq!(stored, (0..60).filter(|n| *n != 37).collect::<Vec<_>>());
    let seqs: Vec<_> = records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=61).collect::<Vec<_>>());
    pipeline.shutdown(SOON).await;
}

#[tokio::test]
async fn records_of_one_leaf_stand_together_in_a_commit() {
    let (folder, store) = (folder(), MemoryStore::new());
    let gated = Scripted::gated();
    let pipeline = spooled(gated.clone(), folder.path()).start().await.unwrap();
    gated.reached().await;
    for n in 0..200 {
        let record = if n % 2 == 0 { numbered(n) } else { login(n) };
        assert!(pipeline.recorder().record(record).is_accepted());
    }
    gated.open_gate();
    flushed(&pipeline).await;
    let records = gated.memory.all();
    let changes = records.windows(2).filter(|pair| pair[0].category != pair[1].category).count();
    assert!(changes <= 4, "{changes} changes of leaf");
    assert_eq!(records.iter().filter(|r| r.category == Category::Authentication).count(), 100);
    pipeline.shutdown(SOON).await;
    drop(store);
}

#[test]
fn on_a_current_thread_runtime_twice_and_from_drop_nothing_deadlocks_or_is_lost() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (folder, store) = (folder(), Scripted::new([]));
    runtime.block_on(async {
        let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
        for n in 0..10 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        let (first, at_once) = tokio::join!(pipeline.shutdown(SOON), pipeline.shutdown(SOON));
        assert_eq!(first.to_string(), "stored 10 · spooled 0 · dropped 0 · gaps 0");
        assert_eq!((first, first), (at_once, pipeline.shutdown(SOON).await));
    });
    given_back(folder.path());
    // Dropped without a shutdown, and its runtime with it.
    let left = runtime.block_on(async {
        let pipeline = spooled(Scripted::gated(), folder.path()).start().await.unwrap();
        for n in 10..20 {
            assert!(pipeline.recorder().record(numbered(n)).is_accepted());
        }
        pipeline
    });
    drop(runtime);
    let tally = left.tally();
    assert_eq!((tally.spooled, tally.dropped.total()), (10, 0), "{tally:?}");
    let after = left.recorder().record(numbered(99));
    assert_eq!(after, Admission::Dropped(DropReason::Closed));
    drop(left);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        given_back(folder.path());
        let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
        store.holds(|store| numbers(&store.all()).len() == 20).await;
        pipeline.shutdown(SOON).await;
    });
    let mut all = numbers(&store.memory.all());
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn under_load_the_report_adds_up_at_every_moment() {
    let (folder, store) = (folder(), MemoryStore::new());
    let pipeline = spooled(store.clone(), folder.path()).start().await.unwrap();
    let recorder = pipeline.recorder();
    let accepted = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let recorder = recorder.clone();
                scope.spawn(move || {
                    (0..2_000)
                        .filter(|n| recorder.record(numbered(thread * 10_000 + n)).is_accepted())
                        .count()
                })
            })
            .collect();
        for _ in 0..1_000 {
            let tally = pipeline.tally();
            let sum = tally.stored + tally.spooled + tally.queued + tally.dropped.total();
            assert_eq!(tally.received, sum, "{tally:?}");
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    });
    // Thousands are hashed without optimisation.
    let report = pipeline.shutdown(PATIENCE).await;
    assert!(adds_up(&report), "{report:?}");
    assert_eq!((report.stored, report.spooled), (accepted as u64, 0));
    assert_eq!(numbers(&store.all()).len(), accepted);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_told_at_the_start_by_name() {
    let folder = folder();
    let missing = folder.path().join("not").join("there");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    for path in [&missing, &file, &open] {
        let error = quick(MemoryStore::new()).spool(path).start().await.unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let path = folder.path().join("fine");
    let first = quick(MemoryStore::new()).spool(&path).start().await.unwrap();
    let error = quick(MemoryStore::new()).spool(&path).start().await.unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    first.shutdown(SOON).await;
    drop(first);
    given_back(&path);
    let again = quick(MemoryStore::new()).spool(&path).start().await.unwrap();
    again.shutdown(SOON).await;
}

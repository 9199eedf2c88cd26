//! A store in memory that does what a script says, and watches that the writer keeps the rules.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, watch};
use tower_activity::{
    record::{Record, RecordId, WriterId},
    store::{
        AnyStore, Append, Appended, Appender, Batch, MemoryAppender, MemoryStore, StoreError,
        StoreErrorKind,
    },
    time::Timestamp,
};

/// Far longer than anything here takes on a busy machine: only a defect meets it.
const LONG: Duration = Duration::from_secs(120);

/// What the next call does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Appends as it should.
    Pass,
    /// Refuses to connect.
    NoConnection(StoreErrorKind),
    /// Fails without an effect.
    Fail(StoreErrorKind),
    /// Commits, and says that it failed.
    CommitThenFail(StoreErrorKind),
    /// Commits, and never answers.
    CommitThenHang,
    /// Does nothing, and never answers.
    Hang,
    /// Panics, without an effect.
    Panic,
    /// Commits, and panics.
    CommitThenPanic,
    /// Connects, and cannot be asked for the position.
    NoPosition(StoreErrorKind),
}

type Bad = Box<dyn Fn(&Record) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) memory: MemoryStore,
    shared: Arc<Shared>,
}

struct Shared {
    steps: Mutex<VecDeque<Step>>,
    bad: Mutex<Option<Bad>>,
    /// Streams that this store knew once.
    forgotten: Mutex<Vec<WriterId>>,
    /// A permit for each append that may go ahead; closed when all may.
    gate: Semaphore,
    gated: AtomicBool,
    connects: AtomicUsize,
    appends: AtomicUsize,
    /// Appends that wait at the gate.
    at_gate: watch::Sender<usize>,
    /// Told of each append that was committed.
    committed: watch::Sender<()>,
}

impl Scripted {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let shared = Shared {
            steps: Mutex::new(steps.into_iter().collect()),
            bad: Mutex::new(None),
            forgotten: Mutex::default(),
            gate: Semaphore::new(0),
            gated: AtomicBool::new(false),
            connects: AtomicUsize::new(0),
            appends: AtomicUsize::new(0),
            at_gate: watch::Sender::new(0),
            committed: watch::Sender::new(()),
        };
        Self { memory: MemoryStore::new(), shared: Arc::new(shared) }
    }

    /// A store whose appends wait until they are let through.
    pub(crate) fn gated() -> Self {
        let store = Self::new([]);
        store.shared.gated.store(true, Ordering::SeqCst);
        store
    }

    pub(crate) fn refusing(bad: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Self {
        let store = Self::new([]);
        *store.shared.bad.lock().unwrap() = Some(Box::new(bad));
        store
    }

    pub(crate) fn open_gate(&self) {
        self.shared.gated.store(false, Ordering::SeqCst);
        self.shared.gate.add_permits(1_000);
    }

    /// Lets one append go ahead.
    pub(crate) fn let_one_through(&self) {
        self.shared.gate.add_permits(1);
    }

    /// Says what the next calls do.
    pub(crate) fn go_on_with(&self, steps: impl IntoIterator<Item = Step>) {
        self.shared.steps.lock().unwrap().extend(steps);
    }

    /// Forgets every stream, as a restored backup would.
    pub(crate) fn go_back(&self) {
        let known = self.memory.all().iter().map(|record| record.writer_id).collect();
        *self.shared.forgotten.lock().unwrap() = known;
    }

    fn has_forgotten(&self, writer_id: WriterId) -> bool {
        self.shared.forgotten.lock().unwrap().contains(&writer_id)
    }

    /// Returns when an append waits at the gate.
    pub(crate) async fn reached(&self) {
        self.reached_times(1).await;
    }

    /// Returns how many appends have come to the gate.
    pub(crate) fn gate_reached(&self) -> usize {
        *self.shared.at_gate.borrow()
    }

    /// Returns when so many appends have come to the gate.
    pub(crate) async fn reached_times(&self, times: usize) {
        let mut at_gate = self.shared.at_gate.subscribe();
        let reached = at_gate.wait_for(|count| *count >= times);
        tokio::time::timeout(LONG, reached).await.expect("nothing came to the gate").unwrap();
    }

    /// Waits for the commit after which it is so.
    pub(crate) async fn holds(&self, so: impl Fn(&MemoryStore) -> bool) {
        let mut committed = self.shared.committed.subscribe();
        let holds = committed.wait_for(|()| so(&self.memory));
        tokio::time::timeout(LONG, holds).await.expect("it never came about").unwrap();
    }

    pub(crate) fn connects(&self) -> usize {
        self.shared.connects.load(Ordering::SeqCst)
    }

    pub(crate) fn appends(&self) -> usize {
        self.shared.appends.load(Ordering::SeqCst)
    }

    pub(crate) fn steps_left(&self) -> usize {
        self.shared.steps.lock().unwrap().len()
    }

    fn step(&self, is_mine: impl Fn(&Step) -> bool) -> Option<Step> {
        let mut steps = self.shared.steps.lock().unwrap();
        steps.front().is_some_and(is_mine).then(|| steps.pop_front()).flatten()
    }
}

pub(crate) struct ScriptedAppender {
    store: Scripted,
    inner: MemoryAppender,
    broken: bool,
}

fn failed<T>(kind: StoreErrorKind) -> Result<T, StoreError> {
    Err(StoreError::new(kind, "follow the script"))
}

impl Append for Scripted {
    type Appender = ScriptedAppender;

    async fn connect(&self) -> Result<ScriptedAppender, StoreError> {
        self.shared.connects.fetch_add(1, Ordering::SeqCst);
        if let Some(Step::NoConnection(kind)) = self.step(|s| matches!(s, Step::NoConnection(_))) {
            return failed(kind);
        }
        let inner = self.memory.connect().await?;
        Ok(ScriptedAppender { store: self.clone(), inner, broken: false })
    }
}

impl Appender for ScriptedAppender {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        assert!(!self.broken, "a connection was used again after an error");
        if let Some(Step::NoPosition(kind)) = self.store.step(|s| matches!(s, Step::NoPosition(_)))
        {
            self.broken = true;
            return failed(kind);
        }
        if self.store.has_forgotten(writer_id) {
            return Ok(0);
        }
        self.inner.position(writer_id).await
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        assert!(!self.broken, "a connection was used again after an error");
        // Until the answer: a call that is given up leaves the connection broken.
        self.broken = true;
        let shared = Arc::clone(&self.store.shared);
        shared.appends.fetch_add(1, Ordering::SeqCst);
        if shared.gated.load(Ordering::SeqCst) {
            shared.at_gate.send_modify(|count| *count += 1);
            shared.gate.acquire().await.unwrap().forget();
        }
        if self.store.has_forgotten(batch.writer_id()) {
            return failed(StoreErrorKind::Position { last_seq: 0 });
        }
        let mine = |s: &Step| {
            matches!(
                s,
                Step::Pass
                    | Step::Fail(_)
                    | Step::CommitThenFail(_)
                    | Step::CommitThenHang
                    | Step::Hang
                    | Step::Panic
                    | Step::CommitThenPanic
            )
        };
        match self.store.step(mine) {
            Some(Step::Fail(kind)) => return failed(kind),
            Some(Step::CommitThenFail(kind)) => {
                self.commit(batch).await?;
                return failed(kind);
            }
            Some(Step::CommitThenHang) => {
                self.commit(batch).await?;
                std::future::pending::<()>().await;
            }
            Some(Step::Panic) => panic!("a panic of the script"),
            Some(Step::CommitThenPanic) => {
                self.commit(batch).await?;
                panic!("a panic of the script");
            }
            Some(Step::Hang) => std::future::pending::<()>().await,
            _ => {}
        }
        if let Some(bad) = &*shared.bad.lock().unwrap()
            && batch.records().iter().any(|record| bad(record))
        {
            return failed(StoreErrorKind::Data);
        }
        let appended = self.commit(batch).await?;
        self.broken = false;
        Ok(appended)
    }
}

impl ScriptedAppender {
    async fn commit(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let appended = self.inner.append(batch).await?;
        self.store.shared.committed.send_replace(());
        Ok(appended)
    }
}

/// One that can be read as well: its memory, whatever the script does to appends.
#[derive(Clone)]
pub(crate) struct Readable(pub(crate) Scripted);

impl Append for Readable {
    type Appender = ScriptedAppender;

    async fn connect(&self) -> Result<ScriptedAppender, StoreError> {
        self.0.connect().await
    }

    fn reader(&self) -> Option<AnyStore> {
        Some(AnyStore::new(self.0.memory.clone()))
    }
}

/// The stream of the old records.
const OLD: i64 = 7;

/// Puts a record of long ago into a store, by hand: the next of their stream.
pub(crate) async fn put_old(
    memory: &MemoryStore,
    seq: i64,
    class: &str,
    change: impl Fn(&mut Record),
) {
    let mut record = Box::new(Record::default());
    record.occurred_at = "2020-01-10T12:00:00Z".parse::<Timestamp>().unwrap();
    record.id = RecordId::new(record.occurred_at, [u8::try_from(seq).unwrap(); 10]);
    (record.writer_id, record.seq) = (WriterId::new(OLD), seq);
    record.retention_class.set(class);
    change(&mut record);
    let batch = [record];
    let mut by_hand = memory.connect().await.unwrap();
    by_hand.append(Batch::new(&batch).unwrap()).await.unwrap();
}

/// Tells whether any of them is there.
pub(crate) fn has_old(memory: &MemoryStore) -> bool {
    memory.all().iter().any(|record| record.writer_id.get() == OLD)
}

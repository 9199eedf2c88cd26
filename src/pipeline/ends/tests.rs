//! Processes that die one after the other while they tell of the same end.

use super::{
    telling::{key, succession},
    *,
};
use crate::{
    pipeline::{Pipeline, own, process},
    query::Filter,
    store::{
        Append as _, Appender as _, Batch, Claim, Claimed, IngestKey, MemoryStore, Register as _,
    },
    time::Timestamp,
};

const LOST: i64 = 11;
const CLAIMANT: i64 = 12;

/// Returns processes that have ended, of which no two are the same.
fn dead(count: usize) -> Vec<Process> {
    let this = Process::this().expect("/proc tells");
    let mut children: Vec<_> = (0..count)
        .map(|_| std::process::Command::new("sleep").arg("600").spawn().unwrap())
        .collect();
    let processes = children
        .iter()
        .map(|child| {
            let process::Seen::Since(started) = process::look(child.id()) else {
                panic!("it runs")
            };
            this.with(child.id(), started)
        })
        .collect();
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    processes
}

/// The ids of one millisecond.
fn id(last: u8) -> RecordId {
    let mut id = [0; 16];
    (id[0], id[1], id[6], id[8], id[15]) = (1, 0x9f, 0x70, 0x80, last);
    RecordId::from_bytes(id)
}

async fn put(store: &MemoryStore, mut record: Box<Record>, stream: i64, seq: i64) {
    (record.writer_id, record.seq) = (WriterId::new(stream), seq);
    record.service.set("shop");
    if record.id == RecordId::default() {
        record.id = id(u8::try_from(10 * stream + seq).unwrap());
    }
    record.occurred_at = record.id.at();
    record.seal([[7; 16]; 4]);
    let mut appender = store.connect().await.unwrap();
    appender.append(Batch::new(&[record]).unwrap()).await.unwrap();
}

async fn put_start(store: &MemoryStore, stream: i64, process: &Process, mode: &str) {
    let mut started = own::started("");
    started.metadata = crate::record::Json::from_stored(
        serde_json::json!({ "mode": mode, "process": process.facts() }).to_string(),
    );
    put(store, started, stream, 1).await;
}

async fn start(store: &MemoryStore) -> Pipeline {
    let builder = Pipeline::builder(store.clone()).service("shop");
    builder.batch_age(Duration::from_millis(1)).start().await.unwrap()
}

fn report(store: &MemoryStore, stream: i64) -> impl Future<Output = StreamReport> {
    let store = store.clone();
    async move {
        let wanted = CompletenessRequest::of([WriterId::new(stream)]);
        store.completeness(&wanted).await.unwrap().streams.remove(0)
    }
}

/// Claims as that process would have, and returns the id that its record has.
async fn claims(store: &MemoryStore, key: IngestKey, process: &Process, last: u8) -> RecordId {
    let record_id = id(last);
    let at = Timestamp::from_micros(i64::MAX / 2);
    let claim = Claim {
        key,
        fingerprint: process.digest(),
        record_id,
        at,
        expired_before: Timestamp::from_micros(0),
    };
    let claimed = store.claim(&[claim]).await.unwrap();
    assert_eq!(claimed, [Claimed::Yours { record_id, taken_over: false }]);
    record_id
}

async fn gaps(store: &MemoryStore) -> usize {
    let filter = Filter::new().any_of("action", ["gap"]).unwrap();
    store.records(&filter, &PageRequest::newest(100)).await.unwrap().records.len()
}

/// Lets a pipeline look, and returns which streams are told of once it has ended.
async fn told(store: &MemoryStore, expected: usize) -> Vec<i64> {
    let pipeline = start(store).await;
    let mut committed = pipeline.recorder().core.committed.subscribe();
    let all = async {
        while gaps(store).await < expected {
            committed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("all are told of");
    pipeline.shutdown(Duration::from_secs(60)).await;
    assert_eq!(gaps(store).await, expected, "each once");
    let found = store.completeness(&CompletenessRequest::newest(100)).await.unwrap();
    let unclean = found.streams.iter().filter(|s| matches!(s.end, StreamEnd::Unclean { .. }));
    let mut unclean: Vec<_> = unclean.map(|stream| stream.writer_id.get()).collect();
    unclean.sort_unstable();
    unclean
}

#[tokio::test]
async fn whoever_died_before_it_told_is_followed_by_the_next() {
    let store = MemoryStore::new();
    let [lost, first, second] = &dead(3)[..] else { unreachable!() };
    put_start(&store, LOST, lost, "best_effort").await;
    put_start(&store, CLAIMANT, first, "best_effort").await;
    put_start(&store, CLAIMANT + 1, second, "best_effort").await;
    let claim = key(&report(&store, LOST).await);
    claims(&store, claim, first, 1).await;
    claims(&store, succession(claim, first.digest()), second, 2).await;
    assert_eq!(told(&store, 3).await, [LOST, CLAIMANT, CLAIMANT + 1]);
}

#[tokio::test]
async fn what_a_claimant_told_before_it_died_is_not_told_again() {
    let store = MemoryStore::new();
    let [lost, claimant] = &dead(2)[..] else { unreachable!() };
    put_start(&store, LOST, lost, "best_effort").await;
    put_start(&store, CLAIMANT, claimant, "best_effort").await;
    // Between the look at the streams and the claim: to whoever looks now the stream has no end yet.
    let before = report(&store, LOST).await;
    let record_id = claims(&store, key(&before), claimant, 1).await;
    let mut gap = own::unclean_end(&before, before.last_at);
    gap.id = record_id;
    put(&store, gap, CLAIMANT, 2).await;
    let (pipeline, mut search) = search(&store).await;
    let starts = search.starts().await.unwrap();
    assert_eq!(search.tell_of(&before, &starts).await.unwrap(), Told::All);
    pipeline.shutdown(Duration::from_secs(60)).await;
    let of_lost = |record: &&Record| record.metadata.as_str().contains("\"writer_id\":\"11\"");
    assert_eq!(store.all().iter().filter(of_lost).count(), 1);
}

#[tokio::test]
async fn a_claim_is_left_to_whoever_may_still_tell() {
    let this = Process::this().unwrap();
    for (mode, runs) in [("best_effort", true), ("durable", false)] {
        let store = MemoryStore::new();
        let [lost, gone] = &dead(2)[..] else { unreachable!() };
        // What runs, or has a spool that somebody will send.
        let claimant = if runs { &this } else { gone };
        put_start(&store, LOST, lost, "best_effort").await;
        put_start(&store, CLAIMANT, claimant, mode).await;
        let stream = report(&store, LOST).await;
        claims(&store, key(&stream), claimant, 1).await;
        let (pipeline, mut search) = search(&store).await;
        assert_eq!(search.tell().await.unwrap(), Told::ByOthers, "{mode}");
        if !runs {
            // Now it is sent: what it told would be there.
            put(&store, own::recovered(2, stream.last_at), CLAIMANT, 2).await;
            assert!(
                search.is_over(claimant.digest(), &search.starts().await.unwrap()).await.unwrap()
            );
        }
        pipeline.shutdown(Duration::from_secs(60)).await;
        assert_eq!(gaps(&store).await, 0, "{mode}");
    }
}

/// A pipeline, and a search beside its own.
async fn search(store: &MemoryStore) -> (Pipeline, Search) {
    let pipeline = start(store).await;
    let search = search_of(&pipeline, pipeline.store().unwrap().clone());
    (pipeline, search)
}

fn search_of(pipeline: &Pipeline, store: AnyStore) -> Search {
    let core = Arc::clone(&pipeline.recorder().core);
    Search {
        committed: core.committed.subscribe(),
        core: Arc::downgrade(&core),
        store,
        this: Process::this().unwrap(),
        claimed: Vec::new(),
        held: Vec::new(),
        given: Vec::new(),
    }
}

/// Takes records, and cannot be asked for any: its pipeline looks for no ends.
struct Unread(MemoryStore);

impl crate::store::Append for Unread {
    type Appender = <MemoryStore as crate::store::Append>::Appender;

    async fn connect(&self) -> Result<Self::Appender, StoreError> {
        self.0.connect().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_pipeline_claimed_before_it_ended_another_one_of_its_process_tells_of() {
    let store = MemoryStore::new();
    let [lost] = &dead(1)[..] else { unreachable!() };
    put_start(&store, LOST, lost, "best_effort").await;
    let first = Pipeline::builder(Unread(store.clone())).service("shop").start().await.unwrap();
    let mut search = search_of(&first, AnyStore::new(store.clone()));
    let (starts, stream) = (search.starts().await.unwrap(), report(&store, LOST).await);
    first.shutdown(Duration::from_secs(60)).await;
    assert_eq!(search.tell_of(&stream, &starts).await.unwrap(), Told::Ended);
    let second = start(&store).await;
    let mut committed = second.recorder().core.committed.subscribe();
    let told = async {
        // Others have looked by then, and leave it to the first: its process runs.
        sleep(Duration::from_secs(5)).await;
        assert_eq!(gaps(&store).await, 0);
        search.run_until(watch::channel(true).1).await;
        while gaps(&store).await == 0 {
            committed.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("it is told of");
    second.shutdown(Duration::from_secs(60)).await;
    assert_eq!(gaps(&store).await, 1);
    assert!(matches!(report(&store, LOST).await.end, StreamEnd::Unclean { .. }));
}

#[tokio::test]
async fn a_claim_is_given_up_unless_its_record_is_there_or_may_still_come() {
    let store = MemoryStore::new();
    let this = Process::this().unwrap();
    let (pipeline, mut search) = search(&store).await;
    let at = Timestamp::from_micros(i64::MAX / 2);
    let keys = [[1; 32], [2; 32], [3; 32]];
    for (key, last) in keys.into_iter().zip(1..) {
        let record_id = claims(&store, key, &this, last).await;
        search.held.push(Holding { key, record_id, at });
    }
    let mut there = own::started("");
    there.id = id(1);
    put(&store, there, CLAIMANT, 1).await;
    search.given.push(id(2));
    search.let_go().await;
    let claim = |key| Claim {
        key,
        fingerprint: this.digest(),
        record_id: id(9),
        at,
        expired_before: Timestamp::from_micros(0),
    };
    let claimed = store.claim(&keys.map(claim)).await.unwrap();
    assert!(
        matches!(
            claimed[..],
            [Claimed::Done { .. }, Claimed::Busy { .. }, Claimed::Yours { taken_over: false, .. }]
        ),
        "{claimed:?}"
    );
    pipeline.shutdown(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn nobody_waits_for_a_record_that_a_pipeline_that_ended_does_not_write() {
    let store = MemoryStore::new();
    let pipeline = start(&store).await;
    let core = Arc::clone(&pipeline.recorder().core);
    let (mut before, asked) = (core.committed.subscribe(), pipeline.store().unwrap().clone());
    pipeline.shutdown(Duration::from_secs(60)).await;
    assert!(!core.tell(own::stopped(7)));
    // Who began to wait before the end, and who comes after it.
    let mut after = core.committed.subscribe();
    for committed in [&mut before, &mut after] {
        let waited = stored(committed, async || Ok(asked.record(id(1)).await?.is_some()));
        let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
        assert!(!waited.expect("nobody waits for ever").unwrap());
    }
}

#[tokio::test]
async fn a_commit_during_the_look_for_a_record_is_not_missed() {
    let (commits, mut committed) = watch::channel(false);
    let looks = std::cell::Cell::new(0);
    // What came too late for the first look, and is the last that comes.
    let late = async || {
        looks.set(looks.get() + 1);
        if looks.get() == 1 {
            commits.send_modify(|_has_ended| ());
        }
        Ok(looks.get() > 1)
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), stored(&mut committed, late)).await;
    assert!(waited.expect("it looks again").unwrap());
}

/// Random ones, and how many were drawn.
#[derive(Default)]
struct Drawn(std::sync::atomic::AtomicUsize);

impl crate::time::IdSource for Drawn {
    fn id(&self, at: Timestamp) -> [u8; 16] {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        crate::time::RandomIds.id(at)
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_are_about_to_tell_is_looked_at_soon_and_then_ever_more_seldom() {
    let store = MemoryStore::new();
    let [lost] = &dead(1)[..] else { unreachable!() };
    put_start(&store, LOST, lost, "best_effort").await;
    // It runs, and does not tell.
    let this = Process::this().unwrap();
    put_start(&store, CLAIMANT, &this, "best_effort").await;
    claims(&store, key(&report(&store, LOST).await), &this, 1).await;
    let drawn = Arc::new(Drawn::default());
    let builder = Pipeline::builder(store.clone()).service("shop").ids(Arc::clone(&drawn));
    let pipeline = builder.start().await.unwrap();
    let looks = || drawn.0.load(std::sync::atomic::Ordering::SeqCst);
    // Each look draws an id, for a claim that it is not given.
    sleep(Duration::from_secs(5)).await;
    let soon = looks();
    sleep(Duration::from_secs(60 * 60)).await;
    let later = looks() - soon;
    // After 1 and 3 seconds; from 7 to 1023 in doubled steps, and then every ten minutes.
    assert!(soon >= 3 && (8..=16).contains(&later), "{soon}, {later}");
    sleep(Duration::from_secs(60 * 60)).await;
    assert!((5..=7).contains(&(looks() - soon - later)), "{}", looks());
    assert_eq!(gaps(&store).await, 0);
    pipeline.shutdown(Duration::from_secs(60)).await;
}

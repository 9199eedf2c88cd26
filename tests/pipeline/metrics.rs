//! What a scraper reads is what the tally says.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use crate::{SOON, login, numbered, quick, scripted::Scripted};

/// Keeps the last value of everything, under `name{label=value,…}`.
#[derive(Default)]
struct Read(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Read {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }

    fn counter(&self, name: &str) -> Option<u64> {
        self.0.lock().unwrap().get(name).map(|cell| cell.load(Ordering::SeqCst))
    }

    fn gauge(&self, name: &str) -> Option<f64> {
        self.counter(name).map(f64::from_bits)
    }
}

/// Counts the values.
struct Times(Arc<AtomicU64>);

impl HistogramFn for Times {
    fn record(&self, value: f64) {
        assert!(value >= 0.0);
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Recorder for Read {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Times(self.cell(key))))
    }
}

#[tokio::test(start_paused = true)]
async fn losses_are_told_by_reason_and_lane_and_the_rest_adds_up() {
    let read = Read::default();
    // The runtime has one thread: the writer publishes on it.
    let _guard = metrics::set_default_local_recorder(&read);
    let store = Scripted::gated();
    let pipeline = quick(store.clone()).queue(16).start().await.unwrap();
    store.reached().await;
    for n in 0..20 {
        let _some_are_dropped = pipeline.recorder().record(numbered(n));
    }
    for n in 0..5 {
        let _some_are_dropped = pipeline.recorder().record(login(n));
    }
    store.open_gate();
    pipeline.flush().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lost = |lane: &str, category: &str| {
        read.counter(&format!(
            "activity_records_dropped_total{{reason=queue_full,lane={lane},category={category}}}"
        ))
    };
    assert_eq!(lost("general", "activity"), Some(6));
    assert_eq!(lost("security", "authentication"), Some(3));
    assert_eq!(lost("general", "authentication"), None);
    let count = |name: &str| read.counter(&format!("activity_{name}_total{{}}"));
    assert_eq!((count("records_received"), count("records_stored")), (Some(25), Some(16)));
    assert_eq!((count("records_accepted"), count("records_duplicates")), (Some(16), Some(0)));
    assert_eq!((count("gaps"), count("records_own")), (Some(1), Some(2)));
    assert_eq!(count("store_retries"), Some(0));
    assert_eq!(read.gauge("activity_queue_records{}"), Some(0.0));
    assert_eq!(read.gauge("activity_open_drafts{}"), Some(0.0));
    assert!(read.counter("activity_batch_seconds{}").is_some_and(|batches| batches >= 2));
    let report = pipeline.shutdown(SOON).await;
    assert_eq!(lost("security", "authentication"), Some(3));
    assert_eq!((report.dropped.total(), report.stored), (9, 16));
}

#[cfg(unix)]
#[tokio::test]
async fn the_time_that_the_disk_takes_is_told() {
    // Syncs have a thread of their own.
    let read = Arc::new(Read::default());
    metrics::set_global_recorder(Arc::clone(&read)).unwrap();
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .tempdir()
        .unwrap();
    let store = tower_activity::store::MemoryStore::new();
    let pipeline = quick(store).spool(folder.path()).start().await.unwrap();
    assert!(pipeline.recorder().record(numbered(1)).is_accepted());
    // What is stored was on the disk before.
    pipeline.flush().await;
    assert!(read.counter("activity_fsync_seconds{}").is_some_and(|syncs| syncs >= 1));
    pipeline.shutdown(SOON).await;
}

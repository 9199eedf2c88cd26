//! A store with more records than anybody can read, that counts the pages that it is asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_activity::{
    Filter, MemoryStore, Record,
    ledger::Entry,
    query::{Aggregate, Aggregated, Count, Keyset, Page, PageRequest, Place, Total},
    record::RecordId,
    store::{
        AnyStore, ApiKey, Append, Claim, Claimed, Folded, Index, IngestKey, Maintain,
        MemoryAppender, Read, Register, Snapshot, Storage, StoreError, StoreErrorKind,
        StreamPosition,
    },
    time::Timestamp,
};

use crate::support::Fixture;

/// Every question for the action `endless` has another page, until it is told to fail.
#[derive(Clone)]
pub(crate) struct Endless {
    inner: MemoryStore,
    pages: Arc<AtomicUsize>,
    fails_after: Arc<AtomicUsize>,
}

impl Endless {
    /// How many endless pages were asked for.
    pub(crate) fn pages(&self) -> usize {
        self.pages.load(Ordering::SeqCst)
    }

    /// Fails from the page after this one on.
    pub(crate) fn fail_after(&self, pages: usize) {
        self.fails_after.store(pages, Ordering::SeqCst);
    }

    /// The record that there is no end of: none of a stream, hence older than any snapshot.
    fn sample() -> Record {
        let mut record = Record::by("ana").verb("endless").describe(&"x".repeat(1_000));
        record.seq = 0;
        record
    }
}

pub(crate) struct WithoutEnd(Endless);

impl Fixture for WithoutEnd {
    type Store = Endless;

    async fn new() -> Self {
        Self(Endless {
            inner: MemoryStore::new(),
            pages: Arc::default(),
            fails_after: Arc::new(AtomicUsize::new(usize::MAX)),
        })
    }

    async fn open(&self) -> Endless {
        self.0.clone()
    }
}

impl Append for Endless {
    type Appender = MemoryAppender;

    async fn connect(&self) -> Result<MemoryAppender, StoreError> {
        self.inner.connect().await
    }

    fn reader(&self) -> Option<AnyStore> {
        Some(AnyStore::new(self.clone()))
    }
}

impl Read for Endless {
    async fn records(&self, filter: &Filter, request: &PageRequest) -> Result<Page, StoreError> {
        let sample = Self::sample();
        if *filter == Filter::new() || !filter.matches(&sample) {
            return self.inner.records(filter, request).await;
        }
        let page = self.pages.fetch_add(1, Ordering::SeqCst);
        if page >= self.fails_after.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Transient, "read a page"));
        }
        // A database would be waited for.
        tokio::task::yield_now().await;
        let place = Place::Occurred(Keyset::of(&sample));
        let records = vec![sample; request.limit];
        Ok(Page {
            records,
            first: Some(place),
            next: Some(place),
            complete: true,
            ..Page::default()
        })
    }

    async fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        self.inner.record(id).await
    }

    async fn count(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        self.inner.count(filter, how).await
    }

    async fn aggregate(&self, filter: &Filter, ask: &Aggregate) -> Result<Aggregated, StoreError> {
        self.inner.aggregate(filter, ask).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.inner.snapshot().await
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.inner.head().await
    }

    async fn entries(&self, position: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(position, limit).await
    }

    async fn entry_records(&self, entry: &Entry) -> Result<Vec<Record>, StoreError> {
        self.inner.entry_records(entry).await
    }
}

impl Maintain for Endless {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.inner.migrate().await
    }

    async fn storage(&self) -> Result<Storage, StoreError> {
        self.inner.storage().await
    }

    async fn streams(&self) -> Result<Vec<StreamPosition>, StoreError> {
        self.inner.streams().await
    }

    async fn fold(&self, entries: usize) -> Result<Folded, StoreError> {
        self.inner.fold(entries).await
    }

    async fn make_index(&self, index: Index) -> Result<(), StoreError> {
        self.inner.make_index(index).await
    }

    async fn indexes(&self) -> Result<Vec<Index>, StoreError> {
        self.inner.indexes().await
    }
}

impl Register for Endless {
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        self.inner.claim(claims).await
    }

    async fn settle(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        self.inner.settle(keys).await
    }

    async fn release(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        self.inner.release(keys).await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.inner.forget(before).await
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.inner.add_api_key(key).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.inner.api_keys().await
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.inner.revoke_api_key(id, at).await
    }
}

/// Waits until something holds; for ever would be a failure.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came about that {what}");
}

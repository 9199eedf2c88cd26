//! A store with more records than anybody can read, that counts the pages that it is asked for.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tower_activity::{
    Filter, MemoryStore, Record,
    ledger::{
        Entry, Hash, KeptCheckpoint, Removal, TreeNode,
        verify::{LedgerRow, RecordRow, StreamRows, Verified},
    },
    query::{Aggregate, Aggregated, Count, Keyset, Page, PageRequest, Place, Total},
    record::{RecordId, WriterId},
    store::{
        AnyStore, ApiKey, Append, Appender as _, Batch, Claim, Claimed, Completeness,
        CompletenessRequest, Ending, Erase, ErasedGroups, ErasedSubject, ErasurePlace, Evidence,
        Folded, Holding, Index, IngestKey, Maintain, MemoryAppender, Read, Register, Restricted,
        Retain, Snapshot, Storage, StoreError, StoreErrorKind, StreamPosition, Unit, UnitFacts,
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
    down: Arc<AtomicBool>,
    late: Arc<Mutex<Vec<Box<Record>>>>,
}

impl Endless {
    /// Refuses every question from now on, at once.
    pub(crate) fn go_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    /// Commits these records when the next page is asked for, just before it is read.
    pub(crate) fn commit_before_the_next_page(&self, records: Vec<Box<Record>>) {
        *self.late.lock().unwrap() = records;
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            let source = std::io::Error::other("connection to 10.0.0.1:5432 refused");
            return Err(StoreError::new(StoreErrorKind::Transient, "ask").with_source(source));
        }
        Ok(&self.inner)
    }

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
            down: Arc::default(),
            late: Arc::default(),
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
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        if !late.is_empty() {
            self.inner.connect().await?.append(Batch::new(&late).expect("a stream")).await?;
        }
        let sample = Self::sample();
        if *filter == Filter::new() || !filter.matches(&sample) {
            return self.up()?.records(filter, request).await;
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
        self.up()?.record(id).await
    }

    async fn count(&self, filter: &Filter, how: Count) -> Result<Total, StoreError> {
        self.up()?.count(filter, how).await
    }

    async fn aggregate(&self, filter: &Filter, ask: &Aggregate) -> Result<Aggregated, StoreError> {
        self.up()?.aggregate(filter, ask).await
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.up()?.snapshot().await
    }

    async fn head(&self) -> Result<i64, StoreError> {
        self.up()?.head().await
    }

    async fn entries(&self, position: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.up()?.entries(position, limit).await
    }

    async fn entry_records(&self, entry: &Entry) -> Result<Vec<Record>, StoreError> {
        self.up()?.entry_records(entry).await
    }
}

impl Maintain for Endless {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.up()?.migrate().await
    }

    async fn storage(&self) -> Result<Storage, StoreError> {
        self.up()?.storage().await
    }

    async fn streams(&self) -> Result<Vec<StreamPosition>, StoreError> {
        self.up()?.streams().await
    }

    async fn completeness(
        &self,
        request: &CompletenessRequest,
    ) -> Result<Completeness, StoreError> {
        self.up()?.completeness(request).await
    }

    async fn fold(&self, entries: usize) -> Result<Folded, StoreError> {
        self.up()?.fold(entries).await
    }

    async fn make_index(&self, index: Index) -> Result<(), StoreError> {
        self.up()?.make_index(index).await
    }

    async fn indexes(&self) -> Result<Vec<Index>, StoreError> {
        self.up()?.indexes().await
    }
}

impl Register for Endless {
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        self.up()?.claim(claims).await
    }

    async fn settle(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        self.up()?.settle(keys).await
    }

    async fn release(&self, claims: &[Holding]) -> Result<(), StoreError> {
        self.up()?.release(claims).await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.up()?.forget(before).await
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.up()?.add_api_key(key).await
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.up()?.api_keys().await
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.up()?.revoke_api_key(id, at).await
    }
}

impl Erase for Endless {
    async fn erase(&self, records: &[ErasedGroups], holds: u64) -> Result<Option<u64>, StoreError> {
        self.up()?.erase(records, holds).await
    }

    async fn restrict(
        &self,
        records: &[ErasedGroups],
        kept: &[Restricted],
        holds: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.up()?.restrict(records, kept, holds).await
    }

    async fn end_restricted(&self, numbers: &[i64], holds: u64) -> Result<Option<u64>, StoreError> {
        self.up()?.end_restricted(numbers, holds).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.up()?.scrub().await
    }

    async fn erasure_places(&self, names: &[String]) -> Result<Vec<ErasurePlace>, StoreError> {
        self.up()?.erasure_places(names).await
    }

    async fn add_erased_subjects(&self, subjects: &[ErasedSubject]) -> Result<(), StoreError> {
        self.up()?.add_erased_subjects(subjects).await
    }

    async fn erased_subjects(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ErasedSubject)>, StoreError> {
        self.up()?.erased_subjects(after, limit).await
    }
}

impl Evidence for Endless {
    async fn restricted(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        self.up()?.restricted(after, limit).await
    }

    async fn ledger_rows(&self, after: i64, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        self.up()?.ledger_rows(after, limit).await
    }

    async fn record_rows(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<RecordRow>, StoreError> {
        self.up()?.record_rows(stream, from, to, limit).await
    }

    async fn stream_rows(&self, after: i64, limit: usize) -> Result<Vec<StreamRows>, StoreError> {
        self.up()?.stream_rows(after, limit).await
    }

    async fn committed(&self, stream: WriterId) -> Result<i64, StoreError> {
        self.up()?.committed(stream).await
    }

    async fn entry_of(&self, stream: WriterId, seq: i64) -> Result<Option<Entry>, StoreError> {
        self.up()?.entry_of(stream, seq).await
    }

    async fn add_checkpoint(
        &self,
        checkpoint: &KeptCheckpoint,
        nodes: &[TreeNode],
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.up()?.add_checkpoint(checkpoint, nodes, at).await
    }

    async fn last_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        self.up()?.last_checkpoint().await
    }

    async fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        self.up()?.checkpoints(after, limit).await
    }

    async fn tree_nodes(
        &self,
        height: u32,
        from: i64,
        before: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        self.up()?.tree_nodes(height, from, before).await
    }

    async fn add_anchor(&self, note: &str, at: Timestamp) -> Result<(), StoreError> {
        self.up()?.add_anchor(note, at).await
    }

    async fn anchors(&self, after: i64, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
        self.up()?.anchors(after, limit).await
    }

    async fn keep_verified(&self, verified: &Verified) -> Result<(), StoreError> {
        self.up()?.keep_verified(verified).await
    }

    async fn last_verified(&self) -> Result<Option<Verified>, StoreError> {
        self.up()?.last_verified().await
    }
}

impl Retain for Endless {
    async fn units(&self) -> Result<Vec<UnitFacts>, StoreError> {
        self.up()?.units().await
    }

    async fn unit_entries(
        &self,
        unit: &Unit,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.up()?.unit_entries(unit, after, limit).await
    }

    async fn end_unit(
        &self,
        removal: &Removal,
        told_by: RecordId,
        holds: u64,
    ) -> Result<Ending, StoreError> {
        self.up()?.end_unit(removal, told_by, holds).await
    }
}

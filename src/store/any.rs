//! A store without its type.

use std::{
    fmt,
    future::Future,
    ops::{Range, RangeInclusive},
    pin::Pin,
    sync::Arc,
};

use super::{
    ApiKey, Claim, Claimed, Completeness, CompletenessRequest, Ending, Erase, ErasedGroups,
    ErasedSubject, ErasurePlace, Evidence, Folded, Holding, Index, IngestKey, Maintain, Read,
    Register, Restricted, Retain, Scratch, Snapshot, Storage, StoreError, StreamPosition, Unit,
    UnitFacts,
};
use crate::{
    ledger::{
        Entry, Hash, KeptCheckpoint, Removal, TreeNode,
        verify::{LedgerRow, RecordRow, StreamRows, Verified},
    },
    query::{Aggregate, Aggregated, Count, Filter, Page, PageRequest, Total},
    record::{Groups, Record, RecordId, WriterId},
    time::Timestamp,
};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// `fn name(borrowed arguments; owned arguments) -> answer`.
macro_rules! erased {
    ($($room:ident {
        $(fn $name:ident($($borrowed:ident: $target:ty),*; $($owned:ident: $type:ty),*) -> $answer:ty;)*
    } $([$($besides:tt)*])?)*) => {
        /// The traits for reading, with every future in a box.
        trait Erased: Send + Sync + 'static {
            $($(fn $name<'a>(
                &'a self $(, $borrowed: &'a $target)* $(, $owned: $type)*
            ) -> Answer<'a, $answer>;)*)*

            fn of_tenant(&self, tenant: &str) -> Option<AnyStore>;
        }

        impl<S: Read + Maintain + Register + Evidence + Erase + Retain> Erased for S {
            $($(fn $name<'a>(
                &'a self $(, $borrowed: &'a $target)* $(, $owned: $type)*
            ) -> Answer<'a, $answer> {
                Box::pin($room::$name(self $(, $borrowed)* $(, $owned)*))
            })*)*

            fn of_tenant(&self, tenant: &str) -> Option<AnyStore> {
                Read::of_tenant(self, tenant)
            }
        }

        $(impl $room for AnyStore {
            $(async fn $name(
                &self $(, $borrowed: &$target)* $(, $owned: $type)*
            ) -> Result<$answer, StoreError> {
                Erased::$name(&*self.0 $(, $borrowed)* $(, $owned)*).await
            })*

            $($($besides)*)?
        })*
    };
}

/// A store that can be read and looked after, without its type: what the API and the command work on.
/// Cheap to clone.
#[derive(Clone)]
pub struct AnyStore(Arc<dyn Erased>);

impl AnyStore {
    /// Takes the type off a store.
    #[must_use]
    pub fn new<S: Read + Maintain + Register + Evidence + Erase + Retain>(store: S) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore").finish_non_exhaustive()
    }
}

erased! {
    Read {
        fn records(filter: Filter, request: PageRequest;) -> Page;
        fn record(; id: RecordId) -> Option<Record>;
        fn count(filter: Filter; how: Count) -> Total;
        fn aggregate(filter: Filter, ask: Aggregate;) -> Aggregated;
        fn snapshot(;) -> Snapshot;
        fn head(;) -> i64;
        fn entries(; position: i64, limit: usize) -> Vec<Entry>;
        fn entry_records(entry: Entry;) -> Vec<Record>;
    } [
        fn of_tenant(&self, tenant: &str) -> Option<AnyStore> {
            Erased::of_tenant(&*self.0, tenant)
        }
    ]
    Maintain {
        fn migrate(;) -> ();
        fn storage(;) -> Storage;
        fn streams(;) -> Vec<StreamPosition>;
        fn completeness(request: CompletenessRequest;) -> Completeness;
        fn fold(; entries: usize) -> Folded;
        fn make_index(; index: Index) -> ();
        fn indexes(;) -> Vec<Index>;
    }
    Register {
        fn claim(claims: [Claim];) -> Vec<Claimed>;
        fn settle(keys: [IngestKey];) -> ();
        fn release(claims: [Holding];) -> ();
        fn forget(; before: Timestamp) -> u64;
        fn add_api_key(key: ApiKey;) -> ();
        fn api_keys(;) -> Vec<ApiKey>;
        fn revoke_api_key(id: str; at: Timestamp) -> bool;
    }
    Erase {
        fn erase(records: [ErasedGroups]; holds: u64) -> Option<u64>;
        fn restrict(records: [ErasedGroups], kept: [Restricted]; holds: u64) -> Option<u64>;
        fn end_restricted(numbers: [i64]; holds: u64) -> Option<u64>;
        fn scrub(;) -> ();
        fn erasure_places(names: [String];) -> Vec<ErasurePlace>;
        fn add_erased_subjects(subjects: [ErasedSubject];) -> ();
        fn erased_subjects(; after: i64, limit: usize) -> Vec<(i64, ErasedSubject)>;
    }
    Evidence {
        fn expect_all(;) -> ();
        fn scratch(;) -> Option<Scratch>;
        fn scratch_path(; position: i64) -> Option<(usize, Vec<Hash>)>;
        fn scratch_leaves(; stream: WriterId, from: i64, to: i64) -> Vec<(i64, Hash)>;
        fn ledger_rows(; after: i64, limit: usize) -> Vec<LedgerRow>;
        fn record_rows(; stream: WriterId, from: i64, to: i64, limit: usize) -> Vec<RecordRow>;
        fn stream_rows(; after: i64, limit: usize) -> Vec<StreamRows>;
        fn committed(; stream: WriterId) -> i64;
        fn entry_of(; stream: WriterId, seq: i64) -> Option<Entry>;
        fn folded_roots(entry: Entry;) -> Vec<Hash>;
        fn restricted(; after: i64, limit: usize) -> Vec<(i64, Restricted)>;
        fn restricted_of(; id: RecordId) -> Vec<Restricted>;
        fn restricted_marks(ids: [RecordId];) -> Vec<(RecordId, Groups)>;
        fn add_checkpoint(checkpoint: KeptCheckpoint, nodes: [TreeNode]; at: Timestamp) -> bool;
        fn last_checkpoint(;) -> Option<KeptCheckpoint>;
        fn checkpoints(; after: i64, limit: usize) -> Vec<KeptCheckpoint>;
        fn tree_nodes(; height: u32, from: i64, before: i64) -> Vec<(i64, Hash)>;
        fn covered(; stream: WriterId, seq: i64) -> Option<(KeptCheckpoint, Entry)>;
        fn entry_parts(entry: Entry; numbers: RangeInclusive<i64>) -> (Vec<RecordRow>, Vec<Hash>);
        fn tree_runs(runs: [(u32, Range<u64>)];) -> Vec<(u32, u64, Hash)>;
        fn add_anchor(note: str; at: Timestamp) -> ();
        fn anchors(; after: i64, limit: usize) -> Vec<(i64, String)>;
        fn keep_verified(verified: Verified;) -> ();
        fn last_verified(;) -> Option<Verified>;
    }
    Retain {
        fn units(;) -> Vec<UnitFacts>;
        fn unit_entries(unit: Unit; after: i64, limit: usize) -> Vec<Entry>;
        fn end_unit(removal: Removal; told_by: RecordId, holds: u64) -> Ending;
    }
}

//! The store in memory.

use tower_activity::store::MemoryStore;

use crate::suite::Fixture;

pub(crate) struct InMemory(MemoryStore);

impl Fixture for InMemory {
    type Store = MemoryStore;

    async fn new() -> Self {
        Self(MemoryStore::new())
    }

    async fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

suite!(InMemory);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_reads_all_of_the_log() {
    crate::erasing::a_replay_reads_all_of_the_log::<InMemory>(1_100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_amid_holds_that_never_rest_gives_up_and_says_so() {
    crate::erasing::an_erasure_amid_holds_that_never_rest_gives_up_and_says_so::<InMemory>().await;
}

// What a spool lets go of depends on no store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_lets_go_of_nothing_for_who_was_erased_before() {
    crate::erasing::a_process_that_starts_lets_go_of_nothing_for_who_was_erased_before::<InMemory>(
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_whose_files_do_not_go_is_not_said_to_be_reached() {
    crate::erasing::a_spool_whose_files_do_not_go_is_not_said_to_be_reached::<InMemory>().await;
}

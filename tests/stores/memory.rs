//! The store in memory.

use tower_activity::store::MemoryStore;

use crate::suite::Fixture;

struct InMemory(MemoryStore);

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

//! Postgres: the suite, and what this store promises beside it.

mod bouncer;
mod faults;
mod filters;
mod leaves;
mod register;
mod roles;
mod rollups;
mod schema;
mod settings;

use tower_activity::{
    record::Record,
    store::{Batch, postgres::PostgresStore},
    time::Timestamp,
};

use crate::{records::full, server::Database, suite::Fixture};

impl Fixture for Database {
    type Store = PostgresStore;

    async fn new() -> Self {
        Self::new().await
    }

    async fn open(&self) -> PostgresStore {
        PostgresStore::open(&self.url()).await.unwrap()
    }
}

suite!(Database);

/// Makes a store in a database of its own.
async fn store() -> (Database, PostgresStore) {
    let database = Database::new().await;
    let store = database.open().await;
    (database, store)
}

fn batch(records: &[Box<Record>]) -> Batch<'_> {
    Batch::new(records).expect("consecutive records of one stream")
}

/// Four records in which every field holds something, in the leaf of ordinary ones.
fn filled(writer_id: i64) -> Vec<Box<Record>> {
    let mut records: Vec<_> = (1..=4).map(|seq| full(writer_id, seq)).collect();
    for record in &mut records {
        record.retention_class.set("activity");
    }
    records
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time in RFC 3339")
}

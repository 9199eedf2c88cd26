//! An audit trail for axum, hyper and tonic.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod capture;
pub mod ledger;
pub mod pipeline;
pub mod privacy;
pub mod query;
pub mod record;
pub mod rules;
pub mod store;
pub mod time;

#[cfg(feature = "postgres")]
#[doc(inline)]
pub use store::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use store::sqlite::SqliteStore;
#[doc(inline)]
pub use {
    capture::{Activity, ActivityLayer},
    pipeline::{Pipeline, Recorder},
    privacy::Keys,
    query::Filter,
    record::{Actor, Outcome, Record},
    rules::{Rule, Rules},
    store::MemoryStore,
};

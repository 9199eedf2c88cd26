//! One suite over all stores, and what each store promises beside it.
//!
//! Postgres is tested on the server that `TEST_POSTGRES_URL` names, and fails when it is not set.

#[macro_use]
mod suite;

mod answers;
#[cfg(all(feature = "archive", feature = "sqlite"))]
mod archived;
mod archiving;
mod away;
#[cfg(all(feature = "archive", feature = "sqlite", feature = "postgres"))]
mod buckets;
mod canonical;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[path = "../faults/chance.rs"]
mod chance;
mod completeness;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod counts;
mod edges;
mod erasing;
mod expiry;
mod holds;
mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod outlived;
mod outside;
mod pages;
mod questions;
mod records;
mod register;
mod restricting;
mod retention;
#[cfg(all(feature = "sqlite", feature = "archive"))]
mod sequences;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tampering;

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod proxy;
#[cfg(feature = "postgres")]
mod server;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[path = "../faults/table.rs"]
mod table;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tried;

//! One suite over all stores, and what each store promises beside it.
//!
//! Postgres is tested on the server that `TEST_POSTGRES_URL` names, and fails when it is not set.

#[macro_use]
mod suite;

mod answers;
mod canonical;
mod completeness;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod counts;
mod edges;
mod erasing;
mod holds;
mod memory;
mod pages;
mod questions;
mod records;
mod register;
mod retention;
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
#[cfg(feature = "postgres")]
#[path = "../faults/table.rs"]
mod table;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tried;

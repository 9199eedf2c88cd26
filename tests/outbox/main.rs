//! Records that exist if and only if a transaction of the application commits.
//!
//! The same cases over SQLite and Postgres, with the log in the application's database and in another one.
//! Postgres is tested on the server that `TEST_POSTGRES_URL` names.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]
#![allow(clippy::duplicate_mod, reason = "the cases are written once, for each database")]

mod kill;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[allow(dead_code, reason = "shared with the tests of stores")]
#[path = "../stores/server.rs"]
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;

/// Where the log is.
#[derive(Debug, Clone, Copy)]
enum Log {
    /// In the application's database.
    There,
    /// In another one.
    Elsewhere,
}

const BOTH: [Log; 2] = [Log::There, Log::Elsewhere];

//! The API over real sockets, one suite over memory, SQLite and Postgres.
//!
//! Postgres is tested on the server that `TEST_POSTGRES_URL` names, and fails when it is not set.

#[macro_use]
mod support;

mod access;
mod away;
mod bundle;
mod completeness;
mod consents;
mod custody;
mod described;
mod endless;
mod erasure;
mod errors;
mod export;
mod foreign;
mod health;
mod hidden;
mod hostile;
mod http;
mod ingest;
mod list;
mod live;
mod mount;
mod order;
mod parameters;
mod proofs;
mod records;
mod scope;
mod stats;
mod subject;
mod traced;
#[allow(dead_code, reason = "shared with the tests of the command")]
mod unpacked;
mod viewer;
mod watch;

#[path = "../faults/table.rs"]
mod table;

#[path = "../stores/records.rs"]
#[allow(dead_code, reason = "shared with the tests of the stores")]
mod sample;

#[cfg(feature = "postgres")]
#[path = "../stores/proxy.rs"]
#[allow(dead_code, reason = "shared with the tests of the stores")]
mod proxy;

#[cfg(feature = "postgres")]
#[path = "../stores/server.rs"]
#[allow(dead_code, reason = "shared with the tests of the stores")]
mod server;

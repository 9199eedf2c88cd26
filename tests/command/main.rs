//! The command `activity` as it is built, run as an operator runs it: on SQLite, and on the Postgres server that
//! `TEST_POSTGRES_URL` names.

#[path = "../stores/away.rs"]
mod away;
#[path = "../stores/server.rs"]
#[allow(dead_code, reason = "the stores' own tests use the rest")]
mod server;

#[path = "../api/unpacked.rs"]
#[allow(dead_code, reason = "shared with the tests of the API")]
mod unpacked;

#[macro_use]
mod run;

mod archive;
mod auditor;
mod backup;
mod bundle;
mod doctor;
mod expired;
mod export;
mod exported;
mod keys;
mod left_out;
mod lines;
mod migrate;
mod pages;
mod reach;
mod refusals;
mod report;
mod retention;
mod reviews;
mod rights;
mod rules;
mod serve;
mod shown;
mod subject;
mod tail;
mod untold;
mod verify;

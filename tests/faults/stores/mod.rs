//! Stores that go, hang, lie and come back, with a spool in front of them.
//!
//! The service is a process of its own ([`app`]), so that it can be killed, frozen and weighed. It works on a real
//! Postgres or a real SQLite file; clients over sockets write down what they sent and what they saw answered
//! ([`load`]); and what the database then holds is read with SQL of the test's own ([`oracle`]).

mod again;
mod app;
mod child;
mod cluster;
mod file;
mod frozen;
mod hostile;
mod load;
mod oracle;
mod outage;
#[allow(dead_code, reason = "shared with the tests of the stores")]
#[path = "../../stores/proxy.rs"]
mod proxy;
mod refusal;
mod replicas;
mod reply;
mod secrets;
mod wire;

use crate::{
    process::{PATIENCE, until, within as soon},
    server,
};

/// Runs what blocks, as starting a server does, where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

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

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::server;

/// Far longer than anything here takes on a busy machine: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for what another process brings about.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "it never came about: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Bounds what waits for another process.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("it never came about: {what}"))
}

/// Runs what blocks, as starting a server does, where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

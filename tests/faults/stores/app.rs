//! The service as seen from outside: a process, its address, and what it says about itself.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use hyper::{Method, body::Bytes};

use super::{
    child::{SETTINGS, Settings},
    until,
};
use crate::process::{self, Running};

/// Counts that a process tells, by their names.
pub(crate) type Counts = BTreeMap<String, u64>;

/// A process; killed when dropped.
pub(crate) struct App {
    running: Running,
    pub(crate) address: SocketAddr,
}

impl App {
    /// Starts a service; what it says goes to a file in `folder`.
    pub(crate) async fn start(settings: &Settings, folder: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let settings = [(SETTINGS.to_owned(), serde_json::to_string(settings).unwrap())];
        let said = folder.join(format!("said-{number}.log"));
        let mut running = Running::start(&[], "stores::child::runs", &settings, said);
        let address = running.line_with("listening ").await;
        let address = address.unwrap_or_else(|said| panic!("the service did not start: {said}"));
        Self { running, address: address.parse().unwrap() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.id()
    }

    /// Returns what it wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        self.running.errors()
    }

    /// Sends a request without a body, and returns status and body.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> (u16, Bytes) {
        let method: Method = method.parse().unwrap();
        let (status, body) = process::ask(self.address, method, path, "").await;
        (status.as_u16(), body)
    }

    /// Returns the tally, which must add up.
    pub(crate) async fn tally(&self) -> Counts {
        let (status, body) = self.ask("GET", "/tally").await;
        assert_eq!(status, 200);
        let tally = serde_json::from_slice(&body).unwrap();
        assert_adds_up(&tally);
        tally
    }

    /// Waits until nothing waits for the store, and it has said there that it started.
    pub(crate) async fn settled(&self) -> Counts {
        until("everything is stored", async || {
            let tally = self.tally().await;
            tally["spooled"] + tally["queued"] == 0 && tally["own"] > 0
        })
        .await;
        self.tally().await
    }

    /// Waits until the writer has tried in vain so many times more.
    pub(crate) async fn retried(&self, times: u64) {
        let before = self.tally().await["retries"];
        until("the writer tries again", async || self.tally().await["retries"] >= before + times)
            .await;
    }

    /// Returns the bytes of memory that it occupies.
    pub(crate) fn resident(&self) -> u64 {
        process::memory(self.pid(), "VmRSS")
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        process::signal(self.pid(), "KILL").await;
        assert!(!self.running.ended().await.success());
    }

    /// Shuts it down, and returns its report, which must add up.
    pub(crate) async fn stop(mut self) -> Counts {
        self.running.let_go();
        let report = self.running.line_with("report ").await;
        let report = report.unwrap_or_else(|said| panic!("no report: {said}"));
        let report = serde_json::from_str(&report).unwrap();
        assert_adds_up(&report);
        let status = self.running.ended().await;
        assert!(status.success(), "{status}: {}", self.said());
        assert!(!self.said().contains("panicked"), "{}", self.said());
        report
    }
}

fn assert_adds_up(counts: &Counts) {
    let sum = counts["stored"] + counts["spooled"] + counts["queued"] + counts["dropped"];
    assert_eq!(counts["received"], sum, "{counts:?}");
}

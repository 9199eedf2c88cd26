//! The service as seen from outside: a process, its address, and what it says about itself.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
};

use super::{
    child::{SETTINGS, Settings},
    soon, until,
};

/// Counts that a process tells, by their names.
pub(crate) type Counts = BTreeMap<String, u64>;

/// A process; killed when dropped.
pub(crate) struct App {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: PathBuf,
    pub(crate) address: SocketAddr,
}

impl App {
    /// Starts a service; what it says goes to a file in `folder`.
    pub(crate) async fn start(settings: &Settings, folder: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let said = folder.join(format!("said-{number}.log"));
        let stderr = File::create(&said).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stores::child::runs", "--nocapture"])
            .env(SETTINGS, serde_json::to_string(settings).unwrap())
            .env_remove("FAULTS_TABLE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut app = Self { child, lines, said, address: ([127, 0, 0, 1], 0).into() };
        app.address = app.line("listening ").await.parse().unwrap();
        app
    }

    /// Waits for a line that begins so, and returns the rest of it.
    async fn line(&mut self, begins: &str) -> String {
        let reading = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                if let Some(rest) = line.strip_prefix(begins) {
                    return Some(rest.to_owned());
                }
            }
            None
        };
        let found = soon(begins, reading).await;
        found.unwrap_or_else(|| panic!("the service ended without `{begins}`: {}", self.said()))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Returns what it wrote to its standard error.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap()).into_owned()
    }

    /// Sends a request without a body, and returns status and body.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> (u16, Bytes) {
        let asking = async {
            let io = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(async move { drop(connection.await) });
            let request = Request::builder().method(method).uri(path).header("host", "localhost");
            let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await;
            let answer = answer.unwrap();
            let status = answer.status().as_u16();
            (status, answer.into_body().collect().await.unwrap().to_bytes())
        };
        soon(path, asking).await
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
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) {
        soon("it dies", self.child.kill()).await.unwrap();
    }

    /// Shuts it down, and returns its report, which must add up.
    pub(crate) async fn stop(mut self) -> Counts {
        drop(self.child.stdin.take());
        let report = self.line("report ").await;
        let report = serde_json::from_str(&report).unwrap();
        assert_adds_up(&report);
        let status = soon("it ends", self.child.wait()).await.unwrap();
        assert!(status.success(), "{status}: {}", self.said());
        assert!(!self.said().contains("panicked"), "{}", self.said());
        report
    }
}

fn assert_adds_up(counts: &Counts) {
    let sum = counts["stored"] + counts["spooled"] + counts["queued"] + counts["dropped"];
    assert_eq!(counts["received"], sum, "{counts:?}");
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.unwrap().success(), "kill -s {name} {pid}");
}

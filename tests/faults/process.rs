//! A server that runs, and what can be done to it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::ToSocketAddrs,
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{client::connect, role::STORE};

/// Far longer than anything here takes on a busy machine: only a defect meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// How often another process, or a file that it writes, is asked: neither can tell anybody by itself. Nothing is decided
/// by it but how soon a test goes on.
const PACE: Duration = Duration::from_millis(10);

/// Waits for a future that only a defect keeps from ending.
#[track_caller]
pub(crate) fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let Ok(done) = timeout(PATIENCE, future).await else { panic!("{place}: never {what}") };
        done
    }
}

/// Asks until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        while !so().await {
            assert!(begun.elapsed() < PATIENCE, "{place}: never {what}");
            tokio::time::sleep(PACE).await;
        }
    }
}

/// Asks until there are so many, as long as there come more: a busy machine takes its time.
///
/// # Errors
///
/// How many there are, when no more came.
pub(crate) async fn reached(
    goal: usize,
    mut count: impl AsyncFnMut() -> usize,
) -> Result<(), usize> {
    let (mut most, mut since) = (0, Instant::now());
    loop {
        let now = count().await;
        if now >= goal {
            return Ok(());
        }
        if now > most {
            (most, since) = (now, Instant::now());
        }
        if since.elapsed() >= PATIENCE {
            return Err(most);
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Lets others go on for a while that nobody foresees, and that no clock measures.
pub(crate) async fn for_a_while(steps: usize) {
    for _ in 0..steps {
        tokio::task::yield_now().await;
    }
}

/// The folder of a test: a store and a spool for one server after another.
pub(crate) struct Place {
    folder: TempDir,
    settings: Vec<(String, String)>,
    wrap: Vec<String>,
    starts: AtomicU32,
}

impl Place {
    /// With a store in a file, and no spool.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("activity-faults").tempdir().unwrap();
        let file = folder.path().join("activity.db").to_str().unwrap().to_owned();
        let settings = vec![(STORE.to_owned(), file)];
        Self { folder, settings, wrap: Vec::new(), starts: AtomicU32::new(0) }
    }

    /// With a spool as well.
    pub(crate) fn durable() -> Self {
        let place = Self::new();
        let spool = place.path().join("spool").to_str().unwrap().to_owned();
        place.with("FAULTS_SPOOL", spool)
    }

    /// Sets something in the environment of its servers.
    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.retain(|(other, _)| other != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(other, _)| other != name);
        self
    }

    /// Makes its servers children of another command.
    pub(crate) fn under(mut self, wrap: Vec<String>) -> Self {
        self.wrap = wrap;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the store.
    pub(crate) fn file(&self) -> PathBuf {
        self.path().join("activity.db")
    }

    /// Starts a server and waits until it answers.
    pub(crate) async fn start(&self) -> Server {
        self.try_start().await.unwrap_or_else(|said| panic!("it does not start: {said}"))
    }

    /// Starts a server; the error is what it said instead.
    pub(crate) async fn try_start(&self) -> Result<Server, String> {
        let mut running = self.run("role::server");
        let ready = running.line_with("ready http://").await?;
        let (address, pid) = ready.split_once(" pid ").unwrap();
        let (address, pid) = (address.to_owned(), pid.trim().parse().unwrap());
        Ok(Server { running, address, pid })
    }

    /// Starts another role.
    pub(crate) fn run(&self, role: &str) -> Running {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        let errors = self.path().join(format!("errors-{number}.txt"));
        Running::start(&self.wrap, role, &self.settings, errors)
    }
}

/// A process of this binary.
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its end ends the process.
    stdin: Option<ChildStdin>,
    errors: PathBuf,
}

impl Running {
    /// Starts a role of this binary, as a child of another command where `wrap` has words.
    pub(crate) fn start(
        wrap: &[String],
        role: &str,
        settings: &[(String, String)],
        errors: PathBuf,
    ) -> Self {
        let own = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
        let mut words = wrap.iter().cloned().chain([own]);
        let program = words.next().expect("at least this binary");
        let mut child = Command::new(&program)
            .args(words)
            .args(["--exact", role, "--nocapture", "--test-threads=1"])
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .env_remove("FAULTS_TABLE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let stdin = child.stdin.take();
        Self { child, lines, stdin, errors }
    }

    /// Waits for a line with these words, and returns what stands behind them. The error is all that it said instead.
    pub(crate) async fn line_with(&mut self, words: &str) -> Result<String, String> {
        let mut said = String::new();
        while let Some(line) = self.line().await {
            if let Some((_, rest)) = line.split_once(words) {
                return Ok(rest.to_owned());
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(said + &self.errors())
    }

    /// Returns what it wrote to its standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read(&self.errors)
            .map(|said| String::from_utf8_lossy(&said).into_owned())
            .unwrap_or_default()
    }

    /// Lets go of its standard input.
    pub(crate) fn let_go(&mut self) {
        drop(self.stdin.take());
    }

    /// Returns the next line that it says; `None` when it has ended.
    pub(crate) async fn line(&mut self) -> Option<String> {
        within("a line", self.lines.next_line()).await.ok().flatten()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        within("the end of the process", self.child.wait()).await.unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }
}

/// Sends a signal to a process.
pub(crate) async fn signal(pid: u32, name: &str) -> bool {
    let pid = pid.to_string();
    let mut kill = Command::new("kill");
    kill.args(["-s", name, &pid]).stderr(Stdio::null());
    within("an end of kill", kill.status()).await.unwrap().success()
}

/// Returns a figure of a process's memory in bytes: `VmRSS`, or `VmHWM` for the most so far.
pub(crate) fn memory(pid: u32, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Sends one request on a connection of its own.
pub(crate) async fn ask(
    address: impl ToSocketAddrs,
    method: Method,
    path: &str,
    body: &str,
) -> (StatusCode, Bytes) {
    within("an answer", async {
        let (mut sender, _connection) = connect(address).await.unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body.to_owned()))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
    })
    .await
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) running: Running,
    /// `127.0.0.1:port`.
    pub(crate) address: String,
    pub(crate) pid: u32,
}

impl Server {
    /// Ends it at once, and waits for that.
    pub(crate) async fn kill(mut self) {
        signal(self.pid, "KILL").await;
        let status = self.running.ended().await;
        assert!(!status.success());
    }

    /// Ends it in good order, and returns what it reported.
    pub(crate) async fn stop(mut self) -> Value {
        assert!(signal(self.pid, "TERM").await);
        self.report().await
    }

    /// Waits for its report and its end.
    pub(crate) async fn report(&mut self) -> Value {
        let report = self.running.line_with("report ").await;
        let report = report.unwrap_or_else(|said| panic!("no report: {said}"));
        self.running.ended().await;
        serde_json::from_str(&report).unwrap()
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> (StatusCode, Bytes) {
        ask(&self.address, method, path, body).await
    }

    /// Has its store take one record of so many that requests make from now on: all of them where that is 1, and none
    /// where it is nothing.
    pub(crate) async fn take(&self, one_in: u64) {
        let (status, _) = self.send(Method::POST, &format!("/control/take/{one_in}"), "").await;
        assert_eq!(status, StatusCode::OK);
    }

    pub(crate) async fn tally(&self) -> Value {
        let (status, body) = self.send(Method::GET, "/control/tally", "").await;
        assert_eq!(status, StatusCode::OK);
        serde_json::from_slice(&body).unwrap()
    }

    /// Ends what traces it, and with that whatever it holds back.
    pub(crate) async fn untraced(&mut self) {
        assert_ne!(self.running.id(), self.pid, "it is traced");
        assert!(signal(self.running.id(), "KILL").await);
        assert!(!self.running.ended().await.success());
    }

    /// Returns how many bytes it has read from files.
    pub(crate) fn read(&self) -> u64 {
        let counts = fs::read_to_string(format!("/proc/{}/io", self.pid)).unwrap();
        let line = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        line.parse().unwrap()
    }

    /// Returns a figure of its memory in bytes: `VmRSS`, or `VmHWM` for the most so far.
    pub(crate) fn memory(&self, figure: &str) -> u64 {
        memory(self.pid, figure)
    }
}

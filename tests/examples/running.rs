//! An example that runs, and what can be asked of it.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Far longer than anything here takes on a busy machine: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns the command that runs an example, in `folder`, with nothing of ours in its environment.
pub(crate) fn example(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(binary(name));
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("PORT", "0")
        .kill_on_drop(true);
    for name in [
        "ACTIVITY_STORE",
        "ACTIVITY_KEYS",
        "ACTIVITY_MODE",
        "ACTIVITY_RULES",
        "ACTIVITY_SPOOL",
        "NO_COLOR",
        "TZ",
    ] {
        command.env_remove(name);
    }
    command
}

/// Cargo builds the examples beside the tests, in `examples` next to `deps`.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("tests lie in `deps`");
    let path = profile.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "{} is missing: cargo build --examples", path.display());
    path
}

/// An example that serves HTTP.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// `127.0.0.1:port`.
    pub(crate) address: String,
}

impl Running {
    /// Starts `command` and reads the address from the first line that has one.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the example starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut running = Self {
            child,
            lines: BufReader::new(stdout).lines(),
            seen: Vec::new(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            address: String::new(),
        };
        let line = running.line("http://").await;
        let rest = line.split("http://").nth(1).expect("the line has an address");
        let end =
            rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(rest.len());
        running.address = rest[..end].to_owned();
        running
    }

    /// Waits for a line of its output that contains `wanted`.
    pub(crate) async fn line(&mut self, wanted: &str) -> String {
        loop {
            let next = timeout(PATIENCE, self.lines.next_line()).await;
            match next {
                Ok(Ok(Some(line))) => {
                    self.seen.push(line.clone());
                    if line.contains(wanted) {
                        return line;
                    }
                }
                _ => {
                    let errors = self.errors().await;
                    panic!("no line with `{wanted}`: {:#?}\n{errors}", self.seen);
                }
            }
        }
    }

    async fn errors(&mut self) -> String {
        self.child.start_kill().ok();
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut text).await.ok();
        }
        text
    }

    /// Returns all lines so far.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Sends a request and returns status and body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(format!("http://{}{path}", self.address));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::from(body)).expect("a request");
        let answer = timeout(PATIENCE, self.client.request(request)).await;
        let answer = answer.expect("an answer in time").expect("an answer");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
        let text = || Value::from(String::from_utf8_lossy(&body).into_owned());
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
    }

    /// Logs in and returns the token.
    pub(crate) async fn log_in(&self, user: &str) -> String {
        let login = serde_json::json!({ "user": user, "password": "secret" });
        let (status, answer) = self.send("POST", "/login", None, Some(login)).await;
        assert_eq!(status, 200, "{answer}");
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// Returns the records that pass the filter, newest first.
    pub(crate) async fn records(&self, filter: &str) -> Vec<Value> {
        let path = format!("/activity/records?{filter}");
        for _ in 0..20 {
            let (status, answer) = self.send("GET", &path, None, None).await;
            assert_eq!(status, 200, "{answer}");
            // On a machine that stalls, the API may run out of patience, and says so.
            if answer["complete"] != false {
                return answer["records"].as_array().expect("records").clone();
            }
        }
        panic!("{path} is never answered whole");
    }

    /// Sends a signal, waits for the end, and returns the last line.
    pub(crate) async fn stop(mut self, signal: &str) -> (String, ExitStatus) {
        let status = self.signal(signal).await;
        (self.seen.pop().unwrap_or_default(), status)
    }

    /// Sends a signal, waits for the end, and returns the last line and all before it.
    #[cfg(feature = "postgres")]
    pub(crate) async fn stop_and_read(mut self, signal: &str) -> (String, Vec<String>) {
        let status = self.signal(signal).await;
        assert!(status.success(), "{status}");
        (self.seen.pop().unwrap_or_default(), self.seen)
    }

    async fn signal(&mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status().await.expect("kill");
        assert!(sent.success());
        while let Ok(Ok(Some(line))) = timeout(PATIENCE, self.lines.next_line()).await {
            self.seen.push(line);
        }
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a status")
    }
}

/// Runs a command to its end and returns status, stdout and stderr.
pub(crate) async fn ends(mut command: Command) -> (ExitStatus, String, String) {
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status, text(output.stdout), text(output.stderr))
}

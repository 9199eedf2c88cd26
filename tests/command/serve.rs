//! `activity serve` over sockets: who is let in, what he sees, and how it ends.

use std::{fs, process::ExitStatus, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStderr},
    sync::Notify,
    time::{Instant, timeout},
};

use crate::run::{Log, PATIENCE, record, set_metadata};

/// A service that runs.
struct Serving {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    first: String,
    caller: Caller,
}

/// Somebody who calls it; cheap to clone.
#[derive(Clone)]
struct Caller {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Serving {
    async fn start(log: &Log, arguments: &[&str]) -> Self {
        let keys = log.path("activity.keys");
        let arguments = [&["serve", "--keys", keys.to_str().unwrap()], arguments].concat();
        let mut child = log.command(&arguments).env("PORT", "0").spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = loop {
            let line = timeout(PATIENCE, said.next_line()).await.expect("in time").unwrap();
            let line = line.expect("it starts");
            if line.contains("serving http://") {
                break line;
            }
        };
        let address = first.split("http://").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { child, said, first, caller: Caller { address, client } }
    }

    /// Asks it to stop, and returns how it ended and its last line.
    async fn stop(mut self) -> (ExitStatus, String) {
        self.signal();
        let mut last = String::new();
        while let Some(line) =
            timeout(PATIENCE, self.said.next_line()).await.expect("it ends").unwrap()
        {
            assert!(!line.contains("panicked"), "{line}");
            last = line;
        }
        (timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap(), last)
    }

    fn signal(&self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }
}

impl Caller {
    async fn try_send(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Box<dyn std::error::Error + Send + Sync>> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let answer = self.client.request(request.body(Full::from(body))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        timeout(PATIENCE, self.try_send(method, path, key, body)).await.expect("in time").unwrap()
    }

    async fn get(&self, path: &str, key: &str) -> (StatusCode, Value) {
        self.send("GET", path, key, None).await
    }

    /// Asks until whoever has this key is refused, at the pace of the answers: the keys are read anew now and then.
    async fn refused(&self, key: &str) {
        let asking = async { while self.get("/records", key).await.0 != 401 {} };
        timeout(PATIENCE, asking).await.expect("refused in the end");
    }

    /// Hands in, as the key's service.
    async fn hand_in(&self, key: &str, records: &Value) -> StatusCode {
        self.send("POST", "/records", key, Some(records)).await.0
    }

    /// Returns the ids of the orders that a key sees, sorted.
    async fn orders(&self, key: &str) -> Vec<String> {
        let (status, answer) = self.get("/records?q=entity_type:order", key).await;
        assert_eq!(status, 200, "{answer}");
        let records = answer["records"].as_array().unwrap().iter();
        let mut ids: Vec<_> =
            records.map(|record| record["entity_id"].as_str().unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids
    }
}

async fn key(log: &Log, name: &str, more: &[&str]) -> String {
    let made = log.run(&[&["key", "new", name], more].concat()).await.with(0).json();
    made[0]["key"].as_str().unwrap().to_owned()
}

fn order(id: &str, tenant: Option<&str>) -> Value {
    json!({
        "action": "create", "actor_id": "ana", "entity_type": "order", "entity_id": id, "tenant_id": tenant,
    })
}

const VIEW: [&str; 2] = ["--permissions", "logs.actions.view"];
const TENANT: [&str; 4] = ["--permissions", "logs.actions.view,logs.ingest", "--tenant", "north"];

on_both!(
    a_key_does_what_it_may_and_sees_its_own,
    a_revoked_key_is_refused,
    the_first_key_closes_the_door,
    the_end_under_load_keeps_what_was_acknowledged,
    a_live_session_does_not_hold_up_the_end,
    an_export_that_nobody_reads_does_not_hold_up_the_end,
);

async fn a_key_does_what_it_may_and_sees_its_own(log: Log) {
    let (writer, reader) = (key(&log, "billing", &[]).await, key(&log, "support", &VIEW).await);
    let north = key(&log, "northern", &TENANT).await;
    let service = Serving::start(&log, &[]).await;
    assert!(service.first.ends_with("; 3 API keys"), "{}", service.first);
    let api = service.caller.clone();

    assert_eq!(
        api.hand_in(&writer, &json!([order("1", Some("south")), order("2", Some("north"))])).await,
        201
    );
    assert_eq!(api.hand_in(&north, &order("3", None)).await, 201);
    let foreign = order("4", Some("south"));
    let (status, answer) = api.send("POST", "/records", &north, Some(&foreign)).await;
    assert_eq!((status.as_u16(), &answer["accepted"]), (207, &json!(0)), "a foreign tenant");
    assert!(answer["rejected"][0]["type"].as_str().unwrap().ends_with(":foreign-tenant"));
    assert_eq!(api.hand_in(&reader, &order("5", None)).await, 403);
    assert_eq!(api.hand_in("", &order("6", None)).await, 401);
    let almost = format!("{}0", &writer[..writer.len() - 1]);
    if almost != writer {
        assert_eq!(api.hand_in(&almost, &order("7", None)).await, 401);
    }
    assert_eq!(api.get("/records", &writer).await.0, 403);
    assert_eq!(api.orders(&reader).await, ["1", "2", "3"]);
    assert_eq!(api.orders(&north).await, ["2", "3"]);
    for root in ["/", "/activity", "/activity/"] {
        assert_eq!(api.get(root, &reader).await.0, StatusCode::OK, "{root}");
    }
    let (_, answer) = api.get("/activity/records?q=entity_id:1", &reader).await;
    assert_eq!(answer["records"][0]["service"], "billing");
    assert_eq!(answer["records"][0]["origin"], "ingest");
    let id = answer["records"][0]["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/records/{id}"), &north).await.0, 404, "of another tenant");
    assert_eq!(api.get("/records?tenant_id=south", &north).await.1["records"], json!([]));
    let (status, last) = service.stop().await;
    assert!(status.success() && last.starts_with("activity: stopped: stored "), "{last}");
    assert!(last.contains("dropped 0"), "{last}");
}

async fn a_revoked_key_is_refused(log: Log) {
    let (reader, other) = (key(&log, "support", &VIEW).await, key(&log, "other", &VIEW).await);
    let service = Serving::start(&log, &[]).await;
    assert_eq!(service.caller.get("/records", &reader).await.0, 200);
    log.run(&["key", "revoke", &reader]).await.with(0);
    service.caller.refused(&reader).await;
    assert_eq!(service.caller.get("/records", &other).await.0, 200);
    service.stop().await;
}

async fn the_first_key_closes_the_door(log: Log) {
    let service = Serving::start(&log, &[]).await;
    assert!(service.first.contains("open to everybody on this machine until the first API key"));
    assert_eq!(service.caller.get("/records", "").await.0, 200);
    let reader = key(&log, "support", &VIEW).await;
    service.caller.refused("").await;
    assert_eq!(service.caller.get("/records", &reader).await.0, 200);
    // Taking the last key away opens nothing.
    log.run(&["key", "revoke", &reader]).await.with(0);
    service.caller.refused(&reader).await;
    assert_eq!(service.caller.get("/records", "").await.0, 401);
    service.stop().await;
    let again = Serving::start(&log, &[]).await;
    assert!(again.first.contains("every API key is revoked"), "{}", again.first);
    assert_eq!(again.caller.get("/records", "").await.0, 401);
    again.stop().await;
}

async fn the_end_under_load_keeps_what_was_acknowledged(log: Log) {
    let writer = key(&log, "billing", &[]).await;
    let service = Serving::start(&log, &[]).await;
    let enough = Arc::new(Notify::new());
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (api, writer, enough) =
                (service.caller.clone(), writer.clone(), Arc::clone(&enough));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let id = format!("{caller}-{n}");
                    match api.try_send("POST", "/records", &writer, Some(&order(&id, None))).await {
                        Ok((StatusCode::CREATED, _)) => acknowledged.push(id),
                        Ok(_) => {}
                        // Nobody is there any more.
                        Err(_) => break,
                    }
                    if acknowledged.len() == 20 {
                        enough.notify_one();
                    }
                }
                acknowledged
            })
        })
        .collect();
    timeout(PATIENCE, enough.notified()).await.expect("some are taken in");
    let (status, last) = service.stop().await;
    assert!(status.success() && last.contains("dropped 0"), "{last}");
    let stored = log.run(&["query", "entity_type:order", "-n", "1000000"]).await.with(0).json();
    let stored: std::collections::HashSet<_> =
        stored.iter().map(|record| record["entity_id"].as_str().unwrap()).collect();
    for caller in callers {
        for id in timeout(PATIENCE, caller).await.unwrap().unwrap() {
            assert!(stored.contains(id.as_str()), "{id} was acknowledged and is lost");
        }
    }
}

async fn a_live_session_does_not_hold_up_the_end(log: Log) {
    // Whoever had to be cut off would have it for longer than anybody waits here.
    fs::write(log.path("serve.toml"), "grace_seconds = 3600\n").unwrap();
    let mut service = Serving::start(&log, &["--config", "serve.toml"]).await;
    let mut sessions = Vec::new();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (path, headers, answered) in
        [("/live/sse", "", b"HTTP/1.1 200 OK"), ("/activity/live", upgrade, b"HTTP/1.1 101 Sw")]
    {
        let mut live = TcpStream::connect(&service.caller.address).await.unwrap();
        let host = &service.caller.address;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n");
        live.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 15];
        live.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, answered);
        sessions.push(live);
    }
    service.signal();
    let status = timeout(PATIENCE, service.child.wait()).await.expect("it ends").unwrap();
    assert!(status.success());
}

async fn an_export_that_nobody_reads_does_not_hold_up_the_end(log: Log) {
    // More than the sockets between the two take.
    let many: Vec<_> = (1..=10_000)
        .map(|seq| {
            record(seq, "2026-11-20T12:00:00Z", |record| {
                set_metadata(record, &format!("{{\"x\":\"{}\"}}", "a".repeat(1_000)));
            })
        })
        .collect();
    for batch in many.chunks(1_000) {
        log.append(batch).await;
    }
    fs::write(log.path("serve.toml"), "grace_seconds = 1\n").unwrap();
    let mut service = Serving::start(&log, &["--config", "serve.toml"]).await;
    let mut export = TcpStream::connect(&service.caller.address).await.unwrap();
    let host = &service.caller.address;
    let request = format!("GET /export?format=jsonl HTTP/1.1\r\nHost: {host}\r\n\r\n");
    export.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 15];
    export.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    let began = Instant::now();
    service.signal();
    let status = timeout(PATIENCE, service.child.wait()).await.expect("it ends").unwrap();
    let took = began.elapsed();
    assert!(status.success());
    assert!(took > Duration::from_millis(800), "it had its second: {took:?}");
    // Whoever reads on sees that it was cut off: the chunk of length nought is not there.
    let mut rest = Vec::new();
    let _cut_off = timeout(PATIENCE, export.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.ends_with(b"\r\n0\r\n\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_an_origin_that_is_allowed_hand_in_and_no_others() {
    let log = Log::sqlite();
    let file = "allow_origins = [\"https://admin.example.com\"]\nenvironment = \"staging\"\n\
                quarantine = \"unstorable.jsonl\"\nservice = \"collector\"\n";
    fs::write(log.path("serve.toml"), file).unwrap();
    let service = Serving::start(&log, &["--config", "serve.toml"]).await;
    for (origin, expected) in [("https://admin.example.com", 200), ("https://evil.example", 403)] {
        let request = Request::post(format!("http://{}/tickets", service.caller.address))
            .header("origin", origin)
            .header("sec-fetch-site", "cross-site")
            .body(Full::from(Bytes::new()))
            .unwrap();
        let answer = service.caller.client.request(request).await.unwrap();
        assert_eq!(answer.status().as_u16() / 100, expected / 100, "{origin}");
    }
    service.stop().await;
    let written = log.run(&["query", "action:started OR action:stopped"]).await.with(0).json();
    assert!(!written.is_empty());
    for record in written {
        assert_eq!(
            (&record["environment"], &record["service"]),
            (&"staging".into(), &"collector".into())
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_one_log() {
    let log = Log::postgres().await;
    let (writer, reader) = (key(&log, "billing", &[]).await, key(&log, "support", &VIEW).await);
    let (one, two) = (Serving::start(&log, &[]).await, Serving::start(&log, &[]).await);
    for n in 0..10 {
        let service = if n % 2 == 0 { &one } else { &two };
        assert_eq!(service.caller.hand_in(&writer, &order(&n.to_string(), None)).await, 201);
    }
    for service in [&one, &two] {
        assert_eq!(service.caller.orders(&reader).await.len(), 10);
    }
    assert!(one.stop().await.0.success());
    assert_eq!(two.caller.orders(&reader).await.len(), 10);
    assert!(two.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stands_open_on_loopback_only() {
    let log = Log::sqlite();
    for address in ["0.0.0.0", "[::]", "0.0.0.0:0"] {
        let refused = log.run(&["serve", "--listen", address]).await.with(3);
        assert!(refused.stderr.contains("there is no API key"), "{}", refused.stderr);
        assert!(refused.stderr.contains("activity key new"), "{}", refused.stderr);
    }
    let reader = key(&log, "support", &VIEW).await;
    let service = Serving::start(&log, &["--listen", "[::]"]).await;
    assert!(service.caller.address.starts_with("[::]:"), "{}", service.caller.address);
    let port = service.caller.address.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let caller =
            Caller { address: format!("{host}:{port}"), client: service.caller.client.clone() };
        assert_eq!(caller.get("/records", "").await.0, 401);
        assert_eq!(caller.get("/records", &reader).await.0, 200);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_come_from_the_line_then_the_environment_then_the_file() {
    let log = Log::sqlite();
    fs::create_dir(log.path("etc")).unwrap();
    let store = log.path("from-the-file.db");
    let file = format!(
        "listen = \"[::1]\"\nport = 1\nstore = \"sqlite:{}\"\nkeys = \"the.keys\"\nrules = \"the.toml\"\n\
         service = \"collector\"\ngrace_seconds = 1\ndrain_seconds = 2\n",
        store.display()
    );
    fs::write(log.path("etc/serve.toml"), file).unwrap();
    fs::write(log.path("etc/the.toml"), "[defaults]\ntrusted_proxies = [\"10.0.0.0/8\"]\n")
        .unwrap();
    let mut command = log.command(&["serve", "--config", "etc/serve.toml"]);
    let mut child = command.env_remove("ACTIVITY_STORE").env("PORT", "0").spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = timeout(PATIENCE, said.next_line()).await.unwrap().unwrap().unwrap();
    assert!(line.contains("serving http://[::1]:") && line.contains("from-the-file.db"), "{line}");
    assert!(!line.contains("[::1]:1 "), "PORT is stronger than the file: {line}");
    child.kill().await.unwrap();
    assert!(store.exists() && log.path("etc/the.keys").exists(), "paths are meant from the file");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_before_anything_is_made() {
    let log = Log::sqlite();
    for (text, words) in [
        ("port = 3000\nprot = 1\n", "line 2"),
        ("listen = \"example.com\"\n", "no address"),
        ("port = 70000\n", "line 1"),
        ("listen = \"[::]:1\"\nport = 2\n", "listen names port 1, and port is 2"),
        ("mode = \"durable\"\n", "name one with `spool` or ACTIVITY_SPOOL"),
        ("mode = \"carefree\"\nspool = \"s\"\n", "it is one of best_effort, durable, strict"),
        ("port = ", "line 1"),
        ("allow_origins = [\"admin.example.com\"]\n", "is no origin"),
        ("allow_origins = [\"https://a.example/x\"]\n", "is no origin"),
        ("grace_seconds = -1\n", "line 1"),
    ] {
        fs::write(log.path("serve.toml"), text).unwrap();
        let refused = log.run(&["serve", "--config", "serve.toml"]).await.with(2);
        assert!(refused.stderr.contains(words), "{text}: {}", refused.stderr);
    }
    fs::write(log.path("serve.toml"), "a".repeat(100_000)).unwrap();
    let refused = log.run(&["serve", "--config", "serve.toml"]).await.with(2);
    assert!(refused.stderr.contains("these are no settings"), "{}", refused.stderr);
    fs::write(log.path("serve.toml"), "store = \"postgres://ana:geheim@x/y\" \u{1b}[31m\n")
        .unwrap();
    let refused = log.run(&["serve", "--config", "serve.toml"]).await.with(2);
    assert!(refused.stderr.contains("line 1, column"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("geheim") && !refused.stderr.contains('\u{1b}'));
    for (name, value, words) in [
        ("PORT", "http", "PORT is `http`"),
        ("ACTIVITY_MODE", "strict", "name one with `spool` or ACTIVITY_SPOOL"),
    ] {
        let refused = crate::run::ended(log.command(&["serve"]).env(name, value)).await.with(2);
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    let refused = log.run(&["serve", "--listen", "127.0.0.1:1", "--port", "2"]).await.with(2);
    assert!(refused.stderr.contains("--listen names port 1"), "{}", refused.stderr);
    assert!(!log.path("activity.db").exists(), "nothing was made");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = log.run(&["serve", "--port", &port]).await.with(3);
    assert!(refused.stderr.contains("the port is taken"), "{}", refused.stderr);
}

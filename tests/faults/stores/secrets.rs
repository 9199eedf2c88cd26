//! Sixty known secrets in every position (64): none is found in the bytes of the spool, the database, the quarantine,
//! in what the service says, in its metrics, or in its answers about errors.

#[allow(dead_code, reason = "shared with the tests of redaction")]
#[path = "../../../src/privacy/tests/known.rs"]
mod known;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, header::HeaderValue};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;
use tower_activity::PostgresStore;

use super::{
    app::App,
    child::Settings,
    load::{Book, Client},
    oracle::{Log, judge, judge_with_stubs},
    server::{Database, programs, run},
    until,
};

/// Remembers the name and the labels of every metric.
#[derive(Clone, Default)]
pub(crate) struct Metrics(Arc<Mutex<BTreeSet<String>>>);

impl Metrics {
    /// Listens in this process from now on.
    pub(crate) fn listen() -> Self {
        let listening = Self::default();
        metrics::set_global_recorder(listening.clone()).unwrap();
        listening
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().iter().map(|key| format!("{key}\n")).collect()
    }

    fn note(&self, key: &Key) {
        self.0.lock().unwrap().insert(key.to_string());
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

/// Every secret with the name that it is sent under; those with a shape need none.
fn secrets() -> impl Iterator<Item = (&'static str, &'static str)> {
    known::NAMED.iter().copied().chain(known::SHAPED.iter().map(|secret| ("note", *secret)))
}

/// Which kind of key it was may be seen, and the host of a URL.
fn hidden(secret: &str) -> &str {
    if secret.starts_with("postgres") { "app:s3cretpw" } else { secret }
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Finds eight bytes on end of any secret, also where it is percent-encoded.
struct Search {
    parts: HashMap<[u8; 8], &'static str>,
    /// By the first two bytes of a part: most places are dismissed by one look.
    begins: Vec<bool>,
}

impl Search {
    fn new() -> Self {
        let (mut parts, mut begins) = (HashMap::new(), vec![false; 1 << 16]);
        let known = [
            "-----BEGIN ",
            " PRIVATE KEY-----",
            "-----END ",
            "github_pat_",
            "sk_live_",
            "rk_live_",
        ];
        for (_, secret) in secrets() {
            let secret = hidden(secret);
            for text in [secret.to_owned(), encoded(secret), secret.replace('\n', "\\n")] {
                // Words of a language stand elsewhere too: of those, one part from the middle.
                let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b' ' || byte == b'%';
                let (skip, take) =
                    if text.bytes().all(is_word) { (text.len() / 2, 1) } else { (0, usize::MAX) };
                for part in text.as_bytes().windows(8).skip(skip).take(take) {
                    let shown = String::from_utf8_lossy(part).into_owned();
                    // A run of one digit stands in many a file.
                    let bytes: BTreeSet<_> = part.iter().collect();
                    if bytes.len() < 4 || known.iter().any(|known| known.contains(&shown)) {
                        continue;
                    }
                    let part: [u8; 8] = part.try_into().unwrap();
                    begins[usize::from(u16::from_le_bytes([part[0], part[1]]))] = true;
                    parts.insert(part, secret);
                }
            }
        }
        assert!(known::NAMED.len() + known::SHAPED.len() >= 60);
        Self { parts, begins }
    }

    fn assert_none(&self, bytes: &[u8], place: &str) {
        for part in bytes.windows(8) {
            if !self.begins[usize::from(u16::from_le_bytes([part[0], part[1]]))] {
                continue;
            }
            let part: &[u8; 8] = part.try_into().unwrap();
            if let Some(secret) = self.parts.get(part) {
                let at = part.as_ptr() as usize - bytes.as_ptr() as usize;
                let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
                panic!("{place}: {secret:?} in {}", String::from_utf8_lossy(around));
            }
        }
    }

    fn assert_none_under(&self, folder: &Path) -> u64 {
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                files += self.assert_none_under(&entry.path());
            } else {
                self.assert_none(
                    &fs::read(entry.path()).unwrap(),
                    &entry.path().display().to_string(),
                );
                files += 1;
            }
        }
        files
    }
}

const RULES: &str = "[[rule]]\nname = \"all\"\nroute = \"/orders/{id}\"\n\
                     methods = [\"POST\", \"PUT\"]\nlevel = \"request_response\"\n";

/// Sends each secret in each position that a request has.
async fn send_all(client: &mut Client) {
    for (key, secret) in secrets() {
        let body =
            json!({ key: secret, "deep": [{ "of": { key: [secret] } }], "b": 1 }).to_string();
        // The body, the answer, and what a handler takes from it.
        client
            .send_this(|request| {
                for (name, value) in
                    [("content-type", "application/json"), ("x-echo", "1"), ("x-tell", "1")]
                {
                    request.headers_mut().insert(name, HeaderValue::from_static(value));
                }
                *request.body_mut() = Full::from(body.clone());
            })
            .await;
        // A form, a query, and the headers that carry secrets.
        let pair = format!("a=b&{key}={}", encoded(secret));
        client
            .send_this(|request| {
                *request.uri_mut() = format!("/orders/55?{pair}").parse().unwrap();
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert("content-type", form);
                let value = HeaderValue::from_bytes(secret.replace('\n', " ").as_bytes()).unwrap();
                for name in ["authorization", "cookie", "x-api-key", "proxy-authorization"] {
                    request.headers_mut().insert(name, value.clone());
                }
                *request.body_mut() = Full::from(pair.clone());
            })
            .await;
        // And a body that some databases refuse for what stands beside it.
        if key == "password" {
            client
                .send_this(|request| {
                    let json = HeaderValue::from_static("application/json");
                    request.headers_mut().insert("content-type", json);
                    request.headers_mut().insert("x-poison", HeaderValue::from_static("7"));
                    *request.body_mut() = Full::from(body);
                })
                .await;
        }
    }
    // Those with a shape also where no key tells.
    for secret in known::SHAPED {
        let line = secret.replace('\n', " ");
        client
            .send_this(|request| {
                let path = format!("/orders/{}", encoded(secret));
                *request.uri_mut() = path.parse().unwrap();
                let value = HeaderValue::from_str(&format!("see {line} here")).unwrap();
                request.headers_mut().insert("x-say", value.clone());
                request.headers_mut().insert("user-agent", value);
            })
            .await;
    }
}

/// Hands in items under names that tell, and returns what is said about them. Some hold a secret where nobody expects
/// one, and are refused: that is told to the sender, who sent it, and must be found nowhere else.
async fn handed_in(app: &App) -> String {
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
    let client = client.build_http::<Full<hyper::body::Bytes>>();
    let mut said = String::new();
    for (key, secret) in secrets() {
        let item = |name: &str, value: serde_json::Value| {
            let mut item = json!({ "action": "ship", "actor_id": "ana", "entity_type": "order" });
            item[name] = value;
            item
        };
        for (is_told, item) in [
            (true, item(key, secret.into())),
            (true, item("metadata", json!({ key: secret }))),
            (
                true,
                item("changes", json!([{ "op": "add", "path": format!("/{key}"), "new": secret }])),
            ),
            (false, item("status", secret.into())),
            (false, item("outcome", secret.into())),
            (false, item("ip", secret.into())),
        ] {
            let url = format!("http://localhost:{}/log/records", app.address.port());
            let request = Request::post(url).header("content-type", "application/json");
            let request = request.body(Full::from(item.to_string())).unwrap();
            let answer = super::soon("an answer", client.request(request)).await.unwrap();
            let answer = answer.into_body().collect().await.unwrap().to_bytes();
            if is_told {
                said.push_str(&String::from_utf8_lossy(&answer));
            }
        }
        let uri =
            format!("/log/records?q={}&{}=1", encoded(&format!("status:{secret}")), encoded(key));
        drop(app.ask("GET", &uri).await);
    }
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_known_secret_is_written_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (search, book) = (Search::new(), Book::default());
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let spool = path("spool");
    let settings = |store: String, spool: PathBuf, name: &str| {
        let mut settings = Settings::new(store, spool);
        RULES.clone_into(&mut settings.rules);
        "trace".clone_into(&mut settings.level);
        settings.metrics = Some(path(name));
        settings.quarantine = Some(path("quarantine.jsonl"));
        settings
    };
    // While the database is away, all of it is in the spool.
    let away = "postgres://app:away-pa55word@127.0.0.1:9/away".to_owned();
    let app = App::start(&settings(away, spool.clone(), "metrics-1"), folder.path()).await;
    let mut client = Client::connect(app.address, &book).await.unwrap();
    send_all(&mut client).await;
    app.retried(1).await;
    assert!(search.assert_none_under(&spool) >= 2);
    assert!(!app.said().contains("away-pa55word"));
    search.assert_none(app.said().as_bytes(), "diagnostics");
    app.kill().await;
    let copied = Command::new("cp").arg("-a").arg(&spool).arg(path("copy")).status();
    assert!(copied.unwrap().success());

    // Into a file.
    let data = path("data");
    fs::create_dir(&data).unwrap();
    let file = data.join("activity.db");
    let store = format!("sqlite:{}", file.display());
    let app = App::start(&settings(store, spool.clone(), "metrics-2"), folder.path()).await;
    let log = Log::Sqlite(file);
    log.arrived(&book).await;
    let said = handed_in(&app).await;
    assert!(said.contains("rejected"));
    search.assert_none(said.as_bytes(), "answers");
    app.settled().await;
    search.assert_none(app.said().as_bytes(), "diagnostics");
    assert!(search.assert_none_under(&data) >= 2);
    search.assert_none_under(&spool);
    app.stop().await;
    judge("64 secrets, SQLite", 1, &book, &log).await;

    // And into a server, which cannot take one of them.
    let database = Database::new().await;
    PostgresStore::open(&database.url()).await.unwrap();
    database.execute("create index on activity.records (description, reason)").await;
    let app = App::start(&settings(database.url(), path("copy"), "metrics-3"), folder.path()).await;
    until("the bad row is set aside", async || path("quarantine.jsonl").exists()).await;
    let kept = path("quarantine.jsonl");
    until("it is written", async || fs::read_to_string(&kept).unwrap().ends_with('\n')).await;
    let log = Log::Postgres(database.url());
    until("the others are stored", async || log.count().await + 1 >= book.seen()).await;
    search.assert_none(app.said().as_bytes(), "diagnostics");
    app.stop().await;
    let lines = fs::read_to_string(&kept).unwrap();
    search.assert_none(lines.as_bytes(), "quarantine");
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let stub = line["record"]["request_id"].as_str().unwrap().to_owned();
    judge_with_stubs("64 secrets, Postgres", 1, &book, &log, &BTreeSet::from([stub])).await;
    let dump = path("dump.sql");
    run(Command::new(programs().join("pg_dump"))
        .args(["--data-only", "--inserts", "-n", "activity", "-d", &database.url(), "-f"])
        .arg(&dump));
    search.assert_none(&fs::read(&dump).unwrap(), "the database");
    for name in ["metrics-2", "metrics-3"] {
        let metrics = fs::read(path(name)).unwrap();
        assert!(String::from_utf8_lossy(&metrics).contains("activity_records_stored_total"));
        search.assert_none(&metrics, "metrics");
    }
}

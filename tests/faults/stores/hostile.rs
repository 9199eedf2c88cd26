//! Requests that are made to hurt: heads (59) and JSON (60). They are answered like any other, and recorded once.

use http_body_util::Full;
use hyper::{
    Request,
    body::Bytes,
    header::{HeaderName, HeaderValue},
};
use tower_activity::{PostgresStore, Rules};

use super::{
    app::App,
    child::Settings,
    load::{Book, Client},
    oracle::{Log, judge},
    server::Database,
};
use crate::table::times;

type Sent = Request<Full<Bytes>>;

/// Keeps as much as can be kept.
const RULES: &str = "[[rule]]\nname = \"all\"\nroute = \"/orders/{id}\"\nmethods = [\"POST\"]\n\
                     level = \"request_response\"\n";

/// Sends what `attack` does, to a service on each database.
async fn on_each(fault: &'static str, attack: impl AsyncFn(&mut Client)) {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    PostgresStore::open(&database.url()).await.unwrap();
    let file = folder.path().join("activity.db");
    let sqlite = format!("sqlite:{}", file.display());
    for (store, name, log) in [
        (database.url(), "postgres", Log::Postgres(database.url())),
        (sqlite, "sqlite", Log::Sqlite(file.clone())),
    ] {
        // Not strict: that refuses what would have to be cut (32).
        let mut settings = Settings::new(store, folder.path().join(name)).mode("durable");
        RULES.clone_into(&mut settings.rules);
        let app = App::start(&settings, folder.path()).await;
        let (book, rounds) = (Book::default(), times(1, 100));
        let mut client = Client::connect(app.address, &book).await.unwrap();
        for _ in 0..rounds {
            attack(&mut client).await;
        }
        app.settled().await;
        let report = app.stop().await;
        assert_eq!((report["stored"], report["quarantined"]), (report["received"], 0));
        judge(fault, rounds, &book, &log).await;
    }
}

fn header(request: &mut Sent, name: &str, value: &[u8]) {
    let name: HeaderName = name.parse().unwrap();
    request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_of_any_size_and_of_any_bytes_are_recorded() {
    on_each("59 hostile heads", async |client| {
        let long = 64 * 1024 - 20;
        for uri in [
            format!("/orders/{}", "a".repeat(long)),
            format!("/orders/{}", "%ff".repeat(long / 3)),
            format!("/orders/55?{}", "q=%00&".repeat(long / 6)),
            format!("/orders/55?q={}", "b".repeat(long - 10)),
            format!("/orders/%00%0a%1b[31m{}", "%e2%80%ae".repeat(1_000)),
        ] {
            client.send_this(|request| *request.uri_mut() = uri.parse().unwrap()).await;
        }
        client
            .send_this(|request| {
                for number in 0..1_000 {
                    header(request, &format!("x-header-{number}"), b"value");
                }
            })
            .await;
        for name in ["x-forwarded-for", "forwarded", "cookie", "traceparent"] {
            client
                .send_this(|request| (0..1_000).for_each(|_| header(request, name, b"a, b;c=\"d")))
                .await;
        }
        let wild: Vec<u8> = (0x80..=0xff).chain(b'\t'..=b'\t').chain(b' '..=b'~').collect();
        for name in [
            "user-agent",
            "authorization",
            "cookie",
            "traceparent",
            "x-forwarded-for",
            "forwarded",
            "content-type",
            "referer",
        ] {
            client.send_this(|request| header(request, name, &wild)).await;
            client.send_this(|request| header(request, name, &wild.repeat(200))).await;
        }
    })
    .await;
}

/// JSON that is too deep, too wide, ambiguous, or too large to be numbers.
fn bombs() -> Vec<String> {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let wide: String = (0..times(40_000, 1_000_000)).map(|key| format!("\"k{key}\":1,")).collect();
    vec![
        deep("[", "]"),
        deep("{\"a\":", "}"),
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        format!("{{{wide}\"x\":1}}"),
        format!("{{{}\"a\":2}}", "\"a\":1,".repeat(100_000)),
        format!("{{\"id\":{}}}", "9".repeat(100_000)),
        "{\"id\":1e999999999,\"a\":-0.0,\"b\":1E-999999999}".to_owned(),
        format!("{{\"id\":0.{}1}}", "0".repeat(100_000)),
        "{\"id\":\"\\ud800\",\"a\":\"\\u0000\"}".to_owned(),
        format!("\"{}\"", "\\u0000".repeat(20_000)),
        "{\"a\":1".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_made_to_hurt_is_kept_or_cut_and_never_fatal() {
    let bombs = bombs();
    on_each("60 hostile JSON", async |client| {
        for bomb in &bombs {
            client
                .send_this(|request| {
                    header(request, "content-type", b"application/json");
                    // As body, as answer, as metadata and as a change.
                    header(request, "x-echo", b"1");
                    header(request, "x-tell", b"1");
                    *request.body_mut() = Full::from(bomb.clone());
                })
                .await;
        }
    })
    .await;
}

#[test]
fn a_rules_file_that_is_made_to_hurt_is_refused() {
    // Trees that are too deep would end the thread, and the process with it.
    for bomb in bombs() {
        assert!(Rules::rest().with_json(&bomb).is_err());
        assert!(Rules::rest().with_json(&format!("{{\"rule\":{bomb}}}")).is_err());
    }
    let many = times(20_000, 100_000);
    for bomb in [
        format!("a = {}", "[".repeat(many)),
        format!("a = {}1{}", "[".repeat(many), "]".repeat(many)),
        format!("a = {}1{}", "{a=".repeat(many), "}".repeat(many)),
        format!("{} = 1", vec!["a"; many].join(".")),
        format!("[{}]", vec!["a"; many].join(".")),
        (0..many).map(|key| format!("k{key} = 1\n")).collect(),
        "a = 1\na = 2\n".to_owned(),
        format!("a = {}", "9".repeat(100_000)),
    ] {
        assert!(Rules::rest().with_toml(&bomb).is_err());
    }
}

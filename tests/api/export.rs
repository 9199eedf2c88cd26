//! Exports.

use std::{collections::BTreeSet, time::Duration};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, Response, body::Bytes, body::Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, value::RawValue};
use tokio::net::TcpStream;
use tower::ServiceExt as _;
use tower_activity::{
    Filter,
    encode::Format,
    query::PageRequest,
    record::{Actor, Outcome, Record, WriterId},
    store::Read,
    time::Timestamp,
};

use crate::{
    endless::WithoutEnd,
    support::{Fixture, Service, by_header},
};

on_every_store! {
    an_export_holds_exactly_what_was_there_when_it_began,
    every_format_is_read_back_with_every_record_once,
    a_formula_is_harmless_in_a_spreadsheet,
    nobody_exports_another_tenant_or_category,
    exporting_takes_its_permission,
    what_an_export_cannot_mean_is_refused,
    each_export_is_recorded_with_how_much_it_handed_out,
}

/// Records of a stream, a millisecond apart.
fn stream(writer: i64, seqs: std::ops::RangeInclusive<i64>) -> Vec<Box<Record>> {
    let begin: Timestamp = "2026-05-11T12:00:00Z".parse().unwrap();
    seqs.map(|seq| {
        let mut record = Record::by(Actor::user("ana")).cancelled("order", &seq.to_string());
        record.occurred_at = Timestamp::from_micros(begin.as_micros() + seq * 1_000 + writer);
        record.recorded_at = record.occurred_at;
        let mut random = [0; 10];
        random[..2].copy_from_slice(&writer.to_be_bytes()[6..]);
        random[2..].copy_from_slice(&seq.to_be_bytes());
        record.id = tower_activity::record::RecordId::new(record.occurred_at, random);
        record.retention_class.set("activity");
        record.tenant_id.set(if seq % 2 == 0 { "even" } else { "odd" });
        record.writer_id = WriterId::new(writer);
        record.seq = seq;
        record.seal([[1; 16], [2; 16], [3; 16], [4; 16]]);
        Box::new(record)
    })
    .collect()
}

async fn filled<F: Fixture>(count: i64) -> Service<F> {
    let service = Service::<F>::start().await;
    for from in (1..=count).step_by(500) {
        service.append(&stream(1, from..=(from + 499).min(count))).await;
    }
    service
}

/// Asks on a connection of its own, and leaves the body to the caller.
async fn open<F: Fixture>(service: &Service<F>, path: &str) -> Response<Incoming> {
    let socket = TcpStream::connect(service.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", service.address.to_string())
        .header("x-test-caller", "admin")
        .header("te", "trailers")
        .body(Empty::<Bytes>::new())
        .unwrap();
    sender.send_request(request).await.unwrap()
}

fn ids(lines: &str) -> Vec<String> {
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
    };
    lines.lines().map(id).collect()
}

async fn an_export_holds_exactly_what_was_there_when_it_began<F: Fixture>() {
    let service = filled::<F>(3_000).await;
    let path = "/activity/export?format=jsonl&action=cancel";
    // Without a socket, whose buffers would take the whole of it before the writers begin.
    let router = service.pipeline.router(by_header());
    let request = Request::get("/export?format=jsonl&action=cancel")
        .header("x-test-caller", "admin")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let position =
        response.headers()["activity-position"].to_str().unwrap().parse::<i64>().unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    // What comes late lies where the export has not been yet.
    service.append(&stream(2, 1..=500)).await;
    let writers = async {
        for round in 0..20 {
            service.append(&stream(2, round * 25 + 501..=round * 25 + 525)).await;
            service.append(&stream(1, round * 50 + 3_001..=round * 50 + 3_050)).await;
        }
    };
    let reader = async {
        let mut text = first.to_vec();
        let mut trailers = None;
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => text.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        (String::from_utf8(text).unwrap(), trailers.expect("a whole export has trailers"))
    };
    let ((), (text, trailers)) = tokio::join!(writers, reader);

    let mut there = BTreeSet::new();
    for entry in service.store.entries(0, 10_000).await.unwrap() {
        if entry.position <= position {
            for record in service.store.entry_records(&entry).await.unwrap() {
                if record.action == "cancel" {
                    there.insert((record.occurred_at, record.id.to_string()));
                }
            }
        }
    }
    let expected: Vec<_> = there.into_iter().rev().map(|(_, id)| id).collect();
    let exported = ids(&text);
    assert_eq!(expected.len(), 3_000);
    assert_eq!(exported.len(), expected.len());
    assert!(exported == expected, "newest first, each once, and nothing of later");
    assert_eq!(trailers["activity-records"], expected.len().to_string());
    assert_eq!(trailers["activity-unreadable"], "0");

    // Afterwards everything is there, oldest first where that is asked for.
    let after = service.get(&format!("{path}&order=asc")).await;
    let after = ids(after.text());
    assert_eq!(after.len(), 5_000);
    let whole: BTreeSet<_> = after.iter().collect();
    assert!(whole.len() == 5_000 && exported.iter().all(|id| whole.contains(id)));
    service.stop().await;
}

async fn every_format_is_read_back_with_every_record_once<F: Fixture>() {
    let service = filled::<F>(1_200).await;
    for format in Format::ALL {
        let path = format!("/activity/export?format={format}&action=cancel&tenant_id=even");
        let answer = service.get(&path).await;
        assert_eq!(answer.headers["content-type"], format.media_type());
        assert_eq!(answer.headers["cache-control"], "no-store");
        let file = answer.headers["content-disposition"].to_str().unwrap();
        assert!(file.starts_with("attachment; filename=\"activity-20"), "{file}");
        assert!(file.ends_with(&format!("Z.{}\"", format.extension())), "{file}");
        let seen: BTreeSet<String> = match format {
            Format::Csv => {
                let mut reader = csv::Reader::from_reader(&answer.body[..]);
                assert_eq!(reader.headers().unwrap().len(), Record::FIELDS.len());
                reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
            }
            Format::Json => {
                let list = &answer.json()["records"];
                let list = list.as_array().unwrap();
                list.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
            }
            Format::JsonLines => ids(answer.text()).into_iter().collect(),
            Format::CloudEvents => ids(&lines_of(answer.text())).into_iter().collect(),
            _ => {
                let uid = |line| {
                    let event: Value = serde_json::from_str(line).unwrap();
                    event["metadata"]["uid"].as_str().unwrap().to_owned()
                };
                answer.text().lines().map(uid).collect()
            }
        };
        assert_eq!(seen.len(), 600, "{format}");
    }
    service.stop().await;
}

/// The items of an array, one on each line.
fn lines_of(array: &str) -> String {
    let items: Vec<&RawValue> = serde_json::from_str(array).unwrap();
    items.iter().map(|item| item.get()).collect::<Vec<_>>().join("\n")
}

/// (54)
async fn a_formula_is_harmless_in_a_spreadsheet<F: Fixture>() {
    let service = Service::<F>::start().await;
    let formula = "=cmd|' /C calc'!A0";
    service
        .pipeline
        .recorder()
        .record(Record::by(Actor::user("@SUM(1)").named(" ＝1")).cancelled("order", formula));
    service.pipeline.flush().await;
    let answer = service.get("/activity/export?format=csv&action=cancel&bom=true").await;
    let text = answer.text().strip_prefix('\u{feff}').expect("a byte order mark");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    let cell = |name| &row[headers.iter().position(|header| header == name).unwrap()];
    assert_eq!(cell("entity_id"), format!("'{formula}"));
    assert_eq!(cell("actor_id"), "'@SUM(1)");
    assert!(cell("actor_name").starts_with('\''), "{}", cell("actor_name"));
    service.stop().await;
}

async fn nobody_exports_another_tenant_or_category<F: Fixture>() {
    let service = filled::<F>(100).await;
    for (caller, tenant, expected) in [
        ("eve logs.export,logs.actions.view even", "", 50),
        ("eve logs.export,logs.actions.view even", "&tenant_id=odd", 0),
        ("eve logs.export,logs.actions.view nobody", "", 0),
        ("eve logs.export,logs.auth.view even", "", 0),
    ] {
        let path = format!("/activity/export?format=jsonl&action=cancel{tenant}");
        let answer = service.get_as(caller, &path).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        assert_eq!(answer.text().lines().count(), expected, "{caller} {tenant}");
    }
    service.stop().await;
}

async fn exporting_takes_its_permission<F: Fixture>() {
    let service = Service::<F>::start().await;
    let path = "/activity/export?format=csv";
    let refused = service.get_as("eve logs.actions.view", path).await.problem(403);
    assert!(refused["detail"].as_str().unwrap().contains("logs.export"), "{refused}");
    // Who may export and see nothing has nothing to export.
    service.get_as("eve logs.export", path).await.problem(403);
    service.send(hyper::Method::GET, path, &[], "").await.problem(401);
    service.stop().await;
}

async fn what_an_export_cannot_mean_is_refused<F: Fixture>() {
    let service = Service::<F>::start().await;
    for (query, parameter) in [
        ("format=xlsx", "format"),
        ("format=json&bom=true", "bom"),
        ("bom=yes", "bom"),
        ("order=sideways", "order"),
        ("limit=10", "limit"),
        ("cursor=abc", "cursor"),
        ("page=2", "page"),
        ("offset=2", "offset"),
        ("entitty=x", "entitty"),
    ] {
        let problem = service.get(&format!("/activity/export?{query}")).await.problem(400);
        assert_eq!(problem["parameter"], parameter, "{problem}");
    }
    let head = [("x-test-caller", "admin")];
    let head = service.send(hyper::Method::HEAD, "/activity/export?format=json", &head, "").await;
    assert!(head.status.is_success() && head.body.is_empty());
    assert_eq!(head.headers["content-type"], "application/json");
    service.stop().await;
}

/// What the log says about exports, oldest first.
async fn exports<F: Fixture>(service: &Service<F>) -> Vec<Record> {
    service.pipeline.flush().await;
    let filter = Filter::new().any_of("action", ["log_exported"]).unwrap();
    let mut page = service.store.records(&filter, &PageRequest::newest(1_000)).await.unwrap();
    page.records.reverse();
    page.records
}

async fn each_export_is_recorded_with_how_much_it_handed_out<F: Fixture>() {
    let service = filled::<F>(700).await;
    let path = "/activity/export?format=csv&action=cancel&tenant_id=odd";
    let whole = open(&service, path).await.into_body().collect().await.unwrap();
    let trailers = whole.trailers().expect("they were asked for");
    assert_eq!(trailers["activity-records"], "350");
    let recorded = exports(&service).await;
    assert_eq!(recorded.len(), 2, "its begin and its end: {recorded:?}");
    let end = &recorded[1];
    assert_eq!((end.actor_id.as_str(), end.outcome), ("admin", Outcome::Success));
    let facts: Value = serde_json::from_str(end.metadata.as_str()).unwrap();
    assert!(end.metadata.as_str().contains("350"), "{facts}");
    assert!(end.metadata.as_str().contains("format=csv&action=cancel&tenant_id=odd"), "{facts}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_stops_the_reading() {
    let service = Service::<WithoutEnd>::start().await;
    let told = Filter::new().any_of("action", ["log_exported"]).unwrap();
    let mut told = service.pipeline.subscribe(told);
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(60), told.next()).await;
        next.expect("it is recorded").unwrap().unwrap()
    };
    let mut response = open(&service, "/activity/export?format=jsonl&action=endless").await;
    let mut taken = 0;
    while taken < 3_000_000 {
        taken += response.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    assert!(service.store.pages() > 2);
    assert_eq!(next().await.outcome, Outcome::Success, "that it has begun");
    drop(response);
    assert_eq!(next().await.outcome, Outcome::Aborted, "that it has ended");
    let pages = service.store.pages();
    service.pipeline.flush().await;
    assert_eq!(service.store.pages(), pages, "nobody reads on");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_breaks_off_does_not_look_whole() {
    let service = Service::<WithoutEnd>::start().await;
    for format in ["csv", "json", "jsonl", "cloudevents", "ocsf"] {
        service.store.fail_after(service.store.pages() + 3);
        let path = format!("/activity/export?format={format}&action=endless");
        let mut response = open(&service, &path).await;
        let mut text = Vec::new();
        let broken = loop {
            match response.frame().await {
                Some(Ok(frame)) => text.extend(frame.into_data().expect("no trailers")),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        assert!(broken && !text.is_empty(), "{format}");
        let closed = text.ends_with(b"]}\n") || text.ends_with(b"]\n");
        assert!(!closed, "{format}");
        service.store.fail_after(usize::MAX);
        let recorded = exports(&service).await.pop().unwrap();
        assert_eq!(recorded.outcome, Outcome::Failure, "{recorded:?}");
    }
    service.stop().await;
}

/// (63) One thread, no sockets: what runs is what is awaited, and nothing holds pieces but the export itself.
#[tokio::test]
async fn twenty_exports_at_once_read_no_further_than_their_clients() {
    let service = Service::<WithoutEnd>::start().await;
    let router = service.pipeline.router(by_header());
    let idle = async || {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    let mut bodies = Vec::new();
    for n in 0..20 {
        let request = Request::get("/export?format=csv&action=endless")
            .header("x-test-caller", format!("admin{n}"))
            .body(axum::body::Body::empty())
            .unwrap();
        bodies.push(router.clone().oneshot(request).await.unwrap().into_body());
    }
    idle().await;
    let begun = service.store.pages();
    assert!((20..=3 * 20).contains(&begun), "{begun} pages for 20 clients that take nothing");

    // Whoever takes a piece of 64 KiB moves on by that.
    for body in &mut bodies {
        for _ in 0..30 {
            body.frame().await.unwrap().unwrap();
        }
    }
    idle().await;
    let bytes = 30 * 64 * 1024 * 20;
    let read = service.store.pages() - begun;
    assert!(read > 0 && read <= bytes / 500_000 + 3 * 20, "{read} pages");

    let before = service.store.pages();
    drop(bodies);
    idle().await;
    assert_eq!(service.store.pages(), before, "all of them stopped");
    let recorded = exports(&service).await;
    for n in 0..20 {
        let own = recorded.iter().filter(|record| record.actor_id == *format!("admin{n}"));
        let ended = |outcome| own.clone().filter(|record| record.outcome == outcome).count();
        assert_eq!((ended(Outcome::Success), ended(Outcome::Aborted)), (1, 1), "{n}: {recorded:?}");
    }
    drop(router);
    service.stop().await;
}

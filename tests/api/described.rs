//! The description (`/openapi.json`): it is OpenAPI, it is the contract, and it is what is answered.

use hyper::{Method, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tower_activity::{
    access::{self, Denial},
    record::{Actor, Record},
    store::make_checkpoint,
    time::Timestamp,
};

use crate::support::{Answer, InFile, Service, spelt};

type Log = Service<InFile>;

const ADMIN: (&str, &str) = ("x-test-caller", "admin");
const VIEWER: (&str, &str) = ("x-test-caller", "vic logs.actions.view");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn document(service: &Log) -> Value {
    service.send(Method::GET, "/activity/openapi.json", &[], "").await.json()
}

/// A log with a few records in it.
async fn log() -> (Log, Value) {
    let service = Log::start().await;
    for (action, id) in [("cancel", "55"), ("ship", "56")] {
        let record = Record::by(Actor::user("ana")).verb(action).on("order", id);
        service.pipeline.recorder().record(record);
    }
    service.pipeline.flush().await;
    let document = document(&service).await;
    (service, document)
}

/// Compiles a schema of the description, formats and all.
fn validator(document: &Value, schema: &Value) -> jsonschema::Validator {
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": document["components"],
        "allOf": [schema],
    });
    jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
}

fn holds(document: &Value, schema: &Value, value: &Value, what: &str) {
    let validator = validator(document, schema);
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {}\n{value}", errors.join("\n"));
}

/// Holds an answer against what is described for this operation: status, type, headers and body.
fn is_described(document: &Value, method: &Method, path: &str, answer: &Answer) {
    let what = format!("{method} {path}: {}", answer.status);
    let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
    let mut response = &operation["responses"][answer.status.as_str()];
    if let Some(reference) = response["$ref"].as_str() {
        response = document.pointer(&reference[1..]).unwrap();
    }
    assert!(response.is_object(), "{what} is not described");
    let kind = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    let kind = kind.split(';').next().unwrap();
    let schema = &response["content"][kind]["schema"];
    assert!(schema.is_object(), "{what}: {kind} is not described");
    if kind.ends_with("json") && kind != "application/x-ndjson" {
        holds(document, schema, &serde_json::from_slice(&answer.body).unwrap(), &what);
    }
    for name in ["retry-after", "www-authenticate", "content-disposition", "activity-position"] {
        let described = response["headers"].as_object().into_iter().flatten();
        let described = described.into_iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        assert!(described || !answer.headers.contains_key(name), "{what}: {name} is not described");
    }
}

#[tokio::test]
async fn it_is_openapi_and_its_schemas_are_schemas() {
    let (service, document) = log().await;
    let published: Value =
        serde_json::from_str(include_str!("../schemas/openapi-3.1.json")).unwrap();
    let published = jsonschema::validator_for(&published).unwrap();
    let errors: Vec<_> = published
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        jsonschema::draft202012::meta::validate(schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // Every reference leads somewhere, and what is given as an example is one.
        for example in schema["examples"].as_array().into_iter().flatten() {
            holds(&document, schema, example, name);
        }
    }
    // The published schema does refuse something.
    let mut wrong = document.clone();
    wrong["paths"]["/records"]["get"]["parameters"][0]["in"] = json!("nowhere");
    assert!(!published.is_valid(&wrong));
    service.stop().await;
}

#[tokio::test]
async fn every_answer_is_one_that_is_described() {
    let (service, document) = log().await;
    let get = Method::GET;
    let page = service.get("/activity/records?limit=1").await.json();
    let id = page["records"][0]["id"].as_str().unwrap().to_owned();
    let next = page["next"].as_str().unwrap().to_owned();
    let one = format!("/records/{id}");
    let cursor = format!("/records?limit=1&cursor={next}");
    let foreign = format!("/records?action=ship&cursor={next}");
    let long = format!("/records?q={}", "a".repeat(17_000));
    for (template, path, caller, status) in [
        ("/", "", ADMIN, 200),
        ("/records", "/records", ADMIN, 200),
        ("/records", "/records?search=cancel&count=exact", ADMIN, 200),
        ("/records", &cursor, ADMIN, 200),
        ("/records", &foreign, ADMIN, 400),
        ("/records", "/records?q=atcion:cancel", ADMIN, 400),
        ("/records", "/records?limit=1001", ADMIN, 400),
        ("/records", &long, ADMIN, 414),
        ("/records", "/records", ("x-nobody", "x"), 401),
        ("/records", "/records", ("x-test-caller", "kim logs.export"), 403),
        ("/records/{id}", &one, ADMIN, 200),
        ("/records/{id}", "/records/019e16e8-8e00-7fff-8000-000000000001", ADMIN, 404),
        ("/records/{id}", "/records/%ff", ADMIN, 400),
        ("/records/{id}/proof", &format!("{one}/proof"), ADMIN, 404),
        ("/records/{id}/proof", "/records/%ff/proof", ADMIN, 400),
        ("/checkpoint", "/checkpoint", ADMIN, 404),
        ("/checkpoint", "/checkpoint?action=x", ADMIN, 400),
        ("/entities/{type}/{id}", "/entities/order/55", ADMIN, 200),
        ("/entities/{type}/{id}", "/entities/order/%ff", ADMIN, 400),
        ("/actors/{id}", "/actors/ana", ADMIN, 200),
        ("/sessions/{id}", "/sessions/p1.x", ADMIN, 200),
        ("/stats", "/stats?interval=hour&tz=Europe/Lisbon", ADMIN, 200),
        ("/stats", "/stats?interval=minute&from=2020-01-01", ADMIN, 400),
        ("/facets", "/facets?fields=action,status&top=2", ADMIN, 200),
        ("/facets", "/facets?fields=action&prefix=can", ADMIN, 200),
        ("/facets", "/facets?fields=description", ADMIN, 400),
        ("/export", "/export", ADMIN, 200),
        ("/export", "/export?format=json", ADMIN, 200),
        ("/export", "/export?format=jsonl", ADMIN, 200),
        ("/export", "/export?format=ocsf", ADMIN, 200),
        ("/export", "/export?format=cloudevents", ADMIN, 200),
        ("/export", "/export?format=xml", ADMIN, 400),
        ("/export", "/export", VIEWER, 403),
        ("/live", "/live", ADMIN, 400),
        ("/live/sse", "/live/sse?cursor=x", ADMIN, 400),
        ("/live/sse", "/live/sse?ticket=x", ADMIN, 401),
        ("/health", "/health", ADMIN, 200),
        ("/health", "/health", VIEWER, 200),
        ("/completeness", "/completeness", ADMIN, 200),
        ("/completeness", "/completeness?limit=1", ADMIN, 200),
        ("/completeness", "/completeness?action=x", ADMIN, 400),
        ("/completeness", "/completeness", VIEWER, 403),
        ("/openapi.json", "/openapi.json", ADMIN, 200),
    ] {
        let path = format!("/activity{path}");
        let answer = service.send(get.clone(), &path, &[caller], "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        is_described(&document, &get, template, &answer);
    }

    let post = Method::POST;
    let item = |actor: &str| format!(r#"{{"action":"pack","actor_id":"{actor}","id":"pack-1"}}"#);
    let large = "x".repeat(9 * 1024 * 1024);
    let foreign = ("sec-fetch-site", "cross-site");
    for (template, headers, body, status) in [
        ("/records", &[ADMIN, JSON][..], item("ana"), 201),
        ("/records", &[ADMIN, JSON], item("bob"), 207),
        ("/records", &[ADMIN, JSON], "{".to_owned(), 400),
        ("/records", &[ADMIN, JSON], String::new(), 400),
        ("/records", &[ADMIN, JSON, ("idempotency-key", "")], item("ana"), 400),
        ("/records", &[ADMIN, JSON], large, 413),
        ("/records", &[ADMIN], item("ana"), 415),
        ("/records", &[JSON], item("ana"), 401),
        ("/records", &[VIEWER, JSON], item("ana"), 403),
        ("/records", &[ADMIN, JSON, foreign], item("ana"), 403),
        ("/tickets", &[ADMIN], String::new(), 201),
        ("/tickets", &[], String::new(), 401),
    ] {
        let path = format!("/activity{template}");
        let answer = service.send(post.clone(), &path, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        is_described(&document, &post, template, &answer);
    }
    service.stop().await;
}

#[tokio::test]
async fn what_the_access_part_refuses_is_described() {
    let later = access::from_fn(|_| async {
        Err(Denial::Later { seconds: 7, detail: "too many log in at once".to_owned() })
    });
    let service =
        Log::with(|pipeline| axum::Router::new().nest("/activity", pipeline.router(later))).await;
    let document = document(&service).await;
    for (method, path) in [
        (Method::GET, "/records"),
        (Method::GET, "/stats"),
        (Method::GET, "/export"),
        (Method::GET, "/live/sse"),
        (Method::POST, "/records"),
        (Method::POST, "/tickets"),
    ] {
        let answer = service.send(method.clone(), &format!("/activity{path}"), &[], "").await;
        assert_eq!(answer.problem(429)["status"], 429);
        assert_eq!(answer.headers[header::RETRY_AFTER], "7");
        is_described(&document, &method, path, &answer);
    }
    service.stop().await;
}

#[tokio::test]
async fn what_a_live_session_says_is_described() {
    let (service, document) = log().await;
    let mut socket = TcpStream::connect(service.address).await.unwrap();
    let head =
        "GET /activity/live/sse?action=pack HTTP/1.1\r\nhost: x\r\nx-test-caller: admin\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(socket).lines();
    let mut said = Vec::new();
    while said.len() < 2 {
        let line = lines.next_line().await.unwrap().expect("the session goes on");
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let message: Value = serde_json::from_str(data).unwrap();
        let named = json!({ "$ref": "#/components/schemas/LiveMessage" });
        holds(&document, &named, &message, "live");
        said.push(message["type"].clone());
        let record = Record::by(Actor::user("ana")).verb("pack").on("order", "57");
        service.pipeline.recorder().record(record);
    }
    assert_eq!(said, ["heartbeat", "records"]);
    drop(lines);
    service.stop().await;
}

#[tokio::test]
async fn every_example_is_accepted() {
    let (service, document) = log().await;
    // Without one, a bundle has nothing to rest on.
    make_checkpoint(&service.store, &[[7; 32]], Timestamp::default()).await.unwrap().unwrap();
    let (mut sent, method) = (0, Method::GET);
    for (path, item) in document["paths"].as_object().unwrap() {
        let is_live = path.starts_with("/live");
        let at = path.replace("{type}", "order").replace("{id}", "55");
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            for example in parameter["schema"]["examples"].as_array().into_iter().flatten() {
                if is_live || path.starts_with("/records/{id}") {
                    continue;
                }
                let name = parameter["name"].as_str().unwrap();
                let value = spelt(example.as_str().unwrap());
                // Completion is for one field.
                let also = if name == "prefix" { "&fields=action" } else { "" };
                let address = format!("/activity{at}?{name}={value}{also}");
                let answer = service.send(method.clone(), &address, &[ADMIN], "").await;
                assert_eq!(answer.status, 200, "{address}: {}", answer.text());
                is_described(&document, &method, path, &answer);
                sent += 1;
            }
        }
    }
    assert!(sent > 150, "{sent}");
    let items = document["components"]["schemas"]["NewRecord"]["examples"].as_array().unwrap();
    for body in [items[0].to_string(), json!(items).to_string()] {
        let answer = service.send(Method::POST, "/activity/records", &[ADMIN, JSON], body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    service.stop().await;
}

/// `limit` of the description is what is refused, and so on: its bounds are the server's.
#[tokio::test]
async fn bounds_are_those_of_the_server() {
    let (service, document) = log().await;
    let parameters = document["paths"]["/records"]["get"]["parameters"].as_array().unwrap();
    for (name, with) in [("limit", ""), ("page", "&limit=1"), ("offset", "&limit=1")] {
        let schema = &parameters.iter().find(|known| known["name"] == name).unwrap()["schema"];
        let (least, most) =
            (schema["minimum"].as_i64().unwrap(), schema["maximum"].as_i64().unwrap());
        for (value, status) in [(least - 1, 400), (least, 200), (most, 200), (most + 1, 400)] {
            let path = format!("/activity/records?{name}={value}{with}");
            assert_eq!(service.get(&path).await.status, status, "{path}");
        }
    }
    let item = &document["components"]["schemas"]["NewRecord"]["properties"];
    for name in ["status", "severity", "grpc_status", "duration_us"] {
        let (least, most) =
            (item[name]["minimum"].as_i64().unwrap(), item[name]["maximum"].as_i64().unwrap());
        for (value, status) in [(least - 1, 207), (least, 201), (most, 201), (most + 1, 207)] {
            let body = json!({ "action": "ship", "actor_id": "ana", name: value }).to_string();
            let answer =
                service.send(Method::POST, "/activity/records", &[ADMIN, JSON], body).await;
            assert_eq!(answer.status, status, "{name}: {value}");
        }
    }
    service.stop().await;
}

/// The names that others rely on, written out once more.
#[tokio::test]
async fn the_contract_is_described() {
    let (service, document) = log().await;
    let paths = &document["paths"];
    for (method, path) in [
        ("get", "/"),
        ("get", "/records"),
        ("get", "/records/{id}"),
        ("post", "/records"),
        ("get", "/entities/{type}/{id}"),
        ("get", "/actors/{id}"),
        ("get", "/sessions/{id}"),
        ("get", "/stats"),
        ("get", "/facets"),
        ("get", "/export"),
        ("get", "/live"),
        ("get", "/live/sse"),
        ("post", "/tickets"),
        ("get", "/health"),
        ("get", "/completeness"),
        ("get", "/records/{id}/proof"),
        ("get", "/checkpoint"),
        ("get", "/openapi.json"),
    ] {
        assert!(paths[path][method].is_object(), "{method} {path}");
    }
    let filters = "q event action operation category entity_type entity_id actor_id actor_type subject_id \
                   tenant_id org_id session_id request_id correlation_id trace_id outcome status method route \
                   ip channel origin service rule search from to tz";
    let list = "limit cursor order count page offset";
    for (path, own) in [
        ("/records", list),
        ("/entities/{type}/{id}", list),
        ("/actors/{id}", list),
        ("/sessions/{id}", list),
        ("/stats", "interval"),
        ("/facets", "fields top"),
        ("/export", "format bom proofs"),
        ("/live", "cursor ticket"),
        ("/live/sse", "cursor ticket Last-Event-ID"),
    ] {
        let there = paths[path]["get"]["parameters"].as_array().unwrap();
        for name in filters.split_whitespace().chain(own.split(' ')) {
            assert!(there.iter().any(|known| known["name"] == name), "{path}: {name}");
        }
    }
    let post = paths["/records"]["post"]["parameters"].as_array().unwrap();
    assert!(post.iter().any(|known| known["name"] == "Idempotency-Key"));
    let schemas = &document["components"]["schemas"];
    for (schema, names) in [
        ("Records", "records next prev live total"),
        (
            "Stats",
            "total last_24h by_action by_entity_type by_actor by_outcome by_category series exact complete \
             as_of",
        ),
        ("Facets", "facets"),
        ("Accepted", "accepted rejected"),
        ("Ticket", "ticket"),
        ("Health", "status tally writers storage last_verify"),
        ("Problem", "type title status detail parameter column"),
        (
            "NewRecord",
            "action action_type event_type verb actor_id user_id object_type object_id workspace_id \
             ip_address timestamp details occurred_at metadata",
        ),
    ] {
        for name in names.split_whitespace() {
            assert!(schemas[schema]["properties"][name].is_object(), "{schema}: {name}");
        }
    }
    // Every field of a record, always there.
    let fields: Vec<_> = Record::FIELDS.iter().map(|field| field.name()).collect();
    assert_eq!(schemas["Record"]["required"], json!(fields));
    service.stop().await;
}

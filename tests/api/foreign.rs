//! Fault 51, by every door: whoever is limited to a tenant learns nothing of another, neither rows nor
//! counts nor values nor names.

use hyper::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tower_activity::{
    Keys,
    record::{Address, Category, Field, Kind, Record, Value as Held},
    store::make_checkpoint,
    time::Timestamp,
};

use crate::{
    ingest::{JSON, rejected, ship},
    list::ours,
    live::Socket,
    sample,
    support::{Fixture, Service, described, is_of, spelt},
    unpacked::Unpacked,
};

on_every_store! {
    nothing_of_another_tenant_comes_out_of_any_door,
    a_tenant_is_a_name_and_no_pattern,
}

/// The same where the database keeps tenants apart too.
#[cfg(feature = "postgres")]
mod kept_apart {
    on_every_store!(@facts crate::support::KeptApart<true>:
        nothing_of_another_tenant_comes_out_of_any_door,
        a_tenant_is_a_name_and_no_pattern,
    );
}

/// A service whose login sees one tenant at a time: so whatever is answered was asked for that one, and the
/// database had the last word.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_door_has_the_database_hold_its_question_to_the_tenant() {
    let service = Service::<crate::support::KeptApart<false>>::start().await;
    service.append(&foreign()).await;
    let own = own();
    service.append(&own).await;
    let id = own[0].id;
    let tenant = own[0].tenant_id.as_str();
    for path in [
        "records?service=ours".to_owned(),
        "records?service=ours&count=exact&order=asc".to_owned(),
        format!("records/{id}"),
        "entities/order/1?service=ours".to_owned(),
        "actors/ana?service=ours".to_owned(),
        "export?service=ours".to_owned(),
        "stats?service=ours".to_owned(),
        "facets?service=ours&fields=tenant_id".to_owned(),
    ] {
        let held = service.get_as(CALLER, &format!("/activity/{path}")).await;
        let text = held.text();
        assert!(held.status.is_success() && !text.contains(MARK), "{path}: {text}");
        let counted = path.starts_with("stats") && text.contains("\"total\":10");
        let nobody = path.starts_with("entities") || path.starts_with("actors");
        assert!(counted || nobody || text.contains(tenant), "{path}: {text}");
        // Who names no tenant gets none.
        let all = service.get_as("admin", &format!("/activity/{path}")).await;
        let text = all.text();
        assert!(!text.contains(&id.to_string()) && !text.contains(MARK), "{path}: {text}");
        assert!(!text.contains("\"total\":10"), "{path}: {text}");
    }
    service.stop().await;
}

/// A bundle is made by a login that sees all tenants, for a proof needs the hashes of a whole batch: its records are asked
/// for as those of the tenant all the same.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_of_a_bundle_are_held_to_the_tenant_by_the_database() {
    let service = Service::<crate::support::KeptApart<true>>::start().await;
    service.append(&own()).await;
    make_checkpoint(&service.store, &[[7; 32]], Timestamp::default()).await.unwrap().unwrap();
    let shown = async |caller: &str| {
        let lines = service.get_as(caller, "/activity/export?service=ours&proofs=true").await;
        let lines = lines.text().lines().filter(|line| line.starts_with("{\"id\":")).count();
        let zipped = service.get_as(caller, "/activity/bundle?service=ours").await;
        (lines, Unpacked::of(&zipped.body).lines("records.jsonl").len())
    };
    assert_eq!((shown(CALLER).await, shown("admin").await), ((10, 10), (10, 10)));
    // Nothing is seen any more but by questions that name their tenant.
    let named = "create policy named on activity.records as restrictive for select \
                 using (tenant_id = current_setting('activity.tenant', true))";
    service.fixture.execute(named).await;
    assert_eq!((shown(CALLER).await, shown("admin").await), ((10, 10), (0, 0)));
    service.stop().await;
}

/// What no answer may hold: it stands in every text field of the foreign records.
const MARK: &str = "zqforeign";

fn foreign() -> Vec<Box<Record>> {
    let mut records = ours(7, 1..=40);
    for record in &mut records {
        for field in Record::FIELDS.iter().filter(|field| field.kind() == Kind::Text) {
            if field.name() != "retention_class" {
                field.set(record, Held::Text(&format!("{MARK} {}", field.name()))).unwrap();
            }
        }
        let metadata = Field::named("metadata").unwrap();
        metadata.set(record, Held::Json(&format!("{{\"{MARK}\":\"{MARK}\"}}"))).unwrap();
        record.tenant_id.set(MARK);
        record.category = Category::ALL[record.seq as usize % Category::ALL.len()];
        record.status = Some(418);
        record.ip = "203.0.113.77".parse::<Address>().ok();
        record.seal(sample::salts(record.seq));
    }
    records
}

fn own() -> Vec<Box<Record>> {
    let mut records = ours(5, 1..=10);
    for record in &mut records {
        record.tenant_id.set("acme");
        record.category = Category::Activity;
        record.seal(sample::salts(record.seq));
    }
    records
}

/// Everything but another tenant.
const CALLER: &str = "ana logs.auth.view,logs.actions.view,logs.export,logs.delete,logs.configure,\
                      logs.ingest acme";

async fn nothing_of_another_tenant_comes_out_of_any_door<F: Fixture>() {
    let service = Service::<F>::set(|builder| builder.keys(Keys::ephemeral())).await;
    let foreign = foreign();
    service.append(&foreign).await;
    service.append(&own()).await;
    // Somebody of the other tenant looks and exports, which is recorded as his.
    let other = format!("{MARK} logs.configure,logs.export,logs.actions.view {MARK}");
    let cursor = service.get_as(&other, "/activity/records?limit=3").await.json();
    service.get_as(&other, "/activity/export").await;
    service.pipeline.flush().await;

    // So that there would be proofs of all of them.
    make_checkpoint(&service.store, &[[7; 32]], Timestamp::default()).await.unwrap().unwrap();

    let id = foreign[0].id;
    let next = cursor["next"].as_str().unwrap();
    let live = cursor["live"].as_str().unwrap();
    let all_fields = "action,operation,category,outcome,severity,entity_type,entity_id,actor_type,\
                      actor_id,tenant_id,org_id";
    let rest_of_fields = "channel,auth_method,method,route,host,status,grpc_status,origin,service,\
                          environment,rule,outcome_reason";
    let mut paths: Vec<String> = [
        "",
        "records?limit=1000&count=exact",
        "records?limit=1000&count=estimate",
        "records?limit=1000&order=asc",
        "records?offset=5",
        "stats",
        "stats?interval=hour",
        "health",
        "openapi.json",
        "facets",
        "entities/order/1",
        "actors/ana",
        "sessions/s",
        "checkpoint",
        "subjects/ana/erasure",
        "holds",
        "holds/restricted",
        "retention",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend([
        format!("records/{id}"),
        format!("records/{id}/proof"),
        format!("records?cursor={next}&limit=3"),
        format!("live/sse?cursor={live}"),
        format!("facets?top=1000&fields={all_fields}"),
        format!("facets?top=1000&fields={rest_of_fields}"),
        "facets?fields=tenant_id&prefix=z".to_owned(),
        format!("subjects/{}/export", spelt(&format!("{MARK} actor_id"))),
        "subjects/ana/export".to_owned(),
        // The log tells of this one, and folds the next into it.
        "consents?subject_id=ana".to_owned(),
        format!("consents?subject_id={}", spelt(&format!("{MARK} subject_ids"))),
        format!("subjects/{}/erasure", spelt(&format!("{MARK} actor_id"))),
        format!("actors/{}", spelt(&format!("{MARK} actor_id"))),
        format!("sessions/{}", spelt(&format!("{MARK} session_id"))),
        format!(
            "entities/{}/{}",
            spelt(&format!("{MARK} entity_type")),
            spelt(&format!("{MARK} entity_id"))
        ),
    ]);
    // By every way to ask for what is there, and for all but one's own.
    let questions = [
        format!("tenant_id:{MARK}"),
        "-tenant_id:acme".to_owned(),
        format!("({MARK} OR tenant_id:{MARK} OR tenant_id:acme)"),
        "status:418".to_owned(),
        "ip:203.0.113.0/24".to_owned(),
        MARK.to_owned(),
        format!("metadata.{MARK}:*"),
        format!("id:{id}"),
        "-(action:nothing)".to_owned(),
    ];
    for question in &questions {
        let question = spelt(question);
        for path in [
            "records?from=2020-01-01&count=exact&",
            "stats?from=2020-01-01&interval=auto&",
            "facets?",
        ] {
            paths.push(format!("{path}q={question}"));
        }
    }
    for format in ["csv", "json", "jsonl", "ocsf", "cloudevents"] {
        paths.push(format!("export?format={format}"));
        paths.push(format!("export?format={format}&q={}", spelt(&questions[1])));
    }
    paths.extend(["bundle".to_owned(), "bundle?q=-tenant_id:acme".to_owned()]);
    paths.push("export?proofs=true".to_owned());
    for more in ["", "&proofs=true", "&q=-tenant_id:acme", "&tenant_id=zorro"] {
        paths.push(format!("export?restricted=true{more}"));
        paths.push(format!("bundle?restricted=true{}", more.replace("&proofs=true", "")));
    }
    paths.push(format!("export?proofs=true&q={}", spelt(&questions[1])));
    // A new address is asked here too, or this fails.
    let mut rest = described(&service).await;
    rest.retain(|endpoint| !paths.iter().any(|path| is_of(path, endpoint)));
    // The viewer's files are those of the crate, and `/me` tells of the caller alone.
    // Whoever lifts another tenant's hold is told that there is none: see `custody.rs`.
    let none = ["DELETE /holds/{id}", "GET /assets/{revision}/{file}", "GET /me"];
    rest.retain(|endpoint| !none.contains(&endpoint.as_str()));
    let (below, refused) = (["GET /live", "POST /tickets"], "GET /completeness");
    assert!(rest.iter().eq([refused, below[0], below[1]]), "asked below: {rest:?}");
    let refused = service.get_as(CALLER, "/activity/completeness").await;
    refused.problem(403);
    assert!(!refused.text().contains(MARK));
    let mine = service.get_as(CALLER, &format!("/activity/records/{}/proof", own()[0].id)).await;
    assert_eq!(mine.status, 200, "{}", mine.text());
    service.get_as(CALLER, &format!("/activity/records/{id}/proof")).await.problem(404);
    for path in &paths {
        let answer = service.get_as(CALLER, &format!("/activity/{path}")).await;
        let zipped = path.starts_with("bundle") || path.ends_with("/export");
        let text = match zipped && answer.status == 200 {
            true => Unpacked::of(&answer.body).everything(),
            false => String::from_utf8_lossy(&answer.body).into_owned(),
        };
        let asked = path.to_lowercase();
        // What one has sent may be said again: consents name at their head whose they are.
        let text = match text.split_once("\"at\":") {
            Some((head, rest))
                if path.starts_with("consents?") && head.matches(MARK).count() == 1 =>
            {
                rest.to_owned()
            }
            _ => text,
        };
        assert!(
            !text.contains(MARK) || asked.contains(MARK) && answer.status == 400,
            "{path}: {text}"
        );
        assert!(!text.contains(&id.to_string()) || answer.status == 400, "{path}: {text}");
        assert!(!text.contains("203.0.113"), "{path}: {text}");
        assert!(!format!("{:?}", answer.headers).contains(MARK), "{path}");
        if path.contains("cursor=") {
            let problem = answer.problem(400);
            assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-cursor", "{path}");
        }
        if let Ok(body) = serde_json::from_slice::<Value>(&answer.body) {
            for count in [&body["total"], &body["total"]["value"]] {
                assert!(count.as_u64().is_none_or(|count| count <= 10 + 100), "{path}: {body}");
            }
        }
    }
    // What is not one's own counts for nothing.
    for question in [&questions[0], &questions[3], &questions[4], &questions[6], &questions[7]] {
        let question = spelt(question);
        let list = format!("/activity/records?from=2020-01-01&count=exact&q={question}");
        let list = service.get_as(CALLER, &list).await.json();
        assert_eq!(
            (&list["records"], &list["total"]["value"]),
            (&json!([]), &json!(0)),
            "{question}"
        );
        let stats = service.get_as(CALLER, &format!("/activity/stats?q={question}")).await.json();
        assert_eq!((&stats["total"], &stats["last_24h"]), (&json!(0), &json!(0)), "{stats}");
    }

    a_ticket_is_for_ones_own_tenant(&service).await;

    // Handing in for the other, by its name and by the id of its record.
    let headers = [("x-test-caller", CALLER), JSON];
    let mut stolen = ship(1);
    stolen["tenant_id"] = json!(MARK);
    let answer =
        service.send(Method::POST, "/activity/records", &headers, stolen.to_string()).await;
    assert_eq!(rejected(&answer.json()), [(0, "foreign-tenant".to_owned())]);
    let mut same = ship(2);
    same["id"] = json!(id.to_string());
    let answer = service.send(Method::POST, "/activity/records", &headers, same.to_string()).await;
    let answer = answer.text().to_owned();
    assert!(!answer.contains(MARK), "{answer}");

    // A ticket stands for whoever fetched it and his tenant, also where a foreign cursor comes along.
    let (mut socket, _) =
        Socket::open_as(CALLER, service.address, "/activity/live?q=-category:system").await;
    service
        .append(&{
            let mut more = ours(8, 1..=5);
            for record in &mut more {
                record.tenant_id.set(MARK);
                record.seal(sample::salts(record.seq));
            }
            more
        })
        .await;
    let mut last = ours(8, 6..=6);
    last[0].tenant_id.set("acme");
    last[0].actor_id.set("own");
    last[0].seal(sample::salts(6));
    service.append(&last).await;
    assert_eq!(socket.hear(1).await, ["own"]);
    service.pipeline.hang_up();
    while let Some(message) = socket.raw().await {
        if let Message::Text(text) = message {
            assert!(!text.contains(MARK), "{text}");
        }
    }
    let caller = [("x-test-caller", CALLER)];
    let path = format!("/activity/live?cursor={live}");
    let refused = Socket::try_open(service.address, &path, &caller).await.err();
    assert_eq!(refused.map(|status| status.as_u16()), Some(400));
    service.stop().await;
}

/// Whoever comes with a ticket hears what its owner may, whatever he says of himself and asks for.
async fn a_ticket_is_for_ones_own_tenant<F: Fixture>(service: &Service<F>) {
    let headers = [("x-test-caller", CALLER)];
    let ticket = service.send(Method::POST, "/activity/tickets", &headers, "").await.json();
    let ticket = ticket["ticket"].as_str().unwrap();
    let other = format!("{MARK} logs.actions.view {MARK}");
    let own = format!("http://{}", service.address);
    let headers = [("x-test-caller", other.as_str()), ("origin", own.as_str())];
    let path = format!("/activity/live?q=-category:system&ticket={ticket}");
    let mut socket = Socket::try_open(service.address, &path, &headers).await.unwrap();
    let told = |tenant: &str, actor: &str, seq| {
        let mut record = ours(9, seq..=seq).remove(0);
        record.tenant_id.set(tenant);
        record.category = Category::Activity;
        record.actor_id.set(actor);
        record.seal(sample::salts(record.seq));
        record
    };
    service.append(&[told(MARK, MARK, 1), told("acme", "own", 2)]).await;
    loop {
        match socket.raw().await {
            Some(Message::Text(text)) => {
                assert!(!text.contains(MARK), "{text}");
                if text.contains("\"own\"") {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn a_tenant_is_a_name_and_no_pattern<F: Fixture>() {
    let service = Service::<F>::start().await;
    let mut records = ours(5, 1..=6);
    for (record, tenant) in
        records.iter_mut().zip(["acme", "ACME", "acme,globex", "globex", "", "*"])
    {
        record.tenant_id.set(tenant);
        record.category = Category::Activity;
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    for (tenant, own) in [
        ("acme", &[1][..]),
        ("ACME", &[2]),
        ("acme,globex", &[3]),
        ("*", &[6]),
        ("acm*", &[]),
        ("a", &[]),
        ("-acme", &[]),
        ("\"acme\"", &[]),
        ("'", &[]),
        ("%", &[]),
    ] {
        let caller = format!("ana logs.actions.view {tenant}");
        let list = service.get_as(&caller, "/activity/records?order=asc").await.json();
        let seqs: Vec<_> = list["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["seq"].as_i64().unwrap())
            .collect();
        assert_eq!(seqs, own, "{tenant}");
        let stats = service.get_as(&caller, "/activity/stats").await.json();
        assert_eq!(stats["total"], own.len(), "{tenant}");
    }
    // An application that knows no tenant and says so nevertheless lets nobody see the rest.
    let nameless = "ana logs.actions.view,logs.export ()";
    let list = service.get_as(nameless, "/activity/records").await.json();
    assert_eq!(list["records"], json!([]), "{list}");
    let stats = service.get_as(nameless, "/activity/stats").await.json();
    assert_eq!(stats["total"], 0, "{stats}");
    let lines = service.get_as(nameless, "/activity/export?format=jsonl").await;
    assert_eq!((lines.status.as_u16(), lines.text()), (200, ""));
    service.stop().await;
}

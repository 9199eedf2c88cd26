//! Every filter and its other spellings, and what is said about those that do not exist.

use std::time::Duration;

use tower_activity::{
    record::{ActorType, Category, Field, Operation, Origin, Outcome, Record, Value},
    time::Timestamp,
};

use crate::{
    list::ours,
    sample::{self, NOON},
    support::{Fixture, Service, spelt},
};

on_every_store! {
    every_filter_finds_its_record_under_every_name,
    an_unknown_parameter_is_refused_with_the_nearest,
    what_is_wrong_in_a_query_is_shown_by_its_column,
    relative_times_mean_the_same_on_every_page,
    words_without_an_index_are_looked_for_in_the_last_week,
}

/// What is sent, and what is sent to find nothing.
const FILTERS: [(&[&str], &str, &str); 29] = [
    (&["q"], "description:*refunded* actor_id:ana", "actor_id:eve"),
    (&["event"], "invoice.approve", "invoice.reject"),
    (&["action", "action_type", "event_type", "verb"], "APPROVE", "reject"),
    (&["operation"], "transfer", "restore"),
    (&["category"], "administration", "consent"),
    (&["entity_type", "object_type"], "Invoice", "order"),
    (&["entity_id", "object_id"], "inv-7", "INV-7"),
    (&["actor_id", "user_id"], "ana", "eve"),
    (&["actor_type"], "agent", "user"),
    (&["subject_id"], "c-17", "c-1"),
    (&["tenant_id", "workspace_id"], "acme", "globex"),
    (&["org_id"], "north", "south"),
    (&["session_id"], "s-9", "s-1"),
    (&["request_id"], "req-7", "req-8"),
    (&["correlation_id"], "imp-1", "imp-2"),
    (&["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736", "00"),
    (&["outcome"], "Denied", "success"),
    (&["status"], "4xx", "5xx"),
    (&["method"], "PUT", "GET"),
    (&["route"], "/invoices/{id}", "/orders/*"),
    (&["ip", "ip_address"], "203.0.113.0/24", "203.0.114.0/24"),
    (&["channel"], "billing", "shop"),
    (&["origin"], "ingest", "manual"),
    (&["service"], "ledger", "shop"),
    (&["rule"], "approve invoice", "x"),
    (&["search"], "generously refunded", "generously returned"),
    (&["from", "start_date", "from_date", "since"], "2026-05-11", "2026-05-12"),
    (&["to", "end_date", "to_date", "until"], "2026-05-11", "2026-05-10"),
    (&["tz"], "Europe/Lisbon", ""),
];

fn invoice() -> Box<Record> {
    let mut records = sample::stream(8, 1..=1);
    let record = &mut records[0];
    record.occurred_at = Timestamp::from_micros(NOON);
    record.id = sample::id(record.occurred_at, 8, 1);
    for (name, value) in [
        ("action", "approve"),
        ("entity_type", "invoice"),
        ("entity_id", "inv-7"),
        ("actor_id", "ana"),
        ("tenant_id", "acme"),
        ("org_id", "north"),
        ("session_id", "s-9"),
        ("request_id", "req-7"),
        ("correlation_id", "imp-1"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("method", "PUT"),
        ("route", "/invoices/{id}"),
        ("channel", "billing"),
        ("service", "ledger"),
        ("rule", "approve invoice"),
        ("description", "generously refunded"),
    ] {
        let field = Field::named(name).expect("a field");
        field.set(record, Value::Text(value)).expect("text");
    }
    let subjects = Field::named("subject_ids").expect("a field");
    subjects.set(record, Value::Json("[\"c-17\"]")).expect("JSON");
    record.ip = Some("203.0.113.9".parse().expect("an address"));
    record.operation = Operation::Transfer;
    record.category = Category::Administration;
    record.actor_type = ActorType::Agent;
    record.outcome = Outcome::Denied;
    record.origin = Origin::Ingest;
    record.status = Some(409);
    record.seal(sample::salts(1));
    records.remove(0)
}

async fn every_filter_finds_its_record_under_every_name<F: Fixture>() {
    let (service, _clock) = Service::<F>::at(Timestamp::from_micros(NOON)).await;
    service.append(&[invoice()]).await;
    for (names, value, other) in FILTERS {
        for name in names {
            for (value, expected) in [(value, 1), (other, 0)] {
                if value.is_empty() {
                    continue;
                }
                let path =
                    format!("/activity/records?action=approve,reject&{name}={}", spelt(value));
                let path = if matches!(names[0], "action") {
                    format!("/activity/records?{name}={}", spelt(value))
                } else {
                    path
                };
                let list = service.get(&path).await.json();
                assert_eq!(list["records"].as_array().unwrap().len(), expected, "{path}");
            }
        }
    }
    service.stop().await;
}

async fn an_unknown_parameter_is_refused_with_the_nearest<F: Fixture>() {
    let service = Service::<F>::start().await;
    for (path, near) in [
        ("records?acton=cancel", "`action`"),
        ("actors/ana?limt=5", "`limit`"),
        ("entities/a/b?entity-id=5", "`entity_id`"),
        ("stats?intervall=day", "`interval`"),
        ("facets?field=action", "`fields`"),
    ] {
        let problem = service.get(&format!("/activity/{path}")).await.problem(400);
        assert!(problem["detail"].as_str().unwrap().contains(near), "{problem}");
        assert_eq!(problem["type"], "urn:tower-activity:problem:invalid-parameter");
        assert!(problem["parameter"].is_string());
    }
    for path in ["records?interval=day", "stats?cursor=x", "facets?page=1", "records/1?limit=1"] {
        service.get(&format!("/activity/{path}")).await.problem(400);
    }
    for limit in ["0", "1001", "-1", "x", "1e2", "99999999999999999999"] {
        let problem = service.get(&format!("/activity/records?limit={limit}")).await.problem(400);
        assert_eq!(problem["parameter"], "limit");
    }
    service.stop().await;
}

async fn what_is_wrong_in_a_query_is_shown_by_its_column<F: Fixture>() {
    let service = Service::<F>::start().await;
    for path in ["records", "entities/a/b", "actors/a", "sessions/a", "stats", "facets"] {
        let query = spelt("action:cancel acton:x");
        let problem = service.get(&format!("/activity/{path}?q={query}")).await.problem(400);
        assert_eq!(
            (&problem["parameter"], &problem["column"]),
            (&"q".into(), &15.into()),
            "{problem}"
        );
    }
    service.stop().await;
}

async fn relative_times_mean_the_same_on_every_page<F: Fixture>() {
    let (service, clock) = Service::<F>::at(Timestamp::from_micros(NOON + 60_000_000)).await;
    service.append(&ours(5, 1..=30)).await;
    for filter in ["q=at:%3Enow-50s", "from=now-50s"] {
        let path = format!("/activity/records?service=ours&{filter}&limit=10");
        let first = service.get(&path).await.json();
        let next = first["next"].as_str().unwrap().to_owned();
        clock.advance(Duration::from_secs(3_600));
        let second = service.get(&format!("{path}&cursor={next}")).await.json();
        let all: Vec<_> = crate::list::numbers(&first)
            .into_iter()
            .chain(crate::list::numbers(&second))
            .map(|(_, seq)| seq)
            .collect();
        assert_eq!(all, (11..=30).rev().collect::<Vec<_>>(), "{filter}");
        assert!(service.get(&path).await.json()["records"].as_array().unwrap().is_empty());
        clock.set(Timestamp::from_micros(NOON + 60_000_000));
    }
    service.stop().await;
}

async fn words_without_an_index_are_looked_for_in_the_last_week<F: Fixture>() {
    let (service, _clock) = Service::<F>::at(Timestamp::from_micros(NOON)).await;
    let mut records = ours(5, 1..=3);
    for (record, days) in records.iter_mut().zip([1, 6, 8]) {
        record.occurred_at = Timestamp::from_micros(NOON - days * 86_400_000_000);
        record.id = sample::id(record.occurred_at, 5, record.seq);
        record.description.set("the quick refund");
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    for query in ["q=refund", "search=quick%20refund"] {
        let list = service.get(&format!("/activity/records?{query}")).await.json();
        assert_eq!(list["records"].as_array().unwrap().len(), 2, "{list}");
        let search = &list["search"];
        assert_eq!((&search["indexed"], &search["complete"]), (&false.into(), &true.into()));
        assert_eq!(search["from"], "2026-05-04T12:00:00.000000Z");
        assert!(search["hint"].as_str().unwrap().contains("activity migrate --index text"));
        // What the list shows, the numbers count.
        let stats = service.get(&format!("/activity/stats?{query}")).await.json();
        assert_eq!((&stats["total"], &stats["search"]), (&2.into(), search), "{stats}");
        let facets = service.get(&format!("/activity/facets?fields=service&{query}")).await.json();
        assert_eq!(facets["search"], *search, "{facets}");
        assert_eq!(facets["facets"]["service"][0]["count"], 2, "{facets}");
        let since = service.get(&format!("/activity/records?{query}&from=2026-05-01")).await.json();
        assert_eq!(since["records"].as_array().unwrap().len(), 3);
        let until = service.get(&format!("/activity/records?{query}&to=2026-05-04")).await.json();
        assert_eq!(until["records"].as_array().unwrap().len(), 1, "the week before then");
    }
    for path in ["records", "stats", "facets"] {
        let answer = service.get(&format!("/activity/{path}?actor_id=ana")).await.json();
        assert!(answer.get("search").is_none(), "{answer}");
    }
    service.stop().await;
}

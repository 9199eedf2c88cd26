//! Stats and facets against what the test counts itself.

use std::collections::BTreeMap;

use serde_json::Value;
use tower_activity::{
    record::{Category, Outcome, Record},
    time::Timestamp,
};

use crate::{
    list::ours,
    sample::{self, NOON},
    support::{Fixture, Service},
};

on_every_store! {
    stats_are_the_truth,
    stats_and_facets_show_what_the_caller_may_see,
    days_of_a_series_begin_where_the_caller_lives,
    a_series_without_end_is_refused,
    facets_are_the_truth_and_complete_a_prefix,
}

const HOUR: i64 = 3_600_000_000;

/// Records of two tenants, in two categories, over three days before `NOON`.
fn past() -> Vec<Box<Record>> {
    let mut records = ours(5, 1..=240);
    for record in &mut records {
        let seq = record.seq;
        let at = Timestamp::from_micros(NOON - 72 * HOUR + seq * 18 * 60_000_000 + 1);
        record.occurred_at = at;
        record.id = sample::id(at, 5, seq);
        record.tenant_id.set(["acme", "globex"][seq as usize % 2]);
        record.category =
            [Category::Activity, Category::Authentication, Category::System][seq as usize % 3];
        record.outcome = Outcome::ALL[seq as usize % 4];
    }
    records
}

fn count<'a>(
    records: impl Iterator<Item = &'a Record>,
    by: impl Fn(&Record) -> String,
) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(by(record)).or_default() += 1;
    }
    counts
}

fn shown(counts: &Value) -> BTreeMap<String, u64> {
    let counts = counts.as_object().expect("counts by value");
    counts.iter().map(|(value, count)| (value.clone(), count.as_u64().unwrap())).collect()
}

/// Asserts that the numbers are those of `records`.
fn assert_truth(stats: &Value, records: &[&Record], now: i64) {
    let all = || records.iter().copied();
    assert_eq!(stats["total"], records.len(), "{stats}");
    let today = all().filter(|record| record.occurred_at.as_micros() >= now - 24 * HOUR).count();
    assert_eq!(stats["last_24h"], today);
    let lower = |text: &str| text.to_ascii_lowercase();
    for (key, truth) in [
        ("by_action", count(all(), |r| r.action.as_str().to_owned())),
        ("by_actor", count(all(), |r| r.actor_id.as_str().to_owned())),
        ("by_outcome", count(all(), |r| r.outcome.as_str().to_owned())),
        ("by_category", count(all(), |r| r.category.as_str().to_owned())),
    ] {
        assert_eq!(shown(&stats[key]), truth, "{key}");
    }
    let types = shown(&stats["by_entity_type"]);
    let types: BTreeMap<_, _> = types.iter().map(|(kind, count)| (lower(kind), *count)).collect();
    assert_eq!(types, count(all(), |r| lower(r.entity_type.as_str())));
    let series = stats["series"].as_array().unwrap();
    let starts: Vec<Timestamp> =
        series.iter().map(|slot| slot["at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(starts.is_sorted() && !starts.is_empty());
    for (at, slot) in series.iter().enumerate() {
        let end = starts.get(at + 1).copied().unwrap_or(Timestamp::from_micros(i64::MAX));
        let within = || all().filter(|record| (starts[at]..end).contains(&record.occurred_at));
        assert_eq!(slot["total"], within().count(), "{slot}");
        assert_eq!(
            shown(&slot["by_outcome"]),
            count(within(), |record| record.outcome.as_str().to_owned())
        );
    }
    assert_eq!(stats["complete"], true);
    assert_eq!(stats["exact"], true);
    assert!(stats["as_of"].is_string() || stats["as_of"].is_null());
}

async fn stats_are_the_truth<F: Fixture>() {
    let (service, _clock) = Service::<F>::at(Timestamp::from_micros(NOON)).await;
    let records = past();
    service.append(&records).await;
    let of = |wanted: &dyn Fn(&Record) -> bool| {
        records.iter().map(|record| &**record).filter(|r| wanted(r)).collect::<Vec<&Record>>()
    };
    let seen = |record: &Record| record.category != Category::System;
    let viewer = "ana logs.auth.view,logs.actions.view";
    for (query, truth) in [
        ("", of(&seen)),
        ("?interval=hour", of(&seen)),
        (
            "?action=CREATE,update&interval=hour",
            of(&|r| seen(r) && ["create", "update"].contains(&r.action.as_str())),
        ),
        (
            "?actor_id=ana&tenant_id=acme",
            of(&|r| seen(r) && r.actor_id == "ana" && r.tenant_id == "acme"),
        ),
        (
            "?entity_type=order&outcome=denied",
            of(&|r| seen(r) && r.entity_type == "order" && r.outcome == Outcome::Denied),
        ),
        // Beyond any rollup.
        ("?entity_id=3&interval=day", of(&|r| seen(r) && r.entity_id == "3")),
        ("?q=-actor_id:ana", of(&|r| seen(r) && r.actor_id != "ana")),
        (
            "?from=now-30h&interval=hour",
            of(&|r| seen(r) && r.occurred_at.as_micros() >= NOON - 30 * HOUR),
        ),
    ] {
        let stats = service.get_as(viewer, &format!("/activity/stats{query}")).await.json();
        assert_truth(&stats, &truth, NOON);
    }
    service.stop().await;
}

async fn stats_and_facets_show_what_the_caller_may_see<F: Fixture>() {
    let (service, _clock) = Service::<F>::at(Timestamp::from_micros(NOON)).await;
    let records = past();
    service.append(&records).await;
    for (caller, tenant, categories) in [
        ("ana logs.actions.view acme", Some("acme"), vec![Category::Activity]),
        ("ana logs.auth.view globex", Some("globex"), vec![Category::Authentication]),
        (
            "ana logs.auth.view,logs.actions.view",
            None,
            vec![Category::Activity, Category::Authentication],
        ),
        ("ana logs.actions.view nobody", Some("nobody"), vec![]),
    ] {
        let truth: Vec<&Record> = records
            .iter()
            .map(|record| &**record)
            .filter(|record| tenant.is_none_or(|tenant| record.tenant_id == tenant))
            .filter(|record| categories.contains(&record.category))
            .collect();
        for query in ["", "?tenant_id=acme,globex", "?q=category:*"] {
            let stats = service.get_as(caller, &format!("/activity/stats{query}")).await.json();
            assert_truth(&stats, &truth, NOON);
        }
        for query in ["", "&prefix=a", "&tenant_id=acme,globex"] {
            let path = format!("/activity/facets?fields=tenant_id{query}");
            let facets = service.get_as(caller, &path).await.json();
            let truth =
                truth.iter().copied().filter(|r| query != "&prefix=a" || r.tenant_id == "acme");
            assert_eq!(
                facet(&facets, "tenant_id"),
                count(truth, |r| r.tenant_id.as_str().to_owned())
            );
        }
    }
    for path in ["stats", "facets"] {
        service.get_as("ana logs.export", &format!("/activity/{path}")).await.problem(403);
        service.send(hyper::Method::GET, &format!("/activity/{path}"), &[], "").await.problem(401);
    }
    service.stop().await;
}

async fn days_of_a_series_begin_where_the_caller_lives<F: Fixture>() {
    let service = Service::<F>::start().await;
    // Lisbon goes to summer time within this range.
    let path = "/activity/stats?interval=day&tz=Europe/Lisbon&from=2026-03-28&to=2026-03-30";
    let stats = service.get(path).await.json();
    let at: Vec<_> =
        stats["series"].as_array().unwrap().iter().map(|s| s["at"].as_str().unwrap()).collect();
    let expected = ["2026-03-28T00:00", "2026-03-29T00:00", "2026-03-29T23:00"];
    assert_eq!(at, expected.map(|at| format!("{at}:00.000000Z")));
    assert_eq!((&stats["interval"], &stats["tz"]), (&"day".into(), &"Europe/Lisbon".into()));
    let problem = service.get("/activity/stats?tz=Europe/Lisbonn").await.problem(400);
    assert_eq!(problem["parameter"], "tz");
    assert!(problem["detail"].as_str().unwrap().contains("`Europe/Lisbon`"));
    service.stop().await;
}

async fn a_series_without_end_is_refused<F: Fixture>() {
    let service = Service::<F>::start().await;
    for query in [
        "interval=minute&from=2020-01-01",
        "interval=hour&from=2020-01-01",
        "interval=week&from=0001-01-01",
    ] {
        let problem = service.get(&format!("/activity/stats?{query}")).await.problem(400);
        assert_eq!(problem["parameter"], "interval", "{problem}");
    }
    let stats = service.get("/activity/stats?from=0001-01-01").await.json();
    assert!(stats["series"].as_array().unwrap().len() <= 1_000);
    service.get("/activity/stats?interval=month").await.problem(400);
    service.get("/activity/stats?limit=5").await.problem(400);
    service.stop().await;
}

fn facet(facets: &Value, field: &str) -> BTreeMap<String, u64> {
    let values =
        facets["facets"][field].as_array().unwrap_or_else(|| panic!("{field} in {facets}"));
    values
        .iter()
        .map(|v| (v["value"].as_str().unwrap().to_owned(), v["count"].as_u64().unwrap()))
        .collect()
}

async fn facets_are_the_truth_and_complete_a_prefix<F: Fixture>() {
    let service = Service::<F>::start().await;
    let records = past();
    service.append(&records).await;
    let all = || records.iter().map(|record| &**record).filter(|r| r.actor_id == "ana");
    let facets = service
        .get("/activity/facets?fields=action,user_id,entity_id,status&actor_id=ana")
        .await
        .json();
    assert_eq!(facet(&facets, "action"), count(all(), |r| r.action.as_str().to_owned()));
    assert_eq!(facet(&facets, "actor_id"), count(all(), |r| r.actor_id.as_str().to_owned()));
    assert_eq!(facet(&facets, "entity_id"), count(all(), |r| r.entity_id.as_str().to_owned()));
    assert!(facet(&facets, "status").is_empty());
    assert_eq!((&facets["exact"], &facets["complete"]), (&true.into(), &true.into()));
    // The most frequent first, and no more than asked for.
    let top = service.get("/activity/facets?fields=entity_id&top=3&actor_id=ana").await.json();
    let counts: Vec<_> = top["facets"]["entity_id"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["count"].as_u64())
        .collect();
    assert!(counts.len() == 3 && counts.is_sorted_by(|a, b| a >= b), "{top}");

    let some = service.get("/activity/facets?fields=action&prefix=C&actor_id=ana,bob").await.json();
    let names: Vec<_> = facet(&some, "action").into_keys().collect();
    assert_eq!(names, ["cancel", "create"]);
    for query in [
        "fields=description",
        "fields=acton",
        "fields=action,actor_id&prefix=c",
        "fields=status&prefix=4",
        "top=0",
        "top=x",
    ] {
        service.get(&format!("/activity/facets?{query}")).await.problem(400);
    }
    let near = service.get("/activity/facets?fields=acton").await.problem(400);
    assert!(near["detail"].as_str().unwrap().contains("`action`"), "{near}");
    service.stop().await;
}

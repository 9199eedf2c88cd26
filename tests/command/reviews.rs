//! Each query and each command of `docs/reviews.md` does what the page says.

use std::collections::BTreeSet;

use tower_activity::record::{Field, Kind, Record, Value};

use crate::run::{Log, from_now, record};

on_both!(each_query_finds_what_it_is_asked_for, each_command_runs);

/// A query of the page, and what a record has that it finds.
type Asked = (&'static str, &'static [(&'static str, &'static str)]);

const ASKED: &[Asked] = &[
    (
        "category:system action:(gap OR stopped OR restored) at:>now-24h",
        &[("category", "system"), ("action", "restored")],
    ),
    ("action:login_failed at:>now-24h", &[("action", "login_failed"), ("outcome", "denied")]),
    ("outcome:denied -category:authentication at:>now-24h", &[("outcome", "denied")]),
    ("category:administration at:>now-24h", &[("category", "administration")]),
    ("impersonator_id:* at:>now-24h", &[("impersonator_id", "root")]),
    ("outcome_reason:panic at:>now-24h", &[("outcome", "failure"), ("outcome_reason", "panic")]),
    (
        "category:authentication -action:(login OR login_failed OR logout OR refresh) at:>now-7d",
        &[("category", "authentication"), ("action", "password_reset")],
    ),
    (
        "entity_type:(role OR permission OR member) -operation:read at:>now-7d",
        &[("entity_type", "member"), ("action", "member_added")],
    ),
    ("operation:delete at:>now-7d", &[("operation", "delete"), ("action", "delete")]),
    ("action:(export OR download OR log_exported) at:>now-7d", &[("action", "download")]),
    ("actor_type:(api_key OR service) -operation:read at:>now-7d", &[("actor_type", "api_key")]),
    (
        "category:administration -ip:10.0.0.0/8 at:>now-7d",
        &[("category", "administration"), ("ip", "203.0.113.9")],
    ),
    (
        "actor_type:anonymous outcome:success -operation:(read OR authenticate) at:>now-7d",
        &[("actor_type", "anonymous")],
    ),
    ("action:log_viewed at:>now-7d", &[("category", "system"), ("action", "log_viewed")]),
    ("action:log_exported at:>now-7d", &[("category", "system"), ("action", "log_exported")]),
    (
        "action:(log_viewed OR log_exported) outcome:denied at:>now-7d",
        &[("category", "system"), ("action", "log_viewed"), ("outcome", "denied")],
    ),
    (
        "action:log_viewed metadata.asked:*salary*",
        &[("action", "log_viewed"), ("metadata", r#"{"asked":"the salary of bob"}"#)],
    ),
    (
        "category:system action:stopped outcome:failure at:>now-31d",
        &[("category", "system"), ("action", "stopped"), ("outcome", "failure")],
    ),
    ("(truncated:* OR skewed:*) at:>now-31d", &[("truncated", r#"["path"]"#)]),
    (
        "changed:/role OR changed:/email OR changed:/iban",
        &[("changes", r#"[{"op":"replace","path":"/email","old":"a@b","new":"c@d"}]"#)],
    ),
    ("actor_id:ana at:>now-31d", &[("actor_id", "ana")]),
    ("route:{unmatched} -status:4xx at:>now-31d", &[("route", "{unmatched}"), ("status", "200")]),
    (
        "impersonator_id:* tenant_id:* at:>now-31d",
        &[("impersonator_id", "root"), ("tenant_id", "acme")],
    ),
    ("entity_type:order entity_id:55", &[("entity_type", "order"), ("entity_id", "55")]),
    ("actor_id:ana OR impersonator_id:ana", &[("impersonator_id", "ana")]),
    (
        "actor_id:ana OR subject_id:ana OR (entity_type:user entity_id:ana)",
        &[("subject_ids", r#"["ana"]"#)],
    ),
    ("session_id:9f31c2", &[("session_id", "9f31c2")]),
    ("ip:203.0.113.0/24", &[("ip", "203.0.113.77")]),
    ("request_id:01J9ZQ", &[("request_id", "01J9ZQ")]),
    ("at:2026-05-11T14:05+02:00", &[("occurred_at", "2026-05-11T12:05:31Z")]),
    (
        "new:/status=SHIPPED entity_id:55",
        &[("entity_id", "55"), ("changes", r#"[{"op":"add","path":"/status","new":"SHIPPED"}]"#)],
    ),
];

fn page() -> &'static str {
    include_str!("../../docs/reviews.md")
}

/// Returns what stands between backticks on the page, outside of its blocks.
fn spans() -> impl Iterator<Item = &'static str> {
    let prose = page().split("```").step_by(2);
    prose.flat_map(|prose| prose.split('`').skip(1).step_by(2))
}

fn set(record: &mut Record, (name, value): (&str, &str)) {
    let field = Field::named(name).expect(name);
    let value = match field.kind() {
        Kind::Json => Value::Json(value),
        Kind::Integer => Value::Integer(value.parse().unwrap()),
        Kind::Time => Value::Time(value.parse().unwrap()),
        Kind::Address => Value::Address(value.parse().unwrap()),
        _ => Value::Text(value),
    };
    field.set(record, value).expect(name);
}

async fn each_query_finds_what_it_is_asked_for(log: Log) {
    let on_page: BTreeSet<_> = spans().filter(|span| span.contains(':')).collect();
    let known: BTreeSet<_> = ASKED.iter().map(|(query, _)| *query).collect();
    assert_eq!(on_page, known, "the queries of the page are others");
    log.run(&["migrate"]).await.with(0);
    let at = from_now(-600);
    let other = |record: &mut Record| {
        record.actor_id.set("zoe");
        record.entity_id.set("99");
    };
    let mut records: Vec<_> = (1..)
        .zip(ASKED)
        .map(|(seq, (_, fields))| {
            record(seq, &at, |record| {
                other(record);
                fields.iter().for_each(|field| set(record, *field));
            })
        })
        .collect();
    // What nobody asks for here.
    let ordinary = record(records.len() as i64 + 1, &at, other);
    records.push(ordinary.clone());
    log.append(&records).await;
    for ((query, _), record) in ASKED.iter().zip(&records) {
        let found = log.run(&["query", query, "--limit", "100"]).await.with(0).json();
        let has = |id: String| found.iter().any(|found| found["id"] == id);
        assert!(has(record.id.to_string()), "{query}: {found:?}");
        assert!(!has(ordinary.id.to_string()), "{query}: {found:?}");
    }
}

async fn each_command_runs(log: Log) {
    let log = log.with_three().await;
    let keys = log.path("activity.keys");
    let keys = keys.to_str().unwrap();
    let (trust, anchor) = (log.path("trust"), format!("file:{}", log.path("anchor").display()));
    let line = log.run(&["checkpoint", "--keys", keys, "--trust-line"]).await.with(0).stdout;
    std::fs::write(&trust, line).unwrap();
    log.run(&["checkpoint", "--keys", keys, "--anchor", &anchor]).await.with(0);
    let blocks = page().split("```").skip(1).step_by(2);
    let shown = blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ "));
    let mut ran = 0;
    for command in shown.chain(spans()).filter_map(|command| command.strip_prefix("activity ")) {
        let command = command
            .replace("/etc/activity/trust", trust.to_str().unwrap())
            .replace("file:/mnt/worm/checkpoints", &anchor)
            .replace("'…'", "actor_id:ana");
        let words: Vec<_> = command.split(' ').collect();
        // Some the page only names, and some have pages of their own.
        let is_named = words.len() == 1 && words != ["doctor"];
        if is_named || ["rules", "migrate"].contains(&words[0]) {
            continue;
        }
        let ended = log.run(&words).await;
        // Where the owner of the tables asks, the doctor says what that gives up.
        let may = if words == ["doctor"] { vec![Some(0), Some(1)] } else { vec![Some(0)] };
        assert!(may.contains(&ended.code), "activity {command}: {ended:#?}");
        ran += 1;
    }
    assert!(ran >= 6, "{ran}");
}

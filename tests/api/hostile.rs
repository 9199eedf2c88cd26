//! Faults 50 and 61: text that would be something else, and questions that would never end.

use std::time::{Duration, Instant};

use tower_activity::record::{Field, Value};

use crate::{
    list::{numbers, ours},
    sample,
    support::{Fixture, Service, spelt},
};

on_every_store! {
    injection_means_what_it_says,
    questions_made_to_be_slow_are_answered_in_time,
}

/// What has opened databases, shells, templates and parsers elsewhere.
const PAYLOADS: [&str; 42] = [
    "' OR '1'='1",
    "' OR 1=1 --",
    "'; DROP TABLE activity_records; --",
    "\" OR \"\"=\"",
    "1; SELECT pg_sleep(9)",
    "' UNION SELECT * FROM sqlite_master --",
    "') OR ('1'='1",
    "\\'; --",
    "\\",
    "\\\\",
    "%",
    "_",
    "%%",
    "a%b_c",
    "*",
    "**",
    "a*",
    "?",
    "$1",
    "$$",
    "$tag$x$tag$",
    ":name",
    "@p",
    "{{7*7}}",
    "${7*7}",
    "<script>alert(1)</script>",
    "`id`",
    "$(id)",
    "; ls",
    "|| true",
    "NULL",
    "null",
    "(",
    ")",
    "-x",
    "x:y",
    "action:cancel",
    "a OR b",
    "NOT a",
    "..",
    ">=5",
    "now-24h",
];
/// What they are dressed in: twelve of each, more than 500 in all.
const DRESSES: [(&str, &str); 12] = [
    ("", ""),
    (" ", " "),
    ("\"", "\""),
    ("'", ""),
    ("(", ")"),
    ("/*", "*/"),
    ("\n", "\r\n"),
    ("é😀", ""),
    ("-", ""),
    ("", ","),
    ("E'", "'"),
    ("\u{202e}", "\u{200b}"),
];

fn strings() -> Vec<String> {
    let dressed =
        DRESSES.iter().flat_map(|(a, b)| PAYLOADS.iter().map(move |p| format!("{a}{p}{b}")));
    let mut strings: Vec<_> = dressed.collect();
    strings.sort();
    strings.dedup();
    assert!(strings.len() >= 500, "{}", strings.len());
    strings
}

/// A literal of the query language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

async fn injection_means_what_it_says<F: Fixture>() {
    let service = Service::<F>::start().await;
    let strings = strings();
    let mut records = ours(5, 1..=strings.len() as i64);
    for (record, text) in records.iter_mut().zip(&strings) {
        record.entity_id.set(text);
        record.actor_id.set(text);
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    for (record, text) in records.iter().zip(&strings) {
        let literal = spelt(&quoted(text));
        let in_q = spelt(&format!("entity_id:{}", quoted(text)));
        let own = [
            format!("records?service=ours&entity_id={literal}"),
            format!("records?service=ours&q={in_q}"),
            format!("actors/{}?service=ours", spelt(text)),
        ];
        for path in own {
            let list = service.get(&format!("/activity/{path}")).await.json();
            let found: Vec<_> = numbers(&list).into_iter().map(|(_, seq)| seq).collect();
            assert_eq!(found, [record.seq], "{text:?}: {path}");
        }
    }
    // As they are, they may be read as something of the language, but never by a database.
    for sent in strings.iter().step_by(7) {
        let text = spelt(sent);
        for name in ["q", "search", "entity_id", "ip", "status", "from", "tz", "event"] {
            let answer = service.get(&format!("/activity/records?limit=1&{name}={text}")).await;
            assert!(
                matches!(answer.status.as_u16(), 200 | 400),
                "{name}={text}: {}",
                answer.text()
            );
        }
        for name in ["order", "cursor", "limit", "count", "page"] {
            service.get(&format!("/activity/records?{name}={text}")).await.problem(400);
        }
        for path in ["stats?interval=", "facets?fields=", "facets?top=", "records?"] {
            let answer = service.get(&format!("/activity/{path}{text}")).await;
            assert!(answer.status.is_client_error(), "{path}{text}: {}", answer.text());
            let detail = answer.problem(400)["detail"].as_str().unwrap().to_lowercase();
            for word in ["sqlite", "postgres", "syntax error at"] {
                assert!(!detail.contains(word) || sent.contains(word), "{detail}");
            }
        }
        let facets = format!("/activity/facets?fields=entity_id&prefix={text}");
        service.get(&facets).await.json();
    }
    // What no database takes as text is in no record either.
    for path in [
        "records?actor_id=%00",
        "records?q=actor_id:%22a%00b%22",
        "actors/%00",
        "sessions/a%00",
        "facets?fields=action&prefix=%00",
    ] {
        let answer = service.get(&format!("/activity/{path}")).await;
        assert!(matches!(answer.status.as_u16(), 200 | 400), "{path}: {}", answer.text());
    }
    let all = service.get("/activity/records?service=ours&count=exact").await.json();
    assert_eq!(all["total"]["value"], strings.len(), "nothing was dropped");
    service.stop().await;
}

async fn questions_made_to_be_slow_are_answered_in_time<F: Fixture>() {
    let service = Service::<F>::start().await;
    let mut records = ours(5, 1..=400);
    let long = "ab ".repeat(5_000);
    for record in &mut records {
        record.description.set(&long);
        let metadata = format!("{{\"a\":\"{long}\"}}");
        let field = Field::named("metadata").expect("a field");
        field.set(record, Value::Json(&metadata)).expect("JSON");
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    for question in [
        "description:*a*a*a*a*a*a*c",
        "metadata.a:*b*b*b*b*b*b*c",
        "-description:*a*b*a*b*a*b*",
        "\"ab ab ab ab ab ab ab ab ab ab c\" from:1",
        "(ab OR ba) (ab OR bb) -(ab OR cc)",
    ] {
        for path in ["records?from=2026-01-01&", "stats?", "facets?fields=action&"] {
            let begun = Instant::now();
            let answer = service.get(&format!("/activity/{path}q={}", spelt(question))).await;
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{question}: {}", answer.text());
            assert!(begun.elapsed() < Duration::from_secs(20), "{question}: {:?}", begun.elapsed());
        }
    }
    let stars = format!("action:{}", "*a".repeat(50));
    service.get(&format!("/activity/records?q={}", spelt(&stars))).await.problem(400);
    let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    service.get(&format!("/activity/records?q={}", spelt(&deep))).await;
    service.stop().await;
}

//! Faults 50 and 61: text that would be something else, and questions that would never end.

use std::time::Duration;

use hyper::Method;
use tokio::time::timeout;
use tower_activity::{
    query::{FIELDS, PARAMETERS, Values, folds_case},
    record::{Field, Value},
};

use crate::{
    list::{numbers, ours},
    sample,
    support::{Fixture, Service, spelt},
    table::times,
};

on_every_store! {
    injection_means_what_it_says,
    every_parameter_takes_hostile_text_as_text,
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

/// Of the strings, a test in CI sends every so manieth; another each time would be another test.
fn step() -> usize {
    if cfg!(debug_assertions) { times(5, 1) } else { 1 }
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
    for (record, text) in records.iter().zip(&strings).step_by(step()) {
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
    for sent in strings.iter().step_by(7 * step()) {
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

/// Every name that filters, sorts or pages, with hostile text for its value: found as what it says where the
/// field is text, refused otherwise, and nowhere a word of a database or a character that a terminal obeys.
async fn every_parameter_takes_hostile_text_as_text<F: Fixture>() {
    let service = Service::<F>::start().await;
    let strings = strings();
    let texts: Vec<_> = FIELDS
        .iter()
        .filter(|asked| asked.is_parameter() && asked.values() == Values::Text)
        .filter_map(|asked| asked.field().map(|field| (asked.name(), field)))
        // The first finds more than its own; the last is how the test knows its records.
        .filter(|(name, _)| !["action", "service"].contains(name))
        .collect();
    assert!(texts.len() >= 10, "{texts:?}");
    let mut records = ours(5, 1..=strings.len() as i64);
    for (record, text) in records.iter_mut().zip(&strings) {
        for (_, field) in &texts {
            field.set(record, Value::Text(text)).expect("text");
        }
        record.seal(sample::salts(record.seq));
    }
    service.append(&records).await;
    // Each string meets another name in each round.
    let rounds = if step() > 1 { 1 } else { texts.len() };
    for round in 0..rounds {
        for (n, (record, text)) in records.iter().zip(&strings).enumerate().step_by(step()) {
            let (name, field) = texts[(n / step() + round) % texts.len()];
            let path = format!(
                "/activity/records?service=ours&limit=1000&{name}={}",
                spelt(&quoted(text))
            );
            let list = service.get(&path).await.json();
            let found: Vec<_> = numbers(&list).into_iter().map(|(_, seq)| seq).collect();
            let alike: Vec<_> = records
                .iter()
                .zip(&strings)
                .filter(|(_, other)| match folds_case(field) {
                    true => other.eq_ignore_ascii_case(text),
                    false => *other == text,
                })
                .map(|(record, _)| record.seq)
                .rev()
                .collect();
            assert!(found.contains(&record.seq) && found == alike, "{name}: {text:?}: {found:?}");
        }
    }
    let names: Vec<_> = FIELDS
        .iter()
        .filter(|asked| asked.is_parameter())
        .map(|asked| asked.name())
        .chain(PARAMETERS.iter().map(|parameter| parameter.name()))
        .collect();
    let paths = ["records", "stats", "facets", "export", "live/sse", "entities/order/1", "tickets"];
    for (n, text) in strings.iter().enumerate().step_by(step()) {
        for round in 0..2 * rounds {
            let name = names[(n / step() * 7 + round) % names.len()];
            let path = paths[(n / step() + round) % paths.len()];
            let method = if path == "tickets" { Method::POST } else { Method::HEAD };
            let method = if path == "live/sse" || path == "tickets" { method } else { Method::GET };
            let at = format!("/activity/{path}?{name}={}", spelt(text));
            let answer = service.send(method, &at, &[("x-test-caller", "admin")], "").await;
            let said = answer.text();
            // A ticket that nobody wrote lets nobody in.
            let is_ticket = (name, path) == ("ticket", "live/sse");
            let status = answer.status.as_u16();
            assert!(
                matches!(status, 200 | 400 | 414) || (is_ticket && status == 401),
                "{at}: {status} {said}"
            );
            if answer.status == 400 && !said.is_empty() {
                let detail = answer.problem(400)["detail"].as_str().unwrap().to_owned();
                let obeyed = |c: char| c.is_control() || "\u{202e}\u{200b}".contains(c);
                assert!(!detail.contains(obeyed), "{at}: {detail:?}");
                assert!(detail.len() < 2_000, "{at}: {detail}");
                for word in ["sqlite", "postgres", "syntax error at"] {
                    assert!(
                        !detail.to_lowercase().contains(word) || text.contains(word),
                        "{detail}"
                    );
                }
            }
        }
    }
    let all = service.get("/activity/records?service=ours&count=exact").await.json();
    assert_eq!(all["total"]["value"], strings.len(), "nothing was dropped");
    service.pipeline.hang_up();
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
            // Whoever tried every way would be at it for years.
            let path = format!("/activity/{path}q={}", spelt(question));
            let answer = timeout(Duration::from_secs(120), service.get(&path)).await.expect(&path);
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{question}: {}", answer.text());
        }
    }
    let stars = format!("action:{}", "*a".repeat(50));
    service.get(&format!("/activity/records?q={}", spelt(&stars))).await.problem(400);
    let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    service.get(&format!("/activity/records?q={}", spelt(&deep))).await;
    service.stop().await;
}

//! Filters of any shape: the rows that SQL lets through are those that pass in memory, and the plans are
//! those that somebody who waits can wait for.

use tower_activity::{
    query::{
        Expr, Filter, Keyset, PageRequest, Pattern, Phrase, Side, Test, TextSearch, Wanted, words,
    },
    record::{Field, Record, RecordId, Value},
    store::{Index, Maintain as _, Read as _, postgres::PostgresStore},
    time::Timestamp,
};

use super::store;
use crate::{
    records::{hostile, stream},
    suite::{append, newest, oldest},
};

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, below: usize) -> usize {
        let multiplier = 6_364_136_223_846_793_005;
        self.0 = self.0.wrapping_mul(multiplier).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// A piece of a text, cut anywhere.
    fn piece(&mut self, text: &str) -> String {
        let chars: Vec<_> = text.chars().collect();
        let from = self.below(chars.len() + 1);
        let to = from + self.below(chars.len() - from + 1);
        chars[from..to].iter().collect()
    }

    fn pattern(&mut self, text: &str) -> Pattern {
        let stars = 1 + self.below(3);
        let mut pieces: Vec<_> = (0..=stars).map(|_| self.piece(text)).collect();
        if self.below(2) == 0 {
            pieces[0] = text.chars().take(self.below(4)).collect();
            pieces[stars] = String::new();
        }
        Pattern::new(pieces)
    }

    /// A condition that some of the records meet, as a rule.
    fn expr(&mut self, records: &[Box<Record>], depth: usize) -> Expr {
        match self.below(if depth == 0 { 1 } else { 8 }) {
            1 | 2 => Expr::All((0..self.below(4)).map(|_| self.expr(records, depth - 1)).collect()),
            3 | 4 => Expr::Any((0..self.below(4)).map(|_| self.expr(records, depth - 1)).collect()),
            5 | 6 => Expr::Not(Box::new(self.expr(records, depth - 1))),
            _ => Expr::Test(self.test(records)),
        }
    }

    fn test(&mut self, records: &[Box<Record>]) -> Test {
        let record = &**self.pick(records);
        let field = self.pick(Record::FIELDS);
        let changes = Field::named("changes").unwrap();
        if self.below(12) == 0 {
            return Test::Present(field);
        }
        match field.value(record) {
            Value::Null | Value::Stream(_) => Test::Present(field),
            Value::Id(id) => Test::Id(if self.below(4) == 0 { RecordId::NIL } else { id }),
            Value::Time(at) => {
                let bound = |dice: &mut Self| {
                    let micros = at.as_micros() + dice.below(4_000) as i64 - 2_000;
                    (dice.below(3) > 0).then(|| Timestamp::from_micros(micros))
                };
                Test::Time(field, bound(self), bound(self))
            }
            Value::Integer(number) => {
                let bound = |dice: &mut Self| {
                    (dice.below(3) > 0).then(|| number.saturating_add(dice.below(5) as i64 - 2))
                };
                Test::Number(field, bound(self), bound(self))
            }
            Value::Text(text) => match self.below(3) {
                0 => Test::Like(field, self.pattern(text)),
                1 => Test::OneOf(field, vec![text.to_owned()]),
                _ => Test::OneOf(
                    field,
                    vec![text.to_lowercase(), text.to_owned(), "\0".to_owned(), String::new()],
                ),
            },
            Value::Address(address) => {
                let prefix = (self.below(usize::from(address.prefix()) + 1)) as u8;
                Test::Network(
                    field,
                    tower_activity::record::Address::truncated(address.ip(), prefix),
                )
            }
            Value::Json(json) if self.below(3) == 0 => match words_of(json) {
                found if found.is_empty() => Test::Present(field),
                found => {
                    let first = self.below(found.len());
                    let many = 1 + self.below(2);
                    let phrase = found[first..].iter().take(many).cloned().collect::<Vec<_>>();
                    let phrase = Phrase::new(&phrase.join(" ")).unwrap();
                    Test::Text(if self.below(2) == 0 { phrase.prefix() } else { phrase })
                }
            },
            Value::Json(json) => {
                let (path, leaf) = self.leaf(&serde_json::from_str(json).unwrap_or_default());
                let wanted = match (self.below(3), leaf.as_str()) {
                    (0, _) => Wanted::Any,
                    (1, Some(text)) => Wanted::Like(self.pattern(text)),
                    (_, Some(text)) => Wanted::OneOf(vec!["x".to_owned(), text.to_owned()]),
                    (_, None) => Wanted::OneOf(vec![leaf.to_string()]),
                };
                if *field == *changes && self.below(3) > 0 {
                    let path = ["", "/price", "/pri", "/status", "/é\"q"][self.below(5)];
                    let side = *self.pick(&[Side::Either, Side::Old, Side::New]);
                    return Test::Change(path.to_owned(), side, wanted);
                }
                if field.name() == "subject_ids" && self.below(2) == 0 {
                    let text = leaf.as_str().unwrap_or("none").to_owned();
                    return Test::Contains(field, vec!["nobody".to_owned(), text]);
                }
                Test::Json(field, path, wanted)
            }
            other => panic!("a new kind of value: {other:?}"),
        }
    }

    /// Keys down to something in a value, and what is there.
    fn leaf(&mut self, value: &serde_json::Value) -> (Vec<String>, serde_json::Value) {
        match value {
            serde_json::Value::Object(members) if !members.is_empty() && self.below(8) > 0 => {
                let at = self.below(members.len());
                let (key, value) = members.iter().nth(at).unwrap();
                let (mut path, leaf) = self.leaf(value);
                path.insert(0, key.clone());
                (path, leaf)
            }
            serde_json::Value::Array(elements) if !elements.is_empty() => {
                let at = self.below(elements.len());
                self.leaf(&elements[at])
            }
            other => (Vec::new(), other.clone()),
        }
    }
}

fn words_of(text: &str) -> Vec<String> {
    words(text).collect()
}

/// Hostile records, and some whose JSON is worth asking for.
fn drawn() -> Vec<Box<Record>> {
    let mut records = hostile(5, 120);
    let changes = [
        r#"[{"op":"replace","path":"/price","old":"1","new":1.50}]"#,
        r#"[{"path":"/price/net","new":"\u0053HIPPED"},{"old":true,"path":"/é\"q"}]"#,
        r#"[{"path":"/status","old":"PENDING","new":"SHIPPED"}]"#,
        r#"{"path":"/status"}"#,
    ];
    let metadata = [
        r#"{"ui":{"theme":"dark"},"n":15e-1}"#,
        r#"{"\u0075i":[{"theme":"d\u0061rk 100%"},{"theme":"l_ght\\"}]}"#,
        r#"{"ui":"x","ui":{"theme":null},"n":-0.0}"#,
        "{\"ui\":{\"theme\":\"ÄRGER \u{212a}elvin \u{130}stanbul Größe\"}}",
    ];
    let subjects = [r#"["ana","b\"ob"]"#, r#"["\u0061na"]"#, r#"[1,"1"]"#];
    for (n, record) in records.iter_mut().enumerate() {
        let json = |name: &str, value: &str, record: &mut Record| {
            Field::named(name).unwrap().set(record, Value::Json(value)).unwrap();
        };
        json("changes", changes[n % changes.len()], record);
        json("metadata", metadata[n / 2 % metadata.len()], record);
        json("subject_ids", subjects[n / 3 % subjects.len()], record);
        record.seal(crate::records::salts(record.seq));
    }
    records
}

#[tokio::test]
async fn what_passes_in_memory_passes_in_sql_and_nothing_else() {
    let (_database, store) = store().await;
    let records = drawn();
    append(&store, &records).await.unwrap();
    agree(&store, &records, 11).await;
    // As well where an index sieves.
    for index in Index::ALL {
        store.make_index(index).await.unwrap();
        store.make_index(index).await.unwrap();
    }
    assert_eq!(store.indexes().await.unwrap(), Index::ALL);
    agree(&store, &records, 13).await;
}

async fn agree(store: &PostgresStore, records: &[Box<Record>], seed: u64) {
    let mut dice = Dice(seed);
    let mut shares = [0; 3];
    for round in 0..250 {
        let filter = Filter::new().and(dice.expr(records, 3));
        let mut expected: Vec<_> = records.iter().filter(|record| filter.matches(record)).collect();
        expected.sort_by_key(|record| Keyset::of(record));
        let page = store.records(&filter, &oldest(1_000)).await;
        let page = page.unwrap_or_else(|error| {
            panic!("round {round}: {error}: {:?}: {filter:?}", std::error::Error::source(&error))
        });
        let found: Vec<_> = page.records.iter().map(|record| record.seq).collect();
        let expected: Vec<_> = expected.iter().map(|record| record.seq).collect();
        assert_eq!(found, expected, "round {round}: {filter:?}");
        shares[if found.is_empty() { 0 } else { 1 + usize::from(found.len() == records.len()) }] +=
            1;
    }
    assert!(shares.iter().all(|count| *count > 15), "{shares:?}");
}

#[tokio::test]
async fn a_rare_word_is_found_by_the_index_of_old_leaves_and_new_ones() {
    let (database, store) = store().await;
    let numbered = |from: i64, month: &str| {
        let start: Timestamp = month.parse().unwrap();
        let mut records = stream(5, from..from + 4_000);
        for record in &mut records {
            let n = record.seq;
            record.occurred_at = Timestamp::from_micros(start.as_micros() + n);
            record.id = crate::records::id(record.occurred_at, 5, n);
            record.description.set(&format!("Cancelled order_dc{n} for Zoë"));
            let json = format!("{{\"ui\":{{\"theme\":\"t{n}\"}}}}");
            let metadata = Field::named("metadata").unwrap();
            metadata.set(record, Value::Json(&json)).unwrap();
            record.seal(crate::records::salts(n));
        }
        records
    };
    append(&store, &numbered(1, "2026-03-02T00:00:00Z")).await.unwrap();
    for index in Index::ALL {
        store.make_index(index).await.unwrap();
    }
    append(&store, &numbered(4_001, "2026-04-02T00:00:00Z")).await.unwrap();
    database.execute("analyze activity.records").await;
    let text = |text: &str| Filter::new().and(Expr::Test(Test::Text(Phrase::new(text).unwrap())));
    let theme = |value: &str| {
        let path = vec!["ui".to_owned(), "theme".to_owned()];
        let wanted = Wanted::OneOf(vec![value.to_owned()]);
        let metadata = Field::named("metadata").unwrap();
        Filter::new().and(Expr::Test(Test::Json(metadata, path, wanted)))
    };
    for (filter, seq) in [
        (text("order_dc513"), 513),
        (text("DC5513"), 5_513),
        (theme("t513"), 513),
        (theme("t5513"), 5_513),
    ] {
        let request = newest(50);
        let page = store.records(&filter, &request).await.unwrap();
        assert_eq!(page.records.iter().map(|record| record.seq).collect::<Vec<_>>(), [seq]);
        assert_eq!(page.text == TextSearch::Indexed, filter.asks_for_text());
        let plan = store.explain(&filter, &request).await.unwrap();
        assert!(
            plan.contains("Bitmap Index Scan") && !plan.contains("Seq Scan on records_2026_0"),
            "{plan}"
        );
    }
    // A word that every record has is found in the order of time.
    let plan = store.explain(&text("cancelled"), &newest(50)).await.unwrap();
    assert!(!plan.contains("Bitmap") && !plan.contains("->  Sort"), "{plan}");
    // What the index holds nothing of is read for.
    let page = store.records(&text("ё"), &newest(50)).await.unwrap();
    assert_eq!((page.text, page.records.len(), page.complete), (TextSearch::Scanned, 0, true));
}

#[tokio::test]
async fn a_row_that_somebody_edited_is_left_out_and_counted() {
    let (database, store) = store().await;
    append(&store, &stream(5, 1..=9)).await.unwrap();
    database
        .execute(
            "alter table activity.records_2026_05_activity disable trigger user; \
             update activity.records set outcome = 'odd' where seq in (1, 4, 5, 9); \
             alter table activity.records_2026_05_activity enable always trigger guard",
        )
        .await;
    for (limit, pages) in [(2, 3), (50, 1)] {
        let (mut seqs, mut unreadable, mut after, mut count) = (Vec::new(), 0, None, 0);
        loop {
            let request = PageRequest { after, ..newest(limit) };
            let page = store.records(&Filter::new(), &request).await.unwrap();
            seqs.extend(page.records.iter().map(|record| record.seq));
            unreadable += page.unreadable;
            count += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seqs, [8, 7, 6, 3, 2]);
        assert!(unreadable >= 4 && count == pages, "{unreadable} {count}");
    }
}

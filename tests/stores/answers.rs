//! What every store promises of its answers: they are those of a plain walk through the records.

use std::future::Future as _;

use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    strategy::{BoxedStrategy, ValueTree as _},
    test_runner::TestRunner,
};
use tower_activity::{
    query::{
        Aggregate, Count, Counter, Direction, Expr, Filter, Keyset, PageRequest, Pattern, Phrase,
        Relation, Side, Test, Wanted,
    },
    record::{Address, Field, Json, Kind, Record},
    store::{Maintain as _, Read},
    time::Timestamp,
};

use crate::{
    records::{NOON, hostile, stream},
    suite::{Fixture, PATIENCE, append, newest},
};

pub(crate) fn field(name: &str) -> &'static Field {
    Field::named(name).unwrap()
}

/// Records of every kind: hostile ones, ordinary ones, and some with JSON, words and addresses to be found.
pub(crate) fn mixed() -> Vec<Box<Record>> {
    let mut records = hostile(3, 80);
    records.extend(stream(4, 1..=60));
    let mut talkative = stream(5, 1..=60);
    for (n, record) in talkative.iter_mut().enumerate() {
        let metadata = [
            r#"{"a":"x","n":1.50,"deep":[{"key":"value"},{"key":"other"}]}"#,
            r#"{"\u0061":"\u0078","deep":{"key":"v\u0061lue"}}"#,
            r#"{"a":"y","a":"x"}"#,
            r#"{"a":true,"n":150e-2}"#,
            r#"["x","a"]"#,
            "\"a\"",
        ];
        record.metadata = Json::from_stored(metadata[n % metadata.len()]);
        let changes = [
            r#"[{"path":"/status","old":"open","new":"closed"}]"#,
            r#"[{"path":"/items/1","new":3},{"path":"/statusbar","old":null}]"#,
            r#"[{"path":"\/status","old":"\u006fpen","new":"x"}]"#,
        ];
        record.changes = Json::from_stored(changes[n % changes.len()]);
        record.subject_ids =
            Json::from_stored([r#"["ana","bob"]"#, r#"["\u0061na"]"#, r#""ana""#][n % 3]);
        record.description.set(
            ["Cancelled Order 55", "\u{212a}elvin order_55", "\u{130}stanbul ÄRGER", "order 5 5"]
                [n % 4],
        );
        record.tenant_id.set(["acme", "globex"][n % 2]);
        record.action.set(["Login_Failed", "login_ok", "a*b", "a?b", "a[b"][n % 5]);
        let addresses = [
            "10.0.0.1",
            "10.0.16.0/20",
            "10.0.0.0/8",
            "10.0.0.128/25",
            "192.0.2.7",
            "2001:db8:1::/48",
            "2001:db8:1::9",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "0:5::1",
        ];
        record.ip = Some(addresses[n % addresses.len()].parse().unwrap());
        record.seal(crate::records::salts(record.seq));
    }
    records.extend(talkative);
    records
}

async fn filled<F: Fixture>() -> (F, F::Store, Vec<Box<Record>>) {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let records = mixed();
    for stream in records.chunk_by(|a, b| a.writer_id == b.writer_id) {
        append(&store, stream).await.unwrap();
    }
    (fixture, store, records)
}

fn words() -> BoxedStrategy<String> {
    proptest::sample::select(vec![
        "ana",
        "bob",
        "order",
        "Product",
        "create",
        "cancel",
        "login_ok",
        "success",
        "denied",
        "x",
        "acme",
        "activity",
        "a*b",
        "a[b",
        "",
        "nobody",
        "'; DROP TABLE activity_records; --",
        "user",
    ])
    .prop_map(str::to_owned)
    .boxed()
}

fn texts() -> BoxedStrategy<&'static Field> {
    let fields: Vec<_> = Record::FIELDS
        .iter()
        .filter(|field| matches!(field.kind(), Kind::Text | Kind::Word))
        .collect();
    let frequent = ["action", "entity_type", "entity_id", "actor_id", "outcome", "tenant_id"];
    prop_oneof![
        3 => proptest::sample::select(frequent.to_vec()).prop_map(field),
        1 => proptest::sample::select(fields),
    ]
    .boxed()
}

fn lists() -> BoxedStrategy<(&'static Field, Vec<String>)> {
    (texts(), proptest::collection::vec(words(), 0..4))
        .prop_map(|(field, mut values)| {
            if tower_activity::query::folds_case(field) {
                values.iter_mut().for_each(|value| value.make_ascii_lowercase());
            }
            (field, values)
        })
        .boxed()
}

fn times() -> BoxedStrategy<Option<Timestamp>> {
    prop_oneof![
        Just(None),
        (0..70_000_000_i64).prop_map(|micros| Some(Timestamp::from_micros(NOON + micros))),
        (0..70_i64).prop_map(|seconds| Some(Timestamp::from_micros(NOON + seconds * 1_000_000))),
    ]
    .boxed()
}

fn wanted() -> BoxedStrategy<Wanted> {
    let values = ["x", "y", "value", "1.5", "true", "null", "open", "closed", "3", "zz"];
    prop_oneof![
        Just(Wanted::Any),
        proptest::collection::vec(proptest::sample::select(values.to_vec()), 0..3)
            .prop_map(|values| Wanted::OneOf(values.into_iter().map(str::to_owned).collect())),
        proptest::sample::select(vec![&["", "al", ""][..], &["o", ""], &["", ""]])
            .prop_map(|pieces| Wanted::Like(Pattern::new(pieces.iter().copied()))),
    ]
    .boxed()
}

fn tests() -> BoxedStrategy<Test> {
    let patterns: &[&[&str]] = &[
        &["", ""],
        &["login_", ""],
        &["", "e"],
        &["a*", ""],
        &["a?b", ""],
        &["a[", ""],
        &["o", "d", "r"],
        &["PRO", ""],
        &["", "a", ""],
        &["ana"],
        &["aa", "aa"],
    ];
    let networks = [
        "10.0.0.1",
        "10.0.0.0/8",
        "10.0.16.0/20",
        "10.0.0.128/26",
        "10.0.0.0/24",
        "0.0.0.0/0",
        "::/0",
        "2001:db8:1::/48",
        "2001:db8::/32",
        "2001:db8::/33",
        "2001:db8::/64",
        "::/8",
        "192.0.2.0/30",
        "0:5::/32",
    ];
    let ids: Vec<_> = mixed().iter().map(|record| record.id).collect();
    let phrases =
        ["order_55", "kelvin", "istanbul", "order", "ärger", "cancelled", "value", "nothing"];
    prop_oneof![
        2 => proptest::sample::select(Record::FIELDS.iter().collect::<Vec<_>>()).prop_map(Test::Present),
        8 => lists().prop_map(|(field, values)| Test::OneOf(field, values)),
        4 => (texts(), proptest::sample::select(patterns.to_vec())).prop_map(|(field, pieces)| {
            Test::Like(field, Pattern::new(pieces.iter().copied()))
        }),
        2 => (
            proptest::sample::select(
                Record::FIELDS.iter().filter(|f| f.kind() == Kind::Integer).collect::<Vec<_>>()
            ),
            proptest::option::of(-1..8_i64),
            proptest::option::of(-1..8_i64),
        ).prop_map(|(field, least, most)| Test::Number(field, least, most)),
        3 => (proptest::sample::select(vec!["occurred_at", "recorded_at"]), times(), times())
            .prop_map(|(name, from, to)| Test::Time(field(name), from, to)),
        1 => proptest::sample::select(ids).prop_map(Test::Id),
        3 => proptest::sample::select(networks.to_vec())
            .prop_map(|network| Test::Network(field("ip"), network.parse::<Address>().unwrap())),
        2 => proptest::collection::vec(words(), 0..3)
            .prop_map(|values| Test::Contains(field("subject_ids"), values)),
        3 => (proptest::sample::select(vec![&["a"][..], &["n"], &["deep", "key"], &[]]), wanted())
            .prop_map(|(path, wanted)| {
                Test::Json(field("metadata"), path.iter().map(|&key| key.to_owned()).collect(), wanted)
            }),
        2 => (
            proptest::sample::select(vec!["/status", "", "/items", "/none"]),
            prop_oneof![Just(Side::Either), Just(Side::Old), Just(Side::New)],
            wanted(),
        ).prop_map(|(path, side, wanted)| Test::Change(path.to_owned(), side, wanted)),
        3 => (proptest::sample::select(phrases.to_vec()), any::<bool>()).prop_map(|(text, prefix)| {
            let phrase = Phrase::new(text).unwrap();
            Test::Text(if prefix { phrase.prefix() } else { phrase })
        }),
    ]
    .boxed()
}

/// Conditions of any shape.
pub(crate) fn exprs() -> BoxedStrategy<Expr> {
    tests()
        .prop_map(Expr::Test)
        .prop_recursive(4, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Expr::All),
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Expr::Any),
                inner.prop_map(|part| Expr::Not(Box::new(part))),
            ]
        })
        .boxed()
}

fn drawn(cases: usize) -> Vec<Filter> {
    let (mut runner, exprs) = (TestRunner::deterministic(), exprs());
    (0..cases).map(|_| Filter::new().and(exprs.new_tree(&mut runner).unwrap().current())).collect()
}

fn passing<'r>(records: &'r [Box<Record>], filter: &Filter) -> Vec<&'r Record> {
    let mut passing: Vec<&Record> =
        records.iter().map(|record| &**record).filter(|record| filter.matches(record)).collect();
    passing.sort_unstable_by_key(|record| std::cmp::Reverse(Keyset::of(record)));
    passing
}

pub(crate) async fn any_filter_means_what_it_means_in_memory<F: Fixture>() {
    let (_fixture, store, records) = filled::<F>().await;
    for filter in drawn(250) {
        let page = store.records(&filter, &newest(1_000)).await.unwrap();
        let expected = passing(&records, &filter);
        assert_eq!(page.records.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        assert!(page.complete && page.next.is_none());
        let total = store.count(&filter, Count::UpTo(Count::CAP)).await.unwrap();
        assert_eq!((total.value, total.relation), (expected.len() as u64, Relation::Equal));
        let capped = store.count(&filter, Count::UpTo(3)).await.unwrap();
        let relation = if expected.len() > 3 { Relation::AtLeast } else { Relation::Equal };
        assert_eq!((capped.value, capped.relation), (expected.len().min(3) as u64, relation));
    }
}

pub(crate) async fn pages_lead_through_everything_both_ways<F: Fixture>() {
    let (_fixture, store, records) = filled::<F>().await;
    for filter in drawn(16).into_iter().chain([Filter::new()]) {
        for direction in [Direction::Older, Direction::Newer] {
            let mut expected = passing(&records, &filter);
            if direction == Direction::Newer {
                expected.reverse();
            }
            let mut read = Vec::new();
            let mut after = None;
            loop {
                let request = PageRequest { after, direction, ..newest(7) };
                let page = store.records(&filter, &request).await.unwrap();
                assert!(page.records.len() == 7 || page.next.is_none());
                if let (Some(first), Some(&before)) = (page.first, read.last()) {
                    // Back from the first of this page to the last of the one before it.
                    let back = match direction {
                        Direction::Older => Direction::Newer,
                        Direction::Newer => Direction::Older,
                    };
                    let request = PageRequest { after: Some(first), direction: back, ..newest(1) };
                    let page = store.records(&filter, &request).await.unwrap();
                    assert_eq!(page.records.iter().map(Keyset::of).collect::<Vec<_>>(), [before]);
                }
                read.extend(page.records.iter().map(Keyset::of));
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert!(read.into_iter().eq(expected.into_iter().map(Keyset::of)), "{filter:?}");
        }
    }
}

/// Asks what the pages of statistics ask.
fn ask(edges: Vec<Timestamp>) -> Aggregate {
    let dimensions = ["action", "entity_type", "actor_id", "outcome", "category", "status"];
    Aggregate { dimensions: dimensions.map(field).to_vec(), top: 5, edges, patience: PATIENCE }
}

pub(crate) async fn counted_as_asked<S: Read>(
    store: &S,
    records: &[Box<Record>],
    filter: &Filter,
    ask: &Aggregate,
) {
    let mut counter = Counter::new(ask);
    passing(records, filter).into_iter().for_each(|record| counter.add(record));
    let expected = counter.finish();
    let counted = store.aggregate(filter, ask).await.unwrap();
    assert!(counted.complete && counted.exact, "{filter:?}");
    assert_eq!(counted.behind, 0);
    assert_eq!(counted.total, expected.total, "{filter:?}");
    assert_eq!(counted.by, expected.by, "{filter:?}");
    assert_eq!(counted.series, expected.series, "{filter:?} {:?}", ask.edges);
}

/// Ordinary records over some months, a few in each hour that has any, in batches of a stream.
fn spread(writer_id: i64) -> Vec<Vec<Box<Record>>> {
    let mut records = stream(writer_id, 1..=400);
    for record in &mut records {
        let (hours, micros) = (record.seq / 3 * 17, record.seq % 3 * 1_700_000_001);
        record.occurred_at = Timestamp::from_micros(NOON + hours * 3_600_000_000 + micros);
        record.id = crate::records::id(record.occurred_at, writer_id, record.seq);
        record.tenant_id.set(["acme", "globex", ""][record.seq as usize % 3]);
        record.actor_id.set(["ana", "bob", "", "o'hara"][record.seq as usize % 4]);
        record.entity_type.set(["order", "Order", "user", ""][record.seq as usize / 2 % 4]);
        record.status = (record.seq % 2 == 0).then_some(200);
        record.seal(crate::records::salts(record.seq));
    }
    let mut batches = Vec::new();
    for (n, size) in [1, 7, 60, 150, 2, 90, 90].into_iter().enumerate() {
        let rest = records.split_off(std::cmp::min(size, records.len()));
        assert!(n < 6 || rest.is_empty());
        batches.push(std::mem::replace(&mut records, rest));
    }
    batches
}

/// Filters that rollups may cover, and some that they must not.
fn covered() -> Vec<Filter> {
    let one =
        |name: &str, values: &[&str]| Filter::new().any_of(name, values.iter().copied()).unwrap();
    let at = |hours: i64| Timestamp::from_micros(NOON + hours * 3_600_000_000 + 77);
    let day = |text: &str| text.parse::<Timestamp>().unwrap();
    let test = |test| Expr::Test(test);
    let orders = Pattern::new(["ord", ""]);
    vec![
        Filter::new(),
        one("tenant_id", &["acme"]),
        one("tenant_id", &["acme", "globex", "none"]),
        one("tenant_id", &["acme"]).any_of("tenant_id", ["globex"]).unwrap(),
        one("actor_id", &["ana"]),
        one("actor_id", &["ana", "o'hara"]).any_of("tenant_id", ["acme"]).unwrap(),
        one("entity_type", &["order"]),
        one("action", &["create", "cancel"]).from(at(100)).to(at(1_900)),
        one("actor_id", &["bob"]).from(at(100)),
        one("outcome", &["denied"]).to(at(1_000)),
        Filter::new().from(at(1_000)).to(at(1_001)),
        Filter::new().from(day("2026-06-01T00:00:00Z")).to(day("2026-08-01T00:00:00Z")),
        Filter::new().from(at(2_000)).to(at(1_000)),
        Filter::new().and(Expr::Not(Box::new(test(Test::Present(field("entity_type")))))),
        Filter::new().and(Expr::Not(Box::new(test(Test::Like(field("entity_type"), orders))))),
        Filter::new().and(Expr::Not(Box::new(test(Test::Present(field("actor_id")))))),
        Filter::new().and(Expr::Not(Box::new(one("tenant_id", &["acme"]).into()))),
        Filter::new().and(Expr::Any(vec![
            one("actor_id", &["ana"]).into(),
            one("action", &["delete"]).into(),
        ])),
        one("entity_id", &["3"]),
        Filter::new().and(test(Test::Number(field("status"), Some(200), None))),
        Filter::new().and(test(Test::Text(Phrase::new("order").unwrap()))),
    ]
}

fn asks() -> Vec<Aggregate> {
    let every = |first: i64, hours: i64, slots: i64| {
        let edges = (0..=slots).map(|n| first + n * hours * 3_600_000_000);
        ask(edges.map(Timestamp::from_micros).collect())
    };
    let midnight = "2026-05-01T00:00:00Z".parse::<Timestamp>().unwrap().as_micros();
    let uneven = [5, 1_000_000, 90_000_000_000, 5_000_000_000_000, 5_000_000_000_001];
    vec![
        ask(Vec::new()),
        every(midnight, 24, 120),
        every(midnight + 9 * 60_000_000, 36, 40),
        every(NOON, 1, 30),
        ask(uneven.map(|micros| Timestamp::from_micros(NOON + micros)).to_vec()),
    ]
}

/// Asks each filter two of the series; after three rounds it has been asked them all.
async fn all_counted_as_asked<S: Read>(store: &S, records: &[Box<Record>], round: usize) {
    let asks = asks();
    for (n, filter) in covered().into_iter().enumerate() {
        for ask in [0, 1].map(|of_two| &asks[(n + 2 * round + of_two) % asks.len()]) {
            counted_as_asked(store, records, &filter, ask).await;
        }
        let passing = passing(records, &filter).len() as u64;
        let total = store.count(&filter, Count::Estimate).await.unwrap();
        assert_ne!(total.relation, Relation::AtLeast);
        if total.relation == Relation::Equal {
            assert_eq!(total.value, passing, "{filter:?}");
        }
    }
}

/// Records of many shapes and months, one stream after the other.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn of_all_kinds() -> Vec<Box<Record>> {
    let mut records = mixed();
    records.extend(spread(6).into_iter().take(4).flatten());
    records
}

/// Asks for pages, numbers and counts of every kind; none of them may wait for the fold.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn every_answer_is_that_of_memory<S: Read>(store: &S, records: &[Box<Record>]) {
    for filter in drawn(15) {
        let expected = passing(records, &filter);
        let page = store.records(&filter, &newest(1_000)).await.unwrap();
        let mut found: Vec<_> = page.records.iter().collect();
        // A text index has an order of its own.
        found.sort_unstable_by_key(|record| std::cmp::Reverse(Keyset::of(record)));
        assert_eq!(found, expected, "{filter:?}");
        let total = store.count(&filter, Count::UpTo(Count::CAP)).await.unwrap();
        assert_eq!((total.value, total.relation), (expected.len() as u64, Relation::Equal));
    }
    let asks = asks();
    for (n, filter) in covered().into_iter().enumerate().step_by(2) {
        counted_as_asked(store, records, &filter, &asks[n / 2 % asks.len()]).await;
    }
}

pub(crate) async fn counts_are_right_however_far_the_fold_has_come<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    for filter in covered() {
        counted_as_asked(&store, &[], &filter, &asks()[1]).await;
    }
    let mut records = Vec::new();
    for batch in spread(3) {
        append(&store, &batch).await.unwrap();
        records.extend(batch);
    }
    all_counted_as_asked(&store, &records, 0).await;
    // The batches lie in several leaves, hence in more entries than there are batches.
    let folded = store.fold(4).await.unwrap();
    assert!(folded.led && folded.position <= folded.head, "{folded:?}");
    all_counted_as_asked(&store, &records, 1).await;
    let folded = store.fold(1_000).await.unwrap();
    assert_eq!((folded.behind(), folded.led), (0, true));
    all_counted_as_asked(&store, &records, 2).await;
    assert_eq!(store.fold(1_000).await.unwrap().behind(), 0, "there is nothing left to do");
    counted_as_asked(&store, &records, &Filter::new(), &asks()[1]).await;
}

pub(crate) async fn any_filter_counts_what_passes<F: Fixture>() {
    let (_fixture, store, records) = filled::<F>().await;
    store.fold(1).await.unwrap();
    for filter in drawn(30) {
        counted_as_asked(&store, &records, &filter, &asks()[3]).await;
    }
}

pub(crate) async fn two_that_fold_at_once_count_each_record_once<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut records = Vec::new();
    for batch in (3..9).flat_map(spread) {
        append(&store, &batch).await.unwrap();
        records.extend(batch);
    }
    let mut folders = Vec::new();
    for _ in 0..3 {
        let store = fixture.open().await;
        folders.push(tokio::spawn(async move {
            while store.fold(3).await.unwrap().behind() > 0 {
                tokio::task::yield_now().await;
            }
        }));
    }
    for folder in folders {
        folder.await.unwrap();
    }
    for ask in asks() {
        counted_as_asked(&store, &records, &Filter::new(), &ask).await;
    }
}

pub(crate) async fn a_fold_that_dies_in_the_middle_is_done_again_by_the_next<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut records = Vec::new();
    for batch in spread(3) {
        append(&store, &batch).await.unwrap();
        records.extend(batch);
    }
    for polls in 1_usize.. {
        let mut fold = std::pin::pin!(store.fold(2));
        let mut left = polls;
        let ended = std::future::poll_fn(|context| {
            left -= 1;
            match fold.as_mut().poll(context) {
                std::task::Poll::Ready(folded) => std::task::Poll::Ready(Some(folded)),
                std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(None),
                std::task::Poll::Pending => std::task::Poll::Pending,
            }
        })
        .await;
        if ended.is_some_and(|folded| folded.unwrap().behind() == 0) {
            break;
        }
    }
    for ask in asks() {
        counted_as_asked(&store, &records, &Filter::new(), &ask).await;
    }
}

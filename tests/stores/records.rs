//! Records for tests: ordinary ones, one with everything, and hostile ones.

use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    strategy::{BoxedStrategy, ValueTree as _},
    test_runner::TestRunner,
};
use tower_activity::{
    record::{
        ActorType, Address, Category, Field, Group, Kind, Operation, Origin, Outcome, Record,
        RecordId, Value, WriterId,
    },
    time::Timestamp,
};

/// A moment in May 2026.
pub(crate) const NOON: i64 = 1_778_500_800_000_000;

/// Salts that differ from record to record, and from group to group.
pub(crate) fn salts(seq: i64) -> [[u8; 16]; 4] {
    std::array::from_fn(|group| {
        let mut salt = [group as u8 + 1; 16];
        salt[8..].copy_from_slice(&seq.to_be_bytes());
        salt
    })
}

/// The id that a record of this time and number has.
pub(crate) fn id(at: Timestamp, writer_id: i64, seq: i64) -> RecordId {
    let mut random = [0; 10];
    random[..2].copy_from_slice(&writer_id.to_be_bytes()[6..]);
    random[2..].copy_from_slice(&seq.to_be_bytes());
    RecordId::new(at, random)
}

/// An ordinary record: a second later than the one before it in the stream.
pub(crate) fn ordinary(writer_id: i64, seq: i64) -> Box<Record> {
    let mut record = Record::default();
    record.occurred_at = Timestamp::from_micros(NOON + seq * 1_000_000);
    record.recorded_at = Timestamp::from_micros(NOON + seq * 1_000_000 + 200_000);
    record.id = id(record.occurred_at, writer_id, seq);
    record.retention_class.set("activity");
    record.action.set(["create", "update", "delete", "cancel"][seq as usize % 4]);
    record.entity_type.set(["order", "user", "Product"][seq as usize % 3]);
    record.entity_id.set(&(seq % 7).to_string());
    record.actor_id.set(["ana", "bob"][seq as usize % 2]);
    record.actor_type = ActorType::User;
    record.outcome = if seq % 5 == 0 { Outcome::Denied } else { Outcome::Success };
    record.writer_id = WriterId::new(writer_id);
    record.seq = seq;
    record.seal(salts(seq));
    Box::new(record)
}

/// Ordinary records of a stream.
pub(crate) fn stream(writer_id: i64, seqs: impl IntoIterator<Item = i64>) -> Vec<Box<Record>> {
    seqs.into_iter().map(|seq| ordinary(writer_id, seq)).collect()
}

/// A record in which every field holds something that suits its kind.
pub(crate) fn full(writer_id: i64, seq: i64) -> Box<Record> {
    let mut record = Record::default();
    for (index, field) in (0_i64..).zip(Record::FIELDS) {
        let text = format!("{} {seq}", field.name());
        let json = format!("[{{\"{}\":1.50,\"é\":[null,1e999]}}]", field.name());
        let value = match field.kind() {
            Kind::Id => Value::Id(RecordId::NIL),
            Kind::Time => Value::Time(Timestamp::from_micros(NOON + seq * 1_000_000 + index)),
            Kind::Integer => Value::Integer(index),
            Kind::Stream => Value::Stream(WriterId::new(writer_id)),
            Kind::Word => Value::Text(words(field).last().copied().unwrap_or_default()),
            Kind::Text => Value::Text(&text),
            Kind::Json => Value::Json(&json),
            Kind::Address => Value::Address("2001:db8:1::/48".parse().unwrap()),
            other => panic!("a new kind: {other:?}"),
        };
        field.set(&mut record, value).unwrap();
    }
    finish(record, writer_id, seq)
}

/// Gives a record its place, its id and its salts.
pub(crate) fn finish(mut record: Record, writer_id: i64, seq: i64) -> Box<Record> {
    record.schema_version = Record::SCHEMA_VERSION;
    record.id = id(record.occurred_at, writer_id, seq);
    record.writer_id = WriterId::new(writer_id);
    record.seq = seq;
    record.seal(salts(seq));
    Box::new(record)
}

/// The words that a field may be.
pub(crate) fn words(field: &Field) -> &'static [&'static str] {
    match field.name() {
        "origin" => Origin::WORDS,
        "category" => Category::WORDS,
        "operation" => Operation::WORDS,
        "outcome" => Outcome::WORDS,
        "actor_type" => ActorType::WORDS,
        name => panic!("a new vocabulary: {name}"),
    }
}

/// Texts that have broken a database, an encoder or a terminal before.
const TEXTS: &[&str] = &[
    "'; DROP TABLE activity_records; --",
    "\"\\\"\\\\",
    "$1 ?1 :a @b %s {} ${x}",
    "line\r\nfeed\ttab\u{b}\u{c}\u{8}\u{1b}[31mred\u{7f}",
    "\u{202e}bidi\u{2066}\u{200b}\u{feff}",
    "😀👩‍👩‍👧‍👦 é e\u{301} \u{10ffff} \u{fffd} \u{2028}\u{2029}",
    " ",
    "NULL",
    "0x00",
    "1e999",
    "\\u0000 \\N \\.",
    "{\"a\":1,\"a\":2}",
];

/// JSON that does not survive being read and written again.
const JSONS: &[&str] = &[
    "{\"a\":1e999999,\"b\":-0.0,\"c\":0.1000,\"d\":123456789012345678901234567890}",
    "{\"a\":1,\"a\":2,\"\":{\"\":[]}}",
    "[1.0,1,1e0,10E-1]",
    "\"\\u00e9\\ud83d\\ude00\\/\"",
    "null",
    "\"\"",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "{\"z\":1,\"a\":2}",
];

const ADDRESSES: &[&str] = &[
    "0.0.0.0",
    "0.0.0.0/0",
    "192.0.2.7",
    "192.0.2.0/24",
    "255.255.255.255",
    "::",
    "::/0",
    "::1",
    "2001:db8::ff00:42:8329",
    "2001:db8:1::/48",
    "fe80::1",
];

/// What a value of a field may be, absent included.
#[derive(Debug, Clone)]
enum Drawn {
    Absent,
    Integer(i64),
    Text(String),
    Json(String),
    Word(&'static str),
    Address(Address),
}

fn drawn(field: &'static Field) -> BoxedStrategy<Drawn> {
    // Postgres takes no NUL, and capture takes it out before.
    let text = prop_oneof![
        3 => proptest::sample::select(TEXTS).prop_map(str::to_owned),
        2 => proptest::collection::vec(any::<char>(), 1..40)
            .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').chain(['x']).collect::<String>()),
    ];
    match field.kind() {
        Kind::Text => {
            prop_oneof![1 => Just(Drawn::Absent), 3 => text.prop_map(Drawn::Text)].boxed()
        }
        Kind::Json => prop_oneof![
            1 => Just(Drawn::Absent),
            2 => proptest::sample::select(JSONS).prop_map(|json| Drawn::Json(json.to_owned())),
            1 => text.prop_map(|text| Drawn::Json(serde_json::to_string(&text).unwrap())),
        ]
        .boxed(),
        Kind::Word => proptest::sample::select(words(field)).prop_map(Drawn::Word).boxed(),
        Kind::Address => prop_oneof![
            1 => Just(Drawn::Absent),
            3 => proptest::sample::select(ADDRESSES)
                .prop_map(|text| Drawn::Address(text.parse().unwrap())),
            2 => (any::<u128>(), 0..=128_u8).prop_map(|(bits, prefix)| {
                Drawn::Address(Address::truncated(std::net::Ipv6Addr::from(bits).into(), prefix))
            }),
            2 => (any::<u32>(), 0..=32_u8).prop_map(|(bits, prefix)| {
                Drawn::Address(Address::truncated(std::net::Ipv4Addr::from(bits).into(), prefix))
            }),
        ]
        .boxed(),
        Kind::Integer => prop_oneof![
            1 => Just(Drawn::Absent),
            1 => (0..=6_i64).prop_map(Drawn::Integer),
            1 => Just(Drawn::Integer((1 << 53) - 1)),
        ]
        .boxed(),
        _ => Just(Drawn::Absent).boxed(),
    }
}

/// Hostile records of a stream, the same in every run.
pub(crate) fn hostile(writer_id: i64, count: i64) -> Vec<Box<Record>> {
    let mut runner = TestRunner::deterministic();
    (1..=count)
        .map(|seq| {
            let mut record = Record::default();
            for field in Record::FIELDS {
                let drawn = drawn(field).new_tree(&mut runner).unwrap().current();
                let value = match &drawn {
                    Drawn::Absent => continue,
                    Drawn::Integer(number) => Value::Integer(*number),
                    Drawn::Text(text) => Value::Text(text),
                    Drawn::Word(word) => Value::Text(word),
                    Drawn::Json(json) => Value::Json(json),
                    Drawn::Address(address) => Value::Address(*address),
                };
                // A number that the field is too small for stays out.
                let _fits = field.set(&mut record, value);
            }
            // Within ten years, as the writer clamps them, and all in one leaf.
            record.occurred_at = Timestamp::from_micros(NOON + seq * 1_001);
            record.recorded_at = Timestamp::from_micros(NOON + seq * 1_001 + 1);
            record.retention_class.set("hostile");
            finish(record, writer_id, seq)
        })
        .collect()
}

/// The record as it is after one of its groups was erased.
pub(crate) fn erased(record: &Record, group: Group) -> Record {
    let mut record = record.clone();
    let commitment = tower_activity::record::Canonical::new()
        .commitment(&record, group)
        .expect("a filled group");
    for field in Record::FIELDS.iter().filter(|field| field.group() == group) {
        field.set(&mut record, Value::Null).unwrap();
    }
    record.seals.set(group, tower_activity::record::Seal::Erased(commitment));
    record
}

//! Records to store.

use tower_activity::{
    record::{Category, Json, Record, RecordId, WriterId},
    store::Batch,
    time::Timestamp,
};

/// Returns a moment on an ordinary day.
pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a time in RFC 3339")
}

/// Makes the records `first..first + count` of a stream, a second apart, sealed.
pub fn records(writer: i64, first: i64, count: i64) -> Vec<Box<Record>> {
    (first..first + count).map(|seq| record(writer, seq)).collect()
}

/// Makes one ordinary record of a stream, sealed.
pub fn record(writer: i64, seq: i64) -> Box<Record> {
    let start = at("2026-03-01T00:00:00Z").as_micros();
    let mut record = Record::default();
    record.occurred_at = Timestamp::from_micros(start + seq * 1_000_000 + 7);
    record.writer_id = WriterId::new(writer);
    record.seq = seq;
    let mut random = [0; 10];
    random[..8].copy_from_slice(&writer.wrapping_mul(1_000_003).wrapping_add(seq).to_be_bytes());
    random[8..].copy_from_slice(&seq.to_be_bytes()[6..]);
    record.id = RecordId::new(record.occurred_at, random);
    record.recorded_at = record.occurred_at;
    record.category = Category::Activity;
    record.retention_class.set("activity");
    record.action.set("create");
    record.entity_type.set("order");
    record.entity_id.set(&format!("o-{}", seq % 10));
    record.actor_id.set("ana");
    record.ip = Some("192.0.2.7".parse().expect("an address"));
    record.metadata = Json::of(&serde_json::json!({ "n": seq })).expect("JSON");
    seal(&mut record);
    Box::new(record)
}

/// Seals a record with salts that follow from its number.
pub fn seal(record: &mut Record) {
    let salt = u8::try_from(record.seq.rem_euclid(251)).unwrap_or(0);
    record.seal([[salt; 16], [salt ^ 1; 16], [salt ^ 2; 16], [salt ^ 3; 16]]);
}

/// Makes a batch of them.
pub fn batch(records: &[Box<Record>]) -> Batch<'_> {
    Batch::new(records).expect("records of one stream without a gap")
}

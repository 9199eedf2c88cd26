use std::{env, fs, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::record::{Field, Kind, Value, hex};

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn bytes(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.to_portable(&mut bytes);
    bytes
}

fn read(bytes: &[u8]) -> Result<Record, PortableError> {
    let mut record = Record::default();
    // What is read replaces everything.
    record.path.set("/left/over");
    record.status = Some(7);
    Record::from_portable(bytes, &mut record).map(|()| record)
}

/// The records of the golden rows, and one for each word of the vocabularies.
fn samples() -> Vec<Record> {
    let rows = fs::read_to_string(golden("records.jsonl")).unwrap();
    let mut samples: Vec<Record> = rows
        .lines()
        .filter_map(|row| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            row["record"].as_object().map(of_row)
        })
        .collect();
    for place in 0..8 {
        samples.push(Record {
            origin: Origin::ALL[place % Origin::ALL.len()],
            category: Category::ALL[place % Category::ALL.len()],
            operation: Operation::ALL[place % Operation::ALL.len()],
            outcome: Outcome::ALL[place % Outcome::ALL.len()],
            actor_type: ActorType::ALL[place % ActorType::ALL.len()],
            ..Record::default()
        });
    }
    samples
}

fn of_row(fields: &serde_json::Map<String, serde_json::Value>) -> Record {
    let mut record = Record::default();
    for (name, value) in fields {
        let (text, number) = (value.as_str().unwrap_or_default(), value.as_i64());
        if let Some((group, part)) = name.rsplit_once('_')
            && let Some(group) = Group::ERASABLE.into_iter().find(|g| g.as_str() == group)
        {
            let bytes = unhex(text);
            let seal = match part {
                "salt" => Seal::Salted(bytes.try_into().unwrap()),
                _ => Seal::Erased(bytes.try_into().unwrap()),
            };
            record.seals.set(group, seal);
            continue;
        }
        let field = Field::named(name).unwrap();
        let value = match field.kind() {
            Kind::Id => Value::Id(text.parse().unwrap()),
            Kind::Time => Value::Time(Timestamp::from_micros(number.unwrap())),
            Kind::Integer => Value::Integer(number.unwrap()),
            Kind::Stream => Value::Stream(text.parse().unwrap()),
            Kind::Word | Kind::Text => Value::Text(text),
            Kind::Json => Value::Json(text),
            Kind::Address => Value::Address(text.parse().unwrap()),
        };
        field.set(&mut record, value).unwrap();
    }
    record
}

/// Written once for each version, by `GOLDEN=write cargo test --lib portable`.
#[test]
fn golden_records_are_written_and_read_as_ever() {
    let path = golden("records.portable");
    let samples = samples();
    if env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        assert!(!path.exists(), "the golden file of version {VERSION} is frozen");
        let lines: String = samples.iter().map(|record| hex(&bytes(record)) + "\n").collect();
        fs::write(&path, lines).unwrap();
    }
    let lines = fs::read_to_string(path).unwrap();
    assert_eq!(lines.lines().count(), samples.len());
    for (line, record) in lines.lines().zip(samples) {
        assert_eq!(hex(&bytes(&record)), line);
        assert_eq!(read(&unhex(line)).unwrap(), record);
    }
}

#[test]
fn every_field_comes_back_by_itself() {
    for field in Record::FIELDS {
        let mut record = Record::default();
        let value = match field.kind() {
            Kind::Id => Value::Id(RecordId::from_bytes([7; 16])),
            Kind::Time => Value::Time(Timestamp::from_micros(-5)),
            Kind::Integer => Value::Integer(1),
            Kind::Stream => Value::Stream(WriterId::new(9)),
            Kind::Text => Value::Text("ü"),
            Kind::Json => Value::Json("[1]"),
            Kind::Address => Value::Address("192.0.2.0/24".parse().unwrap()),
            // Of another word than the default.
            Kind::Word => match field.name() {
                "origin" => Value::Text("system"),
                "category" => Value::Text("consent"),
                "operation" => Value::Text("read"),
                "outcome" => Value::Text("denied"),
                _ => Value::Text("agent"),
            },
        };
        field.set(&mut record, value).unwrap();
        assert_eq!(read(&bytes(&record)).unwrap(), record, "{field:?}");
    }
}

#[test]
fn what_a_later_version_adds_is_refused_or_skipped_by_its_tag() {
    let mut record = Record::default();
    record.action.set("pay");
    let plain = bytes(&record);
    let with = |more: &[u8]| [&plain, more].concat();
    assert_eq!(read(&with(&[200, 3, 1, 2, 3])), Ok(record.clone()));
    assert_eq!(read(&with(&[128, 0, 255, 1, 9])), Ok(record));
    assert_eq!(read(&with(&[127, 1, 0])), Err(PortableError::Unknown(127)));
    assert_eq!(read(&with(&[119, 0])), Err(PortableError::Unknown(119)));
    assert_eq!(read(&with(&[4, 1, b'x'])), Err(PortableError::Order(4)), "a field comes once");
    assert_eq!(read(&with(&[0, 0])), Err(PortableError::Order(0)));
    let mut later = plain.clone();
    later[0] = 2;
    assert_eq!(read(&later), Err(PortableError::Version(2)));
    let mut later = plain.clone();
    later[1] = 2;
    assert_eq!(read(&later), Err(PortableError::Schema(2)));
    let mut unknown_word = plain;
    unknown_word[30] = 200;
    assert_eq!(read(&unknown_word), Err(PortableError::Value("outcome")));
}

#[test]
fn what_is_cut_or_bent_is_refused_and_named() {
    let mut record = Record::default();
    record.action.set("pay");
    record.status = Some(200);
    let whole = bytes(&record);
    let mut refused = 0;
    for len in 0..whole.len() {
        // Cut between two fields, it is a record with fewer of them: lengths are the frame's to vouch for.
        refused += u32::from(read(&whole[..len]).is_err());
    }
    assert_eq!(refused as usize, whole.len() - 2);
    let head = bytes(&Record::default());
    let with = |more: &[u8]| read(&[&head, more].concat());
    assert_eq!(with(&[4, 2, 0xc3, 0x28]), Err(PortableError::Value("action")), "not UTF-8");
    assert_eq!(with(&[31, 3, 1, 2, 3]), Err(PortableError::Value("status")));
    assert_eq!(with(&[37, 3, 24, 1, 2]), Err(PortableError::Value("ip")));
    assert_eq!(with(&[120, 1, 0]), Err(PortableError::Value("seals")));
    assert_eq!(with(&[4, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err(PortableError::TooLong));
    assert_eq!(with(&[4, 0x80]), Err(PortableError::Cut));
    assert_eq!(read(&vec![0; MAX_LEN + 1]), Err(PortableError::TooLong));
}

#[test]
fn writing_allocates_nothing_but_room_in_the_buffer() {
    let record = samples().into_iter().max_by_key(Record::text_bytes).unwrap();
    let mut buffer = Vec::new();
    record.to_portable(&mut buffer);
    let room = buffer.capacity();
    assert!(room >= buffer.len());
    buffer.clear();
    record.to_portable(&mut buffer);
    assert_eq!(buffer.capacity(), room);
}

fn any_record() -> impl Strategy<Value = Record> {
    let text = proptest::collection::vec(any::<char>(), 0..40);
    let values = (any::<i64>(), any::<[u8; 16]>(), text, any::<u8>(), any::<u64>());
    proptest::collection::vec(values, 1..12).prop_map(|values| {
        let mut record = Record::default();
        for (index, field) in Record::FIELDS.iter().enumerate() {
            let (number, bytes, text, byte, bits) = &values[index % values.len()];
            if bits >> (index % 64) & 1 == 0 || field.name() == "schema_version" {
                continue;
            }
            let text: String = text.iter().collect();
            let value = match field.kind() {
                Kind::Id => Value::Id(RecordId::from_bytes(*bytes)),
                Kind::Time => Value::Time(Timestamp::from_micros(*number)),
                Kind::Integer => Value::Integer(number % 256),
                Kind::Stream => Value::Stream(WriterId::new(*number)),
                Kind::Text if !text.is_empty() => Value::Text(&text),
                Kind::Json if !text.is_empty() => Value::Json(&text),
                Kind::Address => Value::Address(Address::truncated((*bytes).into(), *byte)),
                _ => continue,
            };
            // A number that does not fit leaves its field absent.
            let _fits = field.set(&mut record, value);
        }
        record.duration_us = Some(values[0].0);
        record.origin = Origin::ALL[usize::from(values[0].3) % Origin::ALL.len()];
        for (group, (_, bytes, _, byte, _)) in Group::ERASABLE.into_iter().zip(&values) {
            match byte % 3 {
                0 => record.seals.set(group, Seal::Salted(*bytes)),
                1 => record.seals.set(group, Seal::Erased([*byte; 32])),
                _ => {}
            }
        }
        record
    })
}

proptest! {
    #[test]
    fn any_record_comes_back_as_itself(record in any_record()) {
        prop_assert_eq!(read(&bytes(&record)).unwrap(), record);
    }

    #[test]
    fn hostile_bytes_are_refused_or_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        fuzz(&bytes);
        // Behind a head that is in order, so that it comes as far as the fields.
        let mut framed = super::tests::bytes(&Record::default());
        framed.extend(bytes);
        fuzz(&framed);
    }

    #[test]
    fn a_record_with_bytes_changed_is_refused_or_read_without_harm(
        record in any_record(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes(&record);
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        fuzz(&bytes);
    }
}

//! An item, read straight into a record.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer as _,
    de::{self, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    answer::Refusal,
    json::{self, MAX_KEYS, shown},
    names::{self, Name},
};
use crate::{
    privacy::Keys,
    record::{ActorType, Address, Category, Field, Kind, Operation, Outcome, Record, Value},
    suggest::did_you_mean,
    time::Timestamp,
};

/// The longest key by which repeats of an item are known.
pub(in crate::api) const MAX_KEY: usize = 128;

/// An item as it was sent.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) record: Box<Record>,
    /// The item's own name.
    pub(super) id: Option<String>,
    /// One bit for each field that was sent and is not empty, in the order of [`Record::FIELDS`].
    sent: u128,
}

impl Item {
    /// Reads an item.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let mut reader = Reader { item: Self::default(), refusal: None, details: false };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = deserializer.deserialize_map(&mut reader).and_then(|()| deserializer.end());
        match (reader.refusal, read) {
            (Some(refusal), _) => Err(refusal),
            (None, Err(error)) if !text.trim_start().starts_with('{') && error.is_data() => {
                Err(Refusal::new("invalid-json", "an item is an object"))
            }
            (None, Err(error)) => Err(Refusal::new("invalid-json", error.to_string())),
            (None, Ok(())) => Ok(reader.item),
        }
    }

    /// Tells whether a field was sent, and was not empty.
    pub(super) fn has(&self, field: &str) -> bool {
        let at = Record::FIELDS.iter().position(|known| known.name() == field);
        at.is_some_and(|at| self.sent & (1 << at) != 0)
    }
}

struct Reader {
    item: Item,
    refusal: Option<Refusal>,
    details: bool,
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        let mut count = 0;
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?.get();
            count += 1;
            let put = if count > MAX_KEYS {
                let detail = format!("it has more than {MAX_KEYS} keys");
                Err(Refusal::new("too-many-keys", detail))
            } else {
                self.put(&key, value)
            };
            if let Err(refusal) = put {
                self.refusal = Some(refusal);
                return Err(de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

impl Reader {
    /// Takes a value; one that is null is one that is not there.
    fn put(&mut self, key: &str, raw: &str) -> Result<(), Refusal> {
        let name = names::meaning(key)?;
        if raw == "null" {
            return Ok(());
        }
        match name {
            Name::Ours => Err(names::ours(key)),
            Name::Only(word) => match text(key, raw)?.trim() {
                said if said == word => Ok(()),
                _ => {
                    let detail = format!("`{key}` is always `{word}` here; leave it out");
                    Err(Refusal::new("refused-field", detail))
                }
            },
            Name::Version if raw == Record::SCHEMA_VERSION.to_string() => Ok(()),
            Name::Version => {
                let detail =
                    format!("`{key}` is {}, and nothing else is taken", Record::SCHEMA_VERSION);
                Err(Refusal::new("unsupported-version", detail))
            }
            Name::Id => self.put_id(key, raw),
            Name::Details => {
                if std::mem::replace(&mut self.details, true) {
                    return Err(twice(key, key));
                }
                let field = if raw.starts_with('"') { "description" } else { "metadata" };
                let field = Field::named(field).ok_or_else(|| invalid(key, "it has no field"))?;
                self.put_field(key, field, raw)
            }
            Name::Field(field) => self.put_field(key, field, raw),
        }
    }

    fn put_id(&mut self, key: &str, raw: &str) -> Result<(), Refusal> {
        let id = text_or_number(key, raw)?;
        if id.is_empty() {
            return Ok(());
        }
        if id.len() > MAX_KEY {
            return Err(invalid(key, &format!("it takes {MAX_KEY} bytes at the most")));
        }
        match self.item.id.replace(id.into_owned()) {
            Some(_) => Err(twice(key, "id")),
            None => Ok(()),
        }
    }

    fn put_field(&mut self, key: &str, field: &'static Field, raw: &str) -> Result<(), Refusal> {
        let at = Record::FIELDS.iter().position(|known| known == field);
        let bit = at.map_or(0, |at| 1_u128 << at);
        if self.item.sent & bit != 0 {
            return Err(twice(key, field.name()));
        }
        let record = &mut *self.item.record;
        let put = |record: &mut Record, value: Value<'_>| {
            field.set(record, value).map_err(|error| invalid(key, &error.to_string()))
        };
        match field.kind() {
            Kind::Text => {
                let text = if field.name().ends_with("_id") {
                    text_or_number(key, raw)?
                } else {
                    text(key, raw)?
                };
                if text.is_empty() {
                    return Ok(());
                }
                let text = checked(key, field.name(), text)?;
                put(record, Value::Text(&text))?;
            }
            Kind::Word => {
                let text = text(key, raw)?;
                if text.is_empty() {
                    return Ok(());
                }
                put(record, Value::Text(word(key, field.name(), &text)?))?;
            }
            Kind::Integer => put(record, Value::Integer(integer(key, field.name(), raw)?))?,
            Kind::Time => put(record, Value::Time(time(key, raw)?))?,
            Kind::Address => {
                let text = text(key, raw)?;
                if text.is_empty() {
                    return Ok(());
                }
                let address: Address = text.parse().map_err(|_| {
                    invalid(
                        key,
                        &format!("`{}` is no address; send one without a port", shown(&text)),
                    )
                })?;
                put(record, Value::Address(address))?;
            }
            Kind::Json => {
                let compact = json::compact(raw).map_err(|why| invalid(key, &why))?;
                json::check_shape(field.name(), &compact).map_err(|why| invalid(key, &why))?;
                put(record, Value::Json(&compact))?;
            }
            // Ids and streams are the log's own.
            _ => return Err(names::ours(key)),
        }
        self.item.sent |= bit;
        Ok(())
    }
}

fn invalid(key: &str, why: &str) -> Refusal {
    Refusal::new("invalid-value", format!("`{}`: {why}", shown(key)))
}

fn twice(key: &str, name: &str) -> Refusal {
    let detail = if key == name {
        format!("`{}` is said twice", shown(key))
    } else {
        format!("`{}` is said twice: `{}` is another spelling of it", shown(name), shown(key))
    };
    Refusal::new("duplicate-key", detail)
}

/// Text, without white space around it.
fn text<'a>(key: &str, raw: &'a str) -> Result<Cow<'a, str>, Refusal> {
    if !raw.starts_with('"') {
        return Err(invalid(key, &format!("it takes text, not {}", kind(raw))));
    }
    let text = json::text(raw).map_err(|why| invalid(key, &why))?;
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    })
}

/// Ids are numbers in many services, and text here.
fn text_or_number<'a>(key: &str, raw: &'a str) -> Result<Cow<'a, str>, Refusal> {
    let is_integer =
        raw.len() <= 20 && raw.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    if is_integer { Ok(Cow::Borrowed(raw)) } else { text(key, raw) }
}

fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "text",
        Some(b't' | b'f') => "true or false",
        _ => "a number",
    }
}

/// Text of which it is known what it has to look like.
fn checked<'a>(key: &str, field: &str, text: Cow<'a, str>) -> Result<Cow<'a, str>, Refusal> {
    let hex = |digits: usize| {
        let good = text.len() == digits
            && text.bytes().all(|b| b.is_ascii_hexdigit())
            && text.bytes().any(|b| b != b'0');
        let why = format!("it takes {digits} hex digits that are not all zero");
        if good { Ok(Cow::Owned(text.to_ascii_lowercase())) } else { Err(invalid(key, &why)) }
    };
    match field {
        "trace_id" => hex(32),
        "span_id" => hex(16),
        "method" if http::Method::from_bytes(text.as_bytes()).is_err() => {
            Err(invalid(key, &format!("`{}` is no HTTP method", shown(&text))))
        }
        "ip_pseudonym" if !Keys::is_pseudonym(&text) => {
            Err(invalid(key, "it takes a pseudonym made by this crate; send the address as `ip`"))
        }
        _ => Ok(text),
    }
}

/// Returns the word of the vocabulary, however its letters were written.
fn word(key: &str, field: &str, text: &str) -> Result<&'static str, Refusal> {
    let words = match field {
        "category" => Category::WORDS,
        "operation" => Operation::WORDS,
        "outcome" => Outcome::WORDS,
        "actor_type" => ActorType::WORDS,
        _ => &[],
    };
    // `system` is for what the log says of itself.
    let is_taken = |word: &&&'static str| field != "category" || **word != "system";
    if field == "category" && text.eq_ignore_ascii_case("system") {
        let detail = format!("`{key}`: records of category `system` are made by the log alone");
        return Err(Refusal::new("refused-field", detail));
    }
    words.iter().find(|word| word.eq_ignore_ascii_case(text)).copied().ok_or_else(|| {
        let taken: Vec<_> = words.iter().filter(is_taken).copied().collect();
        let hint = did_you_mean(text, taken.iter().copied());
        let why = format!("`{}` is not one of {}{hint}", shown(text), taken.join(", "));
        invalid(key, &why)
    })
}

/// Returns the least and the most that an integer may be.
pub(in crate::api) fn bounds(field: &str) -> (i64, i64) {
    match field {
        "severity" => (0, 6),
        "status" => (100, 599),
        "grpc_status" => (0, 16),
        // Beyond it integers are not exact in JSON.
        _ => (0, (1 << 53) - 1),
    }
}

fn integer(key: &str, field: &str, raw: &str) -> Result<i64, Refusal> {
    let (least, most) = bounds(field);
    let number = raw.parse::<i64>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        let why = format!("it takes an integer from {least} to {most}, not `{}`", shown(raw));
        invalid(key, &why)
    })
}

fn time(key: &str, raw: &str) -> Result<Timestamp, Refusal> {
    const SHAPE: &str =
        "it takes a moment with its offset, such as `2026-01-31T12:04:31.5Z` (RFC 3339)";
    if !raw.starts_with('"') {
        let why =
            format!("{SHAPE}; a number would not say whether it counts seconds or milliseconds");
        return Err(invalid(key, &why));
    }
    let text = text(key, raw)?;
    let at = text.parse::<Timestamp>();
    // The beginning of time stands for none.
    at.ok()
        .filter(|at| *at != Timestamp::default())
        .ok_or_else(|| invalid(key, &format!("{SHAPE}, not `{}`", shown(&text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let refusal = Item::read(text).unwrap_err();
        format!("{}: {}", refusal.kind, refusal.detail)
    }

    #[test]
    fn an_item_becomes_a_record_whatever_its_spelling() {
        let item = Item::read(
            r#" { "verb" : " cancel ", "object_type":"order","object_id":55,"user_id":"ana",
                "workspace_id":"acme","ip_address":"::ffff:192.0.2.7","outcome":"DENIED",
                "timestamp":"2026-01-31T13:04:31.5+01:00","details":{ "a" : [ 1.0 ] },
                "trace_id":"4BF92F3577B34DA6A3CE929D0E0E4736","status":403,"channel":null,
                "changes":[{"op":"add","path":"/a","new":null}],"id":"r-1","org_id":"" } "#,
        )
        .unwrap();
        let record = &item.record;
        assert_eq!(
            (&*record.action, &*record.entity_type, &*record.entity_id),
            ("cancel", "order", "55")
        );
        assert_eq!((&*record.actor_id, &*record.tenant_id), ("ana", "acme"));
        assert_eq!(record.ip.unwrap().to_string(), "192.0.2.7");
        assert_eq!((record.outcome, record.status), (Outcome::Denied, Some(403)));
        assert_eq!(record.occurred_at.to_string(), "2026-01-31T12:04:31.500000Z");
        assert_eq!(record.metadata.as_str(), r#"{"a":[1.0]}"#);
        assert_eq!(record.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(item.id.as_deref(), Some("r-1"));
        assert!(item.has("outcome") && !item.has("channel") && !item.has("org_id"));
        let text = Item::read(r#"{"details":"as text"}"#).unwrap();
        assert_eq!(text.record.description, "as text");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_its_remedy() {
        for (text, said) in [
            (r#"{"action":"a","action":"b"}"#, "duplicate-key: `action` is said twice"),
            (
                r#"{"action":"a","verb":"b"}"#,
                "duplicate-key: `action` is said twice: `verb` is another",
            ),
            (r#"{"id":"a","id":"b"}"#, "duplicate-key: `id`"),
            (r#"{"metadata":{},"details":{}}"#, "duplicate-key: `metadata` is said twice"),
            (r#"{"details":"a","details":{}}"#, "duplicate-key: `details`"),
            (
                r#"{"acton":"a"}"#,
                "unknown-field: there is no field `acton`; did you mean `action`?",
            ),
            (r#"{"seq":1}"#, "refused-field: `seq` is filled in by the log"),
            (r#"{"category":"System"}"#, "refused-field: `category`"),
            (r#"{"origin":"request"}"#, "refused-field: `origin` is always `ingest`"),
            (r#"{"schema_version":2}"#, "unsupported-version"),
            (r#"{"category":"authentification"}"#, "did you mean `authentication`?"),
            (r#"{"outcome":"succes"}"#, "`succes` is not one of success, denied"),
            (r#"{"actor_type":true}"#, "it takes text, not true or false"),
            (r#"{"status":99}"#, "an integer from 100 to 599, not `99`"),
            (r#"{"status":200.0}"#, "not `200.0`"),
            (r#"{"severity":7}"#, "from 0 to 6"),
            (r#"{"duration_us":-1}"#, "from 0 to"),
            (r#"{"duration_us":9007199254740992}"#, "9007199254740991"),
            (r#"{"ip":"192.0.2.7:80"}"#, "without a port"),
            (r#"{"occurred_at":1770000000}"#, "seconds or milliseconds"),
            (r#"{"occurred_at":"2026-01-31"}"#, "RFC 3339"),
            (r#"{"trace_id":"xyz"}"#, "32 hex digits"),
            (r#"{"method":"G T"}"#, "no HTTP method"),
            (r#"{"ip_pseudonym":"192.0.2.7"}"#, "send the address as `ip`"),
            (r#"{"metadata":[1]}"#, "`metadata`: it takes an object"),
            (r#"{"action":"\ud800"}"#, "surrogate"),
            (r#"{"entity_id":1.5}"#, "it takes text, not a number"),
            (r#"["a"]"#, "an item is an object"),
            (r#""a""#, "an item is an object"),
            (r#"{"action":"a"} x"#, "trailing characters"),
            (r#"{"action":}"#, "expected value"),
        ] {
            let refused = refused(text);
            assert!(refused.contains(said), "{text}: {refused}");
        }
        let id = format!(r#"{{"id":"{}"}}"#, "x".repeat(129));
        assert!(refused(&id).contains("128 bytes"));
    }

    /// Fault 60.
    #[test]
    fn hostile_json_is_refused_without_recursion() {
        let deep = format!(r#"{{"metadata":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(refused(&deep).contains("deeper than 64"));
        let unclosed = format!(r#"{{"metadata":{}"#, "{\"a\":".repeat(100_000));
        assert!(refused(&unclosed).contains("invalid-json"));
        let wide: String = (0..1_000_000).map(|n| format!("\"k{n}\":1,")).collect();
        assert!(refused(&format!("{{{wide}\"x\":1}}")).contains("unknown-field"));
        let metadata = format!("{{\"metadata\":{{{wide}\"x\":1}}}}");
        assert!(refused(&metadata).contains("more than 1000 keys"));
    }
}

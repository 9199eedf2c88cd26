//! What a record had no room for. Ordinary records are kept all the same, and say so; a strict request is refused.

use std::fmt;

use crate::record::{Field, Record};

/// What is kept of bodies is their beginning: how much, the rules say, and nobody counts on more.
const BODIES: [&str; 2] = ["request_body", "response_body"];

/// A field that was cut, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    field: &'static str,
    max_bytes: usize,
}

/// Returns what of a prepared record was cut, captured bodies aside.
pub(in crate::pipeline) fn cut(record: &Record) -> Option<Cut> {
    // Nearly every record was not.
    let names = record.truncated.as_option()?;
    let Ok(names) = serde_json::from_str::<Vec<&str>>(names) else {
        return Some(Cut::of(Field::named("truncated")?));
    };
    let name = names.into_iter().find(|name| !BODIES.contains(name))?;
    Field::named(name).map(Cut::of)
}

impl Cut {
    fn of(field: &'static Field) -> Self {
        Self { field: field.name(), max_bytes: field.max_bytes() }
    }
}

/// What was too large, and how to mend it. Nothing in it has to be escaped in JSON, or in a header.
impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, max_bytes } = self;
        write!(f, "`{field}` is larger than a record holds ({max_bytes} bytes")?;
        if matches!(*field, "metadata" | "changes" | "targets" | "subject_ids" | "location") {
            f.write_str(", JSON at most 64 levels deep")?;
        }
        f.write_str("): make it smaller")?;
        match *field {
            "query" => f.write_str(", or leave queries out (ActivityLayer::query)")?,
            "forwarded" => f.write_str(", or keep less of addresses (address_policy)")?,
            _ => {}
        }
        f.write_str(", or deliver the operation as durable (delivery of its rule, ACTIVITY_MODE), which keeps it cut")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_of_bodies_alone_is_not_missed() {
        let mut record = Record::default();
        assert_eq!(cut(&record), None);
        record.truncated.buffer().push_str(r#"["request_body","response_body"]"#);
        assert_eq!(cut(&record), None);
        record.truncated.buffer().clear();
        record.truncated.buffer().push_str(r#"["request_body","path"]"#);
        assert_eq!(cut(&record), Some(Cut { field: "path", max_bytes: 2_048 }));
    }

    #[test]
    fn each_field_can_be_named_in_a_header_and_in_json() {
        for field in Record::FIELDS {
            let text = Cut::of(field).to_string();
            assert!(text.contains(field.name()), "{text}");
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b) && !b"\"\\%".contains(&b)));
        }
    }
}

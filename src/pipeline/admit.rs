//! The last preparation of a record before the queue: times, id, bounds, and text that every store takes.
//!
//! Runs once for each record, on the thread that recorded it, so that nothing behind the queue ever sees
//! what must not be kept. Where nothing has to be done it costs one pass and allocates nothing. A record
//! is cut where it is too large, and says so; it is never dropped for its size.

use std::time::Duration;

pub(crate) use cut::Cut;
pub(super) use cut::cut;

use super::{core::Core, own};
use crate::{
    record::{Origin, Record, RecordId, Slot, Text},
    time::Timestamp,
};

mod by_hand;
mod cut;
mod json;
mod redact;

/// Records from before that are dated as if they had occurred then: older leaves do not exist.
const MAX_PAST: Duration = Duration::from_secs(3_652 * 24 * 60 * 60);
/// Clocks that are ahead by more than this are not believed.
const MAX_FUTURE: Duration = Duration::from_secs(24 * 60 * 60);
/// A record whose buffers are larger than its texts may be is copied into buffers that fit.
const MAX_FOOTPRINT: usize = 512 * 1024;

/// Prepares `record` and returns the bytes that it occupies.
pub(super) fn prepare(core: &Core, record: &mut Record) -> u32 {
    core.author.sign(record);
    freeze_times(record, core.clock.now());
    if record.id.is_nil() || record.id.at().as_millis() != record.occurred_at.as_millis() {
        record.id = RecordId::from_bytes(core.ids.id(record.occurred_at));
    }
    default(&mut record.service, &core.origins.service);
    default(&mut record.instance, &core.origins.instance);
    default(&mut record.environment, &core.origins.environment);
    // The name of a stream is a long number, which may look like that of a card.
    if own::is_gone_by(record) {
        let words = std::mem::take(&mut record.metadata);
        redact::redact(&core.privacy, record);
        record.metadata = words;
    } else if !own::is_of_streams(record) {
        redact::redact(&core.privacy, record);
    }
    bound_texts(record);
    let mut bytes = record.footprint();
    if bytes > MAX_FOOTPRINT {
        record.visit_texts(|_, _, slot| match slot {
            Slot::Text(text) => text.buffer().shrink_to_fit(),
            Slot::Json(json) => json.buffer().shrink_to_fit(),
        });
        bytes = record.footprint();
    }
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Dates what has no date, and clamps what lies where no leaf is.
fn freeze_times(record: &mut Record, now: Timestamp) {
    let at = record.occurred_at;
    if at == Timestamp::default() {
        // A request is dated when it has ended, by one reading of the clock: its start follows from how
        // long it took.
        let took = record.duration_us.filter(|_| record.origin == Origin::Request);
        let took = Duration::from_micros(took.and_then(|took| took.try_into().ok()).unwrap_or(0));
        record.occurred_at = now.saturating_sub(took);
        return;
    }
    let clamped = at.clamp(now.saturating_sub(MAX_PAST), now.saturating_add(MAX_FUTURE));
    if clamped != at {
        let skewed = record.skewed.buffer();
        skewed.clear();
        skewed.push_str("{\"occurred_at\":\"");
        skewed.push_str(&at.to_string());
        skewed.push_str("\"}");
        record.occurred_at = clamped;
    }
}

fn default(text: &mut Text, value: &Text) {
    if text.is_absent() && !value.is_absent() {
        text.set(value);
    }
}

/// Cuts and cleans every text; lists in `truncated` what was cut.
fn bound_texts(record: &mut Record) {
    // Stays without a buffer, hence without an allocation, when nothing is cut.
    let mut cut = String::new();
    record.visit_texts(|name, max, slot| {
        let was_cut = match slot {
            Slot::Text(text) => bound_text(text.buffer(), max),
            Slot::Json(json) => json::bound(json.buffer(), max),
        };
        if was_cut {
            cut.push_str(if cut.is_empty() { "[\"" } else { "\",\"" });
            cut.push_str(name);
        }
    });
    if !cut.is_empty() {
        cut.push_str("\"]");
        // Capture may have listed what it did not even read to the end.
        append_list(record.truncated.buffer(), &cut);
    }
}

/// Replaces NUL, which Postgres does not take, and cuts at a character's boundary.
fn bound_text(text: &mut String, max: usize) -> bool {
    if has_nul(text.as_bytes()) {
        *text = text.replace('\0', "\u{fffd}");
    }
    if text.len() <= max {
        return false;
    }
    text.truncate(text.floor_char_boundary(max));
    true
}

/// Looks for NUL eight bytes at a time. Every text of every record comes by here, most of them too short
/// for the general search to get going.
fn has_nul(bytes: &[u8]) -> bool {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // Not zero exactly if one of the bytes is zero.
    let zeros = |word: &[u8; 8]| {
        let word = u64::from_ne_bytes(*word);
        word.wrapping_sub(LOW) & !word & HIGH
    };
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().fold(false, |found, byte| found | (*byte == 0));
    };
    // The last word overlaps the one before it, instead of a rest byte by byte.
    let (words, _rest) = bytes.as_chunks::<8>();
    words.iter().fold(zeros(last), |found, word| found | zeros(word)) != 0
}

/// Appends one JSON list to another.
pub(super) fn append_list(list: &mut String, more: &str) {
    if list.len() > 2 && list.ends_with(']') && more.len() > 2 {
        list.pop();
        list.push(',');
        list.push_str(&more[1..]);
    } else {
        list.clear();
        list.push_str(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_770_000_000_000_000;

    #[test]
    fn times_that_no_leaf_is_for_are_clamped_and_said() {
        let day = 24 * 60 * 60 * 1_000_000;
        for (offset, kept) in [
            (0, true),
            (day, true),
            (day + 1, false),
            (-3_652 * day, true),
            (-3_652 * day - 1, false),
        ] {
            let at = Timestamp::from_micros(NOW + offset);
            let mut record = Record { occurred_at: at, ..Record::default() };
            freeze_times(&mut record, Timestamp::from_micros(NOW));
            assert_eq!(record.occurred_at == at, kept, "{offset}");
            assert_eq!(record.skewed.is_absent(), kept);
            if !kept {
                assert_eq!(record.skewed.as_str(), format!("{{\"occurred_at\":\"{at}\"}}"));
            }
        }
        for end in [i64::MIN, i64::MAX] {
            let mut record =
                Record { occurred_at: Timestamp::from_micros(end), ..Record::default() };
            freeze_times(&mut record, Timestamp::from_micros(NOW));
            assert!((record.occurred_at.as_micros() - NOW).abs() <= 3_652 * day);
        }
    }

    #[test]
    fn a_request_without_a_date_began_as_long_ago_as_it_took() {
        for (origin, took, ago) in [
            (Origin::Request, Some(250), 250),
            (Origin::Request, None, 0),
            (Origin::Request, Some(-1), 0),
            (Origin::Manual, Some(250), 0),
        ] {
            let mut record = Record { origin, duration_us: took, ..Record::default() };
            freeze_times(&mut record, Timestamp::from_micros(NOW));
            assert_eq!(record.occurred_at.as_micros(), NOW - ago);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters_and_listed() {
        let mut record = Record::default();
        record.path.set(&"ä".repeat(2_000));
        record.user_agent.set(&"x".repeat(512));
        record.entity_id.set(&"y".repeat(513));
        record.truncated.buffer().push_str("[\"request_body\"]");
        bound_texts(&mut record);
        assert_eq!(record.path.len(), 2_048);
        assert_eq!((record.user_agent.len(), record.entity_id.len()), (512, 512));
        assert_eq!(record.truncated.as_str(), r#"["request_body","entity_id","path"]"#);
        record.path.set(&format!("{}ä", "x".repeat(2_047)));
        bound_texts(&mut record);
        assert_eq!(record.path.len(), 2_047);
    }

    #[test]
    fn nul_becomes_the_replacement_character_and_stays_within_the_bound() {
        let mut record = Record::default();
        record.action.set("a\0b");
        record.path.set(&"\0".repeat(2_000));
        record.metadata.buffer().push_str(r#"{"a":"\u0000"}"#);
        bound_texts(&mut record);
        assert_eq!(record.action, "a\u{fffd}b");
        assert!(record.path.len() <= 2_048);
        assert_eq!(record.metadata.as_str(), r#"{"a":"\ufffd"}"#);
        assert_eq!(record.truncated.as_str(), r#"["path"]"#);
    }

    #[test]
    fn a_nul_is_found_at_every_place_of_every_length_and_nowhere_else() {
        for len in 0..40 {
            for fill in [1, 0x7f, 0x80, 0x81, 0xff] {
                let mut bytes = vec![fill; len];
                assert!(!has_nul(&bytes), "{len} of {fill}");
                for at in 0..len {
                    bytes[at] = 0;
                    assert!(has_nul(&bytes), "{at} of {len} of {fill}");
                    bytes[at] = fill;
                }
            }
        }
    }

    #[test]
    fn every_field_fits_its_bound_whatever_is_put_into_it() {
        for fill in ["x", "\0", "ä", "\"", "[", "{\"a\":"] {
            let mut record = Record::default();
            for field in Record::FIELDS {
                let text = fill.repeat(70_000);
                for value in [crate::record::Value::Text(&text), crate::record::Value::Json(&text)]
                {
                    // Fields of other kinds refuse.
                    let _taken = field.set(&mut record, value);
                }
            }
            bound_texts(&mut record);
            bound_texts(&mut record);
            for field in Record::FIELDS {
                if let crate::record::Value::Text(text) | crate::record::Value::Json(text) =
                    field.value(&record)
                    && field.max_bytes() > 0
                {
                    assert!(text.len() <= field.max_bytes(), "{field:?}");
                }
            }
        }
    }
}

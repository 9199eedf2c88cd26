//! Values that are part of a statement: constants, by which leaves are left out when it is planned.

use crate::{record::hex, time::Timestamp};

/// Returns an SQL literal of a moment.
pub(super) fn time_literal(at: Timestamp) -> String {
    format!("'{}'::timestamptz", time_text(at))
}

/// Returns a moment as text that Postgres reads, whatever its settings.
pub(super) fn time_text(at: Timestamp) -> String {
    /// 0001-01-01 and 9999-12-30: between them, what we write is what Postgres reads.
    const RANGE: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_128_000_000_000;
    if at.as_micros() < RANGE.start {
        "-infinity".to_owned()
    } else if at.as_micros() >= RANGE.end {
        "infinity".to_owned()
    } else {
        at.to_string()
    }
}

/// Returns an SQL expression for any text, which no setting of the server can read otherwise.
pub(super) fn text_literal(text: &str) -> String {
    // A constant where it can be, so that leaves are left out when a statement is planned.
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte)) {
        return format!("'{text}'");
    }
    format!("convert_from(decode('{}', 'hex'), 'UTF8')", hex(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_are_literals_too() {
        assert_eq!(time_literal(Timestamp::from_micros(i64::MIN)), "'-infinity'::timestamptz");
        assert_eq!(time_literal(Timestamp::from_micros(i64::MAX)), "'infinity'::timestamptz");
        let last = Timestamp::from_micros(253_402_128_000_000_000 - 1);
        assert_eq!(time_literal(last), "'9999-12-29T23:59:59.999999Z'::timestamptz");
    }

    #[test]
    fn a_literal_holds_no_quote_of_the_text() {
        assert_eq!(text_literal("activity"), "'activity'");
        assert_eq!(text_literal("a'b"), "convert_from(decode('612762', 'hex'), 'UTF8')");
        assert_eq!(text_literal(""), "''");
    }
}

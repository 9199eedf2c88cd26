//! W3C Trace Context: the `traceparent` header, validated.

/// Returns the trace id and the parent span id of a `traceparent` header (W3C Trace Context, level 2).
///
/// A header that is not valid is no header at all: nothing of it is kept.
pub(super) fn traceparent(value: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(value).ok()?;
    let version = text.get(..2).filter(|version| is_hex(version) && *version != "ff")?;
    // Later versions may add fields after the flags, version 00 may not.
    match text.as_bytes().get(55) {
        None if text.len() == 55 => {}
        Some(b'-') if version != "00" => {}
        _ => return None,
    }
    let (trace, span, flags) = (text.get(3..35)?, text.get(36..52)?, text.get(53..55)?);
    let dashes = [2, 35, 52].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'));
    let ids = is_hex(trace) && is_hex(span) && is_hex(flags);
    let zero = |id: &str| id.bytes().all(|byte| byte == b'0');
    (dashes && ids && !zero(trace) && !zero(span)).then_some((trace, span))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_valid_header_gives_its_two_ids() {
        for header in [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("01-{TRACE}-{SPAN}-00"),
            format!("cc-{TRACE}-{SPAN}-00-what-comes-later"),
        ] {
            assert_eq!(traceparent(header.as_bytes()), Some((TRACE, SPAN)), "{header}");
        }
    }

    #[test]
    fn an_invalid_header_gives_nothing() {
        let zeros = "0".repeat(32);
        for header in [
            String::new(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("0é-{TRACE}-{SPAN}-1"),
        ] {
            assert_eq!(traceparent(header.as_bytes()), None, "{header}");
        }
    }
}

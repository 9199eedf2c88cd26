//! W3C Trace Context: the `traceparent` header, validated.

/// Returns the trace id and the parent span id of a `traceparent` header (W3C Trace Context, level 2).
///
/// A header that is not valid is no header at all: nothing of it is kept.
pub(crate) fn traceparent(value: &[u8]) -> Option<(&str, &str)> {
    let (known, later) = value.split_first_chunk::<LENGTH>()?;
    let (version, trace, span, flags) = (&known[..2], &known[3..35], &known[36..52], &known[53..]);
    let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
    let fits = dashes && is_hex(version) && is_hex(trace) && is_hex(span) && is_hex(flags);
    // Later versions may add fields after the flags, version 00 may not.
    let ends = later.is_empty() || (later[0] == b'-' && version != b"00");
    if !fits || !ends || version == b"ff" || is_zero(trace) || is_zero(span) {
        return None;
    }
    let text = std::str::from_utf8(known).ok()?;
    Some((text.get(3..35)?, text.get(36..52)?))
}

/// Version, trace id, span id and flags with the dashes between them.
const LENGTH: usize = 55;

// Neither leaves early: a header that is not valid is rare, and so both run over many bytes at once.

fn is_hex(text: &[u8]) -> bool {
    text.iter().fold(true, |is, byte| is & matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_zero(text: &[u8]) -> bool {
    text.iter().fold(0, |bits, byte| bits | (byte ^ b'0')) == 0
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

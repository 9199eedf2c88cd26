//! The letters of JSON: escapes and literals.

/// What is known of a string after its escapes were read.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    /// Whether all of them are escapes of RFC 8259, the last one possibly cut.
    pub(super) is_valid: bool,
    /// Whether NUL or a lone surrogate was replaced: it cannot stay as it is written.
    pub(super) is_odd: bool,
}

/// Appends the text of a string; `closed` says whether its end was seen.
pub(super) fn decode(raw: &str, closed: bool, out: &mut String) -> Decoded {
    let mut decoded = Decoded { is_valid: true, is_odd: false };
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some(c @ ('"' | '\\' | '/')) => out.push(c),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (c, length) = unicode_escape(chars.as_str());
                match c {
                    Some(c) => {
                        decoded.is_odd |= c == '\u{fffd}';
                        out.push(c);
                    }
                    None => decoded.is_valid &= !closed && chars.as_str().len() < 4,
                }
                rest = &chars.as_str()[length..];
                continue;
            }
            Some(other) => {
                decoded.is_valid = false;
                out.push(other);
            }
            // Cut between the backslash and what it escapes.
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    decoded
}

/// Reads what follows `\u`: the character and how many bytes it took. Surrogates that stand alone
/// and NUL are U+FFFD.
fn unicode_escape(text: &str) -> (Option<char>, usize) {
    let unit = |text: &str| {
        text.get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    match unit(text) {
        None => (None, 0),
        Some(0) => (Some('\u{fffd}'), 4),
        Some(high @ 0xd800..=0xdbff) => {
            let low = text[4..].strip_prefix("\\u").and_then(unit);
            match low {
                Some(low @ 0xdc00..=0xdfff) => {
                    let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(code), 10)
                }
                _ => (Some('\u{fffd}'), 4),
            }
        }
        // Only a low surrogate is no character here.
        Some(code) => (Some(char::from_u32(code).unwrap_or('\u{fffd}')), 4),
    }
}

pub(super) fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(DIGITS[c as usize >> 4]));
                out.push(char::from(DIGITS[c as usize & 15]));
            }
            _ => out.push(c),
        }
    }
}

/// Whether a literal may have been cut here.
pub(super) fn begins_literal(text: &str) -> bool {
    ["true", "false", "null"].iter().any(|word| word.starts_with(text))
        || text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

/// `true`, `false`, `null`, or a number of RFC 8259.
pub(super) fn is_literal(text: &str) -> bool {
    if matches!(text, "true" | "false" | "null") {
        return true;
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.as_bytes();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut text = &text[whole..];
    if let Some(fraction) = text.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        text = &fraction[count..];
    }
    if let Some(exponent) = text.strip_prefix(b"e").or_else(|| text.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        text = &exponent[count..];
    }
    text.is_empty()
}

//! Raw paths: which segments are kept.

use super::{MARKER, Method, form::decode, log::FieldLog, redactor::Context};

/// A shorter segment is no token: short ids look just as random.
const SHORTEST_TOKEN: usize = 20;

/// Rewrites the segments of a path.
pub(super) fn rewrite(context: &Context<'_>, raw: &str, out: &mut String, log: &mut FieldLog<'_>) {
    let mut buffer = String::new();
    let shortest = context.shortest_secret();
    // What is kept is copied in runs, most often all of it in one.
    let (mut copied, mut start) = (0, 0);
    for n in 0.. {
        let rest = &raw.as_bytes()[start..];
        let (len, plain) = segment(rest);
        if !plain || len >= shortest {
            // A segment ends beside a `/`, hence between characters.
            let text = &raw[start..start + len];
            if let Some(method) = secret(context, text, &mut buffer) {
                out.push_str(&raw[copied..start]);
                out.push_str(MARKER);
                copied = start + len;
                log.add_with(method, |path| path.index(n));
            }
        }
        if len == rest.len() {
            break;
        }
        start += len + 1;
    }
    out.push_str(&raw[copied..]);
}

/// Returns how long the first segment is, and whether it is made of letters, digits, `-`, `_` and `.`
/// alone.
///
/// Plain segments that are shorter than any secret make up nearly all paths, so that they cost one look
/// per byte.
fn segment(path: &[u8]) -> (usize, bool) {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            let char = byte as u8;
            plain[byte] = char.is_ascii_alphanumeric() || matches!(char, b'-' | b'_' | b'.');
            byte += 1;
        }
        plain
    };
    let mut plain = true;
    for (at, byte) in path.iter().enumerate() {
        if *byte == b'/' {
            return (at, plain);
        }
        plain &= PLAIN[usize::from(*byte)];
    }
    (path.len(), plain)
}

/// Tells how a segment was found to hold a secret, if it does.
fn secret(context: &Context<'_>, segment: &str, buffer: &mut String) -> Option<Method> {
    let text = if segment.contains(['%', '+']) {
        decoded(segment, buffer);
        buffer.as_str()
    } else {
        segment
    };
    if holds_email(text) {
        Some(Method::Email)
    } else if let Some((_, method)) = context.text_masked(text, false) {
        Some(method)
    } else if text.len() >= SHORTEST_TOKEN && text.split(|c: char| !is_token_char(c)).any(is_token)
    {
        Some(Method::Token)
    } else {
        None
    }
}

/// Decodes a segment, twice where that leaves something to decode.
fn decoded(segment: &str, text: &mut String) {
    text.clear();
    // A `+` of a path is a plus sign: it may stand in an address.
    decode(segment.replace('+', "%2B").as_bytes(), text);
    if text.contains('%') {
        let once = std::mem::take(text);
        decode(once.replace('+', "%2B").as_bytes(), text);
    }
}

/// `somebody@host.tld`, anywhere in the segment; `@scope` and `package@1.2.3` are none.
fn holds_email(text: &str) -> bool {
    let mut parts = text.split('@');
    let mut before = parts.next().unwrap_or_default();
    parts.any(|after| {
        let local =
            before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || "_-+.".contains(c));
        let host: &str = after
            .split(|c: char| !(c.is_alphanumeric() || "-.".contains(c)))
            .next()
            .unwrap_or_default();
        let top = host.trim_end_matches('.').rsplit_once('.').map_or("", |(_, top)| top);
        before = after;
        local && top.chars().count() >= 2 && top.chars().any(char::is_alphabetic)
    })
}

const fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=' | '~' | '+')
}

/// Whether it looks random: letters and digits change places far more often than words do.
fn is_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < SHORTEST_TOKEN || is_id(bytes) {
        return false;
    }
    let class = |byte: &u8| match byte {
        b'0'..=b'9' => Some(0),
        b'a'..=b'z' => Some(1),
        b'A'..=b'Z' => Some(2),
        _ => None,
    };
    let (mut changes, mut count, mut before) = (0, 0, None);
    for class in bytes.iter().filter_map(class) {
        // A capital before a small letter begins a word.
        let word = before == Some(2) && class == 1;
        changes += usize::from(!word && before.is_some_and(|before| before != class));
        count += 1;
        before = Some(class);
    }
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    has_digit && count >= SHORTEST_TOKEN - 2 && changes * 5 >= count
}

/// Ids of things: UUID, ULID, the object id of MongoDB.
fn is_id(bytes: &[u8]) -> bool {
    let is_uuid = bytes.len() == 36
        && bytes.iter().enumerate().all(|(n, byte)| match n {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let is_object_id = bytes.len() == 24 && bytes.iter().all(u8::is_ascii_hexdigit);
    let is_ulid = bytes.len() == 26
        && matches!(bytes[0], b'0'..=b'7')
        && bytes.iter().all(|byte| {
            byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"ILOU".contains(byte))
        });
    is_uuid || is_object_id || is_ulid
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::privacy::{KeySet, Redactor};

    proptest! {
        #[test]
        fn what_is_passed_over_holds_no_secret(
            pieces in proptest::collection::vec(
                prop_oneof![
                    "[0-9]{1,4}",
                    "[a-zA-Z._-]{1,3}",
                    proptest::sample::select(vec![
                        "ghp_", "sk_live_", "rk_test_", "whsec_", "xoxe.", "SG.", "eyJ", "eyJh.", "AKIA",
                        "4111", "4222", "bearer", "ab_",
                    ]).prop_map(str::to_owned),
                ],
                1..5,
            ),
            own_prefix: bool,
        ) {
            let mut builder = Redactor::builder();
            if own_prefix {
                builder = builder.value_prefix("ab_", 2);
            }
            let (redactor, none) = (builder.build().unwrap(), KeySet::default());
            let context = redactor.context(&none);
            let text = pieces.concat();
            if segment(text.as_bytes()) == (text.len(), true) && text.len() < context.shortest_secret() {
                prop_assert_eq!(secret(&context, &text, &mut String::new()), None);
            }
        }
    }
}

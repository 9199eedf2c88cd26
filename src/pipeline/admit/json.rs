//! JSON text that every store takes and every reader can walk: bounded in bytes and in depth, without
//! NUL and lone surrogates.

/// Deeper JSON is replaced: common readers stop at 127 levels, and nobody reads that far.
const MAX_DEPTH: usize = 64;
/// What stands where something was taken out.
const MARKER: &str = "[TRUNCATED]";
/// Room for the marker and for closing what is open.
const TAIL: usize = 64;

/// Cuts and cleans `text`; tells whether something was cut.
pub(super) fn bound(text: &mut String, max: usize) -> bool {
    if text.len() <= max && is_plain_list(text.as_bytes()) {
        return false;
    }
    if text.as_bytes().contains(&b'\\') && text.contains("\\u") {
        clean_escapes(text);
    }
    match scan(text, max.saturating_sub(TAIL)) {
        Scan::Fine { .. } if text.len() <= max => false,
        Scan::Fine { cut } => {
            shorten(text, cut);
            true
        }
        Scan::TooDeep => {
            replace(text, "nested too deep");
            true
        }
        Scan::Invalid => {
            replace(text, "not JSON");
            true
        }
    }
}

/// Tells whether it is a list of texts without escapes, as nearly every list that capture writes.
fn is_plain_list(text: &[u8]) -> bool {
    let [b'[', b'"', texts @ .., b'"', b']'] = text else { return false };
    // A quote ends a text and begins the next one: only `","` may stand between two.
    let mut rest = texts.iter();
    while let Some(byte) = rest.next() {
        match byte {
            ..0x20 | b'\\' => return false,
            b'"' if !rest.as_slice().starts_with(b",\"") => return false,
            b'"' => rest = rest.as_slice()[2..].iter(),
            _ => {}
        }
    }
    true
}

fn replace(text: &mut String, why: &str) {
    text.clear();
    text.push_str("{\"");
    text.push_str(MARKER);
    text.push_str("\":\"");
    text.push_str(why);
    text.push_str("\"}");
}

/// Keeps the members before `cut`, and says in the same shape that there were more.
fn shorten(text: &mut String, cut: Option<usize>) {
    let bytes = text.len();
    let array = text.starts_with('[');
    if !array && !text.starts_with('{') {
        return replace(text, "too long");
    }
    let of_texts = text[1..].starts_with('"');
    match cut {
        Some(cut) => {
            text.truncate(cut);
            text.push(',');
        }
        None => text.truncate(1),
    }
    match (array, of_texts) {
        (true, true) => text.push_str(&format!("\"{MARKER}\"]")),
        (true, false) => text.push_str(&format!("{{\"{MARKER}\":{bytes}}}]")),
        (false, _) => text.push_str(&format!("\"{MARKER}\":{bytes}}}")),
    }
}

enum Scan {
    /// Valid as far as a scan can see; `cut` is the last place up to the limit between two members.
    Fine {
        cut: Option<usize>,
    },
    TooDeep,
    Invalid,
}

/// Walks the text once, without recursion.
fn scan(text: &str, limit: usize) -> Scan {
    // Whether it is JSON at all: this reader skips values without recursion and without building them.
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_err() {
        return Scan::Invalid;
    }
    let (mut depth, mut cut, mut in_string, mut escaped) = (0_usize, None, false, false);
    for (index, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Scan::TooDeep;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 1 && index <= limit => cut = Some(index),
            _ => {}
        }
    }
    Scan::Fine { cut }
}

/// Replaces `\u0000` and surrogates without their other half by `\ufffd`.
fn clean_escapes(text: &mut String) {
    let mut out = String::new();
    let mut kept = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\\') {
        let escape = at + found;
        let Some(unit) = unit_at(text, escape) else {
            // Another escape: two characters.
            at = (escape + 2).min(bytes.len());
            continue;
        };
        let pair = (0xd800..0xdc00).contains(&unit)
            && unit_at(text, escape + 6).is_some_and(|low| (0xdc00..0xe000).contains(&low));
        at = escape + if pair { 12 } else { 6 };
        if unit == 0 || (!pair && (0xd800..0xe000).contains(&unit)) {
            out.push_str(&text[kept..escape]);
            out.push_str("\\ufffd");
            kept = at;
        }
    }
    if kept > 0 {
        out.push_str(&text[kept..]);
        *text = out;
    }
}

/// Returns the UTF-16 unit of a `\uXXXX` that begins at `at`.
fn unit_at(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounded(text: &str, max: usize) -> (String, bool) {
        let mut text = text.to_owned();
        let cut = bound(&mut text, max);
        assert!(text.len() <= max, "{text}");
        serde_json::from_str::<&serde_json::value::RawValue>(&text).unwrap();
        (text, cut)
    }

    #[test]
    fn ordinary_json_stays_as_it_is() {
        for text in [r#"{"a":1,"b":[1,2,{"c":"x,y"}]}"#, "[]", "\"x\"", "1e999999", "null"] {
            assert_eq!(bounded(text, 100), (text.to_owned(), false));
        }
    }

    #[test]
    fn a_long_object_keeps_its_first_members_and_says_that_there_were_more() {
        let text = format!(r#"{{"a":"x,}}","b":[1,2],"c":"{}"}}"#, "y".repeat(200));
        let (short, cut) = bounded(&text, 100);
        assert!(cut);
        assert_eq!(short, format!(r#"{{"a":"x,}}","b":[1,2],"[TRUNCATED]":{}}}"#, text.len()));
    }

    #[test]
    fn a_long_list_stays_a_list_of_its_kind() {
        let texts = format!(r#"["a","{}"]"#, "y".repeat(200));
        assert_eq!(bounded(&texts, 100).0, r#"["a","[TRUNCATED]"]"#);
        let objects = format!(r#"[{{"a":"{}"}}]"#, "y".repeat(200));
        assert_eq!(bounded(&objects, 100).0, r#"[{"[TRUNCATED]":210}]"#);
    }

    #[test]
    fn a_plain_list_is_json_and_nothing_else_is_taken_for_one() {
        for text in [r#"["a"]"#, r#"["a","b"]"#, r#"["",","]"#, r#"["ä, b","]["]"#] {
            assert!(is_plain_list(text.as_bytes()), "{text}");
            assert!(serde_json::from_str::<Vec<String>>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "[",
            "[]",
            "[\"]",
            "[\"\"",
            r#"["a""]"#,
            r#"["a" "b"]"#,
            r#"["a","]"#,
            r#"["a",b"]"#,
            r#"["a","b"c"]"#,
            r#"["a\"]"#,
            "[\"\n\"]",
            r#"["a",1,"b"]"#,
            r#"["a"],["b"]"#,
        ] {
            assert!(!is_plain_list(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn hostile_json_is_replaced() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for (text, why) in [
            (&*deep, "nested too deep"),
            (&"[".repeat(90), "not JSON"),
            ("{\"a\":}", "not JSON"),
            (&*format!("\"{}\"", "x".repeat(300)), "too long"),
        ] {
            let (text, cut) = bounded(text, 200);
            assert!(cut && text.contains(why), "{text}");
        }
    }

    #[test]
    fn nul_and_lone_surrogates_become_replacement_characters() {
        let (text, cut) = bounded(
            r#"["\u0000","\ud800","\udc00x","\ud83d\ude00","\\u0000","\ud800\u0041"]"#,
            200,
        );
        assert!(!cut);
        assert_eq!(
            text,
            r#"["\ufffd","\ufffd","\ufffdx","\ud83d\ude00","\\u0000","\ufffd\u0041"]"#
        );
    }
}

//! JSON that is kept as text: made compact, bounded, and checked for its shape.

use std::{borrow::Cow, collections::HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;

/// An item nests so deep at the most: its own braces are the first level.
const MAX_DEPTH: usize = 64;
/// The most keys of one object.
pub(super) const MAX_KEYS: usize = 1_000;
/// A number of more characters is not one that anybody measured.
const MAX_DIGITS: usize = 64;

/// Returns a value without the white space between its parts, or what is wrong with it.
///
/// Without recursion. The text is known to be JSON, of one value.
pub(super) fn compact(raw: &str) -> Result<String, String> {
    let mut out = String::with_capacity(raw.len());
    // The keys of each open object; of an array, none are kept.
    let mut open: Vec<Option<HashSet<Cow<'_, str>>>> = Vec::new();
    let bytes = raw.as_bytes();
    let (mut at, mut key_next) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' => {
                at = end_of_string(bytes, at);
                if std::mem::take(&mut key_next)
                    && let Some(Some(keys)) = open.last_mut()
                {
                    add_key(keys, &raw[start..at])?;
                }
            }
            b'{' | b'[' => {
                key_next = byte == b'{';
                open.push(key_next.then(HashSet::new));
                if open.len() >= MAX_DEPTH {
                    return Err(format!("it nests deeper than {MAX_DEPTH} levels"));
                }
            }
            b'}' | b']' => {
                key_next = false;
                open.pop();
            }
            b',' => key_next = matches!(open.last(), Some(Some(_))),
            b'-' | b'0'..=b'9' => {
                let more =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                at += bytes[at..].iter().take_while(|byte| more(byte)).count();
                check_number(&raw[start..at])?;
            }
            _ => {}
        }
        out.push_str(&raw[start..at]);
    }
    Ok(out)
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

fn add_key<'a>(keys: &mut HashSet<Cow<'a, str>>, quoted: &'a str) -> Result<(), String> {
    let key = text(quoted)?;
    if keys.len() >= MAX_KEYS {
        return Err(format!("an object in it has more than {MAX_KEYS} keys"));
    }
    if keys.contains(&key) {
        return Err(format!("the key `{}` stands twice in one object", shown(&key)));
    }
    keys.insert(key);
    Ok(())
}

fn check_number(number: &str) -> Result<(), String> {
    let measured = number.len() <= MAX_DIGITS && number.parse::<f64>().is_ok_and(f64::is_finite);
    if measured {
        return Ok(());
    }
    Err(format!("the number `{}` is beyond what readers take; send it as text", shown(number)))
}

/// Returns the text of a JSON string.
pub(super) fn text(quoted: &str) -> Result<Cow<'_, str>, String> {
    // Only a whole one can be borrowed; `Cow` by itself is always read as owned.
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Borrowed<'_>>(quoted).map(|Borrowed(text)| text).map_err(|_| {
        "it holds half of a surrogate pair (`\\ud800` to `\\udfff` stand in pairs)".to_owned()
    })
}

/// Returns a text fit for a message: short, and without anything that a terminal obeys.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 64;
    let cut = &text[..text.floor_char_boundary(LONGEST)];
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", cut.escape_debug())
}

/// A JSON field of a record, and the shape that it has.
///
/// Returns what is wrong with a compact text, if anything.
pub(super) fn check_shape(field: &str, compact: &str) -> Result<(), String> {
    match field {
        "metadata" if compact.starts_with('{') => Ok(()),
        "metadata" => Err("it takes an object".to_owned()),
        "changes" => changes(compact),
        "targets" => targets(compact),
        "location" => object::<Location>(compact).map(drop).map_err(|_| {
            "it takes an object of texts, `{\"country\",\"region\",\"city\"}`".to_owned()
        }),
        _ => serde_json::from_str::<Vec<Cow<'_, str>>>(compact)
            .map(drop)
            .map_err(|_| "it takes an array of texts".to_owned()),
    }
}

/// Reads an object: by itself, what is derived takes an array of the values too.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    if text.starts_with('{') {
        return serde_json::from_str(text);
    }
    Err(serde::de::Error::custom("expected an object"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Location {
    #[serde(rename = "country")]
    _country: Option<String>,
    #[serde(rename = "region")]
    _region: Option<String>,
    #[serde(rename = "city")]
    _city: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change<'a> {
    op: String,
    path: String,
    #[serde(borrow, default, rename = "old")]
    _old: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "new")]
    _new: Option<&'a RawValue>,
}

fn changes(compact: &str) -> Result<(), String> {
    const SHAPE: &str = "it takes an array of `{\"op\",\"path\",\"old\",\"new\"}`";
    let elements = elements(compact).ok_or_else(|| SHAPE.to_owned())?;
    for (index, raw) in elements.iter().enumerate() {
        let change: Change<'_> = object(raw.get())
            .map_err(|error| format!("{SHAPE}; of the one at {index}: {}", reason(&error)))?;
        if !["add", "remove", "replace"].contains(&change.op.as_str()) {
            return Err(format!(
                "`op` at {index} is one of add, remove, replace, not `{}`",
                shown(&change.op)
            ));
        }
        if !is_pointer(&change.path) {
            return Err(format!(
                "`path` at {index} is a JSON Pointer (RFC 6901) such as `/price`, not `{}`",
                shown(&change.path)
            ));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    r#type: String,
    id: String,
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(rename = "relation")]
    _relation: Option<String>,
}

fn targets(compact: &str) -> Result<(), String> {
    const SHAPE: &str = "it takes an array of `{\"type\",\"id\",\"name\",\"relation\"}`, all texts";
    let elements = elements(compact).ok_or_else(|| SHAPE.to_owned())?;
    for (index, raw) in elements.iter().enumerate() {
        let target: Target = object(raw.get())
            .map_err(|error| format!("{SHAPE}; of the one at {index}: {}", reason(&error)))?;
        if target.r#type.trim().is_empty() || target.id.trim().is_empty() {
            return Err(format!("the target at {index} has an empty `type` or `id`"));
        }
    }
    Ok(())
}

fn elements(compact: &str) -> Option<Vec<&RawValue>> {
    serde_json::from_str(compact).ok()
}

/// Where in the compact text it is means nothing to whoever sent another one.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    shown(&text[..end])
}

/// RFC 6901: empty, or parts that each begin with `/`, in which `~` stands only as `~0` or `~1`.
fn is_pointer(path: &str) -> bool {
    let mut chars = path.chars();
    let mut good = path.is_empty() || path.starts_with('/');
    while let Some(c) = chars.next() {
        good &= c != '~' || matches!(chars.next(), Some('0' | '1'));
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_everything_else_stays() {
        let raw = "{ \"a b\" :\t[ 1.0 , -2e3,\n\"x \\\" y\" , true ] ,\r\n \"\\u0061\": null }";
        assert_eq!(compact(raw).unwrap(), r#"{"a b":[1.0,-2e3,"x \" y",true],"\u0061":null}"#);
        assert_eq!(compact(" \"a\" ").unwrap(), "\"a\"");
    }

    #[test]
    fn what_readers_choke_on_is_refused_and_named() {
        let wide = (0..=MAX_KEYS).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
        for (raw, why) in [
            (r#"{"a":1,"a":2}"#.to_owned(), "the key `a` stands twice"),
            (r#"{"a":{"b":1,"\u0062":2}}"#.to_owned(), "the key `b` stands twice"),
            ("[1e999]".to_owned(), "the number `1e999`"),
            (format!("[{}]", "9".repeat(65)), "the number `99"),
            (format!("{}{}", "[".repeat(64), "]".repeat(64)), "deeper than 64"),
            (format!("{{{wide}}}"), "more than 1000 keys"),
        ] {
            let error = compact(&raw).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        for fine in [
            format!("{}{}", "[".repeat(63), "]".repeat(63)),
            r#"[{"a":1},{"a":1},"a","a"]"#.to_owned(),
            r#"{"a":{"a":{"a":1}}}"#.to_owned(),
        ] {
            assert_eq!(compact(&fine).unwrap(), fine);
        }
    }

    #[test]
    fn a_field_takes_its_own_shape_and_no_other() {
        for (field, good) in [
            ("metadata", r#"{"a":[1]}"#),
            ("changes", r#"[{"op":"replace","path":"/a~1b/0","old":1,"new":{"x":[]}}]"#),
            ("changes", "[]"),
            ("targets", r#"[{"type":"user","id":"7","relation":"member"}]"#),
            ("subject_ids", r#"["a","b"]"#),
            ("location", r#"{"country":"PT","city":null}"#),
        ] {
            assert_eq!(check_shape(field, good), Ok(()), "{field}");
        }
        for (field, bad, why) in [
            ("metadata", "[1]", "takes an object"),
            ("metadata", "\"x\"", "takes an object"),
            ("changes", r#"{"price":[1,2]}"#, "takes an array"),
            ("changes", r#"[{"op":"move","path":"/a"}]"#, "one of add, remove, replace"),
            ("changes", r#"[{"op":"add","path":"/a"},{"op":"add","path":"a"}]"#, "`path` at 1"),
            ("changes", r#"[{"op":"add","path":"/a~2"}]"#, "JSON Pointer"),
            ("changes", r#"[{"op":"add","path":"/a","was":1}]"#, "unknown field `was`"),
            ("targets", r#"[{"type":"user"}]"#, "missing field `id`"),
            ("targets", r#"[{"type":"user","id":" "}]"#, "empty"),
            ("subject_ids", r#"["a",1]"#, "array of texts"),
            ("forwarded", r#""192.0.2.7""#, "array of texts"),
            ("location", r#"{"planet":"Mars"}"#, "country"),
            ("location", r#"["PT","Porto",null]"#, "takes an object"),
            ("changes", r#"[["add","/a",null,1]]"#, "expected an object"),
            ("targets", r#"[["user","7",null,null]]"#, "expected an object"),
        ] {
            let error = check_shape(field, bad).unwrap_err();
            assert!(error.contains(why), "{field}: {error}");
        }
    }
}

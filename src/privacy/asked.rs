//! Names in questions about the log.
//!
//! Who looked at the log is recorded with what he asked, and whoever asks for somebody writes his id: in the path
//! (`/actors/ana`), in a parameter (`actor_id=ana`), or in the query language (`q=actor_id:ana`). All that may be an id
//! there is taken apart into words, and each is compared as a whole.

use std::borrow::Cow;

use serde::Deserialize;

use crate::record::{Category, Origin, Record};

/// What one does with the log. Records of it have the question among their facts.
pub(crate) const USES: [&str; 4] = ["log_viewed", "log_exported", "log_ingested", "log_changed"];

/// Parameters that say how to answer, and about whom nothing.
const OF_THE_ANSWER: [&str; 13] = [
    "limit", "top", "page", "offset", "count", "order", "format", "bom", "interval", "tz", "from",
    "to", "fields",
];

#[derive(Deserialize)]
struct Facts {
    #[serde(default)]
    asked: Asked,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Asked {
    One(String),
    Many(Vec<String>),
    #[default]
    Nothing,
}

/// Tells whether a record is the log's own of somebody who used it.
pub(crate) fn is_use(record: &Record) -> bool {
    record.origin == Origin::System
        && record.category == Category::System
        && USES.contains(&record.action.as_str())
}

/// Returns the words of what was asked that may be somebody's id; none of a record that is of no use of the log.
pub(crate) fn words(record: &Record) -> Vec<String> {
    if !is_use(record) {
        return Vec::new();
    }
    // Facts that somebody edited by hand are read as far as they can be.
    let facts = serde_json::from_str::<Facts>(record.metadata.as_str());
    let questions = match facts.map(|facts| facts.asked).unwrap_or_default() {
        Asked::One(one) => vec![one],
        Asked::Many(many) => many,
        Asked::Nothing => Vec::new(),
    };
    let mut words: Vec<_> = questions.iter().flat_map(|asked| of_question(asked)).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Returns the words of one question: path and query, as they were sent.
fn of_question(asked: &str) -> Vec<String> {
    let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
    let mut words: Vec<_> = path.split('/').map(decoded).collect();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        if OF_THE_ANSWER.contains(&name) {
            continue;
        }
        let value = decoded(&value.replace('+', " "));
        of_value(&value, &mut words);
        words.push(value);
    }
    words.retain(|word| !word.is_empty());
    words
}

fn decoded(text: &str) -> String {
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    text.trim().to_owned()
}

/// Takes the value of a parameter apart: at spaces, commas and brackets, and behind the names of fields. What stands
/// in quotes stays together.
fn of_value(value: &str, words: &mut Vec<String>) {
    let mut piece = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                end(&mut piece, words);
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    piece.extend(if c == '\\' { chars.next() } else { Some(c) });
                }
                words.push(std::mem::take(&mut piece));
            }
            ',' | '(' | ')' => end(&mut piece, words),
            c if c.is_whitespace() => end(&mut piece, words),
            c => piece.push(c),
        }
    }
    end(&mut piece, words);
}

/// Ends a piece, as in `actor_id:ana`: of it come the whole, and what stands behind each colon.
fn end(piece: &mut String, words: &mut Vec<String>) {
    let piece = std::mem::take(piece);
    let behind = piece.match_indices(':').map(|(at, _)| Cow::from(&piece[at + 1..]));
    let all = behind.chain([Cow::from(piece.as_str())]);
    words.extend(all.filter(|word| !word.is_empty()).map(Cow::into_owned).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Json;

    fn asks(asked: &serde_json::Value, name: &str) -> bool {
        let mut record =
            Record { origin: Origin::System, category: Category::System, ..Record::default() };
        record.action.set("log_viewed");
        record.metadata = Json::of(&serde_json::json!({ "asked": asked, "count": 1 })).unwrap();
        let found = words(&record).iter().any(|word| word == name);
        // What somebody says of himself is no question.
        record.origin = Origin::Manual;
        assert!(words(&record).is_empty());
        found
    }

    #[test]
    fn a_name_is_found_wherever_a_question_may_have_it() {
        for asked in [
            "/activity/actors/ana@example.com",
            "/activity/actors/ana%40example.com?limit=5",
            "/records?actor_id=ana%40example.com",
            "/records?actor_id=bob,ana@example.com&limit=5",
            "/records?q=actor_id:ana@example.com",
            "/records?q=-%28actor_id%3A%22ana%40example.com%22+OR+status%3A5%29",
            "/records?q=ana%40example.com",
            "/facets?fields=actor_id&prefix=ana%40example.com",
        ] {
            assert!(asks(&asked.into(), "ana@example.com"), "{asked}");
            assert!(!asks(&asked.into(), "ana"), "{asked}");
        }
        let many = serde_json::json!(["/records?q=status:500", "/entities/user/ana"]);
        assert!(asks(&many, "ana"));
        assert!(asks(&"/records?actor_id=urn:user:5".into(), "urn:user:5"));
        assert!(asks(&"/records?q=actor_id:urn:user:5".into(), "urn:user:5"));
    }

    #[test]
    fn what_is_no_name_is_none() {
        let asked = "/records?limit=50&from=2026&q=status:500&actor_id=banana";
        for word in ["50", "2026", "ana", ""] {
            assert!(!asks(&asked.into(), word), "{word}");
        }
        for broken in [serde_json::json!(7), serde_json::json!(null), serde_json::json!(["a", 1])] {
            assert!(!asks(&broken, "7"));
        }
        assert!(asks(&"/records?q=%ff%zz&actor_id=ana".into(), "ana"), "broken encoding");
    }
}

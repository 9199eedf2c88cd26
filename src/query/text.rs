//! Full text: what a word is, the same for every store.

use std::sync::LazyLock;

use crate::record::{Field, Origin, Record, Value};

/// The fields that bare words are looked for in.
pub const TEXT_FIELDS: [&str; 8] = [
    "description",
    "reason",
    "entity_name",
    "actor_name",
    "impersonator_name",
    "targets",
    "metadata",
    "changes",
];

/// Words that follow on one another.
///
/// A word is a run of letters and digits (Unicode), in lower case; `ς` is `σ`. `order_55` is the two words `order` and
/// `55`, in the text as in the question, so that it is found as a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    words: Vec<String>,
    prefix: bool,
}

impl Phrase {
    /// Reads the words of a text; `None` when there are none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let words: Vec<_> = words(text).collect();
        (!words.is_empty()).then_some(Self { words, prefix: false })
    }

    /// Lets the last word be the beginning of a longer one (`cancel*`).
    #[must_use]
    pub fn prefix(mut self) -> Self {
        self.prefix = true;
        self
    }

    /// Returns the words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Tells whether the last word may be the beginning of a longer one.
    #[must_use]
    pub const fn is_prefix(&self) -> bool {
        self.prefix
    }

    /// Tells whether the words follow on one another in `text`.
    #[must_use]
    pub fn occurs_in(&self, text: &str) -> bool {
        let Some((first, rest)) = self.words.split_first() else { return false };
        let mut there = runs(text);
        // From each place where the first word stands, without writing any of the text down.
        while let Some(word) = there.next() {
            if !same(word, first, self.prefix && rest.is_empty()) {
                continue;
            }
            let mut following = there.clone();
            let last = rest.len().saturating_sub(1);
            let all = rest.iter().enumerate().all(|(n, wanted)| {
                following.next().is_some_and(|word| same(word, wanted, self.prefix && n == last))
            });
            if all {
                return true;
            }
        }
        false
    }

    /// Tells whether one of the record's [text fields](TEXT_FIELDS) holds the phrase. Of JSON, keys and
    /// values are text alike, as they are stored.
    ///
    /// No record of who looked at the log holds any: it tells what was asked, and a search would find itself.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        !tells_of_a_question(record) && texts(record).any(|text| self.occurs_in(text))
    }
}

/// Tells whether the log made this record of its own use. Whatever else calls itself so has another origin.
fn tells_of_a_question(record: &Record) -> bool {
    record.origin == Origin::System
        && matches!(&*record.action, "log_viewed" | "log_exported" | "log_ingested")
}

/// Returns what is searched of a record.
pub fn texts(record: &Record) -> impl Iterator<Item = &str> {
    static FIELDS: LazyLock<Vec<&'static Field>> =
        LazyLock::new(|| TEXT_FIELDS.iter().filter_map(|name| Field::named(name)).collect());
    FIELDS.iter().filter_map(|field| match field.value(record) {
        Value::Text(text) | Value::Json(text) => Some(text),
        _ => None,
    })
}

/// Returns the words of a text in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    runs(text).map(|word| word.chars().flat_map(lower).collect())
}

/// The words of a text as they are written.
fn runs(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Letter by letter, so that no word depends on what stands beside it: `ς` is `σ` wherever it stands, and
/// the dot that `İ` leaves behind is no letter.
fn lower(c: char) -> impl Iterator<Item = char> {
    let c = if c == 'ς' { 'σ' } else { c };
    c.to_lowercase().filter(|c| c.is_alphanumeric())
}

/// Tells whether a word as it is written is the wanted one, or begins with it.
fn same(word: &str, wanted: &str, prefix: bool) -> bool {
    if word.is_ascii() {
        let (word, wanted) = (word.as_bytes(), wanted.as_bytes());
        return match word.get(..wanted.len()) {
            Some(begins) => {
                begins.eq_ignore_ascii_case(wanted) && (prefix || word.len() == wanted.len())
            }
            None => false,
        };
    }
    let mut there = word.chars().flat_map(lower);
    wanted.chars().all(|wanted| there.next() == Some(wanted)) && (prefix || there.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_across_what_separates_its_words() {
        let phrase = Phrase::new("order_55").unwrap();
        assert!(phrase.occurs_in("Cancelled Order 55!"));
        assert!(!phrase.occurs_in("order 5 5") && !phrase.occurs_in("order 555"));
        assert!(Phrase::new("ord").unwrap().prefix().occurs_in("the order"));
        assert!(Phrase::new("--").is_none());
    }

    #[test]
    fn a_search_does_not_find_itself() {
        use crate::record::Json;

        let phrase = Phrase::new("lamp").unwrap();
        let mut record = Record::default();
        record.action.set("log_viewed");
        record.metadata = Json::from_stored(r#"{"asked":"/records?q=lamp"}"#);
        record.origin = Origin::System;
        assert!(!phrase.matches(&record));
        // Somebody who calls his own records so hides nothing.
        for origin in [Origin::Ingest, Origin::Manual, Origin::Request] {
            record.origin = origin;
            assert!(phrase.matches(&record), "{origin:?}");
        }
        record.origin = Origin::System;
        record.action.set("gap");
        assert!(phrase.matches(&record));
    }

    #[test]
    fn words_fold_in_unicode_letter_by_letter() {
        for (question, text, holds) in [
            ("ärger", "ÄRGER", true),
            ("σας", "ΣΑΣ", true),
            ("ΣΑΣ", "σας", true),
            ("ix", "İx", true),
            ("İX", "ix", true),
            ("kelvin", "\u{212a}elvin", true),
            ("strasse", "straße", false),
            ("naive", "naïve", false),
        ] {
            assert_eq!(Phrase::new(question).unwrap().occurs_in(text), holds, "{question} {text}");
        }
        let again: Vec<_> = words("İx ΣΑΣ Ⅷ").collect();
        assert!(words(&again.join(" ")).eq(again.iter().cloned()), "{again:?}");
    }
}

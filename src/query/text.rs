//! Full text: what a word is, the same for every store.

use crate::record::{Record, Value};

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
/// A word is a run of letters and digits (Unicode), in lower case. `order_55` is the two words `order` and
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
        let there: Vec<_> = words(text).collect();
        let last = self.words.len() - 1;
        there.windows(self.words.len()).any(|run| {
            run.iter().zip(&self.words).enumerate().all(|(n, (there, wanted))| {
                if n == last && self.prefix { there.starts_with(wanted) } else { there == wanted }
            })
        })
    }

    /// Tells whether one of the record's [text fields](TEXT_FIELDS) holds the phrase. Of JSON, keys and
    /// values are text alike, as they are stored.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        texts(record).any(|text| self.occurs_in(text))
    }
}

/// Returns what is searched of a record.
pub fn texts(record: &Record) -> impl Iterator<Item = &str> {
    TEXT_FIELDS.iter().filter_map(|name| match crate::record::Field::named(name)?.value(record) {
        Value::Text(text) | Value::Json(text) => Some(text),
        _ => None,
    })
}

/// Returns the words of a text in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
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
}

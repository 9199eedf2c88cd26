//! Text and JSON text of a record: absent when empty, so that a pooled record keeps its buffers.

use std::{fmt, ops::Deref};

use serde::{Serialize, Serializer};

/// Buffers above this many bytes are given back when a record returns to its pool.
const KEPT_CAPACITY: usize = 4 * 1024;

/// A text field of a record; the empty text means that the field is absent.
///
/// A plain `Option<String>` would lose its buffer each time the field is cleared. Records are pooled, so
/// the buffer is what makes a recorded request free of allocations.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(String);

/// Copies into a buffer that is there, which is what `clone_from` is for.
impl Clone for Text {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    fn clone_from(&mut self, source: &Self) {
        self.0.clone_from(&source.0);
    }
}

impl Text {
    /// Makes an absent text.
    #[must_use]
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Returns the text, or `None` when it is absent.
    #[must_use]
    pub fn as_option(&self) -> Option<&str> {
        if self.0.is_empty() { None } else { Some(&self.0) }
    }

    /// Returns the text; empty when absent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the field is absent.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces the text, keeping the buffer.
    pub fn set(&mut self, text: &str) {
        self.0.clear();
        self.0.push_str(text);
    }

    /// Makes the field absent, keeping a buffer of ordinary size.
    pub fn clear(&mut self) {
        if self.0.capacity() > KEPT_CAPACITY {
            self.0 = String::new();
        } else {
            self.0.clear();
        }
    }

    /// Returns the buffer, for writing in place.
    pub fn buffer(&mut self) -> &mut String {
        &mut self.0
    }

    /// Returns the number of bytes that the buffer holds on to.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_option(), f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Option<String>> for Text {
    fn from(text: Option<String>) -> Self {
        Self(text.unwrap_or_default())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_option().serialize(serializer)
    }
}

/// A JSON field of a record: the compact text itself, written once by us and stored as it is.
///
/// It enters the canonical bytes as this text, so that no number is ever formatted a second time. The
/// empty text means that the field is absent.
#[derive(PartialEq, Eq, Hash, Default)]
pub struct Json(Text);

/// As that of [`Text`].
impl Clone for Json {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    fn clone_from(&mut self, source: &Self) {
        self.0.clone_from(&source.0);
    }
}

impl Json {
    /// Makes an absent value.
    #[must_use]
    pub const fn new() -> Self {
        Self(Text::new())
    }

    /// Writes `value` as compact JSON.
    ///
    /// # Errors
    ///
    /// When `value` cannot be written as JSON, for example a map whose keys are no strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self(Text(text)))
    }

    /// Takes a text that came back from a store, without looking into it.
    #[must_use]
    pub fn from_stored(text: impl Into<Text>) -> Self {
        Self(text.into())
    }

    /// Returns the JSON text, or `None` when the field is absent.
    #[must_use]
    pub fn as_option(&self) -> Option<&str> {
        self.0.as_option()
    }

    /// Returns the JSON text; empty when absent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Tells whether the field is absent.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.0.is_absent()
    }

    /// Makes the field absent, keeping a buffer of ordinary size.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the buffer, for writing compact JSON in place.
    pub fn buffer(&mut self) -> &mut String {
        self.0.buffer()
    }

    /// Returns the number of bytes that the buffer holds on to.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_option().unwrap_or("None"))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_option() {
            None => serializer.serialize_none(),
            Some(text) => match serde_json::from_str::<&serde_json::value::RawValue>(text) {
                Ok(raw) => raw.serialize(serializer),
                // A column that somebody edited by hand: shown as what it is.
                Err(_) => serializer.serialize_str(text),
            },
        }
    }
}

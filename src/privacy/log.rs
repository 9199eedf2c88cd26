//! The list of what was taken out of a record.

use std::fmt;

use serde::Serialize;

/// More entries than this are only counted: the list is part of the record.
const MOST_ENTRIES: usize = 64;

/// A longer path is cut: the keys in it are the client's.
const LONGEST_PATH: usize = 128;

/// How something was found to be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Its key is on the list.
    Key,
    /// Its name in the query string is on the list.
    Query,
    /// All values of the query string are masked.
    AllValues,
    /// Its header is on the list, or was marked by the application.
    Header,
    /// It has the shape of a JSON Web Token.
    Jwt,
    /// It is a PEM block.
    Pem,
    /// It begins like a well-known kind of key.
    KeyPrefix,
    /// It is a card number.
    Card,
    /// It is the user information of a URL.
    UserInfo,
    /// It follows the word `Bearer`.
    Bearer,
    /// It stands after `name=` in a text, and the name is on the list.
    Pair,
    /// It looks like an e-mail address.
    Email,
    /// It looks like a random token.
    Token,
}

impl Method {
    /// Returns the word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Query => "query",
            Self::AllValues => "all_values",
            Self::Header => "header",
            Self::Jwt => "jwt",
            Self::Pem => "pem",
            Self::KeyPrefix => "key_prefix",
            Self::Card => "card",
            Self::UserInfo => "user_info",
            Self::Bearer => "bearer",
            Self::Pair => "pair",
            Self::Email => "email",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redaction {
    /// The field of the record.
    pub field: &'static str,
    /// Where in it: an RFC 6901 pointer, empty for the field itself; cut at 128 bytes.
    pub path: String,
    /// How it was found.
    pub method: Method,
}

/// What was taken out of a record, bounded: the first 64 entries and a count of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redactions {
    entries: Vec<Redaction>,
    more: u64,
}

impl Redactions {
    /// Makes an empty list; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), more: 0 }
    }

    /// Returns the door through which one field of the record is logged.
    pub const fn field(&mut self, field: &'static str) -> FieldLog<'_> {
        FieldLog { log: self, field }
    }

    /// Returns the entries kept, in the order of discovery.
    #[must_use]
    pub fn entries(&self) -> &[Redaction] {
        &self.entries
    }

    /// Returns how many further redactions were only counted.
    #[must_use]
    pub const fn more(&self) -> u64 {
        self.more
    }

    /// Returns whether nothing was taken out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.more == 0
    }

    /// Returns the text of the record's field `redactions`, or nothing if nothing was taken out.
    ///
    /// An array of `{"field","path","method"}`; when some were only counted, its last element is
    /// `{"more":n}`.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        // Structs rather than maps: a map's order depends on features of serde_json that others set.
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Element<'a> {
            Entry { field: &'a str, path: &'a str, method: &'a str },
            More { more: u64 },
        }
        let entries = self.entries.iter().map(|entry| Element::Entry {
            field: entry.field,
            path: &entry.path,
            method: entry.method.as_str(),
        });
        let more = (self.more > 0).then_some(Element::More { more: self.more });
        // Strings and integers can always be written.
        serde_json::to_string(&entries.chain(more).collect::<Vec<_>>()).ok()
    }
}

/// The door through which the redactions of one field are logged.
#[derive(Debug)]
pub struct FieldLog<'a> {
    log: &'a mut Redactions,
    field: &'static str,
}

impl FieldLog<'_> {
    /// Adds an entry, for the caller who leaves something out himself.
    pub fn add(&mut self, path: &str, method: Method) {
        self.add_with(method, |out| out.push(path));
    }

    /// Adds an entry whose path is only written if it is kept.
    pub(super) fn add_with(&mut self, method: Method, path: impl FnOnce(&mut PathText)) {
        if self.log.entries.len() >= MOST_ENTRIES {
            self.log.more += 1;
            return;
        }
        let mut text = PathText::default();
        path(&mut text);
        let entry = Redaction { field: self.field, path: text.text, method };
        // A text with the same thing twice in one place is one entry.
        if self.log.entries.last() != Some(&entry) {
            self.log.entries.push(entry);
        }
    }
}

/// A bounded RFC 6901 pointer in the making.
#[derive(Debug, Default)]
pub(super) struct PathText {
    text: String,
    full: bool,
}

impl PathText {
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// Adds text as it is.
    pub(super) fn push(&mut self, text: &str) {
        if self.full {
            return;
        }
        let room = LONGEST_PATH - self.text.len();
        if text.len() <= room {
            self.text.push_str(text);
            return;
        }
        self.full = true;
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        self.text.push('…');
    }

    /// Adds `/` and a key, escaped as RFC 6901 asks.
    pub(super) fn key(&mut self, key: &str) {
        self.push("/");
        for (n, piece) in key.split('~').enumerate() {
            if n > 0 {
                self.push("~0");
            }
            for (n, piece) in piece.split('/').enumerate() {
                if n > 0 {
                    self.push("~1");
                }
                self.push(piece);
            }
            if self.full {
                return;
            }
        }
    }

    /// Adds `/` and an index.
    pub(super) fn index(&mut self, index: usize) {
        self.push("/");
        self.push(&index.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_says_how_much_it_leaves_out() {
        let mut log = Redactions::new();
        for n in 0..100_000 {
            log.field("request_body").add_with(Method::Key, |path| path.index(n));
        }
        assert_eq!(log.entries().len(), MOST_ENTRIES);
        assert_eq!(log.more(), 100_000 - 64);
        assert!(log.to_json().unwrap().ends_with(r#",{"more":99936}]"#));
        assert!(log.to_json().unwrap().len() < 16 * 1024);
    }

    #[test]
    fn a_path_is_escaped_and_bounded_at_a_character() {
        let mut log = Redactions::new();
        log.field("query").add_with(Method::Query, |path| path.key("a/b~c"));
        log.field("query").add_with(Method::Query, |path| path.key(&"ä".repeat(500)));
        assert_eq!(log.entries()[0].path, "/a~1b~0c");
        assert!(log.entries()[1].path.len() <= LONGEST_PATH + '…'.len_utf8());
        assert!(log.entries()[1].path.ends_with("ä…"));
    }

    #[test]
    fn the_text_of_the_record_is_this() {
        let mut log = Redactions::new();
        assert_eq!(log.to_json(), None);
        log.field("request_body").add("/password", Method::Key);
        assert_eq!(
            log.to_json().unwrap(),
            r#"[{"field":"request_body","path":"/password","method":"key"}]"#
        );
    }
}

//! Making a redactor: the defaults, what is added, and what is taken away by name.

use std::{error, fmt};

use super::{BadPattern, KeySet, Method, Redactor, defaults, detect::Detectors, redactor::Inner};

/// Makes a [`Redactor`]: begins with the defaults, adds to them, takes away by name.
#[derive(Debug, Clone)]
#[must_use]
pub struct RedactorBuilder {
    keys: List,
    query: List,
    headers: List,
    detectors: Detectors,
    all_query_values: bool,
    error: Option<RedactorError>,
}

/// Patterns as they were written, and those that were taken away.
#[derive(Debug, Clone)]
struct List {
    what: &'static str,
    names: Vec<String>,
    allowed: Vec<String>,
}

impl List {
    fn new(what: &'static str, names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { what, names, allowed: Vec::new() }
    }

    /// Takes out every entry that says the same as `name`.
    fn allow(&mut self, name: &str, same: impl Fn(&str) -> bool) -> Result<(), RedactorError> {
        let before = self.names.len();
        self.names.retain(|known| !same(known));
        if self.names.len() == before {
            return Err(RedactorError::unknown(self.what, name, &self.names));
        }
        self.allowed.push(name.to_owned());
        Ok(())
    }
}

impl RedactorBuilder {
    pub(super) fn new() -> Self {
        Self {
            keys: List::new("key", defaults::KEYS),
            query: List::new("query name", defaults::QUERY),
            headers: List::new("header", defaults::HEADERS),
            detectors: Detectors::new(),
            all_query_values: false,
            error: None,
        }
    }

    /// Adds a pattern of keys of JSON and forms; see [`KeySet`] for what a pattern finds.
    pub fn key(mut self, pattern: &str) -> Self {
        self.keys.names.push(pattern.to_owned());
        self
    }

    /// Adds a pattern of names in query strings. Keys are looked for in query strings anyway.
    pub fn query_name(mut self, pattern: &str) -> Self {
        self.query.names.push(pattern.to_owned());
        self
    }

    /// Adds a header; a `*` at the end stands for any ending.
    pub fn header(mut self, name: &str) -> Self {
        let start = name.strip_suffix('*').unwrap_or(name);
        if start.is_empty() || start.contains('*') {
            self.fail(RedactorError::unusable("header", name));
        }
        self.headers.names.push(name.to_owned());
        self
    }

    /// Adds a kind of secret value that is known by its beginning: `acme_key_` and at least
    /// `least` further letters, digits, `_` or `-`.
    pub fn value_prefix(mut self, prefix: &str, least: usize) -> Self {
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.fail(RedactorError::unusable("value prefix", prefix));
        }
        self.detectors.add_prefix(prefix, least.max(1));
        self
    }

    /// Masks every value of a query string, not only those on the list. Defaults to no.
    pub fn mask_all_query_values(mut self) -> Self {
        self.all_query_values = true;
        self
    }

    /// Takes a key off the list, by its name there.
    ///
    /// Only that entry: `allow_key("session")` leaves `session_id` on the list.
    pub fn allow_key(mut self, name: &str) -> Self {
        let result = self.keys.allow(name, |known| same_pattern(known, name));
        self.check(result);
        self
    }

    /// Takes a name off the list of query strings; keys do not mask it there either.
    pub fn allow_query_name(mut self, name: &str) -> Self {
        let result = self.query.allow(name, |known| same_pattern(known, name));
        self.check(result);
        self
    }

    /// Takes a header off the list; keys do not mask it either.
    pub fn allow_header(mut self, name: &str) -> Self {
        let result = self.headers.allow(name, |known| known.eq_ignore_ascii_case(name));
        self.check(result);
        self
    }

    /// Switches a detector of values off, by the word its redactions are logged with: `jwt`,
    /// `pem`, `key_prefix`, `card`, `user_info`, `bearer` or `pair`.
    pub fn allow_value(mut self, method: &str) -> Self {
        match Detectors::ALL.iter().find(|known| known.as_str() == method) {
            Some(known) => self.detectors.switch_off(*known),
            None => {
                let words: Vec<String> =
                    Detectors::ALL.iter().map(|known| Method::as_str(*known).to_owned()).collect();
                self.fail(RedactorError::unknown("value detector", method, &words));
            }
        }
        self
    }

    /// Compiles the lists.
    ///
    /// # Errors
    /// The first call that named something unknown (with the nearest known name) or gave a
    /// pattern that cannot be read.
    pub fn build(self) -> Result<Redactor, RedactorError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let compile = |names: &[String]| KeySet::new(names).map_err(RedactorError::from);
        let whole: Vec<String> = self
            .query
            .allowed
            .iter()
            .map(|name| format!("={}", name.trim_start_matches('=')))
            .collect();
        Ok(Redactor::from_inner(Inner {
            keys: compile(&self.keys.names)?,
            query: compile(&self.query.names)?,
            query_allowed: compile(&whole)?,
            headers: self.headers.names,
            headers_allowed: self.headers.allowed,
            detectors: self.detectors,
            all_query_values: self.all_query_values,
        }))
    }

    fn check(&mut self, result: Result<(), RedactorError>) {
        if let Err(error) = result {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: RedactorError) {
        self.error.get_or_insert(error);
    }
}

/// Whether two patterns find the same names, but for the `=` that an entry may have in front.
fn same_pattern(known: &str, name: &str) -> bool {
    let mut set = KeySet::default();
    set.insert(known).is_ok() && set.remove(name)
}

/// A redactor that cannot be made as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactorError(What);

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Unknown { what: &'static str, name: String, nearest: Option<String> },
    Unusable { what: &'static str, name: String },
    Pattern(BadPattern),
}

impl RedactorError {
    fn unknown(what: &'static str, name: &str, known: &[String]) -> Self {
        let nearest = known
            .iter()
            .map(|known| (distance(known.trim_start_matches('='), name), known))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, known)| known.trim_start_matches('=').to_owned());
        Self(What::Unknown { what, name: name.to_owned(), nearest })
    }

    fn unusable(what: &'static str, name: &str) -> Self {
        Self(What::Unusable { what, name: name.to_owned() })
    }
}

impl From<BadPattern> for RedactorError {
    fn from(error: BadPattern) -> Self {
        Self(What::Pattern(error))
    }
}

impl fmt::Display for RedactorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            What::Unknown { what, name, nearest } => {
                write!(f, "there is no {what} `{}` on the list to allow", name.escape_debug())?;
                match nearest {
                    Some(nearest) => write!(f, "; the nearest is `{nearest}`"),
                    None => Ok(()),
                }
            }
            What::Unusable { what, name } => {
                write!(f, "`{}` cannot be used as a {what}", name.escape_debug())
            }
            What::Pattern(error) => error.fmt(f),
        }
    }
}

impl error::Error for RedactorError {}

/// The edit distance, without regard to case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, a) in a.chars().flat_map(char::to_lowercase).enumerate() {
        let mut corner = n;
        row[0] = n + 1;
        for (m, b) in b.iter().enumerate() {
            let change = corner + usize::from(a != *b);
            corner = row[m + 1];
            row[m + 1] = change.min(corner + 1).min(row[m] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

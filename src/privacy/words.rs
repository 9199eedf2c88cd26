//! Names that mark a secret: folding, patterns, and the set that is asked.
//!
//! A name is folded into words: `apiKey`, `API-Key`, `api_key` and `user[api.key]` all hold the
//! words `api`, `key`. A pattern matches where its words stand next to each other *as whole
//! words*, so that `pan` finds `card_pan` and not `company`. Words are compared by what they
//! spell together, so that `APIKEY` and `PassWord` are found too.

use std::{collections::HashSet, error, fmt, sync::LazyLock};

/// The longest pattern: it bounds the work per word of a name, and no real name is longer.
const LONGEST_PATTERN: usize = 64;

/// Endings that say something about a secret without being it: `token_type`, `session_count`,
/// `password_changed_at`. They only excuse a name whose secret word stands before them.
const ABOUT: &[&str] = &[
    "at",
    "count",
    "enabled",
    "expires",
    "expiresin",
    "expiry",
    "kind",
    "length",
    "method",
    "policy",
    "provider",
    "required",
    "strength",
    "ttl",
    "type",
];

/// A name cut into lower-case words.
#[derive(Debug, Default)]
pub(super) struct Folded {
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<usize>,
}

impl Folded {
    pub(super) fn new(name: &str) -> Self {
        let mut folded = Self::default();
        folded.fold(name);
        folded
    }

    /// Replaces what is held by the words of `name`; keeps the buffers.
    pub(super) fn fold(&mut self, name: &str) {
        #[derive(PartialEq, Clone, Copy)]
        enum Class {
            Lower,
            Upper,
            Digit,
            Between,
        }
        self.text.clear();
        self.ends.clear();
        let mut before = Class::Between;
        let mut chars = name.chars().filter(|c| !is_invisible(*c)).peekable();
        while let Some(c) = chars.next() {
            let class = if c.is_numeric() {
                Class::Digit
            } else if c.is_uppercase() {
                Class::Upper
            } else if c.is_alphabetic() {
                Class::Lower
            } else {
                Class::Between
            };
            let starts = match (before, class) {
                (Class::Between, _) => false,
                (_, Class::Between) => true,
                (Class::Lower, Class::Upper) => true,
                // `APIKey` is `API`, `Key`.
                (Class::Upper, Class::Upper) => {
                    chars.peek().is_some_and(|next| next.is_alphabetic() && !next.is_uppercase())
                }
                (Class::Digit, other) | (other, Class::Digit) => {
                    other != Class::Digit || class != Class::Digit
                }
                _ => false,
            };
            if starts {
                self.ends.push(self.text.len());
            }
            if class != Class::Between {
                if c.is_ascii() {
                    self.text.push(c.to_ascii_lowercase());
                } else {
                    self.text.extend(c.to_lowercase());
                }
            }
            before = class;
        }
        if before != Class::Between {
            self.ends.push(self.text.len());
        }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, word: usize) -> usize {
        if word == 0 { 0 } else { self.ends[word - 1] }
    }

    /// The words `from..to` written together.
    fn slice(&self, from: usize, to: usize) -> &str {
        &self.text[self.start(from)..self.start(to)]
    }

    /// Whether all words from `from` on only tell about what stands before them.
    fn is_about(&self, from: usize) -> bool {
        let rest = self.len() - from;
        // `changed_at`, `expires_in`: the last word or the last two decide.
        (rest == 1 || rest == 2)
            && (ABOUT.contains(&self.slice(self.len() - 1, self.len()))
                || ABOUT.contains(&self.slice(from, self.len())))
    }
}

/// Zero-width characters: they would hide a word without being seen.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// One word of a pattern with `*` in it.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Is(String),
    Starts(String),
    Ends(String),
    Contains(String),
    Any,
}

impl Part {
    fn matches(&self, word: &str) -> bool {
        match self {
            Self::Is(part) => word == part,
            Self::Starts(part) => word.starts_with(part.as_str()),
            Self::Ends(part) => word.ends_with(part.as_str()),
            Self::Contains(part) => word.contains(part.as_str()),
            Self::Any => true,
        }
    }
}

/// A pattern as it is asked.
#[derive(Debug, Clone, PartialEq)]
enum Pattern {
    /// These words, written together, anywhere in the name.
    Words(String),
    /// These words, written together, and nothing else.
    Whole(String),
    /// Word by word.
    Glob(Vec<Part>),
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        let bad = |why| Err(BadPattern { pattern: text.to_owned(), why });
        if text.len() > LONGEST_PATTERN {
            return bad("is longer than 64 bytes");
        }
        let (name, whole) = match text.strip_prefix('=') {
            Some(name) => (name, true),
            None => (text, false),
        };
        if !name.contains('*') {
            let folded = Folded::new(name).text;
            return match (folded.is_empty(), whole) {
                (true, _) => bad("holds no letter or digit"),
                (_, true) => Ok(Self::Whole(folded)),
                (_, false) => Ok(Self::Words(folded)),
            };
        }
        if whole {
            return bad("has both `=` and `*`");
        }
        let mut parts = Vec::new();
        for piece in name.split(['_', '-', '.']).filter(|piece| !piece.is_empty()) {
            let (ends, piece) = piece.strip_prefix('*').map_or((false, piece), |p| (true, p));
            let (starts, piece) = piece.strip_suffix('*').map_or((false, piece), |p| (true, p));
            if piece.contains('*') {
                return bad("has a `*` inside a word");
            }
            let folded = Folded::new(piece);
            let mut words: Vec<Part> = (0..folded.len())
                .map(|word| Part::Is(folded.slice(word, word + 1).to_owned()))
                .collect();
            let count = words.len();
            match (ends, starts, words.as_mut_slice()) {
                (false, false, _) => {}
                (_, _, []) => words.push(Part::Any),
                (true, true, [Part::Is(word)]) => {
                    words = vec![Part::Contains(std::mem::take(word))];
                }
                (true, true, _) => return bad("has a `*` on both sides of several words"),
                (true, false, [Part::Is(first), ..]) => {
                    words[0] = Part::Ends(std::mem::take(first));
                }
                (false, true, [.., Part::Is(last)]) => {
                    words[count - 1] = Part::Starts(std::mem::take(last));
                }
                // The words were all made `Is` above.
                (_, true, _) | (true, _, _) => return bad("cannot be read"),
            }
            parts.append(&mut words);
        }
        if parts.iter().all(|part| *part == Part::Any) {
            return bad("would match every name");
        }
        Ok(Self::Glob(parts))
    }
}

/// A pattern of names that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern {
    pattern: String,
    why: &'static str,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the pattern `{}` {}", self.pattern.escape_debug(), self.why)
    }
}

impl error::Error for BadPattern {}

/// A compiled set of patterns of names: the further keys of one rule, for instance.
///
/// | pattern | finds | not |
/// | --- | --- | --- |
/// | `pet_name` | `petName`, `PET-NAME`, `petname`, `old_pet_name` | `pet_names`, `carpet_name` |
/// | `=code` | `code`, `Code` | `country_code` |
/// | `passw*` | `password`, `old_passwd` | `pass_wire` |
/// | `*_token` | `access_token`, `deviceToken` | `token`, `tokens` |
///
/// A name that only tells about its secret is not found: `token_type`, `session_count`,
/// `password_changed_at`.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    words: HashSet<String>,
    whole: HashSet<String>,
    globs: Vec<Vec<Part>>,
    /// The longest of `words`, in bytes: no longer range of a name needs a look.
    longest: usize,
}

impl KeySet {
    /// Compiles patterns once, so that each name is asked cheaply.
    ///
    /// # Errors
    /// The first pattern that cannot be read, or that would match every name.
    pub fn new<I>(patterns: I) -> Result<Self, BadPattern>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut set = Self::default();
        for pattern in patterns {
            set.insert(pattern.as_ref())?;
        }
        Ok(set)
    }

    /// Returns the set that marks nothing; making one anew seeds its tables each time.
    pub(crate) fn none() -> &'static Self {
        static NONE: LazyLock<KeySet> = LazyLock::new(KeySet::default);
        &NONE
    }

    /// Returns whether no name can match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.whole.is_empty() && self.globs.is_empty()
    }

    /// Returns whether a name is marked as a secret.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        !self.is_empty() && self.hit(&Folded::new(name))
    }

    pub(super) fn insert(&mut self, pattern: &str) -> Result<(), BadPattern> {
        match Pattern::parse(pattern)? {
            Pattern::Words(words) => {
                self.longest = self.longest.max(words.len());
                self.words.insert(words);
            }
            Pattern::Whole(words) => {
                self.whole.insert(words);
            }
            Pattern::Glob(parts) if self.globs.contains(&parts) => {}
            Pattern::Glob(parts) => self.globs.push(parts),
        }
        Ok(())
    }

    /// Takes a pattern out; says whether it was there.
    pub(super) fn remove(&mut self, pattern: &str) -> bool {
        match Pattern::parse(pattern) {
            // `allow_key("code")` means the entry that is written `=code` too.
            Ok(Pattern::Words(words)) => {
                let whole = self.whole.remove(&words);
                self.words.remove(&words) || whole
            }
            Ok(Pattern::Whole(words)) => self.whole.remove(&words),
            Ok(Pattern::Glob(parts)) => {
                let before = self.globs.len();
                self.globs.retain(|glob| *glob != parts);
                self.globs.len() < before
            }
            Err(_) => false,
        }
    }

    pub(super) fn hit(&self, name: &Folded) -> bool {
        if self.whole.contains(&name.text) {
            return true;
        }
        let found = |end: usize| !name.is_about(end);
        (0..name.len()).any(|start| {
            // Each further word is a byte at least, so that `longest` bounds this loop.
            (start + 1..=name.len())
                .map(|end| (end, name.slice(start, end)))
                .take_while(|(_, words)| words.len() <= self.longest)
                .any(|(end, words)| self.words.contains(words) && found(end))
                || self.globs.iter().any(|glob| {
                    let end = start + glob.len();
                    end <= name.len()
                        && glob
                            .iter()
                            .enumerate()
                            .all(|(n, part)| part.matches(name.slice(start + n, start + n + 1)))
                        && found(end)
                })
        })
    }
}

//! The trust file: which keys may sign the heads of a ledger, and when.
//!
//! ```text
//! # activity trust 1
//! activity/4f1c09ab77d0aa10+5b3f2c11+AX…=
//! activity/4f1c09ab77d0aa10+0a91be72+AQ…= from=2026-11-01T00:00:00Z until=2027-11-01T00:00:00Z
//! ```
//!
//! A line is a verifier key, and the time from which and until which it may sign. While keys change, both stand
//! there and their times overlap. It holds nothing secret, and belongs where nobody who can write the database
//! can write.

use std::{error, fmt, str::FromStr};

use super::{
    checkpoint::Checkpoint,
    note::{Note, NoteError, NoteKey},
};
use crate::time::Timestamp;

/// The keys that are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust(Vec<Trusted>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Trusted {
    key: NoteKey,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// What is wrong with a trust file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustError {
    line: usize,
    what: &'static str,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl error::Error for TrustError {}

impl Trust {
    /// Trusts one key, at any time.
    #[must_use]
    pub fn in_key(key: NoteKey) -> Self {
        Self(vec![Trusted { key, from: None, until: None }])
    }

    /// Returns the head that a note tells, if one of the keys signed it while it might.
    ///
    /// # Errors
    ///
    /// When it is no head, of another ledger than the key's, or not signed by a key that might sign then.
    pub fn head(&self, note: &Note) -> Result<Checkpoint, NoteError> {
        let head = Checkpoint::parse(note.text())?;
        let may_sign = |trusted: &&Trusted| {
            trusted.key.name() == head.origin
                && trusted.from.is_none_or(|from| from <= head.at)
                && trusted.until.is_none_or(|until| head.at < until)
        };
        note.verify(self.0.iter().filter(may_sign).map(|trusted| &trusted.key))?;
        Ok(head)
    }

    /// Tells whether a key may sign the heads of a ledger of this name.
    #[must_use]
    pub fn knows(&self, origin: &str) -> bool {
        self.0.iter().any(|trusted| trusted.key.name() == origin)
    }

    /// Returns how many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Trust {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let trusted: Vec<_> = lines
            .map(|(line, text)| trusted(text).map_err(|what| TrustError { line, what }))
            .collect::<Result<_, _>>()?;
        if trusted.is_empty() {
            let what = "there is no key in it; `activity checkpoint --trust-line` prints one";
            return Err(TrustError { line: 1, what });
        }
        Ok(Self(trusted))
    }
}

fn trusted(line: &str) -> Result<Trusted, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let key = words.next().unwrap_or_default().parse();
    let key = key.map_err(|_| "a line begins with a verifier key, as in `name+hash+base64`")?;
    let mut trusted = Trusted { key, from: None, until: None };
    for word in words {
        let (place, at) = match word.split_once('=') {
            Some(("from", at)) => (&mut trusted.from, at),
            Some(("until", at)) => (&mut trusted.until, at),
            _ => return Err("behind a key stand `from=TIME` and `until=TIME`, and nothing else"),
        };
        let at = at.parse().map_err(|_| "a time reads as in 2026-11-01T00:00:00Z")?;
        if place.replace(at).is_some() {
            return Err("`from` and `until` stand there once");
        }
    }
    match (trusted.from, trusted.until) {
        (Some(from), Some(until)) if until <= from => Err("`until` is not after `from`"),
        _ => Ok(trusted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::NoteSigner;

    fn head(day: u8) -> Checkpoint {
        let at = format!("2026-11-{day:02}T00:00:00Z").parse().unwrap();
        Checkpoint::new("activity/00".to_owned(), 7, [7; 32], 1, at)
    }

    fn key(seed: u8) -> NoteKey {
        NoteSigner::new("activity/00", &[seed; 32]).unwrap().key().clone()
    }

    #[test]
    fn keys_change_with_an_overlap() {
        let file = format!(
            "# activity trust 1\n\n{} until=2026-11-20T00:00:00Z\n{} from=2026-11-10T00:00:00Z\n",
            key(1),
            key(2)
        );
        let trust: Trust = file.parse().unwrap();
        let accepted = |day, seeds: &[u8]| {
            let seeds: Vec<_> = seeds.iter().map(|seed| [*seed; 32]).collect();
            trust.head(&head(day).sign(&seeds).unwrap())
        };
        assert_eq!(accepted(1, &[1]), Ok(head(1)));
        assert_eq!(accepted(1, &[2]), Err(NoteError::Unsigned), "not yet");
        assert_eq!(accepted(15, &[1, 2]), Ok(head(15)));
        assert_eq!(accepted(15, &[2]), Ok(head(15)));
        assert_eq!(accepted(20, &[1]), Err(NoteError::Unsigned), "not any more");
        assert_eq!(accepted(20, &[1, 2]), Ok(head(20)));
        assert_eq!(accepted(20, &[3]), Err(NoteError::Unsigned));
        // The key of one ledger tells nothing of another, even with the same seed.
        let other = Checkpoint { origin: "activity/01".to_owned(), ..head(15) };
        assert_eq!(trust.head(&other.sign(&[[1; 32]]).unwrap()), Err(NoteError::Unsigned));
        // Nor does that key signing, under its own name, a head of the other one.
        let text = other.sign(&[[1; 32]]).unwrap().text().to_owned();
        let noted = Note::sign(&text, &[NoteSigner::new("activity/00", &[1; 32]).unwrap()]);
        assert_eq!(trust.head(&noted.unwrap()), Err(NoteError::Unsigned));
        let noted = Note::sign("no head\n", &[NoteSigner::new("activity/00", &[1; 32]).unwrap()]);
        assert_eq!(trust.head(&noted.unwrap()), Err(NoteError::Malformed));
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_line() {
        for (line, wrong) in [
            (1, ""),
            (2, "\nno key\n"),
            (1, "KEY for=ever"),
            (1, "KEY from=tomorrow"),
            (1, "KEY from=2026-11-01T00:00:00Z until=2026-11-01T00:00:00Z"),
            (1, "KEY from=2026-11-01T00:00:00Z from=2026-11-01T00:00:00Z"),
        ] {
            let error = wrong.replace("KEY", &key(1).to_string()).parse::<Trust>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
        }
    }
}

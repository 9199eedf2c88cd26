//! Which endings of a request a rule is about.

use crate::record::Outcome;
use crate::suggest::did_you_mean;

/// How a request ended, as far as rules ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct Ended {
    /// The HTTP status of the head, if there was one.
    pub status: Option<u16>,
    /// The gRPC status, if it is a gRPC call.
    pub grpc_status: Option<u8>,
    /// The handler panicked.
    pub panicked: bool,
    /// Nobody waited for the complete answer.
    pub aborted: bool,
}

impl Ended {
    /// A request that was answered with this status.
    #[must_use]
    pub const fn with_status(status: u16) -> Self {
        Self { status: Some(status), grpc_status: None, panicked: false, aborted: false }
    }

    /// Returns the outcome: 1xx–3xx success; 401, 403, 429 denied; other 4xx, 5xx and panics
    /// failure; no complete answer aborted. For gRPC, PERMISSION_DENIED, RESOURCE_EXHAUSTED and
    /// UNAUTHENTICATED are denied.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        if self.panicked {
            return Outcome::Failure;
        }
        if self.aborted {
            return Outcome::Aborted;
        }
        match (self.grpc_status, self.status) {
            (Some(0), _) => Outcome::Success,
            (Some(7 | 8 | 16), _) => Outcome::Denied,
            (Some(_), _) => Outcome::Failure,
            (None, Some(401 | 403 | 429)) => Outcome::Denied,
            (None, Some(status)) if status < 400 => Outcome::Success,
            (None, Some(_)) => Outcome::Failure,
            (None, None) => Outcome::Unknown,
        }
    }
}

const FIRST: u16 = 100;
const LAST: u16 = 599;
const WORDS: &[&str] = &[
    "success", "denied", "failure", "error", "aborted", "panic", "1xx", "2xx", "3xx", "4xx", "5xx",
];
const GRPC: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// A set of endings; without any word, all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct StatusSet {
    codes: [u64; 8],
    grpc: u32,
    success: bool,
    denied: bool,
    failure: bool,
    aborted: bool,
    panic: bool,
    some: bool,
}

impl StatusSet {
    /// Parses the words of a rule.
    pub(super) fn parse<'a>(
        words: impl IntoIterator<Item = &'a str>,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut set = Self::default();
        for word in words {
            set.some = true;
            if let Err(why) = set.add(word) {
                problems.push(why);
            }
        }
        set
    }

    pub(super) fn of(words: &[&str]) -> Self {
        let mut problems = Vec::new();
        let set = Self::parse(words.iter().copied(), &mut problems);
        debug_assert!(problems.is_empty(), "{problems:?}");
        set
    }

    fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "success" => self.success = true,
            "denied" => self.denied = true,
            "failure" => self.failure = true,
            "error" => {
                self.denied = true;
                self.failure = true;
            }
            "aborted" => self.aborted = true,
            "panic" => self.panic = true,
            _ => return self.add_codes(word),
        }
        Ok(())
    }

    fn add_codes(&mut self, word: &str) -> Result<(), String> {
        let bad = |hint: &str| {
            Err(format!(
                "status `{}` is neither a code (`404`), a class (`4xx`), a range (`400-499`), \
                 `grpc:` with a code, nor one of success, denied, failure, error, aborted, panic{hint}",
                word.escape_debug()
            ))
        };
        if let Some(name) = word.strip_prefix("grpc:") {
            let code = name
                .parse::<usize>()
                .ok()
                .filter(|code| *code < GRPC.len())
                .or_else(|| GRPC.iter().position(|known| *known == name));
            return match code {
                Some(code) => {
                    self.grpc |= 1 << code;
                    Ok(())
                }
                None => bad(&did_you_mean(name, GRPC.iter().copied())),
            };
        }
        let bytes = word.as_bytes();
        if let [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] = bytes {
            let first = u16::from(class - b'0') * 100;
            self.range(first, first + 99);
            return Ok(());
        }
        let (low, high) = word.split_once('-').unwrap_or((word, word));
        match (code(low), code(high)) {
            (Some(low), Some(high)) if low <= high => {
                self.range(low, high);
                Ok(())
            }
            _ => bad(&did_you_mean(word, WORDS.iter().copied())),
        }
    }

    fn range(&mut self, low: u16, high: u16) {
        for code in low..=high {
            let bit = usize::from(code - FIRST);
            self.codes[bit / 64] |= 1 << (bit % 64);
        }
    }

    /// Says whether every ending is meant.
    pub(super) fn is_any(&self) -> bool {
        !self.some
    }

    /// Says whether this ending is meant.
    ///
    /// Codes ask for the head alone, so that a broken body does not change what matches; words
    /// ask for the outcome. A panic counts as a 500.
    pub(super) fn contains(&self, ended: &Ended) -> bool {
        if !self.some {
            return true;
        }
        let status = if ended.panicked { Some(500) } else { ended.status };
        let code = status.is_some_and(|status| {
            (FIRST..=LAST).contains(&status) && {
                let bit = usize::from(status - FIRST);
                self.codes[bit / 64] & (1 << (bit % 64)) != 0
            }
        });
        let grpc = ended.grpc_status.is_some_and(|code| code < 32 && self.grpc & (1 << code) != 0);
        let word = match ended.outcome() {
            Outcome::Success => self.success,
            Outcome::Denied => self.denied,
            Outcome::Failure => self.failure,
            Outcome::Aborted => self.aborted,
            _ => false,
        };
        code || grpc || word || (ended.panicked && self.panic)
    }

    /// Says whether an answer that is no refusal and no failure can be meant.
    pub(super) fn takes_success(&self) -> bool {
        let codes = (FIRST..400).any(|code| {
            let bit = usize::from(code - FIRST);
            self.codes[bit / 64] & (1 << (bit % 64)) != 0
        });
        self.is_any() || self.success || codes || self.grpc & 1 != 0
    }

    /// Says whether every ending of the other set is in this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self.is_any() {
            return true;
        }
        endings().all(|ended| !other.contains(&ended) || self.contains(&ended))
    }
}

fn code(text: &str) -> Option<u16> {
    text.parse().ok().filter(|code| (FIRST..=LAST).contains(code) && text.len() == 3)
}

/// Every ending that the words of a rule can tell apart.
fn endings() -> impl Iterator<Item = Ended> {
    let heads = (FIRST..=LAST).flat_map(|status| {
        [false, true].map(|aborted| Ended { aborted, ..Ended::with_status(status) })
    });
    let calls = (0..17).map(|code| Ended { grpc_status: Some(code), ..Ended::with_status(200) });
    let broken = [
        Ended { panicked: true, ..Ended::default() },
        Ended { aborted: true, ..Ended::default() },
        Ended::default(),
    ];
    heads.chain(calls).chain(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_codes_classes_and_ranges_are_understood() {
        let set = StatusSet::of(&["401", "5xx", "410-412", "aborted", "grpc:not_found"]);
        for (status, there) in [(401, true), (403, false), (503, true), (411, true), (413, false)] {
            assert_eq!(set.contains(&Ended::with_status(status)), there, "{status}");
        }
        let aborted = Ended { aborted: true, ..Ended::with_status(200) };
        assert!(set.contains(&aborted));
        assert!(!StatusSet::of(&["success"]).contains(&aborted));
        assert!(StatusSet::of(&["2xx"]).contains(&aborted), "codes ask for the head");
        let call = Ended { grpc_status: Some(5), ..Ended::with_status(200) };
        assert!(set.contains(&call));
    }

    #[test]
    fn a_panic_is_a_failure_and_a_500() {
        let panic = Ended { panicked: true, ..Ended::default() };
        for word in ["500", "5xx", "failure", "panic"] {
            assert!(StatusSet::of(&[word]).contains(&panic), "{word}");
        }
        assert!(!StatusSet::of(&["denied"]).contains(&panic));
    }

    #[test]
    fn a_set_of_refusals_takes_no_success() {
        for (words, takes) in [
            (&[][..], true),
            (&["success"], true),
            (&["denied", "panic"], false),
            (&["4xx", "5xx", "aborted"], false),
            (&["403", "201"], true),
            (&["399"], true),
            (&["400"], false),
            (&["grpc:ok"], true),
            (&["grpc:not_found"], false),
        ] {
            assert_eq!(StatusSet::of(words).takes_success(), takes, "{words:?}");
        }
    }

    #[test]
    fn covering_is_about_endings_not_about_words() {
        let error = StatusSet::of(&["error"]);
        assert!(error.covers(&StatusSet::of(&["denied"])));
        assert!(StatusSet::of(&["4xx", "5xx"]).covers(&StatusSet::of(&["404"])));
        assert!(!StatusSet::of(&["404"]).covers(&StatusSet::of(&["4xx"])));
        assert!(StatusSet::default().covers(&error));
        assert!(!error.covers(&StatusSet::default()));
        assert!(!error.covers(&StatusSet::of(&["404"])), "an aborted 404 is not an error");
    }

    #[test]
    fn a_wrong_word_is_named_with_a_better_one() {
        let mut problems = Vec::new();
        StatusSet::parse(["sucess"], &mut problems);
        assert!(problems[0].ends_with("aborted, panic; did you mean `success`?"), "{problems:?}");
        problems.clear();
        StatusSet::parse(["600", "99", "500-400", "+40"], &mut problems);
        assert_eq!(problems.len(), 4);
    }
}

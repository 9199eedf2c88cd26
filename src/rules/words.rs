//! The closed vocabularies of a rule.

use std::{error, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A word that the vocabulary of a rule does not contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRuleWord {
    what: &'static str,
    word: String,
    known: &'static [&'static str],
}

impl fmt::Display for UnknownRuleWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not {} (one of {})",
            self.word.escape_debug(),
            self.what,
            self.known.join(", ")
        )
    }
}

impl error::Error for UnknownRuleWord {}

macro_rules! rule_words {
    ($(#[$meta:meta])* $name:ident, $what:literal {
        $($(#[$vmeta:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every word, in the order of declaration.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// Returns the word as a rules file writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownRuleWord;

            fn from_str(word: &str) -> Result<Self, UnknownRuleWord> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownRuleWord {
                        what: $what,
                        word: word.to_owned(),
                        known: Self::WORDS,
                    }),
                }
            }
        }
    };
}

rule_words! {
    /// What may happen to a record on its way, from the loosest to the strictest.
    ///
    /// The greater one wins wherever two meet: `Delivery` is ordered by strictness.
    #[derive(Default)]
    Delivery, "a delivery class" {
        /// Never delays or fails a request; losses are counted.
        #[default]
        BestEffort = "best_effort",
        /// Survives the death of the process once the response was handed on.
        Durable = "durable",
        /// No effect without a record: the request is refused otherwise.
        Strict = "strict",
    }
}

rule_words! {
    /// How much of a request goes into its record.
    #[derive(Default)]
    Level, "a level" {
        /// Nothing: there is no record.
        None = "none",
        /// The fields, no bodies.
        #[default]
        Metadata = "metadata",
        /// The fields and the request body, redacted and bounded.
        Request = "request",
        /// The fields and both bodies, redacted and bounded.
        RequestResponse = "request_response",
    }
}

impl Level {
    /// Says whether the request body is kept.
    #[must_use]
    pub const fn keeps_request(self) -> bool {
        matches!(self, Self::Request | Self::RequestResponse)
    }

    /// Says whether the response body is kept.
    #[must_use]
    pub const fn keeps_response(self) -> bool {
        matches!(self, Self::RequestResponse)
    }
}

rule_words! {
    /// When the record of a request is complete.
    #[derive(Default)]
    FinishPoint, "a finish point" {
        /// At the head where nothing more is learnt later, at the end otherwise.
        #[default]
        Auto = "auto",
        /// When the response head is there.
        Head = "head",
        /// When the response body has ended.
        End = "end",
    }
}

rule_words! {
    /// How sure a mapping is of itself.
    How, "a way of mapping" {
        /// A rule says so.
        Rule = "rule",
        /// A convention that holds for most APIs says so.
        Convention = "convention",
        /// Nothing in the route is known; the best reading was taken.
        Guess = "guess",
    }
}

//! The closed vocabularies of a record: each is stored as the word that `as_str` returns.

use std::{error, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A word that its vocabulary does not contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownWord {
    what: &'static str,
    word: String,
    known: &'static [&'static str],
}

impl fmt::Display for UnknownWord {
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

impl error::Error for UnknownWord {}

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident, $what:literal, $default:ident {
        $($(#[$vmeta:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// Every word, in the order of declaration.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// Returns the word that is stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl Default for $name {
            fn default() -> Self { Self::$default }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(UnknownWord { what: $what, word: word.to_owned(), known: Self::WORDS }),
                }
            }
        }
    };
}

vocabulary! {
    /// Where a record came from.
    Origin, "an origin", Request {
        /// Captured by the layer.
        Request = "request",
        /// Made by the application through the recorder.
        Manual = "manual",
        /// Sent by another service.
        Ingest = "ingest",
        /// Written inside a transaction of the application.
        Transaction = "transaction",
        /// Made by this crate about itself.
        System = "system",
    }
}

vocabulary! {
    /// What kind of fact a record states; permissions and retention follow it.
    Category, "a category", Activity {
        /// Something was done to something.
        Activity = "activity",
        /// Login, logout, credentials.
        Authentication = "authentication",
        /// Roles, settings, policies.
        Administration = "administration",
        /// Consent given or withdrawn.
        Consent = "consent",
        /// Gaps, lifecycle, and access to the log itself.
        System = "system",
    }
}

vocabulary! {
    /// The normalised verb behind the many words that an `action` may be.
    Operation, "an operation", Execute {
        /// A new thing.
        Create = "create",
        /// Looking at a thing.
        Read = "read",
        /// A change of a thing.
        Update = "update",
        /// The end of a thing.
        Delete = "delete",
        /// Proving who one is.
        Authenticate = "authenticate",
        /// Moving a thing from one holder to another.
        Transfer = "transfer",
        /// Bringing a thing back.
        Restore = "restore",
        /// Anything else that is run.
        Execute = "execute",
    }
}

vocabulary! {
    /// How it ended.
    Outcome, "an outcome", Unknown {
        /// It was done.
        Success = "success",
        /// It was refused.
        Denied = "denied",
        /// It was tried and went wrong.
        Failure = "failure",
        /// Nobody waited for the complete answer; side effects may have happened.
        Aborted = "aborted",
        /// Attempted, outcome unknown.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// What kind of party acted.
    ActorType, "an actor type", Anonymous {
        /// A person.
        User = "user",
        /// Another program.
        Service = "service",
        /// An API key or token without a person behind it.
        ApiKey = "api_key",
        /// The application itself.
        System = "system",
        /// Nobody known.
        Anonymous = "anonymous",
        /// A program that acts on a person's behalf by its own decisions.
        Agent = "agent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_themselves() {
        for word in Operation::WORDS {
            assert_eq!(word.parse::<Operation>().unwrap().as_str(), *word);
        }
    }

    #[test]
    fn an_unknown_word_is_named_with_the_known_ones() {
        let text = "succes".parse::<Outcome>().unwrap_err().to_string();
        assert_eq!(
            text,
            "`succes` is not an outcome (one of success, denied, failure, aborted, unknown)"
        );
    }
}

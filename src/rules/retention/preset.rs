//! Policies to begin with.

use std::str::FromStr;

use super::{Keep, Keeps, RetentionError};
use crate::suggest::did_you_mean;

/// A policy that many others begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// Authentication 90 days; activity and administration a year of 365 days; addresses 30 days.
    Default,
    /// A year of 365 days for all three, as PCI DSS 10.5.1 asks for.
    Pci,
    /// Six years of 366 days for all three, as HIPAA 164.316(b)(2) asks for.
    Hipaa,
}

impl Preset {
    /// Every preset's name.
    pub const WORDS: &'static [&'static str] = &["default", "pci", "hipaa"];

    /// Consent, and what the log says of itself, never end by a preset.
    pub(super) const fn keeps(self) -> Keeps {
        let (authentication, others) = match self {
            Self::Default => (90, 365),
            Self::Pci => (365, 365),
            Self::Hipaa => (6 * 366, 6 * 366),
        };
        [
            Keep::Days(others),
            Keep::Days(authentication),
            Keep::Days(others),
            Keep::Forever,
            Keep::Forever,
        ]
    }

    /// How long addresses are kept: where a record has to be whole for years, as long as the record.
    pub(super) const fn addresses(self) -> Keep {
        match self {
            Self::Default => Keep::Days(30),
            Self::Pci | Self::Hipaa => Keep::Forever,
        }
    }
}

impl FromStr for Preset {
    type Err = RetentionError;

    fn from_str(word: &str) -> Result<Self, RetentionError> {
        match word {
            "default" => Ok(Self::Default),
            "pci" => Ok(Self::Pci),
            "hipaa" => Ok(Self::Hipaa),
            _ => {
                let near = did_you_mean(word, Self::WORDS.iter().copied());
                let words = Self::WORDS.join(", ");
                let word = word.escape_debug();
                Err(RetentionError::new(format!("the preset `{word}` is none of {words}{near}")))
            }
        }
    }
}

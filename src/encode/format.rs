//! The formats by name.

use std::{error, fmt, str::FromStr};

/// A format that records are handed out in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Comma-separated values (RFC 4180).
    Csv,
    /// One JSON document: `{"records":[…]}`.
    Json,
    /// One JSON object on each line.
    JsonLines,
    /// One OCSF event on each line.
    Ocsf,
    /// A JSON array of CloudEvents: their batch format.
    CloudEvents,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] =
        [Self::Csv, Self::Json, Self::JsonLines, Self::Ocsf, Self::CloudEvents];

    /// Returns the name that parameters take: `csv`, `json`, `jsonl`, `ocsf` or `cloudevents`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Ocsf => "ocsf",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// Returns the media type, as in a `Content-Type`.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::JsonLines | Self::Ocsf => "application/x-ndjson",
            Self::CloudEvents => "application/cloudevents-batch+json",
        }
    }

    /// Returns how the name of a file ends, without the first dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Ocsf => "ocsf.jsonl",
            Self::CloudEvents => "cloudevents.json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// A name that is no format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Format::ALL.map(Format::as_str).join(", ");
        write!(f, "`{}` is not a format (one of {known})", self.0.escape_debug())
    }
}

impl error::Error for UnknownFormat {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!(
            "xlsx".parse::<Format>().unwrap_err().to_string(),
            "`xlsx` is not a format (one of csv, json, jsonl, ocsf, cloudevents)"
        );
    }
}

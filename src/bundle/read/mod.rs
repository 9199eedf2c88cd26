//! Reading what a log gave away: a bundle, the folder that it was unpacked into, or JSON Lines with proofs.
//!
//! What leaves: the [`Report`] of the same verifier that a log is verified with. Files are read from their beginning to
//! their end, a line at a time; nothing is unpacked, and names are looked up and never followed. What a file says of
//! itself is held to its head.

mod file;
mod lines;
mod text;
mod zipped;

use std::{error, fmt, io, path::Path};

use self::{
    file::Opened,
    text::{AtMost, Lines},
};
use crate::{
    ledger::{
        Trust,
        verify::{Extent, Extract, Head, Report, Source},
    },
    record::Canonical,
};

/// What a file from a log came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// What was found.
    pub report: Report,
    /// What it is of its log.
    pub extent: Extent,
    /// How many records it says were left out, since no checkpoint covered them yet.
    pub later: u64,
    /// How many rows it says were left out, since they could not be read.
    pub unreadable: u64,
}

/// Why a file cannot be verified: it is none that a log gave away, or not whole.
#[derive(Debug)]
pub struct ReadError {
    what: String,
    source: Option<io::Error>,
}

impl ReadError {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    fn reading(name: &str, source: io::Error) -> Self {
        Self { what: format!("{name} cannot be read"), source: Some(source) }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl error::Error for ReadError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| source as &dyn error::Error)
    }
}

/// What a file says of itself: the head at its end, and how much it has.
#[derive(Debug, Default, serde::Deserialize)]
struct Told {
    records: u64,
    entries: u64,
    #[serde(default)]
    later: u64,
    #[serde(default)]
    unreadable: u64,
    #[serde(default)]
    expired: u64,
}

/// Verifies a file that a log gave away; `progress` is told how many records were read, every few thousand.
///
/// Without keys that are trusted, the head counts as what it says. `anchors` are heads from outside, signed notes.
///
/// # Errors
///
/// When it cannot be read, or is no such file. What is wrong with its lines is no error but the result.
pub fn verify(
    path: &Path,
    trust: Option<&Trust>,
    anchors: &[String],
    mut progress: impl FnMut(u64),
) -> Result<Verified, ReadError> {
    let opened = Opened::at(path)?;
    let anchors: Vec<_> = (1..)
        .zip(anchors)
        .map(|(number, note)| Head::read(Source::Anchor, number, note, trust))
        .collect();
    let begin = |note: &str| Extract::new(Head::read(Source::Kept, 1, note, trust), anchors);
    match opened {
        Opened::Lines(path) => lines::verify(&path, begin, &mut progress),
        mut files => zipped::verify(&mut files, begin, &mut progress),
    }
}

/// So often the progress is told.
const OFTEN: u64 = 4_096;
/// No path has more hashes.
const PATH: usize = 64;

/// Ends a verification whose lines were counted.
fn ended(mut extract: Extract, told: &Told, entries: u64, records: u64) -> Verified {
    extract.counts("entries", entries, told.entries);
    extract.counts("records", records, told.records);
    extract.says_expired(told.expired);
    let (report, extent) = extract.finish();
    Verified { report, extent, later: told.later, unreadable: told.unreadable }
}

/// What lines are read with.
#[derive(Debug, Default)]
struct Reading {
    canonical: Canonical,
}

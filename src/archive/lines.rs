//! A file of lines while it is read, hashed as it goes.

use sha2::{Digest as _, Sha256};

use super::{Archive, error::ArchiveError};
use crate::ledger::Hash;

/// So much is read at once.
const PIECE: u64 = 1024 * 1024;
/// No line is longer.
const LONGEST: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Lines {
    archive: Archive,
    name: String,
    size: u64,
    read: u64,
    waiting: Vec<u8>,
    /// Where the next line begins in what waits.
    at: usize,
    hash: Sha256,
}

impl Lines {
    pub(super) async fn open(archive: &Archive, name: &str) -> Result<Self, ArchiveError> {
        let size = archive.size(name).await?;
        Ok(Self {
            archive: archive.clone(),
            name: name.to_owned(),
            size,
            read: 0,
            waiting: Vec::new(),
            at: 0,
            hash: Sha256::new(),
        })
    }

    /// Returns the next line without its end; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, ArchiveError> {
        let mut looked = self.at;
        loop {
            let end = self.waiting[looked..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| looked + end) {
                let line = self.at..end;
                self.at = end + 1;
                return Ok(Some(&self.waiting[line]));
            }
            if self.read == self.size {
                return match self.waiting.len() == self.at {
                    true => Ok(None),
                    false => Err(ArchiveError::unreadable(&self.name, "its last line has no end")),
                };
            }
            self.waiting.drain(..self.at);
            self.at = 0;
            looked = self.waiting.len();
            if looked > LONGEST {
                let why = "a line of it is longer than any that is written";
                return Err(ArchiveError::unreadable(&self.name, why));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), ArchiveError> {
        let to = self.size.min(self.read + PIECE);
        let bytes = self.archive.range(&self.name, self.read..to).await?;
        self.hash.update(&bytes);
        self.waiting.extend_from_slice(&bytes);
        self.read = to;
        Ok(())
    }

    /// Hashes what is left of the file, and returns its size and its hash.
    pub(super) async fn finish(mut self) -> Result<(u64, Hash), ArchiveError> {
        while self.read < self.size {
            self.waiting.clear();
            self.more().await?;
        }
        Ok((self.size, self.hash.finalize().into()))
    }
}

//! Numbers that are missing, written down, so that they are told of in the same words each time.
//!
//! ```text
//! 8 magic "TWACTGAP"   1 version   1 cause   6 zero   8 first missing   8 next present   8 at µs   4 CRC-32C
//! ```

use std::io;

use sha2::{Digest as _, Sha256};

use super::{Number, Secret, stream::Stream};
use crate::{record::WriterId, time::Timestamp};

const MAGIC: [u8; 8] = *b"TWACTGAP";
const VERSION: u8 = 1;
const SIZE: usize = 44;
const SUFFIX: &str = ".gap";

/// Where numbers of a stream are missing, and under which name it goes on.
///
/// In the stream that goes on, number 1 belongs to the record that tells of the gap; the frame
/// `next` has number 2 there, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct Break {
    /// The name of the stream that goes on.
    pub(in crate::pipeline) stream: WriterId,
    pub(in crate::pipeline) first_missing: Number,
    /// The first number behind the gap.
    pub(in crate::pipeline) next: Number,
    pub(in crate::pipeline) cause: Cause,
    /// When the record behind the gap was made, or the gap was found, if nothing is behind it.
    pub(in crate::pipeline) at: Timestamp,
}

/// Why numbers are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Cause {
    /// Frames cannot be read, or a segment is gone.
    Damaged,
    /// They were stored and removed, and then the store lost them.
    Removed,
    /// As for `Damaged`, and how many they are cannot be read either.
    Unreadable,
}

impl Break {
    pub(super) fn new(
        stream: WriterId,
        first_missing: Number,
        next: Number,
        cause: Cause,
        at: Timestamp,
    ) -> Self {
        let digest = digest(b"tower-activity spool stream", stream, first_missing);
        let id = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
        Self { stream: WriterId::new(id.cast_signed()), first_missing, next, cause, at }
    }

    /// Returns how many records are missing; `None` where nobody knows.
    pub(in crate::pipeline) const fn count(&self) -> Option<u64> {
        match self.cause {
            Cause::Unreadable => None,
            Cause::Damaged | Cause::Removed => Some(self.next.abs_diff(self.first_missing)),
        }
    }

    /// Returns what the id of the gap record is drawn from: the same each time.
    pub(in crate::pipeline) fn random(&self) -> [u8; 10] {
        let digest = digest(b"tower-activity spool gap", self.stream, self.first_missing);
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        random
    }

    /// Returns the salts of the gap record: the same each time.
    pub(in crate::pipeline) fn salts(&self, secret: &Secret) -> [[u8; 16]; 4] {
        // No frame has such a number.
        secret.salts(-self.first_missing)
    }

    /// Returns the number, in the stream of the frames, of a position in the stream that goes on.
    pub(super) const fn number(&self, position: Number) -> Number {
        if position <= 1 { self.next - 1 } else { self.next.saturating_add(position - 2) }
    }

    /// Returns the number in the stream that goes on.
    pub(super) const fn seq(&self, number: Number) -> Number {
        number - self.next + 2
    }

    /// Writes the break down.
    pub(super) fn keep(&self, stream: &Stream) -> io::Result<()> {
        let name = format!("{:016x}{SUFFIX}", self.first_missing);
        let path = stream.folder.join(&name);
        let fresh = stream.folder.join(format!("{name}.new"));
        // Left by an attempt that did not end.
        drop(stream.fs.remove_file(&fresh));
        let file = stream.fs.create(&fresh)?;
        file.write_at(&self.encode(), 0)?;
        file.sync_data()?;
        stream.fs.rename(&fresh, &path)?;
        stream.fs.sync_folder(&stream.folder)
    }

    /// Reads the breaks of a stream, in order. Those that cannot be read are found again.
    pub(super) fn read_all(stream: &Stream) -> io::Result<Vec<Self>> {
        let mut breaks = Vec::new();
        for entry in stream.fs.list(&stream.folder)? {
            if !entry.name.ends_with(SUFFIX) {
                continue;
            }
            let file = stream.fs.open(&stream.folder.join(&entry.name))?;
            let mut bytes = [0; SIZE];
            let read = file.read_at(&mut bytes, 0)?;
            match Self::decode(stream.writer_id, &bytes[..read]) {
                Some(known) => breaks.push(known),
                None => tracing::warn!(
                    path = %stream.folder.join(&entry.name).display(),
                    "a note of missing numbers in the spool is damaged; it is made again"
                ),
            }
        }
        breaks.sort_unstable_by_key(|known| known.first_missing);
        Ok(breaks)
    }

    fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = VERSION;
        bytes[9] = match self.cause {
            Cause::Damaged => 0,
            Cause::Removed => 1,
            Cause::Unreadable => 2,
        };
        bytes[16..24].copy_from_slice(&self.first_missing.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.next.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.at.as_micros().to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(stream: WriterId, bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let crc = u32::from_le_bytes(bytes.get(40..SIZE)?.try_into().ok()?);
        if bytes[..8] != MAGIC || bytes[8] != VERSION || crc != crc32c::crc32c(&bytes[..40]) {
            return None;
        }
        let cause = match bytes[9] {
            0 => Cause::Damaged,
            1 => Cause::Removed,
            _ => Cause::Unreadable,
        };
        let (first, next) = (number(16)?, number(24)?);
        (first < next).then_some(())?;
        Some(Self::new(stream, first, next, cause, Timestamp::from_micros(number(32)?)))
    }
}

pub(super) fn digest(label: &[u8], stream: WriterId, first_missing: Number) -> [u8; 32] {
    Sha256::new()
        .chain_update(label)
        .chain_update(stream.get().to_le_bytes())
        .chain_update(first_missing.to_le_bytes())
        .finalize()
        .into()
}

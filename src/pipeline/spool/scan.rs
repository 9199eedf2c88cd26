//! Finding the frames of a segment, the damaged ones and what is behind them.

use std::{io, ops::Range, sync::Arc};

use super::{
    OpenNumber,
    files::File,
    format::{FRAME_HEADER, FRAMES_AT, Head, Kind, Parse, Seed, parse, parse_head},
};
use crate::time::Timestamp;

/// So much is read at once.
const CHUNK: usize = 256 << 10;

/// Walks through the frames of a segment.
#[derive(Debug)]
pub(super) struct Scanner {
    file: Arc<dyn File>,
    seed: Seed,
    /// Where the next frame is looked for.
    at: u64,
    /// Nothing is looked at from here on.
    limit: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

/// What a scanner came upon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Frame(Found),
    /// Bytes that are no frame; the header of the first one, if it could be read.
    Damage {
        bytes: Range<u64>,
        head: Option<Head>,
    },
    /// There is nothing more below the limit.
    End,
}

/// A good frame; its record is read with [`Scanner::record`] until the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) ends: OpenNumber,
    pub(super) recorded_at: Timestamp,
    /// Where the frame begins.
    pub(super) at: u64,
    /// Bytes of the whole frame.
    pub(super) size: usize,
    record: usize,
}

impl Scanner {
    /// Begins at the first frame of a segment; `limit` is how far the file is to be read.
    pub(super) fn new(file: Arc<dyn File>, seed: Seed, limit: u64) -> Self {
        Self { file, seed, at: FRAMES_AT, limit, buffer: Vec::new(), buffer_at: 0 }
    }

    /// Goes on from a place where a frame is known to begin.
    pub(super) fn jump(&mut self, at: u64) {
        self.at = at;
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes the next step. After an error the same step can be taken again.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        let at = self.at;
        if at >= self.limit {
            return Ok(Step::End);
        }
        let seed = self.seed;
        let mut want = FRAME_HEADER;
        loop {
            let bytes = self.window(at, want)?;
            match parse(seed, bytes) {
                Parse::Frame(frame) => {
                    let found = Found {
                        kind: frame.head.kind,
                        number: frame.head.number,
                        ends: frame.ends,
                        recorded_at: frame.recorded_at,
                        at,
                        size: frame.head.size,
                        record: frame.record.len(),
                    };
                    self.at = at + found.size as u64;
                    return Ok(Step::Frame(found));
                }
                Parse::Short(size) if size > want => want = size,
                // The file ends within the frame.
                Parse::Short(_) => {
                    let head = bytes.get(..FRAME_HEADER).and_then(|b| parse_head(seed, b));
                    return self.damage(at, head);
                }
                Parse::Blank => {
                    return match self.first_set(at)? {
                        Some(set) => {
                            // A header may begin with a zero or two.
                            let from = set.saturating_sub(FRAME_HEADER as u64).max(at + 1);
                            self.resync(at, from, None)
                        }
                        // The file is longer than what is in it: the disk did not keep something.
                        None => {
                            self.at = self.limit;
                            Ok(Step::Damage { bytes: at..self.limit, head: None })
                        }
                    };
                }
                Parse::Broken(head) => return self.damage(at, head),
            }
        }
    }

    /// Returns the record of the frame that the last step found.
    pub(super) fn record(&self, found: &Found) -> &[u8] {
        let end = (found.at - self.buffer_at) as usize + found.size;
        &self.buffer[end - found.record..end]
    }

    /// Returns the bytes of the whole frame that the last step found.
    pub(super) fn frame(&self, found: &Found) -> &[u8] {
        let start = (found.at - self.buffer_at) as usize;
        &self.buffer[start..start + found.size]
    }

    fn damage(&mut self, at: u64, head: Option<Head>) -> io::Result<Step> {
        // Where the header is good, its frame ends where it says, if what follows agrees.
        if let Some(head) = head {
            let next = at + head.size as u64;
            if next <= self.limit {
                let seed = self.seed;
                let bytes = self.window(next, FRAME_HEADER)?;
                let agrees = bytes.is_empty()
                    || bytes.iter().take(FRAME_HEADER).all(|byte| *byte == 0)
                    || (bytes.len() >= FRAME_HEADER && parse_head(seed, bytes).is_some());
                if agrees {
                    self.at = next;
                    return Ok(Step::Damage { bytes: at..next, head: Some(head) });
                }
            }
        }
        self.resync(at, at + 1, head)
    }

    /// Looks for the next good frame, byte by byte.
    fn resync(&mut self, damaged: u64, from: u64, head: Option<Head>) -> io::Result<Step> {
        let seed = self.seed;
        let mut at = from;
        while at < self.limit {
            let bytes = self.window(at, CHUNK)?;
            if bytes.len() < FRAME_HEADER {
                break;
            }
            let place = (0..=bytes.len() - FRAME_HEADER)
                .find_map(|skip| Some((skip, parse_head(seed, &bytes[skip..])?)));
            match place {
                None => at += (bytes.len() - FRAME_HEADER + 1) as u64,
                Some((skip, candidate)) => {
                    at += skip as u64;
                    let bytes = self.window(at, candidate.size)?;
                    if matches!(parse(seed, bytes), Parse::Frame(_)) {
                        self.at = at;
                        return Ok(Step::Damage { bytes: damaged..at, head });
                    }
                    at += 1;
                }
            }
        }
        self.at = self.limit;
        Ok(Step::Damage { bytes: damaged..self.limit, head })
    }

    /// Returns where the first byte stands, from `at` on, that is not zero.
    fn first_set(&mut self, mut at: u64) -> io::Result<Option<u64>> {
        while at < self.limit {
            let bytes = self.window(at, CHUNK)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(skip) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + skip as u64));
            }
            at += bytes.len() as u64;
        }
        Ok(None)
    }

    /// Returns what stands from `at` on: `want` bytes or more, fewer only before the limit.
    fn window(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let have = self.buffer_at + self.buffer.len() as u64;
        let until = (at + want as u64).min(self.limit);
        if at < self.buffer_at || until > have {
            if at >= self.buffer_at && at < have {
                self.buffer.drain(..(at - self.buffer_at) as usize);
            } else {
                self.buffer.clear();
            }
            self.buffer_at = at;
            let kept = self.buffer.len();
            let target = (want.max(CHUNK) as u64).min(self.limit.saturating_sub(at)) as usize;
            if target <= CHUNK && self.buffer.capacity() > 4 * CHUNK {
                self.buffer.shrink_to(CHUNK);
            }
            self.buffer.resize(target.max(kept), 0);
            let mut filled = kept;
            while filled < self.buffer.len() {
                match self.file.read_at(&mut self.buffer[filled..], at + filled as u64) {
                    Ok(0) => {
                        // Shorter than it was said to be: what is missing is not there.
                        self.limit = at + filled as u64;
                        break;
                    }
                    Ok(read) => filled += read,
                    Err(error) => {
                        self.buffer.truncate(filled);
                        return Err(error);
                    }
                }
            }
            self.buffer.truncate(filled);
        }
        let from = ((at - self.buffer_at) as usize).min(self.buffer.len());
        Ok(&self.buffer[from..])
    }
}

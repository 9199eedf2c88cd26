//! From one segment to the next.

use std::io;

use super::{Open, Reader};
use crate::pipeline::spool::{
    SpoolError,
    format::{FRAMES_AT, HeaderError},
    scan::Scanner,
    stream::{Content, Segment, Stream},
};

/// What there is to read next.
pub(super) enum Chosen {
    Opened,
    /// There are segments, and no header of any of them can be read.
    Unreadable,
    Nothing,
}

impl Reader {
    /// The segment has been read to its end: goes on to the next one, if there is one to go to.
    pub(super) fn advance(&mut self) -> Result<bool, SpoolError> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let here = open.number;
        self.stream.learn_content(here).map_err(|error| failed(&self.stream, here, error))?;
        let mut segments = self.stream.segments();
        let Some(at) = segments.list.iter().position(|segment| segment.number == here) else {
            // Removed while it was read: all of it was acknowledged.
            drop(segments);
            self.open = None;
            return Ok(true);
        };
        let segment = &segments.list[at];
        if segment.end > open.scanner.limit() && !self.is_old {
            open.scanner.set_limit(segment.end);
            open.is_torn = false;
            return Ok(true);
        }
        let is_whole = segment.closed && segment.end >= segment.bytes;
        let next = segments.list.get(at + 1).map(|next| next.number);
        let Some(next) = next else {
            if !self.is_old {
                return Ok(false);
            }
            let is_torn = std::mem::take(&mut open.is_torn);
            let next = self.next;
            segments.list[at].last.get_or_insert(next - 1);
            segments.is_read = true;
            self.stream.settle(&mut segments, self.core.clock.monotonic());
            drop(segments);
            // Who removes it may be asleep: nothing has to be appended any more for it to go.
            self.core.sync.tidy();
            if is_torn {
                self.quarantine(here);
            }
            return Ok(self.end());
        };
        drop(segments);
        self.stream.learn_content(next).map_err(|error| failed(&self.stream, next, error))?;
        let segments = self.stream.segments();
        let follows = segments
            .list
            .iter()
            .find(|segment| segment.number == next)
            .and_then(|segment| segment.first())
            .is_some_and(|first| first <= self.next);
        drop(segments);
        if self.is_old || is_whole || follows {
            if self.open.as_ref().is_some_and(|open| open.is_torn) && !follows {
                self.quarantine(here);
            }
            self.open_segment(next)?;
            return Ok(true);
        }
        // Closed and not synced yet.
        Ok(false)
    }

    /// Opens the segment that the next number is in, or the first one there is.
    pub(super) fn choose(&mut self) -> Result<Chosen, SpoolError> {
        self.learn_firsts()?;
        self.stream.refuse_later()?;
        let segments = self.stream.segments();
        let holds = |segment: &&Segment| segment.first().is_some_and(|first| first <= self.next);
        let chosen = segments
            .list
            .iter()
            .rev()
            .find(holds)
            .or_else(|| segments.list.front())
            .map(|segment| segment.number);
        let (has_secret, has_bytes) =
            (segments.secret.is_some(), segments.list.iter().any(|segment| segment.bytes > 0));
        let is_told = !segments.breaks.is_empty();
        drop(segments);
        match chosen {
            Some(number) if has_secret => {
                self.open_segment(number)?;
                Ok(Chosen::Opened)
            }
            Some(number) if has_bytes && !is_told => {
                self.quarantine(number);
                Ok(Chosen::Unreadable)
            }
            _ => {
                let mut segments = self.stream.segments();
                segments.is_read = self.is_old;
                if self.is_old && !has_secret {
                    // Nobody can read it, now or later; what there was of it is in the quarantine.
                    let last = self.next - 1;
                    segments.list.iter_mut().for_each(|segment| segment.last = Some(last));
                    self.stream.settle(&mut segments, self.core.clock.monotonic());
                }
                Ok(Chosen::Nothing)
            }
        }
    }

    pub(super) fn learn_firsts(&self) -> Result<(), SpoolError> {
        let unknown: Vec<u64> = {
            let segments = self.stream.segments();
            let unknown = segments.list.iter().filter(|s| s.content == Content::Unknown);
            unknown.map(|segment| segment.number).collect()
        };
        for number in unknown {
            self.stream
                .learn_content(number)
                .map_err(|error| failed(&self.stream, number, error))?;
        }
        Ok(())
    }

    pub(super) fn open_segment(&mut self, number: u64) -> Result<(), SpoolError> {
        self.stream.learn_content(number).map_err(|error| failed(&self.stream, number, error))?;
        let segments = self.stream.segments();
        let Some(segment) = segments.list.iter().find(|segment| segment.number == number) else {
            self.open = None;
            return Ok(());
        };
        let (content, end) = (segment.content, segment.end);
        self.tail.segment(segment);
        let seed = segments.secret.map(|secret| secret.seed());
        drop(segments);
        let limit = match content {
            Content::Later(version) => {
                return Err(SpoolError::said(
                    "read",
                    self.stream.path(number),
                    format!("it was written by a later version of this crate (format {version})"),
                ));
            }
            // Another segment's copy: nothing in it counts.
            Content::Foreign => 0,
            _ => end,
        };
        if matches!(content, Content::Foreign | Content::Headless) && end > FRAMES_AT {
            self.quarantine(number);
        }
        let Some(seed) = seed else { return Ok(()) };
        let file = self
            .stream
            .fs
            .open(&self.stream.path(number))
            .map_err(|error| failed(&self.stream, number, error))?;
        if self.is_old {
            // What is read is on the disk: the process that wrote it may have died before it synced.
            file.sync_data().map_err(|error| failed(&self.stream, number, error))?;
        }
        let scanner = Scanner::new(file, seed, limit);
        self.open = Some(Open { number, scanner, is_torn: false });
        Ok(())
    }
}

pub(super) fn failed(stream: &Stream, segment: u64, error: io::Error) -> SpoolError {
    SpoolError::io("read", stream.path(segment), error)
}

impl From<HeaderError> for Content {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Blank => Self::Blank,
            HeaderError::Damaged => Self::Headless,
            HeaderError::Foreign => Self::Foreign,
            HeaderError::Version(version) => Self::Later(version),
        }
    }
}

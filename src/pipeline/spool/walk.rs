//! Through all frames of an old stream: what was begun in it and did not end, and what it would be numbered.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    Number, OpenNumber,
    append::Place,
    format::{self, Kind},
    scan::{Found, Scanner, Step},
    stream::{Content, Stream},
};
use crate::time::Timestamp;

/// So many opens that cannot be read are kept track of.
const MAX_LOST: usize = 1 << 16;

/// What a walk through all frames has come to.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) opens: BTreeMap<OpenNumber, Place>,
    pub(super) lost: BTreeSet<OpenNumber>,
    /// Known by a header alone: lost for certain.
    pub(super) unreadable: BTreeSet<OpenNumber>,
    pub(super) next: Option<Number>,
    pub(super) next_open: Option<OpenNumber>,
    pub(super) is_holed: bool,
    /// The last record that can be read.
    pub(super) last: Option<(Number, Place)>,
    /// When the last sign of the process was written.
    pub(super) at: Timestamp,
}

impl Walk {
    /// Reads the frames of a segment, behind those of the segments before.
    pub(super) fn segment(
        &mut self,
        stream: &Stream,
        number: u64,
        seed: format::Seed,
        is_last: bool,
    ) -> io::Result<()> {
        let (content, end) = {
            let segments = stream.segments();
            let Some(segment) = segments.list.iter().find(|s| s.number == number) else {
                return Ok(());
            };
            (segment.content, segment.end)
        };
        match content {
            Content::Foreign => return Ok(()),
            Content::Later(version) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("a later version of this crate wrote it (format {version})"),
                ));
            }
            Content::From(first) => {
                let header = stream.header(number)?.ok();
                self.at = self.at.max(header.map_or(self.at, |header| header.created_at));
                if self.next.is_none() {
                    self.next = Some(first);
                    self.next_open = header.map(|header| header.first_open).or(Some(1));
                }
            }
            _ => {}
        }
        let file = stream.fs.open(&stream.path(number))?;
        // What follows from it must not come before it onto the disk.
        file.sync_data()?;
        let mut scanner = Scanner::new(file, seed, end);
        loop {
            match scanner.step()? {
                Step::Frame(found) => {
                    self.frame(&found, Place { segment: number, at: found.at });
                }
                Step::Damage { bytes, head } => {
                    let is_tail = is_last && bytes.end >= scanner.limit();
                    self.damage(head, is_tail);
                    if is_tail {
                        tracing::warn!(
                            path = %stream.path(number).display(),
                            bytes = bytes.end - bytes.start,
                            "the last frame of a spool is torn"
                        );
                    }
                }
                Step::End => return Ok(()),
            }
        }
    }

    fn frame(&mut self, found: &Found, place: Place) {
        let Found { kind, number, ends, recorded_at, .. } = *found;
        self.at = self.at.max(recorded_at);
        match kind {
            Kind::Open => {
                self.opened(number);
                self.lost.remove(&number);
                self.unreadable.remove(&number);
                self.opens.insert(number, place);
            }
            Kind::Carried => {
                self.lost.remove(&number);
                self.unreadable.remove(&number);
                self.opens.insert(number, place);
            }
            Kind::Cancel => self.ended(number),
            Kind::Record => {
                self.ended(ends);
                let number = number.cast_signed();
                if self.last.is_none_or(|(last, _)| last <= number) {
                    self.last = Some((number, place));
                }
                let next = self.next.get_or_insert(1);
                self.is_holed |= number > *next;
                *next = (*next).max(number.saturating_add(1));
            }
        }
    }

    fn damage(&mut self, head: Option<(Kind, u64)>, is_tail: bool) {
        match head {
            Some((Kind::Open, number)) => {
                self.opened(number);
                self.unreadable.insert(number);
                self.lose(number);
            }
            // As the reader sees it, see `torn_end`.
            Some((Kind::Record, number)) if is_tail => {
                let next = self.next.get_or_insert(1);
                *next = (*next).max(number.cast_signed().saturating_add(1));
            }
            None if is_tail => *self.next.get_or_insert(1) += 1,
            _ => {}
        }
    }

    /// An open with this number was begun; all before it were, too.
    fn opened(&mut self, number: OpenNumber) {
        let next = self.next_open.get_or_insert(1);
        let missing = *next..number;
        *next = (*next).max(number.saturating_add(1));
        for number in missing.take(MAX_LOST) {
            self.lose(number);
        }
    }

    fn lose(&mut self, number: OpenNumber) {
        if self.lost.len() < MAX_LOST {
            self.lost.insert(number);
        }
    }

    fn ended(&mut self, number: OpenNumber) {
        if number == 0 {
            return;
        }
        // What ended was begun, also where its open cannot be read: a later open must not tell of it.
        self.opened(number);
        self.opens.remove(&number);
        self.lost.remove(&number);
        self.unreadable.remove(&number);
    }
}

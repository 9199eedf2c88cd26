//! Through all frames of an old stream: what was begun in it and did not end, and what it would be numbered.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    Number, OpenNumber,
    active::Place,
    format::{self, Head, Kind},
    scan::{Found, Scanner, Step},
    stream::{Content, Stream},
    tail::{End, Tail},
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
    tail: Tail,
}

impl Walk {
    /// Reads the frames of a segment, behind those of the segments before.
    pub(super) fn segment(
        &mut self,
        stream: &Stream,
        number: u64,
        seed: format::Seed,
    ) -> io::Result<()> {
        let (content, end) = {
            let segments = stream.segments();
            let Some(segment) = segments.list.iter().find(|s| s.number == number) else {
                return Ok(());
            };
            self.tail.segment(segment);
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
                let first_open = header.map_or(1, |header| header.first_open);
                self.is_holed |= self.next.is_some_and(|next| next < first);
                self.next = self.next.max(Some(first));
                match self.next_open {
                    None => self.next_open = Some(first_open),
                    Some(_) => self.opened_before(first_open),
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
                    self.tail.damage(&bytes, head);
                    if let Some(Head { kind: Kind::Open, number, .. }) = head {
                        self.opened(number);
                        self.unreadable.insert(number);
                        self.lose(number);
                    }
                    if bytes.end >= scanner.limit() {
                        tracing::warn!(
                            path = %stream.path(number).display(),
                            bytes = bytes.end - bytes.start,
                            "the last frame of a segment of the spool is torn"
                        );
                    }
                }
                Step::End => return Ok(()),
            }
        }
    }

    /// Returns where the stream ends, once all segments were walked through.
    pub(super) fn end(&mut self) -> End {
        let end = self.tail.end(self.next.unwrap_or(1));
        self.is_holed |= end.is_vague || self.next.is_some_and(|next| next < end.next);
        end
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
                self.tail.record(number);
                if self.last.is_none_or(|(last, _)| last <= number) {
                    self.last = Some((number, place));
                }
                let next = self.next.get_or_insert(1);
                self.is_holed |= number > *next;
                *next = (*next).max(number.saturating_add(1));
            }
        }
    }

    /// An open with this number was begun; all before it were, too.
    fn opened(&mut self, number: OpenNumber) {
        self.opened_before(number);
        let next = self.next_open.get_or_insert(1);
        *next = (*next).max(number.saturating_add(1));
    }

    /// All opens with lower numbers were begun.
    fn opened_before(&mut self, number: OpenNumber) {
        let next = self.next_open.get_or_insert(1);
        let missing = *next..number;
        *next = (*next).max(number);
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

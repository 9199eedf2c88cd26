//! The end of a stream that has no last word: how far its numbers went, as far as the files tell.
//!
//! Numbers tell how many records are missing before a record, or before a header, since both are numbered by the process
//! that wrote them. Behind the last of these, damage says only that there was something. Whoever goes through all
//! segments of a stream in order comes to the same end.

use std::ops::Range;

use super::{
    Cause, Number,
    format::{FRAME_HEADER, FRAMES_AT, Head, Kind},
    stream::{Content, Segment},
};

#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Every number before this one was given out.
    next: Option<Number>,
    /// What cannot be read behind the last number that is known.
    torn: Option<Torn>,
    /// The last number that is known was a guess.
    is_guessed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Torn {
    /// The first of it, if its header can be read.
    head: Option<(Kind, u64)>,
    /// It may be more than one frame.
    is_more: bool,
}

impl Tail {
    /// A segment begins, behind those before it.
    pub(super) fn segment(&mut self, segment: &Segment) {
        match segment.content {
            // What was torn before it is here again, or its numbers are missing.
            Content::From(first) => {
                self.know(first);
                self.is_guessed = segment.is_guessed;
            }
            // Whatever was here, another segment was written over it.
            Content::Foreign if segment.end > FRAMES_AT => self.tear(None, true),
            _ => {}
        }
    }

    pub(super) fn record(&mut self, number: Number) {
        self.know(number.saturating_add(1));
        self.is_guessed = false;
    }

    pub(super) fn damage(&mut self, bytes: &Range<u64>, head: Option<Head>) {
        let one = head.map_or(FRAME_HEADER as u64 - 1, |head| head.size as u64);
        self.tear(head.map(|head| (head.kind, head.number)), bytes.end - bytes.start > one);
    }

    fn know(&mut self, next: Number) {
        self.next = self.next.max(Some(next));
        self.torn = None;
    }

    fn tear(&mut self, head: Option<(Kind, u64)>, is_more: bool) {
        self.torn = Some(match self.torn {
            Some(torn) => Torn { is_more: true, ..torn },
            None => Torn { head, is_more },
        });
    }

    /// Returns the first number that was not given out, as far as that is known, and whether records are missing whose
    /// numbers are not. `otherwise` is for a stream of which nothing is known.
    pub(super) fn end(&self, otherwise: Number) -> End {
        let next = self.next.unwrap_or(otherwise);
        let (next, is_vague) = match self.torn {
            None => (next, self.is_guessed),
            Some(Torn { head: Some((Kind::Record, number)), is_more }) => {
                (next.max(number.cast_signed().saturating_add(1)), is_more)
            }
            // An open that cannot be read is told of as such.
            Some(Torn { head: Some(_), is_more: false }) => (next, false),
            // A number stands for all of it.
            Some(Torn { is_more, .. }) => (next + 1, is_more),
        };
        End { next, is_vague }
    }
}

/// Where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) next: Number,
    /// More may be missing than the numbers say.
    pub(super) is_vague: bool,
}

impl End {
    pub(super) const fn cause(self) -> Cause {
        if self.is_vague { Cause::Unreadable } else { Cause::Damaged }
    }
}

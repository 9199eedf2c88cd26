//! Numbers that are missing, as a reader comes upon them.

use std::sync::atomic::Ordering;

use super::Reader;
use crate::{
    pipeline::spool::{Break, Cause, Number, SpoolError, scan::Found, stream::Segment},
    time::Timestamp,
};

impl Reader {
    /// A record stands where an earlier one should: looks for that further on, and else breaks the stream.
    pub(super) fn missing(&mut self, found: &Found) -> Result<(), SpoolError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        // It is read again, as the first of what goes on.
        open.scanner.jump(found.at);
        let here = open.number;
        self.learn_firsts()?;
        let segments = self.stream.segments();
        let later = segments
            .list
            .iter()
            .rev()
            .take_while(|segment| segment.number > here)
            .find(|segment| segment.first().is_some_and(|first| first <= self.next))
            .map(|segment| segment.number);
        // Segments go from the front, once they are stored.
        let is_removed = segments.list.front().is_some_and(|segment| {
            segment.number > 1 && segment.first().is_some_and(|first| first > self.next)
        });
        let here_now = segments.list.iter().find(|segment| segment.number == here);
        // The first record of a segment may have been numbered by whoever could not know how many there were before it.
        let guess = here_now.filter(|here| here.is_guessed).and_then(Segment::first);
        let is_guess = |number| guess == Some(number);
        drop(segments);
        if let Some(later) = later {
            return self.open_segment(later);
        }
        if !is_removed {
            self.quarantine(here);
        }
        let number = found.number.cast_signed();
        let cause = match (is_removed, is_guess(number)) {
            (true, _) => Cause::Removed,
            (false, true) => Cause::Unreadable,
            (false, false) => Cause::Damaged,
        };
        self.note_break(number, found.recorded_at, cause);
        Ok(())
    }

    /// Takes note that the numbers from the next one to `present` are missing.
    pub(super) fn note_break(&mut self, present: Number, at: Timestamp, cause: Cause) {
        let fresh = Break::new(self.stream.writer_id, self.next, present, cause, at);
        tracing::error!(
            path = %self.stream.folder.display(),
            first_missing = fresh.first_missing,
            is_unreadable = fresh.cause == Cause::Unreadable,
            count = fresh.count().unwrap_or(0),
            "records are missing in the spool; the stream goes on under another name"
        );
        let kept = fresh.keep(&self.stream);
        let mut segments = self.stream.segments();
        if let Err(error) = kept {
            // It is found again as long as no segment goes.
            segments.hold = true;
            self.core.report("note what is missing in", &error);
        }
        let at = segments.breaks.partition_point(|b| b.first_missing < fresh.first_missing);
        segments.breaks.insert(at, fresh);
    }

    pub(super) fn break_at_next(&self) -> Option<Break> {
        let segments = self.stream.segments();
        segments.breaks.iter().find(|known| known.first_missing == self.next).copied()
    }

    /// An old stream has been read to its end: tells whether records are missing there, and takes note of it.
    pub(super) fn end(&mut self) -> bool {
        let end = self.tail.end(self.next);
        if end.next <= self.next {
            return false;
        }
        let now = self.core.clock.now();
        self.note_break(end.next, now, end.cause());
        true
    }

    /// Copies a damaged segment aside, once.
    pub(super) fn quarantine(&self, number: u64) {
        let mut segments = self.stream.segments();
        let Some(segment) = segments.list.iter_mut().find(|segment| segment.number == number)
        else {
            return;
        };
        if std::mem::replace(&mut segment.quarantined, true) {
            return;
        }
        drop(segments);
        match self.stream.copy_aside(number) {
            Ok(true) => {
                self.core.quarantined.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    path = %self.stream.path(number).display(),
                    "a segment of the spool is damaged; a copy of it is kept in quarantine"
                );
            }
            Ok(false) => {}
            Err(error) => {
                // The original stays instead.
                self.stream.segments().hold = true;
                self.core.report("keep a copy of", &error);
            }
        }
    }
}

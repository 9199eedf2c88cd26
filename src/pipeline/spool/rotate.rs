//! From one segment that is written to the next, and what a failed write leaves.

use std::io;

use super::{
    Core, Number, OpenNumber, Refused,
    active::{Active, Current},
    format::{FRAMES_AT, SegmentHeader},
    stream::{Content, Segment},
};

impl Core {
    /// Closes the segment and begins the next one, with the file that was made ahead if there is one.
    pub(super) fn rotate(&self, active: &mut Active) -> io::Result<()> {
        let (next, next_open) = (active.next, active.next_open);
        let fresh = self.make_segment(active, next, next_open)?;
        if let Some(old) = active.current.replace(fresh) {
            self.close_segment(&old, next - 1);
            active.closed.push(old);
        }
        Ok(())
    }

    /// Makes the next segment, with its header.
    pub(super) fn make_segment(
        &self,
        active: &mut Active,
        first: Number,
        first_open: OpenNumber,
    ) -> io::Result<Current> {
        let (number, file) = match active.spare.take() {
            Some(spare) => spare,
            None => {
                let number = active.next_segment;
                // A number is used once, also where making the file fails halfway.
                active.next_segment += 1;
                let file = self.fs.create(&self.stream.path(number))?;
                active.names = true;
                (number, file)
            }
        };
        let header = SegmentHeader {
            writer_id: self.stream.writer_id,
            segment: number,
            first,
            first_open,
            is_guessed: false,
            created_at: self.clock.now(),
            secret: self.secret,
        };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            // Without a header it would be taken for damage.
            drop(self.fs.remove_file(&self.stream.path(number)));
            return Err(error);
        }
        let mut segment = Segment::new(number, Content::From(first), FRAMES_AT);
        segment.created_at = Some(header.created_at);
        self.stream.segments().list.push_back(segment);
        self.room.took(FRAMES_AT);
        Ok(Current { number, file, end: FRAMES_AT })
    }

    /// Takes note that nothing more is written to a segment.
    pub(super) fn close_segment(&self, current: &Current, last: Number) {
        let mut segments = self.stream.segments();
        if let Some(segment) =
            segments.list.iter_mut().find(|segment| segment.number == current.number)
        {
            segment.closed = true;
            segment.last = Some(last);
            segment.bytes = current.end;
        }
        self.stream.settle(&mut segments, self.clock.monotonic());
    }

    /// Cuts what a failed write may have left behind. A segment that cannot be cut is left for a new one.
    pub(super) fn cut(&self, active: &mut Active) {
        let Some(current) = &active.current else { return };
        if let Err(error) = current.file.set_len(current.end) {
            tracing::error!(
                path = %self.stream.path(current.number).display(),
                %error,
                "a segment of the spool could not be cut after a failed write; it is left for a new one"
            );
            if self.rotate(active).is_err()
                && let Some(old) = active.current.take()
            {
                self.close_segment(&old, active.next - 1);
                active.closed.push(old);
            }
        }
    }

    /// Says aloud that the file system failed, and how that is told to whoever appends.
    pub(super) fn failed(&self, doing: &'static str, error: &io::Error) -> Refused {
        self.report(doing, error);
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => {
                self.want_space();
                Refused::NoSpace
            }
            _ => Refused::Failed,
        }
    }

    /// Has the thread look for space on the disk, unless it does since an earlier refusal: whoever waits is told each time
    /// it has looked, and comes again at once.
    pub(super) fn want_space(&self) {
        if self.room.begin_want() {
            self.sync.tidy();
        }
    }

    /// Says aloud, not more than once a second, that the file system failed.
    pub(super) fn report(&self, doing: &'static str, error: &io::Error) {
        if self.errors.admit(self.clock.monotonic()) {
            let path = self.stream.folder.display();
            tracing::error!(%path, %error, "the spool could not {doing} a segment");
        }
    }
}

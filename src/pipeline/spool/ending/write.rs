//! A segment of its own for the last words of a stream.

use std::{io, sync::atomic::Ordering};

use super::Ending;
use crate::{
    pipeline::spool::{
        OpenNumber, SpoolError,
        active::Current,
        format::{self, FRAMES_AT, Kind, SegmentHeader},
        stream::{Content, Segment},
    },
    time::Timestamp,
};

impl Ending {
    /// Writes the record that ends an open, with the next number of the stream.
    ///
    /// # Errors
    ///
    /// It could not be written. A next attempt begins with another [`OldStream::ending`].
    pub(in crate::pipeline) fn end(
        &mut self,
        open: OpenNumber,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), SpoolError> {
        self.frame.clear();
        self.push_record(open, recorded_at, record);
        self.write()
    }

    /// Writes a record that tells of [`lost`](Self::lost) opens; they are not found again.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(in crate::pipeline) fn tell_lost(
        &mut self,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), SpoolError> {
        self.frame.clear();
        self.push_record(0, recorded_at, record);
        for open in std::mem::take(&mut self.lost) {
            if let Some(seed) = self.seed {
                format::encode(seed, Kind::Cancel, open, 0, recorded_at, &[], &mut self.frame);
            }
        }
        self.write()
    }

    /// Writes the last record of the stream, see [`end_of_stream`](Self::end_of_stream).
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(in crate::pipeline) fn close(
        &mut self,
        recorded_at: Timestamp,
        record: &[u8],
    ) -> Result<(), SpoolError> {
        self.end(0, recorded_at, record)
    }

    /// Brings onto the disk what was written; the stream can be read then.
    ///
    /// # Errors
    ///
    /// As [`end`](Self::end).
    pub(in crate::pipeline) fn finish(mut self) -> Result<(), SpoolError> {
        if let Some(current) = self.file.take() {
            let path = self.stream.path(current.number);
            current
                .file
                .sync_data()
                .and_then(|()| self.stream.fs.sync_folder(&self.stream.folder))
                .map_err(|error| SpoolError::io("sync", path, error))?;
        }
        self.stream.segments().is_settled = true;
        Ok(())
    }

    fn push_record(&mut self, open: OpenNumber, recorded_at: Timestamp, record: &[u8]) {
        if let Some(seed) = self.seed {
            let number = self.next.cast_unsigned();
            format::encode(seed, Kind::Record, number, open, recorded_at, record, &mut self.frame);
        }
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        let Some(secret) = self.secret else { return Ok(()) };
        if self.file.is_none() {
            self.begin(secret)
                .map_err(|error| SpoolError::io("add to", &self.stream.folder, error))?;
        }
        let Some(current) = &mut self.file else { return Ok(()) };
        if let Err(error) = current.file.write_at(&self.frame, current.end) {
            // Half a frame would be told of as a record that is missing.
            drop(current.file.set_len(current.end));
            return Err(SpoolError::io("write to", self.stream.path(current.number), error));
        }
        let size = self.frame.len() as u64;
        current.end += size;
        self.next += 1;
        self.stream.room.took(size);
        let mut segments = self.stream.segments();
        if let Some(segment) = segments.list.iter_mut().find(|s| s.number == current.number) {
            segment.end = current.end;
            segment.bytes = current.end;
            segment.last = Some(self.next - 1);
        }
        Ok(())
    }

    /// Begins a segment behind the last one.
    fn begin(&mut self, secret: format::Secret) -> io::Result<()> {
        let number = self.segment;
        // A number is used once, also where making the file fails halfway.
        self.segment += 1;
        let file = self.stream.fs.create(&self.stream.path(number))?;
        let header = SegmentHeader {
            writer_id: self.stream.writer_id,
            segment: number,
            first: self.next,
            first_open: self.next_open,
            is_guessed: self.is_vague,
            created_at: self.core.clock.now(),
            secret,
        };
        if let Err(error) = file.write_at(&header.encode(), 0) {
            drop(self.stream.fs.remove_file(&self.stream.path(number)));
            return Err(error);
        }
        let mut segment = Segment::new(number, Content::From(self.next), FRAMES_AT);
        segment.closed = true;
        segment.is_guessed = self.is_vague;
        segment.last = Some(self.next - 1);
        self.stream.segments().list.push_back(segment);
        self.stream.room.owed.fetch_add(FRAMES_AT, Ordering::Relaxed);
        self.file = Some(Current { number, file, end: FRAMES_AT });
        Ok(())
    }
}

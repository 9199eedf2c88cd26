//! A bounded copy of the beginning of a body.

use std::io::IoSlice;

use bytes::Buf;

/// Copies of bodies above this many bytes are given back when a cell returns to its pool.
const KEPT_CAPACITY: usize = 16 * 1024;

/// What was copied of a body while somebody else read it.
#[derive(Debug, Default)]
pub(super) struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    /// More came than was wanted, or the body was not read to its end.
    cut: bool,
    ended: bool,
    pub(super) content_type: String,
}

impl Capture {
    /// Begins to copy up to `limit` bytes.
    pub(super) const fn start(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) const fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Copies what fits of a frame, without consuming it.
    pub(super) fn copy(&mut self, data: &impl Buf) {
        // A frame of more pieces than this would be a rope; what is left of it counts as cut.
        let mut slices = [IoSlice::new(&[]); 16];
        let pieces = data.chunks_vectored(&mut slices);
        let mut seen = 0;
        for slice in slices.iter().take(pieces) {
            seen += slice.len();
            let room = self.limit.saturating_sub(self.bytes.len());
            let fits = &slice[..slice.len().min(room)];
            self.bytes.extend_from_slice(fits);
            self.cut |= fits.len() < slice.len();
        }
        self.cut |= seen < data.remaining();
    }

    /// Notes that the body was read to its end.
    pub(super) const fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Tells whether the copy is the whole body.
    pub(super) const fn is_whole(&self) -> bool {
        self.ended && !self.cut
    }

    pub(super) fn reset(&mut self) {
        if self.bytes.capacity() > KEPT_CAPACITY {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
        self.content_type.clear();
        self.limit = 0;
        self.cut = false;
        self.ended = false;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_copy_is_bounded_and_says_that_it_was_cut() {
        let mut capture = Capture::default();
        capture.start(5);
        capture.copy(&Bytes::from_static(b"abc"));
        capture.end();
        assert!(capture.is_whole());
        let rope = Bytes::from_static(b"d").chain(Bytes::from_static(b"efg"));
        capture.copy(&rope);
        assert_eq!(capture.bytes(), b"abcde");
        assert!(!capture.is_whole());
        assert_eq!(rope.remaining(), 4, "the frame itself is untouched");
    }

    #[test]
    fn a_body_that_was_not_read_to_its_end_is_not_whole() {
        let mut capture = Capture::default();
        capture.start(100);
        capture.copy(&Bytes::from_static(b"abc"));
        assert!(!capture.is_whole());
    }
}

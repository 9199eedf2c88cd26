//! Frames that were read, in one piece of memory.

use super::{Number, Secret};
use crate::{record::WriterId, time::Timestamp};

/// Frames of one stream, in order; used again from one read to the next.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Batch {
    stream: WriterId,
    secret: Option<Secret>,
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    seq: Number,
    number: Number,
    recorded_at: Timestamp,
    end: usize,
}

/// A finished record as it stands in the spool.
#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct Frame<'a> {
    /// Its number in [`Batch::stream`].
    pub(in crate::pipeline) seq: Number,
    pub(in crate::pipeline) recorded_at: Timestamp,
    pub(in crate::pipeline) record: &'a [u8],
    number: Number,
    secret: Secret,
}

impl Frame<'_> {
    /// Returns its number in the stream that it was written to.
    pub(in crate::pipeline) const fn number(&self) -> Number {
        self.number
    }

    /// Tells whether the stream goes on here under another name, and hence with other numbers.
    pub(in crate::pipeline) const fn is_renumbered(&self) -> bool {
        self.seq != self.number
    }

    /// Returns the salts of the record: the same each time it is read.
    pub(in crate::pipeline) fn salts(&self) -> [[u8; 16]; 4] {
        self.secret.salts(self.number)
    }
}

impl Batch {
    /// Returns the stream that the frames are to be stored under.
    pub(in crate::pipeline) const fn stream(&self) -> WriterId {
        self.stream
    }

    pub(in crate::pipeline) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the bytes of the records.
    pub(in crate::pipeline) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(in crate::pipeline) fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        let secret = self.secret.unwrap_or_else(|| Secret::new([0; 32]));
        let mut start = 0;
        self.spans.iter().map(move |span| {
            let record = &self.bytes[start..span.end];
            start = span.end;
            let Span { seq, number, recorded_at, .. } = *span;
            Frame { seq, recorded_at, record, number, secret }
        })
    }

    pub(super) fn clear(&mut self, stream: WriterId, secret: Option<Secret>) {
        self.stream = stream;
        self.secret = secret;
        self.bytes.clear();
        self.spans.clear();
        if self.bytes.capacity() > 16 << 20 {
            self.bytes = Vec::new();
        }
    }

    pub(super) fn push(
        &mut self,
        seq: Number,
        number: Number,
        recorded_at: Timestamp,
        record: &[u8],
    ) {
        self.bytes.extend_from_slice(record);
        self.spans.push(Span { seq, number, recorded_at, end: self.bytes.len() });
    }
}

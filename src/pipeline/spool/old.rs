//! Streams of earlier processes: they are ended, read, stored under their own names, and removed.

use std::sync::Arc;

use super::{Core, Ending, Number, Reader, SpoolError, stream::Stream};
use crate::record::WriterId;

/// A stream that an earlier process left.
///
/// First [`ending`](Self::ending), which gives an end to what has none; then [`reader`](Self::reader).
#[derive(Debug)]
pub(in crate::pipeline) struct OldStream {
    core: Arc<Core>,
    stream: Arc<Stream>,
}

impl OldStream {
    pub(super) fn new(core: Arc<Core>, stream: Arc<Stream>) -> Self {
        Self { core, stream }
    }

    pub(in crate::pipeline) fn writer_id(&self) -> WriterId {
        self.stream.writer_id
    }

    /// Returns how far the stream was stored when its process last looked, as far as that is known; 0 otherwise.
    pub(in crate::pipeline) fn stored(&self) -> Number {
        self.stream.segments().said
    }

    pub(in crate::pipeline) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.core), Arc::clone(&self.stream), true)
    }

    /// Reads the stream and finds what was begun and did not end. `position` is that of the store.
    ///
    /// It may be done again, after a failure or by a later process: what was ended before is not found.
    ///
    /// # Errors
    ///
    /// A file could not be read, or was written by a later version.
    pub(in crate::pipeline) fn ending(&self, position: Number) -> Result<Ending, SpoolError> {
        Ending::find(Arc::clone(&self.core), Arc::clone(&self.stream), position)
    }
}

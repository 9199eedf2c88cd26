//! Streams of earlier processes.

use std::sync::Arc;

use super::{Core, Reader, stream::Stream};
use crate::record::WriterId;

/// A stream that an earlier process left.
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

    pub(in crate::pipeline) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.core), Arc::clone(&self.stream), true)
    }
}

//! A zip file that is written from its beginning to its end, in pieces.

use std::{
    io::{self, Write},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::Serialize;
use zip::{
    CompressionMethod, ZipWriter,
    result::{ZipError, ZipResult},
    write::{SimpleFileOptions, StreamWriter},
};

/// What was written and not taken yet. The writer of the archive keeps one handle of it, and we the other.
#[derive(Debug, Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A zip file on its way.
pub(super) struct Archive {
    buffer: Buffer,
    zip: Option<ZipWriter<StreamWriter<Buffer>>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Archive {
    pub(super) fn new() -> Self {
        let buffer = Buffer::default();
        Self { zip: Some(ZipWriter::new_stream(buffer.clone())), buffer }
    }

    /// Bytes as they are, without an archive around them.
    pub(super) fn plain() -> Self {
        Self { buffer: Buffer::default(), zip: None }
    }

    fn zip(&mut self) -> ZipResult<&mut ZipWriter<StreamWriter<Buffer>>> {
        self.zip.as_mut().ok_or(ZipError::FileNotFound)
    }

    /// Begins a file, however long it becomes.
    pub(super) fn start(&mut self, name: &str) -> ZipResult<()> {
        let options = SimpleFileOptions::default();
        // The sizes stand behind the file, and are told as such of more than 4 GiB: they are not known yet.
        let options = options.compression_method(CompressionMethod::Deflated).large_file(true);
        self.zip()?.start_file(name, options.unix_permissions(0o644))
    }

    /// Writes a whole file.
    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) -> ZipResult<()> {
        self.start(name)?;
        Ok(self.zip()?.write_all(bytes)?)
    }

    /// Adds bytes to the file that was begun last.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> ZipResult<()> {
        match &mut self.zip {
            Some(zip) => zip.write_all(bytes)?,
            None => self.buffer.write_all(bytes)?,
        }
        Ok(())
    }

    /// Adds a line of JSON to the file that was begun last.
    pub(super) fn line(&mut self, value: &impl Serialize) -> ZipResult<()> {
        let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
        line.push(b'\n');
        self.bytes(&line)
    }

    /// Writes what stands at the end of every zip file.
    pub(super) fn finish(&mut self) -> ZipResult<()> {
        if let Some(zip) = self.zip.take() {
            zip.finish()?;
        }
        Ok(())
    }

    /// Returns how many bytes wait to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.0.lock().len()
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.buffer.0.lock())
    }
}

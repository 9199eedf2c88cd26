//! A file on its way into the archive, hashed as it goes.

use std::time::Duration;

use object_store::{MultipartUpload, PutMode, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{Archive, error::ArchiveError, manifest::FileFacts};
use crate::record::hex;

/// All pieces but the last have this size: S3 takes none below 5 MiB, and some servers none of different ones.
const PIECE: usize = 8 * 1024 * 1024;
/// A server that hangs is not waited for to take back what nobody reads: the run has its error to tell.
const GIVING_UP: Duration = Duration::from_secs(10);

/// A file that is being written. It is there once it is finished, and not before.
#[derive(Debug)]
pub(super) struct Upload {
    archive: Archive,
    name: String,
    multipart: Option<Box<dyn MultipartUpload>>,
    waiting: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl Upload {
    pub(super) fn new(archive: &Archive, name: String) -> Self {
        Self {
            archive: archive.clone(),
            name,
            multipart: None,
            waiting: Vec::new(),
            bytes: 0,
            hash: Sha256::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() >= PIECE {
            let rest = self.waiting.split_off(PIECE);
            let piece = std::mem::replace(&mut self.waiting, rest);
            self.piece(piece).await?;
        }
        Ok(())
    }

    async fn piece(&mut self, piece: Vec<u8>) -> Result<(), ArchiveError> {
        let multipart = match &mut self.multipart {
            Some(multipart) => multipart,
            none => none.insert(self.archive.multipart(&self.name).await?),
        };
        let put = multipart.put_part(PutPayload::from(piece)).await;
        put.map_err(|error| ArchiveError::of_file("write", &self.name, error))
    }

    /// Ends the file.
    pub(super) async fn finish(&mut self) -> Result<FileFacts, ArchiveError> {
        let rest = std::mem::take(&mut self.waiting);
        if self.multipart.is_none() {
            self.archive.put(&self.name, rest, PutMode::Overwrite).await?;
        } else {
            if !rest.is_empty() {
                self.piece(rest).await?;
            }
            if let Some(mut multipart) = self.multipart.take() {
                let done = multipart.complete().await;
                done.map_err(|error| ArchiveError::of_file("write", &self.name, error))?;
            }
        }
        let sha256 = hex(&self.hash.clone().finalize());
        Ok(FileFacts { path: self.name.clone(), bytes: self.bytes, sha256 })
    }

    /// Gives it up: nothing of it stays, as far as the archive can be reached.
    pub(super) async fn abort(&mut self) {
        // What cannot be taken back is left over, and nobody reads it.
        if let Some(mut multipart) = self.multipart.take() {
            let _left_over = timeout(GIVING_UP, multipart.abort()).await;
        }
        let _left_over = timeout(GIVING_UP, self.archive.remove(&self.name)).await;
    }
}

//! The place of an archive: a directory, or a bucket.

use std::{fmt, future::poll_fn, ops::Range, sync::Arc};

use bytes::Bytes;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path,
};

use super::{
    error::{ArchiveError, ArchiveErrorKind},
    manifest::Part,
    names::{self, FileKind},
};
use crate::store::Unit;

/// A larger manifest is none.
const MAX_MANIFEST: u64 = 1024 * 1024;

/// An archive: a directory or a bucket with files that a manifest each makes a part. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    root: Path,
    shown: Arc<str>,
    /// How large the parts become.
    pub(super) limits: Limits,
}

/// How much is held at once, and how much a part holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Rows of a row group.
    pub(super) rows: usize,
    /// Bytes of text of a row group, about.
    pub(super) bytes: usize,
    /// Records of a part: it ends with the entry in which there are so many.
    pub(super) part: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 10_000, bytes: 8 * 1024 * 1024, part: 1_000_000 }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("at", &self.shown).finish_non_exhaustive()
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Archive {
    /// Opens the archive at a URL: `s3://bucket/prefix`, `file:///var/archive`, or a path. A directory is made if it is
    /// not there; nothing else is read or written yet.
    ///
    /// What S3 needs beside it is taken from the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP` and the others that `object_store` knows.
    ///
    /// # Errors
    ///
    /// When it is no such URL, or the directory cannot be made.
    pub fn open(url: &str) -> Result<Self, ArchiveError> {
        Self::at(url, true)
    }

    /// As [`open`](Self::open), of an archive that is there already: a directory that is merely misspelt is not made.
    ///
    /// # Errors
    ///
    /// When it is no such URL, or there is no such directory.
    pub fn existing(url: &str) -> Result<Self, ArchiveError> {
        Self::at(url, false)
    }

    fn at(url: &str, make: bool) -> Result<Self, ArchiveError> {
        let place = |why: String| {
            let doing = "open the archive; name it as in s3://bucket/prefix or /var/archive";
            ArchiveError::new(ArchiveErrorKind::Place, doing).with_source(why)
        };
        if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(place("the URL names no bucket".to_owned()));
            }
            if bucket.contains(['@', '?', '#']) || prefix.contains(['?', '#']) {
                let why = "keys and settings of S3 stand in the environment, not in the URL";
                return Err(place(why.to_owned()));
            }
            // Whoever brought a provider of his own keeps it.
            let _installed = rustls::crypto::ring::default_provider().install_default();
            let store = AmazonS3Builder::from_env().with_bucket_name(bucket).build();
            let store = store.map_err(|error| place(error.to_string()))?;
            let root = Path::parse(prefix.trim_end_matches('/'));
            let root = root.map_err(|error| place(error.to_string()))?;
            return Ok(Self::over(Arc::new(store), root));
        }
        let path = match url.split_once("://") {
            Some(("file", path)) => path,
            Some((scheme, _)) => return Err(place(format!("there are none at {scheme}://"))),
            None => url.strip_prefix("file:").unwrap_or(url),
        };
        if path.is_empty() {
            return Err(place("the path is empty".to_owned()));
        }
        let failed = |error: &dyn fmt::Display| {
            let doing = format!("open the archive in the directory {path}");
            ArchiveError::new(ArchiveErrorKind::Access, doing).with_source(error.to_string())
        };
        if make {
            std::fs::create_dir_all(path).map_err(|error| failed(&error))?;
        } else if !std::fs::metadata(path).map_err(|error| failed(&error))?.is_dir() {
            return Err(failed(&"it is no directory"));
        }
        let store = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(&error))?;
        // What is removed from the log has to be on the disk by then.
        let store = Arc::new(store.with_fsync(true));
        Ok(Self { shown: path.into(), ..Self::over(store, Path::default()) })
    }

    /// Returns the archive below a path of a store, such as one that [`open`](Self::open) does not know.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, root: Path) -> Self {
        let shown = format!("{store}/{root}").into();
        Self { store, root, shown, limits: Limits::default() }
    }

    /// Returns its parts, in the order of their units and numbers.
    ///
    /// # Errors
    ///
    /// When the archive cannot be reached, or one of its manifests cannot be read.
    pub async fn parts(&self) -> Result<Vec<Part>, ArchiveError> {
        self.parts_below(FileKind::Manifest.folder()).await
    }

    /// Returns the parts of a unit, in the order of their numbers.
    ///
    /// # Errors
    ///
    /// As [`parts`](Self::parts).
    pub async fn parts_of(&self, unit: &Unit) -> Result<Vec<Part>, ArchiveError> {
        self.parts_below(&names::folder(FileKind::Manifest, unit)).await
    }

    async fn parts_below(&self, folder: &str) -> Result<Vec<Part>, ArchiveError> {
        let mut parts = Vec::new();
        for (name, _) in self.list(folder).await? {
            if names::of_manifest(&name).is_some() {
                parts.push(self.part(&name).await?);
            }
        }
        parts.sort_by_key(|part: &Part| (part.unit(), part.manifest.part));
        Ok(parts)
    }

    /// Reads the manifest at a path.
    pub(super) async fn part(&self, name: &str) -> Result<Part, ArchiveError> {
        let bytes = self.get(name, MAX_MANIFEST).await?;
        Part::read(name, &bytes)
    }

    fn path(&self, name: &str) -> Result<Path, ArchiveError> {
        names::below(&self.root, name)
            .ok_or_else(|| ArchiveError::unreadable(name, "no file can be called so"))
    }

    /// Returns the files below a folder with what is known of them, by their names relative to the root.
    pub(super) async fn list(
        &self,
        folder: &str,
    ) -> Result<Vec<(String, ObjectMeta)>, ArchiveError> {
        let prefix = self.path(folder)?;
        let mut listed = self.store.list(Some(&prefix));
        let mut files = Vec::new();
        while let Some(file) = poll_fn(|cx| listed.as_mut().poll_next(cx)).await {
            let file = file.map_err(|error| ArchiveError::of_file("list", folder, error))?;
            let whole = file.location.as_ref();
            let below = match self.root.as_ref() {
                "" => Some(whole),
                root => whole.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')),
            };
            if let Some(name) = below.map(str::to_owned) {
                files.push((name, file));
            }
        }
        files.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(files)
    }

    /// Returns how many bytes a file has.
    pub(super) async fn size(&self, name: &str) -> Result<u64, ArchiveError> {
        let head = self.store.head(&self.path(name)?).await;
        Ok(head.map_err(|error| ArchiveError::of_file("read", name, error))?.size)
    }

    /// Reads a file of no more than so many bytes.
    pub(super) async fn get(&self, name: &str, most: u64) -> Result<Bytes, ArchiveError> {
        let failed = |error| ArchiveError::of_file("read", name, error);
        let found = self.store.get(&self.path(name)?).await.map_err(failed)?;
        if found.meta.size > most {
            return Err(ArchiveError::unreadable(name, "it is larger than any of its kind"));
        }
        found.bytes().await.map_err(failed)
    }

    /// Reads a part of a file.
    pub(super) async fn range(&self, name: &str, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        let failed = |error| ArchiveError::of_file("read", name, error);
        let length = range.end - range.start;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.store.get_range(&self.path(name)?, range).await.map_err(failed)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(ArchiveError::unreadable(name, "it became shorter meanwhile")),
        }
    }

    /// Writes a small file; `false`, and nothing is written, when it is there already and was to be new.
    pub(super) async fn put(
        &self,
        name: &str,
        bytes: Vec<u8>,
        mode: PutMode,
    ) -> Result<bool, ArchiveError> {
        let payload = PutPayload::from(bytes);
        match self.store.put_opts(&self.path(name)?, payload, mode.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(ArchiveError::of_file("write", name, error)),
        }
    }

    /// Begins a large file.
    pub(super) async fn multipart(
        &self,
        name: &str,
    ) -> Result<Box<dyn object_store::MultipartUpload>, ArchiveError> {
        let begun = self.store.put_multipart(&self.path(name)?).await;
        begun.map_err(|error| ArchiveError::of_file("write", name, error))
    }

    /// Removes a file; that it is not there is fine.
    pub(super) async fn remove(&self, name: &str) -> Result<(), ArchiveError> {
        match self.store.delete(&self.path(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(ArchiveError::of_file("remove", name, error)),
        }
    }
}

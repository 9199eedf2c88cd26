//! The handful of calls that the spool makes of a file system, and the real ones.
//!
//! A seam: tests put in a file system whose calls fail, and one that forgets what was not synced.

use std::{fmt, io, path::Path, sync::Arc};

use crate::privacy::own_alike;

/// A file system.
pub(in crate::pipeline) trait Filesystem: fmt::Debug + Send + Sync {
    /// Makes a file that was not there, for reading and writing by its owner alone.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file that is there, for reading and syncing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Makes a folder for its owner alone.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Returns what is in a folder, by names that are text; others are not ours.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// Tells what kind of folder stands there.
    fn folder(&self, path: &Path) -> io::Result<Folder>;

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Gives a file the owner, the group and the mode of another one, whose place it is to take.
    fn own_alike(&self, path: &Path, other: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Brings the names in a folder onto the disk.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Returns how many bytes this process may still write to the disk of a folder.
    fn free_space(&self, folder: &Path) -> io::Result<u64>;

    /// Locks a file against every other handle, in this process or another; `None`: somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// An open file.
pub(in crate::pipeline) trait File: fmt::Debug + Send + Sync {
    /// Writes all of it, or fails and may have written a part.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads at most as much as fits; 0 at the end of the file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Brings data and length onto the disk.
    fn sync_data(&self) -> io::Result<()>;

    /// Sets room on the disk aside behind the end of the file, whose length stays: a sync then has less to do.
    /// Where there is no room, or no such call, nothing happens.
    fn reserve(&self, _offset: u64, _len: u64) {}

    fn set_len(&self, len: u64) -> io::Result<()>;

    fn len(&self) -> io::Result<u64>;
}

/// A lock that is held until this is dropped.
pub(in crate::pipeline) trait Lock: fmt::Debug + Send + Sync {}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Entry {
    pub(in crate::pipeline) name: String,
    pub(in crate::pipeline) len: u64,
    pub(in crate::pipeline) is_folder: bool,
}

/// What stands where a folder should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Folder {
    /// A folder that its owner alone can write.
    Private,
    /// A folder that others can write.
    Shared,
    /// No folder.
    Other,
}

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::pipeline) struct Disk;

impl Filesystem for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(options().create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        // Writable: some systems sync only what could be written.
        Ok(Arc::new(options().open(path)?))
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(data) => {
                    entries.push(Entry { name, len: data.len(), is_folder: data.is_dir() });
                }
                // Gone between two calls.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn folder(&self, path: &Path) -> io::Result<Folder> {
        let data = std::fs::metadata(path)?;
        if !data.is_dir() {
            return Ok(Folder::Other);
        }
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o022 != 0 {
            return Ok(Folder::Shared);
        }
        Ok(Folder::Private)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn own_alike(&self, path: &Path, other: &Path) -> io::Result<()> {
        own_alike(path, &std::fs::metadata(other)?)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened, and its names are written with the files.
        #[cfg(unix)]
        std::fs::File::open(path)?.sync_all()?;
        #[cfg(not(unix))]
        let _: &Path = path;
        Ok(())
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        #[cfg(unix)]
        {
            let disk = rustix::fs::statvfs(folder)?;
            Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
        }
        #[cfg(not(unix))]
        {
            let _: &Path = folder;
            Ok(u64::MAX)
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = options().create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn options() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

impl Lock for std::fs::File {}

impl File for std::fs::File {
    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(self, bytes, offset)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match std::os::unix::fs::FileExt::read_at(self, bytes, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    #[cfg(windows)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn reserve(&self, offset: u64, len: u64) {
        let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
        if let Err(error) = rustix::fs::fallocate(self, flags, offset, len) {
            tracing::trace!(%error, "no room could be set aside for a segment of the spool");
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Self::set_len(self, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

//! What lies at a path: a zip file, a folder, or lines.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufReader, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use zip::ZipArchive;

use super::ReadError;

/// How every zip file begins that has something in it.
const ZIP: &[u8] = b"PK\x03\x04";
/// How the record begins at the end of every zip file.
const END: &[u8] = b"PK\x05\x06";
/// A bundle has seven files, and an export of a person nine.
const MOST_FILES: usize = 100;

pub(super) enum Opened {
    Zip(Box<ZipArchive<BufReader<File>>>),
    Folder(PathBuf),
    Lines(PathBuf),
}

impl Opened {
    pub(super) fn at(path: &Path) -> Result<Self, ReadError> {
        let shown = path.display().to_string();
        let failed = |error| ReadError::reading(&shown, error);
        if fs::metadata(path).map_err(failed)?.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let mut file = File::open(path).map_err(failed)?;
        let mut head = Vec::new();
        (&mut file).take(ZIP.len() as u64).read_to_end(&mut head).map_err(failed)?;
        if head != ZIP {
            return Ok(Self::Lines(path.to_owned()));
        }
        let many = |count| ReadError::new(format!("{shown} has {count} files, and is no bundle"));
        // Asked before the directory is read, which may be as long as the file.
        let told = told_files(&mut file).map_err(failed)?;
        if let Some(count) = told.filter(|count| *count > MOST_FILES) {
            return Err(many(count));
        }
        file.rewind().map_err(failed)?;
        let not_whole = |error| ReadError::new(format!("{shown} is no whole zip file: {error}"));
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(not_whole)?;
        if archive.len() > MOST_FILES {
            return Err(many(archive.len()));
        }
        if archive.has_duplicate_names() || has_twins(&archive) {
            let why = "has two files of one name, of which readers take one or the other";
            return Err(ReadError::new(format!("{shown} {why}: it is no bundle")));
        }
        // Who reads it from its beginning to its end must find the same files as who asks its directory.
        archive.validate_header_consistency().map_err(not_whole)?;
        Ok(Self::Zip(Box::new(archive)))
    }

    /// Opens one of its files.
    pub(super) fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, ReadError> {
        let missing = || ReadError::new(format!("there is no {name} in it: it is no bundle"));
        match self {
            Self::Zip(archive) => match archive.by_name(name) {
                Ok(file) => Ok(Box::new(file)),
                Err(zip::result::ZipError::FileNotFound) => Err(missing()),
                Err(error) => Err(ReadError::new(format!("{name} cannot be read: {error}"))),
            },
            Self::Folder(folder) => match File::open(folder.join(name)) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing()),
                Err(error) => Err(ReadError::reading(name, error)),
            },
            Self::Lines(_) => Err(missing()),
        }
    }
}

/// Tells whether unpacking would put two of its files into one, on some disk.
fn has_twins(archive: &ZipArchive<BufReader<File>>) -> bool {
    let unpacked = |name: &str| {
        let parts = name.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
        parts.collect::<Vec<_>>().join("/").to_lowercase()
    };
    let mut names = HashSet::new();
    !archive.file_names().all(|name| name.is_ok_and(|name| names.insert(unpacked(&name))))
}

/// How many files the record at the end of a zip file tells of, where there is one.
fn told_files(file: &mut File) -> io::Result<Option<usize>> {
    /// How long it is, but for the comment behind it, and how long that is at most.
    const RECORD: usize = 22;
    const COMMENT: u64 = 0xffff;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(RECORD as u64 + COMMENT)))?;
    let mut end = Vec::new();
    file.take(RECORD as u64 + COMMENT).read_to_end(&mut end)?;
    let record = end.windows(RECORD).rfind(|bytes| bytes.starts_with(END));
    Ok(record.map(|bytes| usize::from(u16::from_le_bytes([bytes[10], bytes[11]]))))
}

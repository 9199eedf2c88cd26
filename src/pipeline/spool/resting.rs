//! A spool whose process is down, and taking people out of its files.
//!
//! Nothing goes from here to a store: a frame stays where it stands, under its number, and one that holds something of
//! somebody who is erased is written anew without it, in a copy of its file. The copy takes the file's place once it is
//! on the disk and was read back. Everything else goes over byte for byte, damage included, so that whoever reads the
//! stream later comes to the same records and the same gaps. Who is killed in between leaves the file as it was, and
//! beside it at most a copy that the next one removes.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    LOCK, QUARANTINE, Secret, SpoolError,
    files::{File, Filesystem, Folder, Lock},
    format::{self, FRAMES_AT, HeaderError, Kind, Seed, SegmentHeader},
    open::list,
    scan::{Found, Scanner, Step},
    stream::{parse_folder, parse_segment},
};
use crate::{record::WriterId, time::Timestamp};

/// What the name of a copy ends in until it is whole.
const FRESH: &str = ".new";
/// So much is copied at once.
const CHUNK: usize = 256 << 10;

/// A spool that no process uses, nor can begin to use until this is dropped.
#[derive(Debug)]
pub(in crate::pipeline) struct Resting {
    fs: Arc<dyn Filesystem>,
    folder: PathBuf,
    files: Vec<SegmentFile>,
    leftovers: Vec<PathBuf>,
    /// Any header of a stream has it, also for a file whose own is gone.
    secrets: HashMap<WriterId, Secret>,
    _lock: Box<dyn Lock>,
}

/// A segment, or a copy of one in the quarantine.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct SegmentFile {
    folder: PathBuf,
    name: String,
    stream: WriterId,
}

/// A record as it stands in a file.
#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct Kept<'a> {
    pub(in crate::pipeline) stream: WriterId,
    pub(in crate::pipeline) recorded_at: Timestamp,
    pub(in crate::pipeline) record: &'a [u8],
}

/// What is to become of a record.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Judged {
    Stays,
    /// This stands in its place.
    Becomes(Vec<u8>),
    /// Nobody here knows whose it is.
    Unreadable,
}

/// What is to be changed in a file, and what in it cannot be read.
#[derive(Debug)]
pub(in crate::pipeline) struct Looked {
    seed: Option<Seed>,
    changes: Vec<Change>,
    marks: Vec<Mark>,
    /// Frames and runs of bytes of which nobody knows what they hold.
    pub(in crate::pipeline) unreadable: u64,
}

impl Looked {
    /// Tells whether something is to be changed.
    pub(in crate::pipeline) const fn changes(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// A frame that another one takes the place of.
#[derive(Debug)]
struct Change {
    at: u64,
    size: u64,
    frame: Vec<u8>,
}

/// What a scan came upon, but for the record: the same before and after.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Frame { kind: Kind, number: u64, ends: u64, recorded_at: Timestamp },
    Damage(u64),
}

impl Resting {
    /// Takes hold of a spool.
    ///
    /// # Errors
    ///
    /// Names the folder that is none, or that a process uses.
    pub(in crate::pipeline) fn open(
        fs: Arc<dyn Filesystem>,
        folder: &Path,
    ) -> Result<Self, SpoolError> {
        const DOING: &str = "erase in the spool";
        match fs.folder(folder) {
            Ok(Folder::Private) => {}
            Ok(Folder::Shared) => {
                let why = "others than its owner can write the folder; `chmod 700` it";
                return Err(SpoolError::said(DOING, folder, why));
            }
            Ok(Folder::Other) => {
                return Err(SpoolError::said(DOING, folder, "this is not a folder"));
            }
            Err(error) => return Err(SpoolError::io(DOING, folder, error)),
        }
        let entries = list(&*fs, folder)?;
        if !entries.iter().any(|entry| entry.name == LOCK) {
            let why = "no process has used this folder as its spool: there is no file `lock` in it";
            return Err(SpoolError::said(DOING, folder, why));
        }
        let lock_path = folder.join(LOCK);
        let lock = match fs.lock(&lock_path) {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                return Err(SpoolError::said(
                    DOING,
                    folder,
                    "a process uses it; stop that one first, or leave the spool out: a process that runs empties its \
                     own, if it has the same keys",
                ));
            }
            Err(error) => return Err(SpoolError::io("lock", lock_path, error)),
        };
        let mut spool = Self {
            fs,
            folder: folder.to_owned(),
            files: Vec::new(),
            leftovers: Vec::new(),
            secrets: HashMap::new(),
            _lock: lock,
        };
        for entry in entries.into_iter().filter(|entry| entry.is_folder) {
            let stream = parse_folder(&entry.name);
            if stream.is_some() || entry.name == QUARANTINE {
                spool.find(&folder.join(&entry.name), stream)?;
            }
        }
        for file in spool.files.clone() {
            if let Ok(header) = spool.header(&file).map_err(|error| file.failed(error))? {
                spool.secrets.entry(header.writer_id).or_insert(header.secret);
            }
        }
        Ok(spool)
    }

    pub(in crate::pipeline) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(in crate::pipeline) fn files(&self) -> &[SegmentFile] {
        &self.files
    }

    /// Removes the copies of whoever was killed before they were whole.
    ///
    /// # Errors
    ///
    /// When one cannot be removed.
    pub(in crate::pipeline) fn tidy(&self) -> Result<(), SpoolError> {
        for path in &self.leftovers {
            match self.fs.remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(SpoolError::io("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Has each record of a file judged, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(in crate::pipeline) fn look(
        &self,
        file: &SegmentFile,
        judge: &mut dyn FnMut(Kept<'_>) -> Judged,
    ) -> Result<Looked, SpoolError> {
        self.judged(file, judge).map_err(|error| file.failed(error))
    }

    /// Puts a copy of a file with its changes in its place.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or is not what it should be when it is read back; then the file is what it was.
    pub(in crate::pipeline) fn change(
        &self,
        file: &SegmentFile,
        looked: &Looked,
    ) -> Result<(), SpoolError> {
        let Some(seed) = looked.seed.filter(|_| looked.changes()) else { return Ok(()) };
        let path = file.path();
        let fresh = file.folder.join(format!("{}{FRESH}", file.name));
        // Left by an attempt that did not end.
        drop(self.fs.remove_file(&fresh));
        let written = self
            .copy(&path, &fresh, looked)
            .and_then(|copy| {
                copy.sync_data()?;
                self.fs.own_alike(&fresh, &path)?;
                match scanned(copy, seed, &mut |_, _| {})? {
                    marks if marks == looked.marks => Ok(()),
                    _ => Err(io::Error::other("what was written is not what is read back")),
                }
            })
            .and_then(|()| self.fs.rename(&fresh, &path));
        if let Err(error) = written {
            drop(self.fs.remove_file(&fresh));
            return Err(SpoolError::io("write anew", path, error));
        }
        self.fs
            .sync_folder(&file.folder)
            .map_err(|error| SpoolError::io("sync the folder", &file.folder, error))
    }

    /// Finds the files of a stream, or the copies in the quarantine.
    fn find(&mut self, folder: &Path, stream: Option<WriterId>) -> Result<(), SpoolError> {
        for entry in list(&*self.fs, folder)? {
            let name = entry.name.as_str();
            if name.strip_suffix(FRESH).is_some_and(|name| stream_of(name, stream).is_some()) {
                self.leftovers.push(folder.join(name));
            } else if let Some(stream) = stream_of(name, stream)
                && entry.len > 0
            {
                let folder = folder.to_owned();
                self.files.push(SegmentFile { folder, name: entry.name, stream });
            }
        }
        self.files.sort_by(|a, b| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)));
        Ok(())
    }

    fn header(&self, file: &SegmentFile) -> io::Result<Result<SegmentHeader, HeaderError>> {
        let mut bytes = vec![0; FRAMES_AT as usize];
        let filled = read_full(&*self.fs.open(&file.path())?, &mut bytes, 0)?;
        Ok(SegmentHeader::decode(&bytes[..filled]))
    }

    fn judged(
        &self,
        file: &SegmentFile,
        judge: &mut dyn FnMut(Kept<'_>) -> Judged,
    ) -> io::Result<Looked> {
        let source = self.fs.open(&file.path())?;
        let seed = match self.header(file)? {
            // A file under another's name has the secret that its frames were written with.
            Ok(header) => Some(header.secret.seed()),
            Err(HeaderError::Version(_)) => None,
            Err(_) => self.secrets.get(&file.stream).map(Secret::seed),
        };
        let mut looked = Looked { seed, changes: Vec::new(), marks: Vec::new(), unreadable: 0 };
        let Some(seed) = seed else {
            looked.unreadable = u64::from(!is_blank(&*source, 0, source.len()?)?);
            return Ok(looked);
        };
        let mut damaged = Vec::new();
        let Looked { changes, unreadable, .. } = &mut looked;
        let marks = scanned(Arc::clone(&source), seed, &mut |scanner, step| match step {
            Step::Damage { bytes, .. } => damaged.push(bytes.clone()),
            // What was called off says nothing.
            Step::Frame(found) if found.kind != Kind::Cancel => {
                let (stream, recorded_at) = (file.stream, found.recorded_at);
                match judge(Kept { stream, recorded_at, record: scanner.record(found) }) {
                    Judged::Stays => {}
                    Judged::Unreadable => *unreadable += 1,
                    Judged::Becomes(record) => changes.push(Change::of(found, seed, &record)),
                }
            }
            Step::Frame(_) | Step::End => {}
        })?;
        for bytes in damaged {
            // Zeros are room that was given ahead, or what the disk did not keep.
            looked.unreadable += u64::from(!is_blank(&*source, bytes.start, bytes.end)?);
        }
        looked.marks = marks;
        Ok(looked)
    }

    /// Copies a file with its changes.
    fn copy(&self, from: &Path, to: &Path, looked: &Looked) -> io::Result<Arc<dyn File>> {
        let (from, to) = (self.fs.open(from)?, self.fs.create(to)?);
        let (mut read, mut written) = (0, 0);
        for change in &looked.changes {
            written = copy_range(&*from, read, change.at, &*to, written)?;
            to.write_at(&change.frame, written)?;
            written += change.frame.len() as u64;
            read = change.at + change.size;
        }
        copy_range(&*from, read, from.len()?, &*to, written)?;
        Ok(to)
    }
}

impl SegmentFile {
    pub(in crate::pipeline) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Tells whether it is a copy that was made of a damaged segment.
    pub(in crate::pipeline) fn is_copy(&self) -> bool {
        self.folder.ends_with(QUARANTINE)
    }

    fn failed(&self, error: io::Error) -> SpoolError {
        SpoolError::io("read", self.path(), error)
    }
}

impl Change {
    fn of(found: &Found, seed: Seed, record: &[u8]) -> Self {
        let Found { kind, number, ends, recorded_at, at, size, .. } = *found;
        let mut frame = Vec::new();
        format::encode(seed, kind, number, ends, recorded_at, record, &mut frame);
        Self { at, size: size as u64, frame }
    }
}

/// Returns the stream of a segment by its name; in the quarantine the name says it.
fn stream_of(name: &str, stream: Option<WriterId>) -> Option<WriterId> {
    match stream {
        Some(stream) => parse_segment(name).map(|_| stream),
        None => {
            let (stream, segment) = name.split_once('-')?;
            parse_segment(segment).and_then(|_| parse_folder(stream))
        }
    }
}

/// Walks through a file, and returns what it came upon.
fn scanned(
    file: Arc<dyn File>,
    seed: Seed,
    each: &mut dyn FnMut(&Scanner, &Step),
) -> io::Result<Vec<Mark>> {
    let len = file.len()?;
    let mut scanner = Scanner::new(file, seed, len);
    let mut marks = Vec::new();
    loop {
        let step = scanner.step()?;
        each(&scanner, &step);
        match step {
            Step::Frame(Found { kind, number, ends, recorded_at, .. }) => {
                marks.push(Mark::Frame { kind, number, ends, recorded_at });
            }
            Step::Damage { bytes, .. } => marks.push(Mark::Damage(bytes.end - bytes.start)),
            Step::End => return Ok(marks),
        }
    }
}

/// Copies bytes; returns where those behind them go.
fn copy_range(
    from: &dyn File,
    mut at: u64,
    end: u64,
    to: &dyn File,
    mut place: u64,
) -> io::Result<u64> {
    let mut bytes = vec![0; CHUNK];
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let read = read_full(from, &mut bytes[..most], at)?;
        if read < most {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_at(&bytes[..read], place)?;
        at += read as u64;
        place += read as u64;
    }
    Ok(place)
}

/// Fills the bytes, or reads to the end of the file; returns how many there were.
fn read_full(file: &dyn File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], at + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn is_blank(file: &dyn File, mut at: u64, end: u64) -> io::Result<bool> {
    let mut bytes = vec![0; CHUNK];
    while at < end {
        let most = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let read = read_full(file, &mut bytes[..most], at)?;
        if bytes[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(true)
}

//! A disk for the tests of those who wait for one: it answers when the test says so, and shows what was
//! written.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::spool::{self, Entry, File, Filesystem, Folder, Lock};
use crate::record::{Origin, Record};

/// A frame about a request, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    Open(u64, Box<Record>),
    /// What is known of it later.
    More(u64, Box<Record>),
    /// A finished record, with the number of what it ends.
    Record(Option<u64>, Box<Record>),
    Cancel(u64),
}

/// What a disk refuses to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Opens,
    Records,
    Everything,
}

/// The real disk, behind a gate.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Gate>);

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Default)]
struct State {
    is_held: bool,
    /// Nobody is told how much room there is.
    is_hung: bool,
    /// How many ask.
    asked: usize,
    refuses: Option<Refused>,
    frames: Vec<Frame>,
}

/// Where the first frame of a segment begins.
const FRAMES_AT: u64 = 1_024;

impl Disk {
    /// Holds every sync back from now on.
    pub(crate) fn hold(&self) {
        self.lock().is_held = true;
    }

    /// Does not answer any more when it is asked how much room there is.
    pub(crate) fn hang(&self) {
        self.lock().is_hung = true;
    }

    /// Tells whether somebody waits for that answer.
    pub(crate) fn is_asked(&self) -> bool {
        let state = self.lock();
        state.is_hung && state.asked > 0
    }

    pub(crate) fn release(&self) {
        {
            let mut state = self.lock();
            (state.is_held, state.is_hung) = (false, false);
        }
        self.0.opened.notify_all();
    }

    /// Has no room from now on.
    pub(crate) fn refuse(&self, what: Refused) {
        self.lock().refuses = Some(what);
    }

    /// Has room again.
    pub(crate) fn accept(&self) {
        self.lock().refuses = None;
    }

    /// Returns what was written so far about requests.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.lock().frames.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) {
        let state = self.lock();
        let free = self.0.opened.wait_while(state, |state| state.is_held);
        drop(free.unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes note of a frame, unless it is to be refused.
    fn see(&self, frame: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        let number = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().unwrap());
        let is_open = frame[4] == 1;
        match state.refuses {
            Some(Refused::Everything) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Refused::Opens) if is_open => return Err(io::ErrorKind::StorageFull.into()),
            Some(Refused::Records) if frame[4] == 2 => {
                return Err(io::ErrorKind::StorageFull.into());
            }
            _ => {}
        }
        let mut record = Box::<Record>::default();
        if frame[4] != 3 {
            Record::from_portable(&frame[36..], &mut record).unwrap();
            if record.origin != Origin::Request {
                return Ok(());
            }
        }
        state.frames.push(match frame[4] {
            1 => Frame::Open(number(8), record),
            2 => Frame::Record(Some(number(20)).filter(|open| *open > 0), record),
            3 => Frame::Cancel(number(8)),
            4 => Frame::More(number(8), record),
            _ => return Ok(()),
        });
        Ok(())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

/// A file of such a disk.
#[derive(Debug)]
struct Gated {
    disk: Disk,
    file: Arc<dyn File>,
}

impl File for Gated {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if offset >= FRAMES_AT {
            self.disk.see(bytes)?;
        }
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.wait();
        self.file.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

impl Filesystem for Disk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Gated { disk: self.clone(), file: spool::Disk.create(path)? }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        spool::Disk.open(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        spool::Disk.make_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        spool::Disk.list(folder)
    }

    fn folder(&self, path: &Path) -> io::Result<Folder> {
        spool::Disk.folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        spool::Disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        spool::Disk.remove_file(path)
    }

    fn own_alike(&self, path: &Path, other: &Path) -> io::Result<()> {
        spool::Disk.own_alike(path, other)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        spool::Disk.remove_folder(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        spool::Disk.sync_folder(path)
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        let mut state = self.lock();
        state.asked += 1;
        let state = self.0.opened.wait_while(state, |state| state.is_hung);
        state.unwrap_or_else(PoisonError::into_inner).asked -= 1;
        spool::Disk.free_space(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        spool::Disk.lock(path)
    }
}

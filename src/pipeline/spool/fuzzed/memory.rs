//! A file system in memory that forgets what was not synced, and whose calls fail when they are told to.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::pipeline::spool::files::{Entry, File, Filesystem, Folder, Lock};

#[derive(Debug, Clone, Default)]
pub(in crate::pipeline) struct Memory(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    names: BTreeMap<PathBuf, Node>,
    /// The names that are on the disk.
    synced_names: BTreeMap<PathBuf, Node>,
    files: Vec<Bytes>,
    locked: Vec<PathBuf>,
    calls: u64,
    failing: Vec<Failing>,
    /// What could not be synced can still be read, as on some systems until memory is short.
    keeps: bool,
    /// Files that are open, and bytes that were written to any.
    open: usize,
    written: u64,
    /// Bytes that the disk holds; none: any number.
    room: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Debug, Clone, Default)]
struct Bytes {
    now: Vec<u8>,
    synced: Vec<u8>,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy)]
pub(in crate::pipeline) struct Failing {
    pub(in crate::pipeline) call: Call,
    /// So many calls of the kind go well first.
    pub(in crate::pipeline) after: u64,
    /// Then so many fail.
    pub(in crate::pipeline) times: u64,
    pub(in crate::pipeline) error: io::ErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) enum Call {
    Any,
    Write,
    Sync,
    SyncFolder,
    Create,
    Open,
    Read,
    SetLen,
    Remove,
    Rename,
    Own,
    List,
    Space,
}

impl Memory {
    pub(in crate::pipeline) fn new() -> Self {
        let memory = Self::default();
        {
            let mut world = memory.0.lock();
            world.names.insert(root().into(), Node::Folder);
            world.synced_names.insert(root().into(), Node::Folder);
        }
        memory
    }

    /// Returns what is left after a power cut: names and bytes that were synced.
    pub(in crate::pipeline) fn after_power_cut(&self) -> Self {
        self.after_power_cut_with(|_, _, _| false)
    }

    /// The same, but `kept` decides for each run of 64 bytes that was not synced whether it got onto the disk:
    /// by file, place, and a number that differs each time.
    pub(in crate::pipeline) fn after_power_cut_with(
        &self,
        mut kept: impl FnMut(usize, usize, u64) -> bool,
    ) -> Self {
        let world = self.0.lock();
        let mut fresh = World { names: world.synced_names.clone(), ..World::default() };
        fresh.synced_names = fresh.names.clone();
        let mut count = 0;
        for (index, file) in world.files.iter().enumerate() {
            let mut bytes = file.synced.clone();
            for (place, run) in file.now.chunks(64).enumerate() {
                let at = place * 64;
                if file.synced.get(at..at + run.len()) != Some(run) && kept(index, at, count) {
                    if bytes.len() < at + run.len() {
                        bytes.resize(at + run.len(), 0);
                    }
                    bytes[at..at + run.len()].copy_from_slice(run);
                }
                count += 1;
            }
            fresh.files.push(Bytes { now: bytes.clone(), synced: bytes });
        }
        Self(Arc::new(Mutex::new(fresh)))
    }

    /// Returns what is left when the process dies: all names and all bytes.
    pub(in crate::pipeline) fn after_kill(&self) -> Self {
        let world = self.0.lock();
        let mut fresh = World { names: world.names.clone(), ..World::default() };
        fresh.synced_names = world.synced_names.clone();
        fresh.files = world.files.clone();
        Self(Arc::new(Mutex::new(fresh)))
    }

    pub(in crate::pipeline) fn fail(&self, failing: impl IntoIterator<Item = Failing>) {
        self.0.lock().failing = failing.into_iter().collect();
    }

    /// Lets what could not be synced be read all the same.
    pub(in crate::pipeline) fn keep_what_fails(&self) {
        self.0.lock().keeps = true;
    }

    /// Returns how many files are open.
    pub(in crate::pipeline) fn open_files(&self) -> usize {
        self.0.lock().open
    }

    /// Returns how many bytes were written, and how many the files take that have a name.
    pub(in crate::pipeline) fn bytes_written(&self) -> (u64, u64) {
        let world = self.0.lock();
        (world.written, world.used())
    }

    pub(in crate::pipeline) fn set_room(&self, room: Option<u64>) {
        self.0.lock().room = room;
    }

    pub(in crate::pipeline) fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Returns the files whose names end so, in order.
    pub(in crate::pipeline) fn paths(&self, suffix: &str) -> Vec<PathBuf> {
        let world = self.0.lock();
        let names = world.names.keys().filter(|path| path.to_string_lossy().ends_with(suffix));
        names.cloned().collect()
    }

    /// Changes a file behind everybody's back.
    pub(in crate::pipeline) fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.0.lock();
        let Some(Node::File(file)) = world.names.get(path).copied() else { panic!("no file") };
        edit(&mut world.files[file].now);
        world.files[file].synced = world.files[file].now.clone();
    }

    pub(in crate::pipeline) fn bytes(&self, path: &Path) -> Vec<u8> {
        let world = self.0.lock();
        let Some(Node::File(file)) = world.names.get(path).copied() else { panic!("no file") };
        world.files[file].now.clone()
    }

    /// Tells whether these bytes stand anywhere in a file that has a name.
    #[allow(dead_code, reason = "for tests/interleavings")]
    pub(in crate::pipeline) fn holds(&self, bytes: &[u8]) -> bool {
        let world = self.0.lock();
        world.names.values().any(|node| match node {
            Node::File(file) => world.files[*file].now.windows(bytes.len()).any(|w| w == bytes),
            Node::Folder => false,
        })
    }

    /// Makes a file with these bytes, on the disk.
    pub(in crate::pipeline) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let mut world = self.0.lock();
        world.files.push(Bytes { now: bytes.clone(), synced: bytes });
        let node = Node::File(world.files.len() - 1);
        world.names.insert(path.into(), node);
        world.synced_names.insert(path.into(), node);
    }

    pub(in crate::pipeline) fn remove(&self, path: &Path) {
        let mut world = self.0.lock();
        world.names.remove(path);
        world.synced_names.remove(path);
    }
}

/// Where the spool of a test lies.
pub(in crate::pipeline) fn root() -> &'static Path {
    Path::new("/spool")
}

impl World {
    fn call(&mut self, call: Call) -> io::Result<()> {
        self.calls += 1;
        let failing = self.failing.iter_mut().find(|f| f.call == call || f.call == Call::Any);
        if let Some(failing) = failing {
            if failing.after > 0 {
                failing.after -= 1;
            } else if failing.times > 0 {
                failing.times -= 1;
                return Err(failing.error.into());
            }
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(file) => Some(self.files[*file].now.len() as u64),
            Node::Folder => None,
        });
        files.sum()
    }
}

impl Filesystem for Memory {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut world = self.0.lock();
        world.call(Call::Create)?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.files.push(Bytes::default());
        let file = world.files.len() - 1;
        world.names.insert(path.into(), Node::File(file));
        world.open += 1;
        Ok(Arc::new(Handle { memory: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut world = self.0.lock();
        world.call(Call::Open)?;
        match world.names.get(path).copied() {
            Some(Node::File(file)) => {
                world.open += 1;
                Ok(Arc::new(Handle { memory: self.clone(), file }))
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.call(Call::Create)?;
        if world.names.insert(path.into(), Node::Folder).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut world = self.0.lock();
        world.call(Call::List)?;
        let here = world.names.iter().filter(|(path, _)| path.parent() == Some(folder));
        Ok(here
            .map(|(path, node)| Entry {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                len: match node {
                    Node::File(file) => world.files[*file].now.len() as u64,
                    Node::Folder => 0,
                },
                is_folder: *node == Node::Folder,
            })
            .collect())
    }

    fn folder(&self, path: &Path) -> io::Result<Folder> {
        match self.0.lock().names.get(path) {
            Some(Node::Folder) => Ok(Folder::Private),
            Some(Node::File(_)) => Ok(Folder::Other),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.call(Call::Rename)?;
        let node = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.into(), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.call(Call::Remove)?;
        world.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn own_alike(&self, _: &Path, _: &Path) -> io::Result<()> {
        self.0.lock().call(Call::Own)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.call(Call::Remove)?;
        assert!(!world.names.keys().any(|other| other.parent() == Some(path)), "not empty");
        world.names.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.call(Call::SyncFolder)?;
        let World { names, synced_names, .. } = &mut *world;
        synced_names.retain(|path, _| path.parent() != Some(folder));
        let here = names.iter().filter(|(path, _)| path.parent() == Some(folder));
        synced_names.extend(here.map(|(path, node)| (path.clone(), *node)));
        Ok(())
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        let mut world = self.0.lock();
        world.call(Call::Space)?;
        Ok(world.room.map_or(u64::MAX, |room| room.saturating_sub(world.used())))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut world = self.0.lock();
        world.call(Call::Create)?;
        if world.locked.iter().any(|locked| locked == path) {
            return Ok(None);
        }
        world.locked.push(path.into());
        Ok(Some(Box::new(Held { memory: self.clone(), path: path.into() })))
    }
}

#[derive(Debug)]
struct Held {
    memory: Memory,
    path: PathBuf,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.0.lock().locked.retain(|locked| *locked != self.path);
    }
}

#[derive(Debug)]
struct Handle {
    memory: Memory,
    file: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.memory.0.lock().open -= 1;
    }
}

impl File for Handle {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.memory.0.lock();
        let mut written = bytes.len();
        let mut result = world.call(Call::Write);
        if result.is_err() {
            // A part of it gets there.
            written /= 2;
        }
        if let Some(room) = world.room {
            let have = world.files[self.file].now.len() as u64;
            let more = (offset + written as u64).saturating_sub(have);
            if world.used() + more > room {
                written = written.min(7);
                result = Err(io::ErrorKind::StorageFull.into());
            }
        }
        world.written += written as u64;
        let file = &mut world.files[self.file].now;
        let (start, end) = (offset as usize, offset as usize + written);
        if file.len() < end {
            file.resize(end, 0);
        }
        file[start..end].copy_from_slice(&bytes[..written]);
        result
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.memory.0.lock();
        world.call(Call::Read)?;
        let file = &world.files[self.file].now;
        let from = file.get(offset as usize..).unwrap_or_default();
        let read = from.len().min(bytes.len());
        bytes[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.memory.0.lock();
        let result = world.call(Call::Sync);
        let keeps = world.keeps;
        let file = &mut world.files[self.file];
        if result.is_ok() {
            file.synced = file.now.clone();
        } else if !keeps {
            // The kernel has given up on what it could not write, and a later sync will not mention it.
            file.now = file.synced.clone();
        }
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.memory.0.lock();
        world.call(Call::SetLen)?;
        world.files[self.file].now.resize(len as usize, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.memory.0.lock().files[self.file].now.len() as u64)
    }
}

//! Opening a spool: the folder, its lock, what earlier processes left, and a stream of one's own.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::RngExt as _;
use tokio::sync::Notify;

use super::{
    Break, Core, LOCK, OldStream, QUARANTINE, Spool, SpoolError,
    active::Active,
    files::{Entry, Filesystem, Folder},
    format::{FRAMES_AT, Secret},
    room::Room,
    said::Seldom,
    settings::{MIN_CAP, Settings},
    stored,
    stream::{Content, Segment, Segments, Stream, parse_folder, parse_segment},
    threads::{
        self, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    waits::Sync,
};
use crate::{record::WriterId, time::Clock};

impl Spool {
    /// Opens the spool in a folder, begins a stream in it, and starts the thread that syncs.
    ///
    /// Of what earlier processes left, only names and notes are read: see [`old_streams`](Self::old_streams).
    ///
    /// # Errors
    ///
    /// Names the path that is missing, that others can write, that cannot be written, or that another
    /// process holds.
    pub(in crate::pipeline) fn open(
        fs: Arc<dyn Filesystem>,
        folder: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
        writer_id: WriterId,
    ) -> Result<Self, SpoolError> {
        let spool = Self::open_still(fs, folder, settings, clock, writer_id)?;
        let core = Arc::clone(&spool.core);
        let thread = threads::Builder::new()
            .name("activity-spool".into())
            .spawn(move || core.run_sync())
            .map_err(|error| SpoolError::io("start a thread for the spool", folder, error))?;
        // Before anybody has the spool: whoever wakes the thread later finds it, however late it begins.
        drop(spool.core.sync.thread.set(thread.thread().clone()));
        *spool.core.thread.lock() = Some(thread);
        Ok(spool)
    }

    /// Opens a spool whose thread does not run: whoever asked for it calls for each sync.
    pub(super) fn open_still(
        fs: Arc<dyn Filesystem>,
        folder: &Path,
        settings: Settings,
        clock: Arc<dyn Clock>,
        writer_id: WriterId,
    ) -> Result<Self, SpoolError> {
        if settings.cap < MIN_CAP {
            return Err(SpoolError::said(
                "use the spool",
                folder,
                format!("a cap of {} bytes is below the least, {MIN_CAP}", settings.cap),
            ));
        }
        inspect(&*fs, folder)?;
        let lock_path = folder.join(LOCK);
        let lock = match fs.lock(&lock_path) {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                return Err(SpoolError::said(
                    "use the spool",
                    folder,
                    "another process has it open; each process needs a folder of its own",
                ));
            }
            Err(error) => return Err(SpoolError::io("lock", lock_path, error)),
        };
        let room = Arc::new(Room::new(settings));
        match fs.free_space(folder) {
            Ok(free) => room.set_free(free),
            Err(error) => return Err(SpoolError::io("look at the disk of", folder, error)),
        }
        let entries = list(&*fs, folder)?;
        make_quarantine(&*fs, folder, &entries)?;
        let old = old_streams(&fs, folder, &room, &entries)?;

        let mut secret = [0; 32];
        rand::rng().fill(&mut secret[..]);
        let secret = Secret::new(secret);
        let segments = Segments { secret: Some(secret), is_settled: true, ..Segments::default() };
        let stream =
            Arc::new(Stream::new(Arc::clone(&fs), folder, writer_id, Arc::clone(&room), segments));
        let path = stream.folder.clone();
        fs.make_folder(&path).map_err(|error| SpoolError::io("make the folder", &path, error))?;
        let core = Arc::new(Core {
            fs,
            root: folder.to_owned(),
            settings,
            clock,
            stream,
            secret,
            seed: secret.seed(),
            room,
            active: Mutex::new(Active::new()),
            syncing: Mutex::default(),
            left: Mutex::default(),
            sync: Sync::default(),
            stuck: AtomicBool::new(false),
            is_away: AtomicBool::new(false),
            back_at: AtomicU64::new(0),
            has_room: Arc::new(Notify::new()),
            poisoned: AtomicU64::new(0),
            quarantined: AtomicU64::new(0),
            errors: Seldom::default(),
            lock: Mutex::new(Some(lock)),
            thread: Mutex::new(None),
            old: Mutex::new(old),
        });
        {
            let mut active = core.active.lock();
            core.rotate(&mut active)
                .map_err(|error| SpoolError::io("make a segment in", &path, error))?;
        }
        core.fs
            .sync_folder(&core.root)
            .map_err(|error| SpoolError::io("sync the folder", folder, error))?;
        Ok(Self { core: Arc::clone(&core), _last: Arc::new(super::Last(core)) })
    }

    /// Tells whether a stream is in this folder.
    pub(in crate::pipeline) fn holds(&self, stream: WriterId) -> bool {
        self.core.stream.writer_id == stream
            || self.core.old.lock().iter().any(|old| old.writer_id == stream)
    }

    /// Returns the streams that earlier processes left, oldest name first; each is handed out once.
    pub(in crate::pipeline) fn old_streams(&self) -> Vec<OldStream> {
        let old = self.core.old.lock().clone();
        old.into_iter().map(|stream| OldStream::new(Arc::clone(&self.core), stream)).collect()
    }
}

fn inspect(fs: &dyn Filesystem, folder: &Path) -> Result<(), SpoolError> {
    match fs.folder(folder) {
        Ok(Folder::Private) => Ok(()),
        Ok(Folder::Shared) => Err(SpoolError::said(
            "use the spool",
            folder,
            "others than its owner can write the folder; `chmod 700` it",
        )),
        Ok(Folder::Other) => Err(SpoolError::said("use the spool", folder, "this is not a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SpoolError::said(
            "use the spool",
            folder,
            "there is no such folder; make it with `mkdir -m 700`, in a container on a volume that outlives it",
        )),
        Err(error) => Err(SpoolError::io("use the spool", folder, error)),
    }
}

pub(super) fn list(fs: &dyn Filesystem, folder: &Path) -> Result<Vec<Entry>, SpoolError> {
    fs.list(folder).map_err(|error| SpoolError::io("list the folder", folder, error))
}

fn make_quarantine(
    fs: &dyn Filesystem,
    folder: &Path,
    entries: &[Entry],
) -> Result<(), SpoolError> {
    if entries.iter().any(|entry| entry.name == QUARANTINE) {
        return Ok(());
    }
    let path = folder.join(QUARANTINE);
    match fs.make_folder(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(SpoolError::io("make the folder", path, error))
        }
        _ => Ok(()),
    }
}

/// Finds the folders of earlier streams, and counts what they hold.
fn old_streams(
    fs: &Arc<dyn Filesystem>,
    folder: &Path,
    room: &Arc<Room>,
    entries: &[Entry],
) -> Result<Vec<Arc<Stream>>, SpoolError> {
    let mut ids: Vec<WriterId> = entries
        .iter()
        .filter(|entry| entry.is_folder)
        .filter_map(|entry| parse_folder(&entry.name))
        .collect();
    ids.sort_unstable();
    let mut streams = Vec::new();
    for id in ids {
        let path: PathBuf = folder.join(super::stream::folder_name(id));
        let entries = list(&**fs, &path)?;
        let has_notes = entries.iter().any(|entry| entry.name == stored::NAME);
        let mut files: Vec<(u64, u64)> = entries
            .into_iter()
            .filter_map(|entry| Some((parse_segment(&entry.name)?, entry.len)))
            .collect();
        files.sort_unstable();
        let mut segments = Segments::default();
        for (number, len) in files {
            let mut segment = Segment::new(number, Content::Unknown, len);
            segment.end = len.max(FRAMES_AT);
            segment.closed = true;
            room.owed.fetch_add(len, std::sync::atomic::Ordering::Relaxed);
            segments.list.push_back(segment);
        }
        let stream = Stream::new(Arc::clone(fs), folder, id, Arc::clone(room), segments);
        // Without knowing where it breaks, what was stored of it cannot be compared with what is.
        if has_notes && let Ok(breaks) = Break::read_all(&stream) {
            let said = stored::read(&stream);
            let mut segments = stream.segments();
            (segments.said, segments.breaks) = (said, breaks);
        }
        streams.push(Arc::new(stream));
    }
    Ok(streams)
}

pub(super) type Thread = threads::JoinHandle<()>;

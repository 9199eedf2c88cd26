//! The segments of one stream: which there are, how far they can be read, and when they may go.

use std::{
    collections::VecDeque,
    fmt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Break, Number, SpoolError,
    files::Filesystem,
    format::{FRAMES_AT, HeaderError, Secret, SegmentHeader},
    room::Room,
    threads::{Mutex, MutexGuard},
};
use crate::{record::WriterId, time::Timestamp};

/// What the names of segments end in.
pub(super) const SUFFIX: &str = ".seg";

pub(super) struct Stream {
    pub(super) fs: Arc<dyn Filesystem>,
    pub(super) folder: PathBuf,
    pub(super) quarantine: PathBuf,
    pub(super) writer_id: WriterId,
    pub(super) room: Arc<Room>,
    segments: Mutex<Segments>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("writer_id", &self.writer_id).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(super) struct Segments {
    /// By their numbers.
    pub(super) list: VecDeque<Segment>,
    /// Everything up to here is in the store.
    pub(super) acked: Number,
    /// The store has been asked how far that is.
    pub(super) is_asked: bool,
    /// What a file says about that.
    pub(super) said: Number,
    pub(super) secret: Option<Secret>,
    /// Where numbers are missing, in order.
    pub(super) breaks: Vec<Break>,
    /// A break could not be written down: nothing may go, since it could not be told again.
    pub(super) hold: bool,
    /// Segments up to this number are not kept for a while once they are stored.
    pub(super) left_up_to: Option<u64>,
    /// Nothing in it waits for an end: only then may segments go. Of the live stream, opens are copied forward.
    pub(super) is_settled: bool,
    /// It is an old one, and has been read to its end.
    pub(super) is_read: bool,
    /// When the first record was made that was read and is not acknowledged.
    pub(super) oldest: Option<Timestamp>,
    /// When the last batch was begun that was acknowledged.
    pub(super) stored_at: Option<Timestamp>,
}

impl Segments {
    /// Returns since when something of an old stream waits for the store: its first record that was read and is not there,
    /// else the segment that the next one is in.
    pub(super) fn waits_since(&self) -> Option<Timestamp> {
        if self.oldest.is_some() || self.is_read {
            return self.oldest;
        }
        let stored = if self.is_asked { self.acked } else { self.said };
        let firsts = self.list.iter().skip(1).map(Segment::first).chain([None]);
        let mut waiting = self.list.iter().zip(firsts).filter(|(segment, next)| {
            let last = segment.last.or(next.map(|next| next - 1));
            segment.bytes > 0 && last.is_none_or(|last| last > stored)
        });
        // What was stored was older than what waits.
        waiting.find_map(|(segment, _)| segment.created_at).max(self.stored_at)
    }

    /// Tells whether an old stream has nothing left.
    pub(super) fn is_done(&self) -> bool {
        self.is_read && self.is_settled && !self.hold && self.list.is_empty()
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// What its header says.
    pub(super) content: Content,
    /// The last number in it, once it is closed and that is known.
    pub(super) last: Option<Number>,
    /// How far it can be read: what is synced of it.
    pub(super) end: u64,
    /// What it takes on the disk.
    pub(super) bytes: u64,
    /// Nothing is written to it any more.
    pub(super) closed: bool,
    /// How many records there were before the first one is a guess.
    pub(super) is_guessed: bool,
    pub(super) acked_at: Option<Duration>,
    /// Its live opens have been copied forward; it may go when that is synced.
    pub(super) carried: Option<u64>,
    /// It has been copied to the quarantine, or that was tried.
    pub(super) quarantined: bool,
    /// When it was begun, if its header was read.
    pub(super) created_at: Option<Timestamp>,
}

impl Segment {
    pub(super) const fn new(number: u64, content: Content, bytes: u64) -> Self {
        Self {
            number,
            content,
            last: None,
            end: FRAMES_AT,
            bytes,
            closed: false,
            is_guessed: false,
            acked_at: None,
            carried: None,
            quarantined: false,
            created_at: None,
        }
    }

    /// Returns the number from which on every record is here or further on, if the header says so.
    pub(super) const fn first(&self) -> Option<Number> {
        match self.content {
            Content::From(first) => Some(first),
            _ => None,
        }
    }
}

/// What the header of a segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// It has not been read.
    Unknown,
    /// Records from this number on.
    From(Number),
    /// It cannot be read; frames may still be there.
    Headless,
    /// There is none: the file was made ahead and not used.
    Blank,
    /// This is another segment under a wrong name.
    Foreign,
    /// A version that is not known here.
    Later(u8),
}

impl Stream {
    pub(super) fn new(
        fs: Arc<dyn Filesystem>,
        root: &std::path::Path,
        writer_id: WriterId,
        room: Arc<Room>,
        segments: Segments,
    ) -> Self {
        Self {
            fs,
            folder: root.join(folder_name(writer_id)),
            quarantine: root.join(super::QUARANTINE),
            writer_id,
            room,
            segments: Mutex::new(segments),
        }
    }

    /// Never held across a call to the file system.
    pub(super) fn segments(&self) -> MutexGuard<'_, Segments> {
        self.segments.lock()
    }

    pub(super) fn path(&self, segment: u64) -> PathBuf {
        self.folder.join(segment_name(segment))
    }

    /// Reads the header of a segment.
    pub(super) fn header(
        &self,
        segment: u64,
    ) -> std::io::Result<Result<SegmentHeader, HeaderError>> {
        let file = self.fs.open(&self.path(segment))?;
        let mut bytes = vec![0; FRAMES_AT as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        let header = SegmentHeader::decode(&bytes[..filled]);
        Ok(match header {
            Ok(header) if header.segment != segment || header.writer_id != self.writer_id => {
                Err(HeaderError::Foreign)
            }
            header => header,
        })
    }

    /// Reads the header of a segment, unless that is done.
    pub(super) fn learn_content(&self, number: u64) -> std::io::Result<()> {
        let is_known = self
            .segments()
            .list
            .iter()
            .all(|segment| segment.number != number || segment.content != Content::Unknown);
        if is_known {
            return Ok(());
        }
        let header = self.header(number)?;
        let mut segments = self.segments();
        if let Ok(header) = &header {
            segments.secret.get_or_insert(header.secret);
        }
        if let Some(segment) = segments.list.iter_mut().find(|s| s.number == number) {
            segment.created_at = header.as_ref().ok().map(|header| header.created_at);
            segment.is_guessed = header.is_ok_and(|header| header.is_guessed);
            segment.content = header.map_or_else(Content::from, |h| Content::From(h.first));
        }
        Ok(())
    }

    /// Tells whether the first segment that is there was begun before a moment, or when is not known.
    pub(super) fn is_of_before(&self, moment: Option<Timestamp>) -> bool {
        let Some(moment) = moment else { return true };
        let Some(first) = self.segments().list.front().map(|first| first.number) else {
            return false;
        };
        // Nobody may have read of it yet.
        let _unread = self.learn_content(first);
        let segments = self.segments();
        let first = segments.list.front();
        first.is_some_and(|first| first.created_at.is_none_or(|begun| begun <= moment))
    }

    /// Refuses a stream that a later version of this crate wrote to: it is no damage, and nothing of it may go.
    pub(super) fn refuse_later(&self) -> Result<(), SpoolError> {
        let segments = self.segments();
        for segment in &segments.list {
            if let Content::Later(version) = segment.content {
                let why = format!("a later version of this crate wrote it (format {version})");
                return Err(SpoolError::said("read", self.path(segment.number), why));
            }
        }
        Ok(())
    }

    /// Copies a segment to the quarantine; tells whether it was not there yet.
    pub(super) fn copy_aside(&self, number: u64) -> std::io::Result<bool> {
        let name = format!("{}-{}", folder_name(self.writer_id), segment_name(number));
        let path = self.quarantine.join(&name);
        if self.fs.list(&self.quarantine)?.iter().any(|entry| entry.name == name) {
            return Ok(false);
        }
        let fresh = self.quarantine.join(format!("{name}.new"));
        // Left by an attempt that did not end.
        drop(self.fs.remove_file(&fresh));
        let from = self.fs.open(&self.path(number))?;
        let to = self.fs.create(&fresh)?;
        let mut bytes = vec![0; 256 << 10];
        let mut at = 0;
        loop {
            let read = from.read_at(&mut bytes, at)?;
            if read == 0 {
                break;
            }
            to.write_at(&bytes[..read], at)?;
            at += read as u64;
        }
        to.sync_data()?;
        self.fs.rename(&fresh, &path)?;
        self.fs.sync_folder(&self.quarantine)?;
        Ok(true)
    }

    /// Takes note that a segment was cut.
    pub(super) fn shrink(&self, number: u64, bytes: u64) {
        let mut segments = self.segments();
        if let Some(segment) = segments.list.iter_mut().find(|s| s.number == number) {
            let account =
                if segment.acked_at.is_some() { &self.room.kept } else { &self.room.owed };
            account.fetch_sub(segment.bytes.saturating_sub(bytes), Ordering::Relaxed);
            segment.bytes = bytes;
        }
    }

    /// Takes note that everything up to `number` is in the store, and nothing beyond; tells whether that is news.
    pub(super) fn acknowledge(&self, number: Number, now: Duration) -> bool {
        let mut segments = self.segments();
        let is_news = segments.acked != number || segments.said != number;
        segments.acked = number;
        segments.is_asked = true;
        self.settle(&mut segments, now);
        is_news
    }

    /// Moves the bytes of closed segments between what is owed and what is only kept.
    pub(super) fn settle(&self, segments: &mut Segments, now: Duration) {
        let acked = segments.acked;
        let mut next_first = None;
        for segment in segments.list.iter_mut().rev() {
            let last = segment.last.or_else(|| next_first.map(|first: Number| first - 1));
            next_first = segment.first().or(next_first);
            let done = segment.closed && last.is_some_and(|last| last <= acked);
            match (done, segment.acked_at) {
                (true, None) => {
                    segment.acked_at = Some(now);
                    self.room.owed.fetch_sub(segment.bytes, Ordering::Relaxed);
                    self.room.kept.fetch_add(segment.bytes, Ordering::Relaxed);
                }
                (false, Some(_)) => {
                    segment.acked_at = None;
                    self.room.owed.fetch_add(segment.bytes, Ordering::Relaxed);
                    self.room.kept.fetch_sub(segment.bytes, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }

    /// Forgets a segment whose file is gone.
    pub(super) fn forget(&self, number: u64) {
        let mut segments = self.segments();
        if let Some(at) = segments.list.iter().position(|segment| segment.number == number)
            && let Some(segment) = segments.list.remove(at)
        {
            let account =
                if segment.acked_at.is_some() { &self.room.kept } else { &self.room.owed };
            account.fetch_sub(segment.bytes, Ordering::Relaxed);
        }
    }
}

/// Returns the name of a stream's folder.
pub(super) fn folder_name(writer_id: WriterId) -> String {
    format!("{:016x}", writer_id.get())
}

/// Returns the stream whose folder has this name.
pub(super) fn parse_folder(name: &str) -> Option<WriterId> {
    let id = parse_hex(name)?;
    i64::try_from(id).ok().map(WriterId::new)
}

pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}{SUFFIX}")
}

pub(super) fn parse_segment(name: &str) -> Option<u64> {
    parse_hex(name.strip_suffix(SUFFIX)?)
}

fn parse_hex(text: &str) -> Option<u64> {
    let plain = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

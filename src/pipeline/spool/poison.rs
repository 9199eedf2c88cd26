//! After a sync that failed: the segment is left, and what may be lost of it is written again.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Core, Number,
    active::{Active, Current, Place, Unsynced},
    append::each_frame,
    format::{FRAMES_AT, Kind},
    scan::{Scanner, Step},
    settings::Share,
    sync::Work,
};

/// So many segments may wait to be removed; while there are more, nothing is copied again.
const MAX_SPENT: usize = 8;
/// What is read back is written and synced in parts of this size.
const PART: usize = 1 << 20;

/// Segments that a failed sync put an end to.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// What was written before the first failure, until that is safe.
    first: Vec<Current>,
    /// What was written since, until it is copied again: all of it is in memory, or in the first ones.
    copies: Vec<Current>,
    /// What is elsewhere too. They go as soon as the file system lets them.
    spent: Vec<Current>,
}

impl Left {
    /// Tells whether a segment is still needed.
    fn needs(&self, number: u64) -> bool {
        self.first.iter().chain(&self.copies).any(|current| current.number == number)
    }

    /// What was copied is in another segment now.
    fn spend_copies(&mut self) {
        let copies = std::mem::take(&mut self.copies);
        self.spent.extend(copies);
    }
}

impl Core {
    /// A sync failed: what it was about may be gone from the kernel's memory, and a later sync of the same file
    /// would say that all is well. So the segment is left, and its frames are written to a new one.
    pub(super) fn poison(&self, work: Work, error: &io::Error) {
        let mut active = self.active.lock();
        tracing::error!(
            path = %self.stream.folder.display(),
            %error,
            "a sync of the spool failed; what it was about is written to a new segment"
        );
        self.poisoned.fetch_add(1, Ordering::Relaxed);
        active.names |= work.names;
        let mut unsynced = work.unsynced;
        unsynced.is_over |= active.unsynced.is_over;
        unsynced.push(&active.unsynced.bytes);
        // Segments that were closed during the sync, and the one that is written to.
        let later = std::mem::take(&mut active.closed);
        let mut files = work.files;
        for current in later.into_iter().chain(active.current.take()) {
            files.retain(|known| known.number != current.number);
            files.push(current);
        }
        for current in &files {
            self.close_segment(current, unsynced.first - 1);
        }
        let is_again = std::mem::replace(&mut active.is_poisoned, true);
        {
            let mut left = self.left.lock();
            let list = if is_again { &mut left.copies } else { &mut left.first };
            list.extend(files);
        }
        let begun = if unsynced.is_over {
            // That takes its time, and has to be outside of the lock: it is left to the next attempt.
            active.unsynced = unsynced;
            active.held = 0;
            Ok(())
        } else {
            self.begin_again(&mut active, unsynced)
        };
        drop(active);
        if let Err(error) = begun {
            self.report("begin", &error);
        }
        self.clear_spent();
    }

    /// Begins a new segment with everything that is not known to be on the disk, where that is more than memory keeps:
    /// it is read back from the files. Each part is synced before the next one is written, so that a disk which goes on
    /// failing is given a small part of it each time.
    ///
    /// Outside of the append lock: nothing is taken while there is more than memory keeps.
    pub(super) fn copy_again(&self) -> io::Result<()> {
        // A copy that was read back has nothing but that in it: no append was let through since.
        self.left.lock().spend_copies();
        let size =
            self.left.lock().first.iter().map(|old| old.end - self.synced_end(old.number)).sum();
        self.make_room_again(size)?;
        let (mut current, synced_to) = {
            let mut active = self.active.lock();
            self.forget_spare(&mut active);
            let (first, first_open) = (active.unsynced.first, active.unsynced.first_open);
            (self.make_segment(&mut active, first, first_open)?, first - 1)
        };
        if let Err(error) = self.copy_back(&mut current) {
            self.give_up(current, synced_to);
            return Err(error);
        }
        self.active.lock().current = Some(current);
        Ok(())
    }

    /// Begins a new segment with everything that is not known to be on the disk. Where that fails, it stays in
    /// memory, and appends are refused.
    pub(super) fn begin_again(&self, active: &mut Active, unsynced: Unsynced) -> io::Result<()> {
        let begun = self.write_again(active, &unsynced);
        active.unsynced = unsynced;
        active.held = 0;
        active.current = Some(begun?);
        self.left.lock().spend_copies();
        Ok(())
    }

    fn write_again(&self, active: &mut Active, unsynced: &Unsynced) -> io::Result<Current> {
        self.forget_spare(active);
        self.make_room_again(unsynced.bytes.len() as u64)?;
        let mut current = self.make_segment(active, unsynced.first, unsynced.first_open)?;
        let begin = current.end;
        match self.put_back(&mut current, &unsynced.bytes) {
            Ok(()) => {
                self.place_opens(active, current.number, begin, &unsynced.bytes);
                Ok(current)
            }
            Err(error) => {
                self.give_up(current, unsynced.first - 1);
                Err(error)
            }
        }
    }

    /// A file that was made ahead came from the time before.
    fn forget_spare(&self, active: &mut Active) {
        if let Some((number, _)) = active.spare.take() {
            drop(self.fs.remove_file(&self.stream.path(number)));
        }
    }

    /// Leaves half a copy: the next attempt begins with a file of its own.
    fn give_up(&self, current: Current, last: Number) {
        self.close_segment(&current, last);
        self.left.lock().spent.push(current);
        self.clear_spent();
    }

    /// Sees to it that one more copy stays within bounds, however often syncs fail.
    fn make_room_again(&self, size: u64) -> io::Result<()> {
        self.clear_spent();
        if self.left.lock().spent.len() > MAX_SPENT {
            return Err(io::Error::other("segments that are not needed cannot be removed"));
        }
        if self.room.free() < self.settings.floor(Share::Own).saturating_add(size) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn put_back(&self, current: &mut Current, frames: &[u8]) -> io::Result<()> {
        current.file.write_at(frames, current.end)?;
        current.end += frames.len() as u64;
        self.room.took(frames.len() as u64);
        Ok(())
    }

    /// Takes note of where live opens stand now.
    fn place_opens(&self, active: &mut Active, segment: u64, at: u64, frames: &[u8]) {
        each_frame(self.seed, frames, at, |head, at| {
            if matches!(head.kind, Kind::Open | Kind::Carried)
                && let Some(place) = active.opens.get_mut(&head.number)
            {
                *place = Place { segment, at };
            }
        });
    }

    /// Reads back from the files what there was too much of to keep. What cannot be read is missing then, and the
    /// reader says so.
    fn copy_back(&self, current: &mut Current) -> io::Result<()> {
        let files: Vec<Current> = self.left.lock().first.clone();
        let mut frames = Vec::new();
        for old in files {
            let synced = self.synced_end(old.number);
            let mut scanner = Scanner::new(Arc::clone(&old.file), self.seed, old.end);
            scanner.jump(synced);
            loop {
                match scanner.step()? {
                    Step::Frame(found) => frames.extend_from_slice(scanner.frame(&found)),
                    Step::Damage { .. } => {}
                    Step::End => break,
                }
                if frames.len() > PART {
                    self.copy_part(current, &frames)?;
                    frames.clear();
                }
            }
        }
        self.copy_part(current, &frames)
    }

    fn copy_part(&self, current: &mut Current, frames: &[u8]) -> io::Result<()> {
        let begin = current.end;
        self.put_back(current, frames)?;
        current.file.sync_data().inspect_err(|_| {
            self.poisoned.fetch_add(1, Ordering::Relaxed);
        })?;
        self.place_opens(&mut self.active.lock(), current.number, begin, frames);
        Ok(())
    }

    fn synced_end(&self, number: u64) -> u64 {
        let segments = self.stream.segments();
        let segment = segments.list.iter().find(|segment| segment.number == number);
        segment.map_or(FRAMES_AT, |segment| segment.end)
    }

    /// Everything is safe elsewhere.
    pub(super) fn clear_left(&self) {
        {
            let mut left = self.left.lock();
            let first = std::mem::take(&mut left.first);
            left.spent.extend(first);
            left.spend_copies();
        }
        self.clear_spent();
    }

    /// Removes what is not needed any more. What cannot be removed is tried again, by the next sync or by
    /// [`tidy`](Self::tidy).
    pub(super) fn clear_spent(&self) {
        let mut spent = std::mem::take(&mut self.left.lock().spent);
        spent.retain(|old| match self.clear_away(old) {
            Ok(()) => false,
            Err(error) => {
                self.report("clear away", &error);
                true
            }
        });
        self.left.lock().spent.append(&mut spent);
    }

    /// Cuts a poisoned segment down to what was synced of it, now that the rest is elsewhere.
    fn clear_away(&self, old: &Current) -> io::Result<()> {
        let end = self.synced_end(old.number);
        // Also where it cannot be cut: a reader would wait for the rest.
        self.stream.shrink(old.number, end);
        if end > FRAMES_AT {
            return old.file.set_len(end);
        }
        match self.fs.remove_file(&self.stream.path(old.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => self.stream.forget(old.number),
        }
        Ok(())
    }

    /// Tells whether a segment has frames that are not safe yet.
    pub(super) fn is_left(&self, number: u64) -> bool {
        self.left.lock().needs(number)
    }

    /// Tells whether something is there that could not be removed.
    pub(super) fn has_spent(&self) -> bool {
        !self.left.lock().spent.is_empty()
    }
}

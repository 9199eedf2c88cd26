//! After a sync that failed: the segment is left, and what may be lost of it is written again.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Core,
    active::{Active, Current, Place, Unsynced},
    append::each_frame,
    format::{FRAMES_AT, Kind},
    scan::{Scanner, Step},
    settings::Share,
    sync::Work,
};

/// So many segments may wait to be removed; while there are more, nothing is copied again.
const MAX_SPENT: usize = 8;

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
        let begun = self.begin_again(&mut active, unsynced);
        drop(active);
        if let Err(error) = begun {
            self.report("begin", &error);
        }
        self.clear_spent();
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
        // A file that was made ahead came from the time before.
        if let Some((number, _)) = active.spare.take() {
            drop(self.fs.remove_file(&self.stream.path(number)));
        }
        self.make_room_again(unsynced)?;
        let mut current = self.make_segment(active, unsynced.first, unsynced.first_open)?;
        let written = if unsynced.is_over {
            self.copy_back(active, &mut current)
        } else {
            self.put_back(active, &mut current, &unsynced.bytes)
        };
        if let Err(error) = written {
            // Half a copy: the next attempt begins with a file of its own.
            self.close_segment(&current, unsynced.first - 1);
            self.left.lock().spent.push(current);
            self.clear_spent();
            return Err(error);
        }
        Ok(current)
    }

    /// Sees to it that one more copy stays within bounds, however often syncs fail.
    fn make_room_again(&self, unsynced: &Unsynced) -> io::Result<()> {
        if unsynced.is_over {
            // A copy that was read back has nothing but that in it: no append was let through since.
            self.left.lock().spend_copies();
        }
        self.clear_spent();
        let left = self.left.lock();
        if left.spent.len() > MAX_SPENT {
            return Err(io::Error::other("segments that are not needed cannot be removed"));
        }
        let size = if unsynced.is_over {
            left.first.iter().map(|old| old.end - self.synced_end(old.number)).sum()
        } else {
            unsynced.bytes.len() as u64
        };
        if self.room.free() < self.settings.floor(Share::Own).saturating_add(size) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn put_back(
        &self,
        active: &mut Active,
        current: &mut Current,
        frames: &[u8],
    ) -> io::Result<()> {
        current.file.write_at(frames, current.end)?;
        let number = current.number;
        each_frame(self.seed, frames, current.end, |head, at| {
            if matches!(head.kind, Kind::Open | Kind::Carried)
                && let Some(place) = active.opens.get_mut(&head.number)
            {
                *place = Place { segment: number, at };
            }
        });
        current.end += frames.len() as u64;
        self.room.took(frames.len() as u64);
        Ok(())
    }

    /// Reads back from the files what there was too much of to keep. What cannot be read is missing then, and the
    /// reader says so.
    fn copy_back(&self, active: &mut Active, current: &mut Current) -> io::Result<()> {
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
                if frames.len() > 1 << 20 {
                    self.put_back(active, current, &frames)?;
                    frames.clear();
                }
            }
        }
        self.put_back(active, current, &frames)
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

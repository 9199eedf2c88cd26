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
    sync::Work,
};

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
        self.left.lock().extend(files);
        if let Err(error) = self.begin_again(&mut active, unsynced) {
            drop(active);
            self.report("begin", &error);
        }
    }

    /// Begins a new segment with everything that is not known to be on the disk. Where that fails, it stays in
    /// memory, and appends are refused.
    pub(super) fn begin_again(&self, active: &mut Active, unsynced: Unsynced) -> io::Result<()> {
        let begun = self.write_again(active, &unsynced);
        active.unsynced = unsynced;
        active.current = Some(begun?);
        Ok(())
    }

    fn write_again(&self, active: &mut Active, unsynced: &Unsynced) -> io::Result<Current> {
        // A file that was made ahead came from the time before.
        if let Some((number, _)) = active.spare.take() {
            drop(self.fs.remove_file(&self.stream.path(number)));
        }
        let mut current = self.make_segment(active, unsynced.first, unsynced.first_open)?;
        let written = if unsynced.is_over {
            self.copy_back(active, &mut current)
        } else {
            self.put_back(active, &mut current, &unsynced.bytes)
        };
        if let Err(error) = written {
            // Half a copy: the next attempt begins with a file of its own.
            drop(self.fs.remove_file(&self.stream.path(current.number)));
            self.room.owed.fetch_sub(current.end - FRAMES_AT, Ordering::Relaxed);
            self.stream.forget(current.number);
            return Err(error);
        }
        Ok(current)
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
        let files: Vec<Current> = self.left.lock().clone();
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

    /// Cuts a poisoned segment down to what was synced of it, now that the rest is safe elsewhere.
    pub(super) fn clear_away(&self, old: &Current) {
        let end = self.synced_end(old.number);
        if end <= FRAMES_AT {
            if self.fs.remove_file(&self.stream.path(old.number)).is_ok() {
                self.stream.forget(old.number);
            }
            return;
        }
        if old.file.set_len(end).is_ok() {
            self.stream.shrink(old.number, end);
        }
    }
}

//! Removing what has been stored for long enough, and making ready what will be needed.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Core, OpenNumber, Refused,
    active::Place,
    format::Kind,
    scan::{Scanner, Step},
    stream::Stream,
};

impl Core {
    /// Removes segments that may go, makes the next one ahead, and sees whether there is room again.
    pub(super) fn tidy(&self) {
        self.check_space();
        self.clear_spent();
        self.make_spare();
        self.say_all_stored();
        self.tidy_stream(&self.stream, true);
        let old = self.old.lock().clone();
        for stream in old {
            self.tidy_stream(&stream, false);
            if stream.segments().is_done() {
                self.remove_stream(&stream);
            }
        }
        self.has_room.notify_waiters();
    }

    /// Removes segments from the front. In order, and each on the disk before the next one: an open that came back after
    /// a power cut without the end that was behind it would look like something that did not end.
    fn tidy_stream(&self, stream: &Arc<Stream>, is_live: bool) {
        loop {
            let now = self.clock.monotonic();
            let (number, carried) = {
                let segments = stream.segments();
                let Some(segment) = segments.list.front() else { return };
                let Some(acked_at) = segment.acked_at else { return };
                let back_at = Duration::from_micros(self.back_at.load(Ordering::Relaxed));
                let is_left = segments.left_up_to.is_some_and(|last| segment.number <= last);
                let is_due = !self.is_away.load(Ordering::Acquire)
                    && (is_left || now.saturating_sub(acked_at.max(back_at)) >= self.settings.keep);
                let may_go = segments.is_settled && !segments.hold;
                if !may_go || !(is_due || self.room.is_short()) {
                    return;
                }
                (segment.number, segment.carried)
            };
            if is_live {
                if self.is_left(number) {
                    return;
                }
                let safe = match carried {
                    Some(mark) => mark,
                    None => match self.carry_all(number) {
                        Ok(mark) => {
                            let mut segments = stream.segments();
                            if let Some(segment) = segments.list.front_mut() {
                                segment.carried = Some(mark);
                            }
                            mark
                        }
                        Err(error) => {
                            self.report("copy what has not ended out of", &error);
                            return;
                        }
                    },
                };
                if self.sync.synced() < safe {
                    self.sync.wake();
                    return;
                }
            }
            let removed = self
                .fs
                .remove_file(&stream.path(number))
                .or_else(|error| match error.kind() {
                    io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .and_then(|()| {
                    stream.forget(number);
                    self.fs.sync_folder(&stream.folder)
                });
            if let Err(error) = removed {
                self.report("remove", &error);
                return;
            }
        }
    }

    /// Copies the live opens of a segment forward; returns the mark that has to be synced before it goes.
    fn carry_all(&self, number: u64) -> io::Result<u64> {
        let live: Vec<(OpenNumber, Place)> = {
            let active = self.active.lock();
            let here = active.opens.iter().filter(|(_, place)| place.segment == number);
            here.map(|(open, place)| (*open, *place)).collect()
        };
        if live.is_empty() {
            return Ok(0);
        }
        let file = self.fs.open(&self.stream.path(number))?;
        let mut scanner = Scanner::new(Arc::clone(&file), self.seed, file.len()?);
        for (open, place) in live {
            scanner.jump(place.at);
            match scanner.step()? {
                Step::Frame(found)
                    if matches!(found.kind, Kind::Open | Kind::Carried) && found.number == open =>
                {
                    let record = scanner.record(&found);
                    self.carry(open, number, found.recorded_at, record)
                        .map_err(|refused: Refused| io::Error::other(refused.as_str()))?;
                }
                // It cannot be read: its end is all that there will be.
                _ => {}
            }
        }
        Ok(self.active.lock().written)
    }

    /// Makes the file of the next segment once this one is half full, so that no append has to.
    fn make_spare(&self) {
        let number = {
            let mut active = self.active.lock();
            let half = self.settings.segment() / 2;
            let is_due = active.current.as_ref().is_some_and(|current| current.end >= half);
            if active.spare.is_some() || active.is_shut || active.is_poisoned || !is_due {
                return;
            }
            active.next_segment += 1;
            active.next_segment - 1
        };
        let path = self.stream.path(number);
        let made = self.fs.create(&path).and_then(|file| {
            self.fs.sync_folder(&self.stream.folder)?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                let mut active = self.active.lock();
                // Segments are read in the order of their numbers.
                let is_late = active.current.as_ref().is_none_or(|current| current.number > number);
                if is_late || active.is_shut {
                    drop(active);
                    drop(self.fs.remove_file(&path));
                } else {
                    active.spare = Some((number, file));
                }
            }
            Err(error) => {
                drop(self.fs.remove_file(&path));
                self.report("make", &error);
            }
        }
    }

    /// Removes the folder of a stream that is stored and whose time has passed.
    fn remove_stream(&self, stream: &Arc<Stream>) {
        let removed = self.fs.list(&stream.folder).and_then(|entries| {
            for entry in entries {
                self.fs.remove_file(&stream.folder.join(entry.name))?;
            }
            self.fs.remove_folder(&stream.folder)?;
            self.fs.sync_folder(&self.root)
        });
        match removed {
            Ok(()) => {
                self.old.lock().retain(|other| other.writer_id != stream.writer_id);
                tracing::info!(stream = %stream.writer_id, "an earlier stream of the spool is stored and removed");
            }
            Err(error) => self.report("remove the folder of", &error),
        }
    }

    pub(super) fn has_to_tidy(&self) -> bool {
        self.room.kept.load(Ordering::Relaxed) > 0
            || self.room.is_below_floor()
            || self.room.is_wanted()
            || self.has_spent()
            || self.old.lock().iter().any(|stream| stream.segments().is_done())
    }
}

//! The records of entries: asked for here, and read and hashed on a thread beside, so that neither waits for the other.

use std::{collections::VecDeque, panic::resume_unwind};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{JoinError, JoinHandle, spawn_blocking},
};

use super::{Audit, ENTRIES};
use crate::{
    ledger::{
        Entry, RemovalCount,
        verify::{Checked, EntryCheck, RecordRow},
    },
    record::{Canonical, WriterId},
    store::{Evidence, Read, StoreError, StoreErrorKind, retain},
};

/// So many numbers of a stream are asked for at once, and as many again beside them.
const NUMBERS: i64 = 1_000;
/// As many rows, and one more, which tells where to go on: somebody may have made a second one of a number.
const ROWS: usize = NUMBERS as usize + 1;

/// So many pages may wait for the thread that hashes, the one at which it is included, while the next one is read.
const WAITING: usize = 2;

/// The thread beside.
#[derive(Debug, Default)]
pub(super) struct Hashing {
    worker: Option<Worker>,
    /// So many pages have been handed to it, and nothing was heard of them.
    waiting: usize,
}

#[derive(Debug)]
struct Worker {
    pages: UnboundedSender<Hand>,
    /// Of each page the entries that came to their end with it.
    checked: UnboundedReceiver<Vec<Checked>>,
    thread: JoinHandle<()>,
}

/// What the thread is handed.
struct Hand {
    /// The entries that begin with these rows, or behind them.
    entries: Vec<EntryCheck>,
    rows: Vec<RecordRow>,
    /// Whether there are no more rows of any of the entries.
    last: bool,
}

impl Worker {
    /// Begins; it ends when nobody hands it anything any more.
    fn start() -> Self {
        let (pages, mut handed) = unbounded_channel::<Hand>();
        let (done, checked) = unbounded_channel();
        let thread = spawn_blocking(move || {
            let mut run = Run::default();
            while let Some(hand) = handed.blocking_recv() {
                if done.send(run.take(hand)).is_err() {
                    break;
                }
            }
        });
        Self { pages, checked, thread }
    }
}

/// Rows of one stream, and the number from which to read on, if there may be more.
struct Page {
    rows: Vec<RecordRow>,
    next: Option<i64>,
}

impl Page {
    /// Of rows in the order of their numbers, none beyond `to`; there may be more of them if they are `full`.
    fn of(mut rows: Vec<RecordRow>, full: bool, to: i64) -> Self {
        let Some(last) = rows.last().filter(|_| full).map(|row| row.seq) else {
            return Self { rows, next: None };
        };
        // Rows of the last number may go on behind the page. Of more than fill one, these tell enough.
        let kept = rows.iter().take_while(|row| row.seq < last).count();
        if kept == 0 {
            return Self { rows, next: last.checked_add(1).filter(|next| *next <= to) };
        }
        rows.truncate(kept);
        Self { rows, next: Some(last) }
    }

    /// Joins a page that was read at the same time, and begins with `second`, unless this one does not reach so far:
    /// numbers may be missing or doubled.
    fn and(mut self, second: i64, beside: Self) -> Self {
        if let Some(next) = self.next.filter(|next| second <= *next) {
            self.rows.extend(beside.rows.into_iter().filter(|row| next <= row.seq));
            self.next = beside.next.map(|after| after.max(next));
        }
        self
    }
}

/// Entries that follow each other in one stream, while their records come.
#[derive(Default)]
struct Run {
    entries: VecDeque<EntryCheck>,
    canonical: Canonical,
}

impl Run {
    /// Takes rows in the order of their numbers, and returns the entries that they came to the end of.
    fn take(&mut self, hand: Hand) -> Vec<Checked> {
        let mut checked = Vec::new();
        self.entries.extend(hand.entries);
        for row in hand.rows {
            while let Some(entry) =
                self.entries.pop_front_if(|it| it.entry().new.last_seq < row.seq)
            {
                checked.push(entry.finish());
            }
            if let Some(entry) = self.entries.front_mut() {
                entry.row(&row, &mut self.canonical);
            }
        }
        if hand.last {
            checked.extend(self.entries.drain(..).map(EntryCheck::finish));
        }
        checked
    }
}

impl<S: Evidence + Read> Audit<'_, S> {
    /// Reads the records of some entries, those of one stream in one go. The last of them may still be hashed when this returns,
    /// see [`hashed`](Self::hashed).
    pub(super) async fn records(&mut self, mut checks: Vec<EntryCheck>) -> Result<(), StoreError> {
        let place = |check: &EntryCheck| {
            let new = &check.entry().new;
            (new.writer_id, new.first_seq)
        };
        checks.sort_by_key(place);
        let mut checks = checks.into_iter().peekable();
        while let Some(first) = checks.next() {
            let mut run = vec![first];
            let follows = |run: &[EntryCheck], next: &EntryCheck| {
                run.last().is_some_and(|last| goes_on(last.entry(), next.entry()))
            };
            while let Some(next) = checks.next_if(|next| follows(&run, next)) {
                run.push(next);
            }
            match self.scratch {
                Some(_) => self.run_of_scratch(run).await?,
                None => self.run_of(run).await?,
            }
        }
        Ok(())
    }

    /// Waits until all that was read has been hashed, and takes what it came to.
    pub(super) async fn hashed(&mut self) -> Result<(), StoreError> {
        self.settle(0).await
    }

    /// Waits until no more than so many pages are with the thread, and takes what the others came to.
    async fn settle(&mut self, most: usize) -> Result<(), StoreError> {
        while self.hashing.waiting > most {
            let Some(worker) = self.hashing.worker.as_mut() else { return Ok(()) };
            let Some(checked) = worker.checked.recv().await else { return self.ended().await };
            self.hashing.waiting -= 1;
            for checked in checked {
                let checked = self.looked_again(checked).await?;
                self.verifier.checked(checked);
            }
        }
        Ok(())
    }

    /// Says why the thread ended with work before it.
    async fn ended(&mut self) -> Result<(), StoreError> {
        let ended = match self.hashing.worker.take() {
            Some(worker) => worker.thread.await,
            None => Ok(()),
        };
        match ended.map_err(JoinError::try_into_panic) {
            Err(Ok(panic)) => resume_unwind(panic),
            _ => Err(StoreError::new(
                StoreErrorKind::Transient,
                "verify records: the runtime that hashes them ends",
            )),
        }
    }

    /// Hands rows to the thread, when it has come so far.
    async fn hash(&mut self, hand: Hand) -> Result<(), StoreError> {
        self.settle(WAITING - 1).await?;
        let worker = self.hashing.worker.get_or_insert_with(Worker::start);
        if worker.pages.send(hand).is_err() {
            return self.ended().await;
        }
        self.hashing.waiting += 1;
        Ok(())
    }

    /// Looks again at an entry that lacks rows: a run of the retention may be under way. What it takes out it tells of
    /// before, and an entry goes whole, but between two pages that were read of it.
    async fn looked_again(&mut self, checked: Checked) -> Result<Checked, StoreError> {
        let Some((entry, all)) = checked.lost() else { return Ok(checked) };
        if !self.verifier.knows_removal_of(entry) {
            self.removals_since().await?;
        }
        if all || !self.verifier.knows_removal_of(entry) {
            return Ok(checked);
        }
        let new = &entry.new;
        let left = self.store.record_rows(new.writer_id, new.first_seq, new.last_seq, 1).await?;
        Ok(if left.is_empty() { EntryCheck::new(entry.clone()).finish() } else { checked })
    }

    /// Takes what was told of since this began.
    async fn removals_since(&mut self) -> Result<(), StoreError> {
        if self.looks == 0 {
            return Ok(());
        }
        self.looks -= 1;
        for told in retain::removals(self.store).await? {
            if self.verifier.knows_removal(&told.removal) {
                continue;
            }
            let mut passed = RemovalCount::default();
            let (mut after, up_to) = (told.removal.first - 1, self.verifier.position());
            while after < up_to.min(told.removal.last) {
                let rows = self.store.ledger_rows(after, ENTRIES).await?;
                let entries = rows.into_iter().filter_map(|row| row.entry.ok());
                let last = entries.fold(None, |_, entry| {
                    if entry.position <= up_to && told.removal.covers(&entry) {
                        passed.push(&entry);
                    }
                    Some(entry.position)
                });
                match last {
                    Some(last) => after = last,
                    None => break,
                }
            }
            self.verifier.removal_since(told.removal, passed);
        }
        Ok(())
    }

    /// Reads the records of entries that follow each other in one stream.
    async fn run_of(&mut self, mut entries: Vec<EntryCheck>) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let stream = first.entry().new.writer_id;
        let (mut from, to) = (first.entry().new.first_seq, last.entry().new.last_seq);
        loop {
            let Page { rows, next } = self.pages(stream, from, to).await?;
            let entries = std::mem::take(&mut entries);
            self.hash(Hand { entries, rows, last: next.is_none() }).await?;
            let Some(next) = next else { return Ok(()) };
            from = next;
        }
    }

    /// Reads two pages at once.
    async fn pages(&self, stream: WriterId, from: i64, to: i64) -> Result<Page, StoreError> {
        let second = from.checked_add(NUMBERS).filter(|second| *second <= to);
        let Some(second) = second else { return self.page(stream, from, to).await };
        let pages = tokio::try_join!(self.page(stream, from, to), self.page(stream, second, to));
        pages.map(|(page, beside)| page.and(second, beside))
    }

    async fn page(&self, stream: WriterId, from: i64, to: i64) -> Result<Page, StoreError> {
        let rows = self.store.record_rows(stream, from, to, ROWS).await?;
        let full = rows.len() == ROWS;
        Ok(Page::of(rows, full, to))
    }

    /// Reads the records of entries of a scratch copy, and the hashes of those that it leaves out.
    async fn run_of_scratch(&mut self, run: Vec<EntryCheck>) -> Result<(), StoreError> {
        let mut canonical = Canonical::new();
        for mut check in run {
            let (stream, mut from, to) = {
                let new = &check.entry().new;
                (new.writer_id, new.first_seq, new.last_seq)
            };
            let left_out = self.store.scratch_leaves(stream, from, to).await?;
            let mut left_out = left_out.into_iter().peekable();
            loop {
                let rows = self.store.record_rows(stream, from, to, ROWS).await?;
                let full = rows.len() == ROWS;
                from = rows.last().map_or(to, |row| row.seq.saturating_add(1));
                for row in rows {
                    while let Some((seq, hash)) = left_out.next_if(|(seq, _)| *seq < row.seq) {
                        check.left_out(seq, hash);
                    }
                    check.row(&row, &mut canonical);
                }
                if !full {
                    break;
                }
            }
            left_out.for_each(|(seq, hash)| check.left_out(seq, hash));
            self.verifier.checked(check.finish());
        }
        Ok(())
    }
}

fn goes_on(one: &Entry, other: &Entry) -> bool {
    one.new.writer_id == other.new.writer_id
        && one.new.last_seq.checked_add(1) == Some(other.new.first_seq)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Record;

    /// Reads from a table of these numbers as [`Audit::pages`] does, so many numbers at once, and returns what it saw.
    fn read(table: &[i64], numbers: i64, to: i64) -> Vec<i64> {
        let most = usize::try_from(numbers).unwrap() + 1;
        let page = |from: i64| {
            let rows = table.iter().filter(|seq| (from..=to).contains(seq)).take(most);
            let row = |seq: &i64| RecordRow::new(*seq, Box::new(Record::default()));
            let rows: Vec<_> = rows.map(row).collect();
            let full = rows.len() == most;
            Page::of(rows, full, to)
        };
        let (mut from, mut seen) = (1_i64, Vec::new());
        loop {
            let second = from.checked_add(numbers).filter(|second| *second <= to);
            let Page { rows, next } = match second {
                Some(second) => page(from).and(second, page(second)),
                None => page(from),
            };
            seen.extend(rows.iter().map(|row| row.seq));
            let Some(next) = next else { return seen };
            assert!(from < next, "it goes on");
            from = next;
        }
    }

    #[test]
    fn two_pages_at_once_end_at_the_last_number_that_there_is() {
        let all: Vec<_> = (1..=10).collect();
        for numbers in 1..12 {
            assert_eq!(read(&all, numbers, 10), all);
            assert_eq!(
                read(&[i64::MAX - 1, i64::MAX], numbers, i64::MAX),
                [i64::MAX - 1, i64::MAX]
            );
        }
    }

    proptest! {
        /// Whatever numbers are missing or doubled: each row is seen, in order and once, but of those that fill more than
        /// a page with one number.
        #[test]
        fn each_row_is_read_once(
            mut table in proptest::collection::vec(1_i64..40, 0..80),
            numbers in 1_i64..12,
        ) {
            table.sort_unstable();
            let seen = read(&table, numbers, 30);
            let most = usize::try_from(numbers).unwrap() + 1;
            let mut expected = Vec::new();
            for seq in 1..=30 {
                let count = table.iter().filter(|it| **it == seq).count();
                let here = seen.iter().filter(|it| **it == seq).count();
                prop_assert!(here == count || (count > most && here >= most), "{seq}: {here} of {count}");
                expected.extend(std::iter::repeat_n(seq, here));
            }
            prop_assert_eq!(seen, expected);
        }
    }
}

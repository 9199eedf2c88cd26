//! Shows a store's rows to the verifier, page by page.

mod records;

use std::collections::BTreeSet;

use self::records::Hashing;
use super::{ErasedList, Evidence, Read, Scratch, StoreError, retain};
use crate::{
    ledger::{
        Checkpoint, Entry, Frontier, KeptCheckpoint, Trust, origin_of, root_by_inclusion,
        verify::{EntryCheck, Head, Report, Source, State, Verdict, Verifier},
    },
    record::{Canonical, WriterId},
    time::Timestamp,
};

/// So many entries of the ledger are read at once.
const ENTRIES: usize = 1_000;
/// About so many records before the next entries are looked at.
const CHUNK: i64 = 8_000;
/// So many streams at once.
const STREAMS: usize = 100;
/// So often the ledger is read on at its end, while groups are erased or records gone of which no record has told yet.
const ROUNDS: u32 = 20;
/// So many checkpoints at once.
const HEADS: usize = 1_000;

/// A verification of a whole log.
///
/// Reads every row once, in short transactions, in constant memory; appends go on meanwhile. What is
/// committed after it has come to the end is not looked at.
#[derive(Debug)]
pub struct Audit<'s, S> {
    store: &'s S,
    verifier: Verifier,
    hashing: Hashing,
    trust: Option<Trust>,
    anchored: Vec<Head>,
    earlier: Option<State>,
    /// So often it is asked once more what was taken out, when records are missing.
    looks: u32,
    /// The streams that this verification has seen.
    seen: BTreeSet<WriterId>,
    takes_scratch: bool,
    /// The heads of a scratch copy, each with whether it is known from outside; `None` when it is a log.
    scratch: Option<Vec<(Result<Checkpoint, String>, bool)>>,
}

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditProgress {
    /// The position of the entry that was read last.
    pub position: i64,
    /// How many records were read.
    pub records: u64,
}

impl<'s, S: Evidence + Read> Audit<'s, S> {
    /// Begins with the first entry.
    #[must_use]
    pub fn new(store: &'s S) -> Self {
        Self {
            store,
            verifier: Verifier::new(),
            hashing: Hashing::default(),
            trust: None,
            anchored: Vec::new(),
            earlier: None,
            looks: ROUNDS,
            seen: BTreeSet::new(),
            takes_scratch: false,
            scratch: None,
        }
    }

    /// Takes no head that none of these keys signed. Defaults to no key, and then a head counts as what it says:
    /// whoever wrote the ledger anew may have written it too.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

    /// Compares the ledger with heads from outside of the database as well, each a signed note.
    #[must_use]
    pub fn anchored(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.anchored = (1..)
            .zip(notes)
            .map(|(number, note)| Head::read(Source::Anchor, number, &note, self.trust.as_ref()))
            .collect();
        self
    }

    /// Takes the store for a scratch copy of an archive if it says that it is one: entries may be missing between those
    /// that are there. Without this it is held to what a log has to be, so that nobody passes a log of which entries are
    /// gone off as a copy.
    #[must_use]
    pub fn of_scratch(self) -> Self {
        Self { takes_scratch: true, ..self }
    }

    /// Goes on where an earlier verification ended, and reads what came since. Where the ledger is another one by now, all
    /// of it is read, and compared with what was verified.
    #[must_use]
    pub fn since(self, state: State) -> Self {
        Self { earlier: Some(state), ..self }
    }

    /// Reads everything and returns what was found; `progress` is told every few thousand records.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. What is wrong with the rows is no error but the result.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the verification; nothing is left behind.
    pub async fn run(self, progress: impl FnMut(AuditProgress)) -> Result<Report, StoreError> {
        Ok(self.run_on(Timestamp::default(), progress).await?.0)
    }

    /// As [`run`](Self::run), and returns where the next one may go on, unless something was altered. `now` is the time.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the verification; nothing is left behind.
    pub async fn run_on(
        mut self,
        now: Timestamp,
        mut progress: impl FnMut(AuditProgress),
    ) -> Result<(Report, Option<State>), StoreError> {
        self.store.expect_all().await?;
        let mut heads = std::mem::take(&mut self.anchored);
        let mut checkpoints = 0;
        if self.takes_scratch
            && let Some(scratch) = self.store.scratch().await?
        {
            self.begin_scratch(&scratch, std::mem::take(&mut heads));
        }
        if let Some(state) = self.earlier.take() {
            if let Some(verifier) = self.resumed(&state).await? {
                self.verifier = verifier;
                checkpoints = state.checkpoints;
            } else if let Some(head) = state.head() {
                heads.push(Head { source: Source::Earlier, number: 1, head: Ok(head) });
            }
        }
        let since = self.verifier.position();
        loop {
            let kept = self.store.checkpoints(checkpoints, HEADS).await?;
            for kept in &kept {
                heads.extend(gone(checkpoints, kept.number));
                heads.push(kept_head(kept, self.trust.as_ref()));
                checkpoints = kept.number;
            }
            if kept.len() < HEADS {
                break;
            }
        }
        // What lies before was compared when it was read; those that nobody can read are told of in any case.
        heads.retain(|head| {
            let size = head.head.as_ref().map(|head| i64::try_from(head.size).unwrap_or(i64::MAX));
            size.is_ok_and(|size| size >= since) || size.is_err()
        });
        self.verifier.heads(heads);
        if since == 0 {
            self.name().await?;
        }
        let removals = retain::removals(self.store).await?;
        self.verifier.removals(removals.into_iter().map(|told| told.removal));
        let mut after = if since > 0 { since } else { i64::MIN };
        let mut waiting = Vec::new();
        let mut rounds = ROUNDS;
        loop {
            let rows = self.store.ledger_rows(after, ENTRIES).await?;
            let last = rows.len() < ENTRIES;
            // Rows of one position may go on behind the page, if somebody made a second one.
            after = rows.iter().rev().find_map(|row| row.position).unwrap_or(after);
            let mut count = 0;
            for row in rows {
                let Some(entry) = self.verifier.entry(row) else { continue };
                self.under_its_head(&entry).await?;
                count += entry.new.count().min(CHUNK);
                self.seen.insert(entry.new.writer_id);
                waiting.push(EntryCheck::new(entry));
                if count >= CHUNK {
                    count = 0;
                    self.records(std::mem::take(&mut waiting)).await?;
                    progress(self.progress());
                }
            }
            self.records(std::mem::take(&mut waiting)).await?;
            progress(self.progress());
            if last {
                self.hashed().await?;
                if self.verifier.lacks_a_telling() {
                    self.restricted().await?;
                }
                // Erased or taken out while this was on its way: the record that tells of it is in the ledger by now.
                if rounds == 0 || !self.verifier.lacks_a_telling() {
                    break;
                }
                rounds -= 1;
            }
        }
        match since {
            0 => self.extra().await?,
            _ => self.extra_of_seen().await?,
        }
        self.verifier.conclude();
        let state = self.verifier.state(now, checkpoints, self.trust.is_some());
        if self.trust.is_some() {
            // Of this verification alone: the next one may find a head.
            self.verifier.expect_signed();
        }
        let report = self.verifier.report().clone();
        let sound = report.verdict() != Verdict::Altered;
        Ok((report, state.filter(|_| sound)))
    }

    /// Compares the name that the first entry gives the ledger with those of the trusted keys: who wrote all of it anew, and
    /// took its heads away, could not keep the name.
    async fn name(&mut self) -> Result<(), StoreError> {
        let Some(trust) = self.trust.as_ref().filter(|_| self.scratch.is_none()) else {
            return Ok(());
        };
        let first = self.store.ledger_rows(0, 1).await?.pop().and_then(|row| row.entry.ok());
        let first = first.filter(|entry| entry.position == 1);
        if first.is_some_and(|entry| !trust.knows(&origin_of(&entry))) {
            self.verifier.is_of_another_log();
        }
        Ok(())
    }

    /// Takes what is kept aside under a hold for told of, where it is what its record lacks.
    async fn restricted(&mut self) -> Result<(), StoreError> {
        let (mut after, mut canonical) = (0, Canonical::new());
        loop {
            let page = self.store.restricted(after, ENTRIES).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            let mut proved = ErasedList::default();
            for (_, kept) in &page {
                let rows = self.store.record_rows(kept.writer_id, kept.seq, kept.seq, 1).await?;
                // A row that is nothing which an append writes is told of elsewhere.
                let Some(Ok(record)) = rows.into_iter().next().map(|row| row.record()) else {
                    continue;
                };
                let groups = kept.proved(&record, &mut canonical);
                if !groups.is_empty() {
                    proved.add(kept.writer_id, kept.seq, groups);
                }
            }
            self.verifier.kept_aside(proved);
        }
    }

    /// Takes the store for a part of a log, whose entries lie under heads of their own.
    fn begin_scratch(&mut self, scratch: &Scratch, anchored: Vec<Head>) {
        self.verifier = std::mem::take(&mut self.verifier).of_a_part();
        let known: Vec<_> = anchored.iter().filter_map(|head| head.head.as_ref().ok()).collect();
        let heads = (1..).zip(&scratch.heads).map(|(number, note)| {
            let head = Head::read(Source::Kept, number, note, self.trust.as_ref()).head;
            let same = |head: &Checkpoint| {
                known.iter().any(|it| (it.size, it.root) == (head.size, head.root))
            };
            let is_known = head.as_ref().is_ok_and(same);
            (head, is_known)
        });
        self.scratch = Some(heads.collect());
        // An anchor that cannot be trusted is told of; the others cover more than there is here.
        self.verifier.heads(anchored.into_iter().filter(|head| head.head.is_err()));
    }

    /// Holds an entry of a scratch copy to the head that it lies under.
    async fn under_its_head(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let Some(heads) = &self.scratch else { return Ok(()) };
        // Without one it was recorded in the copy itself, or archived before a head covered it.
        let Some((head, path)) = self.store.scratch_path(entry.position).await? else {
            return Ok(());
        };
        let index = entry.index().unwrap_or(u64::MAX);
        let signed = match heads.get(head) {
            None => Err("the head that it is said to lie under is not there".to_owned()),
            Some((Err(why), _)) => Err(format!("the head that it lies under: {why}")),
            Some((Ok(head), is_known)) => {
                let root = root_by_inclusion(&entry.leaf_hash(), index, head.size, &path);
                match root == Some(head.root) {
                    true => Ok((head.at, *is_known)),
                    false => Err("it does not lie under the head that was signed".to_owned()),
                }
            }
        };
        self.verifier.under(entry.position, signed);
        Ok(())
    }

    /// Goes on from a state whose last entry the ledger still has.
    async fn resumed(&self, state: &State) -> Result<Option<Verifier>, StoreError> {
        if self.trust.is_some() && !state.is_signed() {
            // The heads of what was verified were compared without a key, or there were none.
            return Ok(None);
        }
        let Some(verifier) = Verifier::resume(state) else { return Ok(None) };
        let rows = self.store.ledger_rows(state.position - 1, 1).await?;
        let entry = rows.first().and_then(|row| row.entry.as_ref().ok());
        let same = entry.is_some_and(|entry| {
            entry.position == state.position && state.is_after(&entry.leaf_hash())
        });
        Ok(same.then_some(verifier))
    }

    /// Looks for rows that no entry accounts for, in the streams that wrote since.
    async fn extra_of_seen(&mut self) -> Result<(), StoreError> {
        for stream in std::mem::take(&mut self.seen) {
            let rows = self.store.stream_rows(stream.get().saturating_sub(1), 1).await?;
            if let Some(rows) = rows.into_iter().find(|rows| rows.stream() == stream) {
                let committed = self.store.committed(stream).await?;
                self.verifier.rows_of_stream(rows, committed);
            }
        }
        Ok(())
    }

    fn progress(&self) -> AuditProgress {
        AuditProgress { position: self.verifier.position(), records: self.verifier.records() }
    }

    /// Looks for rows that no entry accounts for.
    async fn extra(&mut self) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        loop {
            let streams = self.store.stream_rows(after, STREAMS).await?;
            for rows in &streams {
                // Asked after the rows: an append brings both at once.
                let committed = self.store.committed(rows.stream()).await?;
                self.verifier.rows_of_stream(*rows, committed);
                after = rows.writer_id;
            }
            if streams.len() < STREAMS {
                return Ok(());
            }
        }
    }
}

/// Returns the head of a checkpoint as the database keeps it: what stands beside the note, from where the next one goes
/// on, must be of it too.
fn kept_head(kept: &KeptCheckpoint, trust: Option<&Trust>) -> Head {
    let Head { source, number, head } = Head::read(Source::Kept, kept.number, &kept.note, trust);
    let head = head.and_then(|head| {
        let size = u64::try_from(kept.size).unwrap_or_default();
        let frontier = Frontier::from_parts(size, kept.frontier.clone());
        match frontier.is_some_and(|it| (size, it.root()) == (head.size, head.root)) {
            true => Ok(head),
            false => Err("what is kept beside it is not of it".to_owned()),
        }
    });
    Head { source, number, head }
}

/// Tells of checkpoints that are missing between two: their numbers go on without a gap.
fn gone(before: i64, number: i64) -> Option<Head> {
    let first = before.saturating_add(1);
    (first < number).then(|| Head {
        source: Source::Kept,
        number: first,
        head: Err("it is gone, and there are later ones".to_owned()),
    })
}

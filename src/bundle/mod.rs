//! Evidence bundles: the records of a query, with all that somebody needs to verify them without us.
//!
//! What enters: a store, a filter, and the keys that sign the head of the ledger. What leaves: a zip file, in pieces,
//! in the memory of one of them:
//!
//! | file | what |
//! | --- | --- |
//! | `index.html` | for people: what it is, what it proves, the first records in words |
//! | `records.jsonl` | for each record its canonical bytes, the fields and salts behind its commitments, its path to an entry |
//! | `entries.jsonl` | for each of these entries its canonical bytes, and its path to the head of the ledger |
//! | `checkpoint.txt` | the head of the ledger, signed |
//! | `trust.txt` | the keys that signed it, where they are known |
//! | `manifest.json` | what was asked, when, and how many of what there are |
//! | `verify.py` | verifies all of it with Python 3 and nothing else |
//!
//! A record that was altered in the store is in it as the store holds it, and fails where the bundle is verified. What a
//! bundle cannot prove is that its query found everything: [`verify`](crate::ledger::verify) is for that. A bundle of
//! everything has every entry of the ledger, also those whose records have expired: then it shows of itself that it is
//! whole, and which records are not in it since their time was over.
//!
//! [`Bundle::as_lines`] writes the same as JSON Lines: an export whose records bring their proofs along.
//! [`verify()`] reads either form.
//!
//! [`Bundle::about`] makes one of all that is about a person, for that person.

mod about;
mod archive;
mod entries;
mod html;
mod lines;
mod read;

use about::About;
pub use about::SubjectAsk;
use archive::Archive;
use entries::{Located, Marked, Trees};
use html::Html;
use lines::{EntryLine, EntryMember, HeadMember, Manifest, Proof, RecordLine};
pub use read::{ReadError, Verified, verify};

use crate::{
    encode::{Encoder, Format},
    ledger::{Checkpoint, Entry, KeptCheckpoint, Note, NoteSigner, Removal},
    query::{Direction, Filter, PageRequest, Place},
    record::{Canonical, Groups, Record},
    store::{
        AnyStore, Evidence as _, Read as _, StoreError, StoreErrorKind, entry_nodes,
        make_checkpoint, restricted_page,
    },
    time::Timestamp,
};

/// The verifier that each bundle brings along.
pub const VERIFIER: &str = include_str!("verify.py");

/// How many bytes are handed over at once, before they are compressed.
const PIECE: usize = 64 * 1024;
/// How many rows the first page has, and how many one has at most.
const FIRST_ROWS: usize = 100;
const MAX_ROWS: usize = 1_000;
/// How many bytes of text a page should have.
const PAGE_BYTES: usize = 1024 * 1024;

/// The member of a record in JSON Lines by which it is proved.
const PROOF_MEMBER: &str = "proof";
/// The only members of the lines behind the records.
const ENTRY_MEMBER: &str = "ledger_entry";
const HEAD_MEMBER: &str = "ledger_head";

/// What is to be bundled.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Which records.
    pub filter: Filter,
    /// In which order.
    pub direction: Direction,
    /// The question in the words of whoever asks; it stands in the bundle.
    pub asked: String,
    /// The time.
    pub now: Timestamp,
}

/// How much a bundle holds so far, and what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Entries of the ledger that account for them.
    pub entries: u64,
    /// Records that the store itself cannot prove: they, or others of their entry, were altered.
    pub unproved: u64,
    /// Records that were found and left out, since no checkpoint covers them yet.
    pub later: u64,
    /// Rows that were left out, since somebody edited them until they were no records any more.
    pub unreadable: u64,
    /// Records of the entries in it that are not, since their time was over, as a record in it tells.
    pub expired: u64,
    /// Groups that are not opened, since something in them is about others than the person whom it is about.
    pub masked: u64,
}

/// A bundle that is being made.
#[derive(Debug)]
pub struct Bundle {
    store: AnyStore,
    /// What is asked for the records.
    records: AnyStore,
    ask: Ask,
    about: Option<About>,
    /// What was committed behind it is not part of the bundle.
    position: i64,
    kept: KeptCheckpoint,
    head: Checkpoint,
    trust: Option<String>,
    zip: Archive,
    canonical: Canonical,
    trees: Trees,
    marked: Marked,
    /// Whether it has what legal holds keep aside, and nothing else.
    is_restricted: bool,
    /// Whether it has every entry, and not only those of its records.
    takes_all: bool,
    /// What its records tell of those whose time was over.
    removals: Vec<Removal>,
    html: Html,
    /// Writes the records, where it is no zip file.
    lines: Option<Encoder>,
    counts: Counts,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Head,
    Records {
        after: Option<Place>,
        rows: usize,
    },
    /// From this index of the ledger on.
    Entries {
        from: u64,
    },
    /// The records once more, for reading.
    Data {
        format: Format,
        after: Option<Place>,
        rows: usize,
    },
    End,
    Done,
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Data, "make an evidence bundle").with_source(error)
}

impl Bundle {
    /// Begins a bundle of what the store holds now. The head of the ledger is signed anew with `seeds`; without any, the
    /// bundle rests on the last checkpoint. `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or shows a part of the log alone, from which nothing can be proved, or its ledger does not go on from its last checkpoint.
    pub async fn begin(
        store: AnyStore,
        ask: Ask,
        seeds: &[[u8; 32]],
    ) -> Result<Option<Self>, StoreError> {
        store.expect_all().await?;
        // Before the head is signed, which so covers every record until then.
        let mut position = store.head().await?;
        let kept = match seeds {
            [] => store.last_checkpoint().await?,
            seeds => match make_checkpoint(&store, seeds, ask.now).await {
                // Who may only read, as an auditor, has the last one, which proves what it covers.
                Err(error) if error.kind() == StoreErrorKind::Configuration => {
                    Some(store.last_checkpoint().await?.ok_or(error)?)
                }
                made => made?,
            },
        };
        let Some(kept) = kept else { return Ok(None) };
        if !seeds.is_empty() {
            // What was committed meanwhile lies under the head as well, and without it the bundle would not be whole.
            position = position.max(kept.size);
        }
        let note: Note = kept.note.parse().map_err(failed)?;
        let head = Checkpoint::parse(note.text()).map_err(failed)?;
        let line = |seed: &[u8; 32]| {
            let signer = NoteSigner::new(&head.origin, seed).map_err(failed)?;
            Ok(format!("{}\n", signer.key()))
        };
        let takes_all = ask.filter.expr().conjuncts().next().is_none();
        let trust: String = seeds.iter().map(line).collect::<Result<_, StoreError>>()?;
        Ok(Some(Self {
            records: store.clone(),
            store,
            is_restricted: false,
            takes_all,
            removals: Vec::new(),
            ask,
            about: None,
            position,
            kept,
            marked: Marked::of(head.size),
            head,
            trust: (!trust.is_empty()).then_some(trust),
            zip: Archive::new(),
            canonical: Canonical::new(),
            trees: Trees::default(),
            html: Html::default(),
            lines: None,
            counts: Counts::default(),
            stage: Stage::Head,
        }))
    }

    /// Returns the position up to which a bundle would cover the log if it began now, and signs nothing; `None` when
    /// nothing would prove it. `signs` tells whether there is a key.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or shows a part of the log alone.
    pub async fn would_cover(store: &AnyStore, signs: bool) -> Result<Option<i64>, StoreError> {
        store.expect_all().await?;
        let position = store.head().await?;
        let is_proved = match signs {
            true => position > 0,
            false => store.last_checkpoint().await?.is_some(),
        };
        Ok(is_proved.then_some(position))
    }

    /// Has the records of one tenant looked for by a store that keeps to it by itself, where there is such a store.
    /// A proof needs the hashes of all records of a batch, which tell nothing of them.
    #[must_use]
    pub fn of_tenant(mut self, tenant: Option<&str>) -> Self {
        if let Some(held) = tenant.and_then(|tenant| self.store.of_tenant(tenant)) {
            self.records = held;
        }
        self
    }

    /// Has it hold, instead of what everybody sees, what legal holds keep aside of records that pass the filter: each record as
    /// it was recorded, the first that was restricted first. The log is asked as a whole, whatever
    /// [`of_tenant`](Self::of_tenant) says: the filter names the tenant.
    #[must_use]
    pub fn restricted(mut self) -> Self {
        (self.is_restricted, self.takes_all) = (true, false);
        self.ask.asked.push_str(", of what legal holds keep aside");
        self
    }

    /// Makes it JSON Lines instead of a zip file: an export with one member more in each record (`proof`), and behind the
    /// records a line for each entry (`ledger_entry`) and one for the head (`ledger_head`).
    #[must_use]
    pub fn as_lines(mut self) -> Self {
        self.zip = Archive::plain();
        self.lines = Some(Encoder::new(Format::JsonLines));
        self
    }

    /// Returns the position of the ledger's last entry that the bundle covers.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Returns how much it holds so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the next piece of the file; `None` when it is whole.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked. Then the file is not whole, and never will be.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        while !matches!(self.stage, Stage::Done) && self.zip.waiting() < PIECE {
            self.stage = match self.stage {
                Stage::Head => {
                    self.begin_file()?;
                    Stage::Records { after: None, rows: FIRST_ROWS }
                }
                Stage::Records { after, rows } => self.page_of_records(after, rows).await?,
                Stage::Entries { from } => self.block_of_entries(from).await?,
                Stage::Data { format, after, rows } => {
                    self.page_of_data(format, after, rows).await?
                }
                Stage::End => {
                    self.end_file()?;
                    Stage::Done
                }
                Stage::Done => Stage::Done,
            };
        }
        let piece = self.zip.take();
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn begin_file(&mut self) -> Result<(), StoreError> {
        if self.lines.is_some() {
            return Ok(());
        }
        self.zip.file("verify.py", VERIFIER.as_bytes()).map_err(failed)?;
        self.zip.file("checkpoint.txt", self.kept.note.as_bytes()).map_err(failed)?;
        if let Some(trust) = &self.trust {
            self.zip.file("trust.txt", trust.as_bytes()).map_err(failed)?;
        }
        self.zip.start("records.jsonl").map_err(failed)
    }

    async fn page_of_records(
        &mut self,
        after: Option<Place>,
        rows: usize,
    ) -> Result<Stage, StoreError> {
        let request =
            PageRequest { after, direction: self.ask.direction, ..PageRequest::newest(rows) };
        let filter = &self.ask.filter;
        let mut page = match self.is_restricted {
            true => restricted_page(&self.store, filter, &request).await?,
            false => self.records.records(filter, &request).await?,
        };
        self.counts.unreadable += page.unreadable;
        let text: usize = page.records.iter().map(Record::text_bytes).sum();
        let each = text.checked_div(page.records.len()).unwrap_or(0).max(1);
        if let Some(about) = &self.about {
            about.of_page(&mut page.records);
        }
        for record in &page.records {
            match self.about.as_ref().map(|about| about.shown(record)) {
                None => self.record(record, record, Groups::NONE).await?,
                Some((shown, masked)) => self.record(record, &shown, masked).await?,
            }
        }
        let Some(next) = page.next else {
            if self.lines.is_none() {
                self.zip.start("entries.jsonl").map_err(failed)?;
            }
            return Ok(Stage::Entries { from: 0 });
        };
        // Never more than four times as many: the records may grow again.
        let rows = (PAGE_BYTES / each).clamp(1, MAX_ROWS.min(4 * rows));
        Ok(Stage::Records { after: Some(next), rows })
    }

    /// Writes a record, but for the groups that are masked; `shown` is the record without what is masked in them.
    async fn record(
        &mut self,
        record: &Record,
        shown: &Record,
        masked: Groups,
    ) -> Result<(), StoreError> {
        let mut line = RecordLine::of(record, masked, &mut self.canonical);
        let located = self.trees.locate(&self.store, record, &line.leaf()).await?;
        let Some(Located { position, path, is_proved }) = located else {
            // No entry accounts for it, and whoever verifies the bundle will say so.
            self.counts.unproved += 1;
            return self.write(shown, &line, None);
        };
        if position > self.position {
            return Ok(());
        }
        if position > self.kept.size {
            self.counts.later += 1;
            return Ok(());
        }
        if !is_proved {
            self.counts.unproved += 1;
        }
        line.lies_in(position, &path);
        self.marked.mark(position);
        if self.takes_all {
            self.removals.extend(Removal::told(record));
        }
        self.write(shown, &line, Some(position))
    }

    fn write(
        &mut self,
        shown: &Record,
        line: &RecordLine,
        entry: Option<i64>,
    ) -> Result<(), StoreError> {
        self.counts.records += 1;
        self.counts.masked += line.masked();
        if let Some(encoder) = &mut self.lines {
            let mut bytes = Vec::new();
            encoder.record(shown, &mut bytes);
            Proof::of(line, shown).push_into(&mut bytes).map_err(failed)?;
            return self.zip.bytes(&bytes).map_err(failed);
        }
        self.html.record(shown, entry);
        self.zip.line(line).map_err(failed)
    }

    /// Writes the entries of one block of the ledger's tree, whose proofs take the same nodes.
    async fn block_of_entries(&mut self, from: u64) -> Result<Stage, StoreError> {
        let block = match self.takes_all {
            // No more than there are: what a note claims is not asked for.
            true => entries::block(from, self.head.size.min(self.position.unsigned_abs())),
            false => self.marked.block(from),
        };
        let Some((block, positions)) = block else {
            return Ok(match self.about {
                None => Stage::End,
                Some(_) => Stage::Data { format: Format::Json, after: None, rows: FIRST_ROWS },
            });
        };
        let nodes = entry_nodes(&self.store, block.start, self.head.size).await?;
        let after = i64::try_from(block.start).unwrap_or(i64::MAX);
        let rows = self.store.ledger_rows(after, entries::BLOCK).await?;
        for position in positions {
            let entry = rows.iter().find(|row| row.position == Some(position));
            let entry = entry.and_then(|row| row.entry.as_ref().ok());
            let index = (position - 1).unsigned_abs();
            let path = nodes.inclusion_proof(index, self.head.size).unwrap_or_default();
            self.counts.entries += 1;
            if let Some(entry) = entry.filter(|_| !self.marked.has(position)) {
                self.without_records(entry);
            }
            let line = EntryLine::of(position, entry, &path);
            match &self.lines {
                None => self.zip.line(&line),
                Some(_) => self.zip.line(&EntryMember { ledger_entry: line }),
            }
            .map_err(failed)?;
        }
        Ok(Stage::Entries { from: block.end })
    }

    /// Takes an entry of which no record was there.
    fn without_records(&mut self, entry: &Entry) {
        if self.removals.iter().any(|removal| removal.covers(entry)) {
            self.counts.expired += entry.new.count().unsigned_abs();
        }
    }

    fn end_file(&mut self) -> Result<(), StoreError> {
        let left_out = self.about.as_ref().map(|about| &about.left_out[..]);
        let manifest = Manifest::of(&self.ask, &self.head, &self.counts, left_out);
        if self.lines.is_some() {
            let head = HeadMember::of(&self.kept.note, manifest);
            return self.zip.line(&head).map_err(failed);
        }
        self.zip.start("manifest.json").map_err(failed)?;
        self.zip.line(&manifest).map_err(failed)?;
        let page = self.html.page(&self.ask, &self.head, &self.kept.note, &self.counts);
        self.zip.file("index.html", page.as_bytes()).map_err(failed)?;
        self.zip.finish().map_err(failed)
    }
}

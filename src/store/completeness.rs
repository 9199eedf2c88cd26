//! Whether what the store holds is all that there was, stream by stream.
//!
//! Two things are put together: the ledger's entries, which say which numbers were committed, and the
//! records that the pipeline writes about itself, which say what is missing and how each stream ended.
//! Neither needs the records of others to be read: an index over the entries answers for the first, that of
//! the actions for the second, and a sparse one finds the stubs.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Read, StoreError};
use crate::{
    ledger::Entry,
    query::{Direction, Filter, PageRequest},
    record::{Category, Origin, Record, WriterId},
    time::Timestamp,
};

pub(super) use crate::ledger::verify::{QUARANTINED, STUB_METADATA, UNCLEAN_END, is_stub};

/// So many gap records are told of singly for each stream.
const GAPS: usize = 100;
/// So many records of the pipeline about itself are read, in pages of so many.
const OWN: usize = 50_000;
const OWN_PAGE: usize = 1_000;

/// Which streams are asked about, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletenessRequest {
    streams: Wanted,
    patience: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    Newest(usize),
    These(Vec<WriterId>),
}

impl CompletenessRequest {
    /// The time that a question may take when nothing else is said.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

    /// Asks about the streams that were written to last, at most `limit`.
    #[must_use]
    pub const fn newest(limit: usize) -> Self {
        Self { streams: Wanted::Newest(limit), patience: Self::DEFAULT_PATIENCE }
    }

    /// Asks about certain streams; those that the store does not hold are left out.
    #[must_use]
    pub fn of(streams: impl IntoIterator<Item = WriterId>) -> Self {
        let streams = Wanted::These(streams.into_iter().collect());
        Self { streams, patience: Self::DEFAULT_PATIENCE }
    }

    /// Sets how long the records of the pipelines may be read. Defaults to 10 s.
    #[must_use]
    pub fn within(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    #[cfg_attr(not(any(feature = "sqlite", feature = "postgres")), allow(dead_code))]
    pub(super) const fn wanted(&self) -> &Wanted {
        &self.streams
    }
}

/// What the store holds of the streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Completeness {
    /// The streams, the one that was written to last first.
    pub streams: Vec<StreamReport>,
    /// How many streams there are.
    pub total: u64,
    /// Whether everything was read that tells of gaps and ends. False when there is too much of it for the
    /// time.
    pub complete: bool,
}

/// What the store holds of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamReport {
    /// The stream.
    pub writer_id: WriterId,
    /// The number of its first record; 1 in a stream that is whole.
    pub first_seq: i64,
    /// The number of its last record.
    pub last_seq: i64,
    /// How many numbers were committed.
    pub count: i64,
    /// How many entries of the ledger name them.
    pub entries: i64,
    /// At how many places the numbers do not go on; 0 in a stream that is whole.
    pub breaks: i64,
    /// The ledger's epoch at its first entry.
    pub first_epoch: i64,
    /// The ledger's epoch at its last entry.
    pub last_epoch: i64,
    /// When its first records were committed.
    pub began_at: Timestamp,
    /// When its last records were committed: it has been silent since.
    pub last_at: Timestamp,
    /// The service that wrote it, by its first record.
    pub service: Option<String>,
    /// The instance of that service.
    pub instance: Option<String>,
    /// The stream that this one went on from, when the store was found behind.
    pub continues: Option<WriterId>,
    /// How many gap records it holds.
    pub gap_records: u64,
    /// How many records they say are missing.
    pub missing: u64,
    /// The newest of the gap records, the newest first.
    pub gaps: Vec<GapReport>,
    /// How many numbers only a stub stands for: the records are in a quarantine file.
    pub stubs: u64,
    /// How it ended.
    pub end: StreamEnd,
}

impl StreamReport {
    /// Tells whether every number from 1 to the last was committed.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.first_seq == 1 && self.breaks == 0
    }

    /// Tells whether nothing is known to be missing: whole, without gaps and stubs, and not ended without a
    /// word. A stream that goes on is complete so far.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        let ended_well = matches!(self.end, StreamEnd::Open | StreamEnd::Stopped { .. });
        self.is_whole() && self.gap_records == 0 && self.stubs == 0 && ended_well
    }
}

/// One gap record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GapReport {
    /// Its number in the stream.
    pub seq: i64,
    /// How many records are missing; `None` when nobody can know.
    pub count: Option<u64>,
    /// Why, as in `queue_full`.
    pub reason: String,
    /// When the first of them was lost, as far as that is known.
    pub first_at: Option<Timestamp>,
    /// When the last of them was lost.
    pub last_at: Option<Timestamp>,
    /// The other stream whose records are missing, if they are not of this one.
    pub of: Option<WriterId>,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd {
    /// It has not, for all that is known: its process runs, or is silent.
    Open,
    /// In good order: its last record says so, and names its last number.
    Stopped {
        /// When.
        at: Timestamp,
    },
    /// Its process ended without a word; what it had not stored is lost.
    Unclean {
        /// When that was found out.
        found_at: Timestamp,
        /// The stream whose process found it.
        found_by: WriterId,
    },
    /// The store was found behind it; it goes on as another stream.
    Continued {
        /// When.
        at: Timestamp,
        /// The other stream.
        by: WriterId,
        /// How many records of this one were committed and are gone.
        lost: u64,
    },
}

/// What the ledger says of a stream.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) writer_id: WriterId,
    pub(super) first_seq: i64,
    pub(super) last_seq: i64,
    pub(super) count: i64,
    pub(super) entries: i64,
    pub(super) breaks: i64,
    pub(super) first_epoch: i64,
    pub(super) last_epoch: i64,
    pub(super) began_at: Timestamp,
    pub(super) last_at: Timestamp,
    /// The earliest `occurred_at` of the first entry: nothing that a pipeline says of itself is earlier.
    pub(super) first_occurred: Timestamp,
}

impl Numbers {
    /// Begins with the last entry of a stream, which [`prepend`](Self::prepend) counts.
    pub(super) fn ending_with(entry: &Entry) -> Self {
        Self {
            writer_id: entry.new.writer_id,
            first_seq: entry.new.last_seq + 1,
            last_seq: entry.new.last_seq,
            count: 0,
            entries: 0,
            breaks: 0,
            first_epoch: entry.epoch,
            last_epoch: entry.epoch,
            began_at: entry.committed_at,
            last_at: entry.committed_at,
            first_occurred: entry.new.first_at,
        }
    }

    /// Counts the entry before those that are counted.
    pub(super) fn prepend(&mut self, entry: &Entry) {
        self.breaks += i64::from(entry.new.last_seq + 1 != self.first_seq);
        self.first_seq = entry.new.first_seq;
        self.count += entry.new.count();
        self.entries += 1;
        self.first_epoch = entry.epoch;
        self.began_at = entry.committed_at;
        self.first_occurred = entry.new.first_at;
    }
}

/// Puts what the ledger says together with what the pipelines said.
pub(super) async fn assemble<S: Read>(
    store: &S,
    request: &CompletenessRequest,
    numbers: Vec<Numbers>,
    stubs: &HashMap<WriterId, u64>,
    total: u64,
) -> Result<Completeness, StoreError> {
    let since = numbers.iter().map(|numbers| numbers.first_occurred).min();
    let mut streams: Vec<_> = numbers.into_iter().map(StreamReport::of).collect();
    for stream in &mut streams {
        stream.stubs = stubs.get(&stream.writer_id).copied().unwrap_or(0);
    }
    let Some(since) = since else {
        return Ok(Completeness { streams, total, complete: true });
    };
    let mut by_name: HashMap<_, _> =
        streams.iter_mut().map(|stream| (stream.writer_id, stream)).collect();
    let complete = read_own(store, since, request.patience, |record| take(&mut by_name, record));
    let complete = complete.await?;
    Ok(Completeness { streams, total, complete })
}

/// Reads what the pipelines recorded about themselves, the newest first; says whether that was all.
async fn read_own<S: Read>(
    store: &S,
    since: Timestamp,
    patience: Duration,
    mut take: impl FnMut(&Record),
) -> Result<bool, StoreError> {
    let begun = Instant::now();
    let Some(filter) = own_filter(&["gap", "started", "stopped", "restored"]) else {
        return Ok(false);
    };
    let filter = filter.from(since);
    let (mut after, mut read) = (None, 0);
    loop {
        let left = patience.saturating_sub(begun.elapsed());
        let request = PageRequest::newest(OWN_PAGE).within(left);
        let request = PageRequest { after, direction: Direction::Older, ..request };
        let page = store.records(&filter, &request).await?;
        page.records.iter().for_each(&mut take);
        read += page.records.len();
        after = page.next;
        if after.is_none() {
            return Ok(page.complete);
        }
        if read >= OWN || begun.elapsed() >= patience {
            return Ok(false);
        }
    }
}

/// Returns the filter for what pipelines record about themselves: nobody else's records have this origin.
pub(crate) fn own_filter(actions: &[&str]) -> Option<Filter> {
    let filter = Filter::new().any_of("category", [Category::System.as_str()]).ok()?;
    let filter = filter.any_of("origin", [Origin::System.as_str()]).ok()?;
    filter.any_of("action", actions.iter().copied()).ok()
}

impl StreamReport {
    fn of(numbers: Numbers) -> Self {
        let Numbers { writer_id, first_seq, last_seq, count, entries, breaks, .. } = numbers;
        Self {
            writer_id,
            first_seq,
            last_seq,
            count,
            entries,
            breaks,
            first_epoch: numbers.first_epoch,
            last_epoch: numbers.last_epoch,
            began_at: numbers.began_at,
            last_at: numbers.last_at,
            service: None,
            instance: None,
            continues: None,
            gap_records: 0,
            missing: 0,
            gaps: Vec::new(),
            stubs: 0,
            end: StreamEnd::Open,
        }
    }

    fn begins_with(&mut self, record: &Record) {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.service = text(&record.service);
        self.instance = text(&record.instance);
    }

    fn add_gap(&mut self, record: &Record, facts: &Value) {
        let gap = GapReport {
            seq: record.seq,
            count: facts["count"].as_u64(),
            reason: record.outcome_reason.as_str().to_owned(),
            first_at: moment(&facts["first_at"]),
            last_at: moment(&facts["last_at"]),
            of: stream(&facts["writer_id"]),
        };
        self.gap_records += 1;
        self.missing = self.missing.saturating_add(gap.count.unwrap_or(0));
        if self.gaps.len() < GAPS {
            self.gaps.push(gap);
        }
    }
}

/// Notes what one record of a pipeline says about the streams.
fn take(streams: &mut HashMap<WriterId, &mut StreamReport>, record: &Record) {
    let facts: Value = serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
    let named = stream(&facts["writer_id"]);
    if let Some(stream) = streams.get_mut(&record.writer_id) {
        match record.action.as_str() {
            "started" => stream.begins_with(record),
            // Elsewhere in a stream it tells that what the store lost was sent again.
            "restored" if record.seq == 1 => {
                stream.begins_with(record);
                stream.continues = named;
            }
            "gap" => stream.add_gap(record, &facts),
            // The one record that can say so is the last.
            "stopped"
                if record.seq >= stream.last_seq
                    && facts["last_seq"].as_i64() == Some(record.seq) =>
            {
                stream.end = StreamEnd::Stopped { at: record.occurred_at };
            }
            _ => {}
        }
    }
    let Some(stream) = named.and_then(|named| streams.get_mut(&named)) else { return };
    match record.action.as_str() {
        // Of a stream that went on after all, it says nothing.
        "gap"
            if record.outcome_reason == UNCLEAN_END
                && facts["last_seq"].as_i64().is_some_and(|last| last >= stream.last_seq) =>
        {
            stream.end =
                StreamEnd::Unclean { found_at: record.occurred_at, found_by: record.writer_id };
        }
        "restored" if record.seq == 1 && record.writer_id != stream.writer_id => {
            stream.end = StreamEnd::Continued {
                at: record.occurred_at,
                by: record.writer_id,
                lost: facts["count"].as_u64().unwrap_or(0),
            };
        }
        _ => {}
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn stream(value: &Value) -> Option<WriterId> {
    value.as_str()?.parse().ok()
}

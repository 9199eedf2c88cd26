//! What the pipelines said about themselves, put to what the ledger says.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{Completeness, CompletenessRequest, GapReport, Numbers, StreamEnd, StreamReport};
use crate::{
    ledger::verify::UNCLEAN_END,
    query::{Direction, Filter, PageRequest},
    record::{Category, Origin, Record, WriterId},
    store::{Read, StoreError},
    time::Timestamp,
};

/// What the last word of a stream says whose process ended without one, and whose spool was stored to the end.
pub(crate) const PROCESS_ENDED: &str = "process_ended";

/// What a gap record says behind which a spool goes on as another stream: something in it cannot be read, or was
/// stored, removed, and lost by the store.
pub(crate) const SPOOL_DAMAGED: &str = "spool_damaged";
pub(crate) const STORE_LOST: &str = "store_lost";

/// So many gap records are told of singly for each stream.
const GAPS: usize = 100;
/// So many records of the pipeline about itself are read, in pages of so many.
const OWN: usize = 50_000;
const OWN_PAGE: usize = 1_000;

/// Puts what the ledger says together with what the pipelines said.
pub(in crate::store) async fn assemble<S: Read>(
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
            "restored" if goes_on(record) => {
                stream.begins_with(record);
                stream.continues = named;
            }
            "gap" => {
                if goes_on(record) {
                    stream.begins_with(record);
                    stream.continues = named;
                }
                stream.add_gap(record, &facts);
            }
            // The one record that can say so is the last.
            "stopped"
                if record.seq >= stream.last_seq
                    && facts["last_seq"].as_i64() == Some(record.seq) =>
            {
                let at = record.occurred_at;
                stream.end = if record.outcome_reason == PROCESS_ENDED {
                    StreamEnd::Recovered { at }
                } else {
                    StreamEnd::Stopped { at }
                };
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
        "restored" | "gap" if goes_on(record) && record.writer_id != stream.writer_id => {
            stream.end = StreamEnd::Continued {
                at: record.occurred_at,
                by: record.writer_id,
                lost: facts["count"].as_u64().unwrap_or(0),
            };
        }
        _ => {}
    }
}

/// Tells whether a stream that goes on from another one begins with this record.
fn goes_on(record: &Record) -> bool {
    let is_break = [SPOOL_DAMAGED, STORE_LOST].contains(&record.outcome_reason.as_str());
    record.seq == 1 && (record.action == "restored" || is_break)
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn stream(value: &Value) -> Option<WriterId> {
    value.as_str()?.parse().ok()
}

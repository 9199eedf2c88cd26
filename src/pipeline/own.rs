//! What the pipeline records about itself.

use sha2::{Digest as _, Sha256};

use super::{
    process::Process,
    tally::{ByCategory, CATEGORIES},
};
use crate::{
    ledger::{AddressExpiry, Removal},
    record::{
        ActorType, Category, Group, Groups, Json, Operation, Origin, Outcome, Record, WriterId,
    },
    rules::{Fullness, Keep},
    store::{
        ADDRESSES_ENDED, AddressesEnded, Archived, ArchivedAddressesEnded, ERASED, PROCESS_ENDED,
        RESTRICTED, RETENTION_CHANGED, StreamReport, UNCLEAN_END, Unit, is_of_holds,
    },
    time::Timestamp,
};

pub(super) const GAP: &str = "gap";
pub(super) const FOLDED: &str = "folded";
pub(super) const STARTED: &str = "started";
pub(super) const STOPPED: &str = "stopped";
pub(super) const RESTORED: &str = "restored";
pub(super) const ARCHIVED: &str = "archived";
pub(super) use crate::ledger::{ADDRESSES_EXPIRED, RETENTION_RUN};

/// Tells whether a record is one of those made here. None comes through the recorder: a manual record
/// has another origin.
pub(super) fn is_own(record: &Record) -> bool {
    record.origin == Origin::System
        && record.category == Category::System
        && matches!(
            record.action.as_str(),
            GAP | FOLDED
                | STARTED
                | STOPPED
                | RESTORED
                | RETENTION_RUN
                | ADDRESSES_EXPIRED
                | ADDRESSES_ENDED
                | ARCHIVED
        )
}

/// Tells whether a record is one of those that say how streams begin, go on and end, and what is missing: there is nothing
/// in it that came from outside.
pub(super) fn is_of_streams(record: &Record) -> bool {
    (is_own(record) && record.action != FOLDED) || tells_of_erasures(record)
}

/// Tells whether a record says which groups of which records are erased: streams and numbers, and no name.
pub(super) fn tells_of_erasures(record: &Record) -> bool {
    record.origin == Origin::System
        && record.category == Category::System
        && (record.action == ERASED || record.action == RESTRICTED)
}

/// Tells whether what a record says in its metadata is gone by later, word for word: holds, and policies.
pub(super) fn is_gone_by(record: &Record) -> bool {
    is_of_holds(record)
        || (record.origin == Origin::System
            && record.category == Category::System
            && record.action == RETENTION_CHANGED)
}

/// Tells whether a record is the one of those made here with this action.
pub(super) fn says(record: &Record, action: &str) -> bool {
    is_own(record) && record.action == action
}

/// Says how many records are missing here, and why.
pub(super) fn gap(
    reason: &str,
    by_category: &ByCategory,
    first_at: Timestamp,
    last_at: Timestamp,
) -> Box<Record> {
    let lost: serde_json::Map<_, _> = CATEGORIES
        .iter()
        .zip(by_category)
        .filter(|(_, count)| **count > 0)
        .map(|(category, count)| (category.as_str().to_owned(), (*count).into()))
        .collect();
    let mut record = record(
        GAP,
        4,
        &serde_json::json!({
            "count": by_category.iter().sum::<u64>(),
            "reason": reason,
            "first_at": first_at,
            "last_at": last_at,
            "by_category": lost,
        }),
    );
    record.outcome = Outcome::Failure;
    record.outcome_reason.set(reason);
    record
}

/// Who writes: what the records tell with which a stream begins, or is taken up again.
#[derive(Debug)]
pub(super) struct Author {
    pub(super) mode: &'static str,
    pub(super) process: Option<Process>,
}

impl Author {
    /// Adds what it knows to a record that is to tell it.
    pub(super) fn sign(&self, record: &mut Record) {
        if record.origin != Origin::System
            || !is_own(record)
            || !matches!(record.action.as_str(), STARTED | RESTORED)
        {
            return;
        }
        let facts = serde_json::from_str(record.metadata.as_str());
        let Ok(serde_json::Value::Object(mut facts)) = facts else { return };
        facts.insert("mode".to_owned(), self.mode.into());
        if let Some(process) = &self.process {
            facts.insert("process".to_owned(), process.facts());
        }
        record.metadata = Json::from_stored(serde_json::Value::Object(facts).to_string());
    }
}

/// Says that so many records of the spool are missing here, and why; of which kind they were nobody knows, and without
/// a count nobody knows how many. `of` is the stream that had them, where that is another one, which ends there.
pub(super) fn missing(
    reason: &str,
    count: Option<u64>,
    at: Timestamp,
    of: Option<WriterId>,
) -> Box<Record> {
    let mut facts =
        serde_json::json!({ "count": count, "reason": reason, "first_at": at, "last_at": at });
    if let Some(of) = of {
        facts["writer_id"] = of.to_string().into();
    }
    let mut record = record(GAP, 4, &facts);
    record.occurred_at = at;
    record.outcome = Outcome::Failure;
    record.outcome_reason.set(reason);
    record
}

/// Says that a writer began, and with which settings.
pub(super) fn started(config_digest: &str) -> Box<Record> {
    record(STARTED, 1, &serde_json::json!({ "config_digest": config_digest }))
}

/// Says that the process of another stream ended without a word. How many records it held nobody knows.
pub(super) fn unclean_end(stream: &StreamReport, now: Timestamp) -> Box<Record> {
    let facts = serde_json::json!({
        "count": null,
        "reason": UNCLEAN_END,
        "writer_id": stream.writer_id.to_string(),
        "last_seq": stream.last_seq,
        // Later than the last that was stored, and before it was found out.
        "first_at": stream.last_at,
        "last_at": now,
    });
    let mut record = record(GAP, 4, &facts);
    record.outcome = Outcome::Failure;
    record.outcome_reason.set(UNCLEAN_END);
    record
}

/// Says that a writer ended in good order; its number is the last of the stream.
pub(super) fn stopped(last_seq: i64) -> Box<Record> {
    record(STOPPED, 1, &serde_json::json!({ "last_seq": last_seq }))
}

/// Says that the process of this stream ended without a word, and that all it had written is stored: this is the last
/// of it. `at` is the last sign of that process.
pub(super) fn recovered(last_seq: i64, at: Timestamp) -> Box<Record> {
    let facts = serde_json::json!({ "last_seq": last_seq, "reason": PROCESS_ENDED });
    let mut record = record(STOPPED, 3, &facts);
    record.occurred_at = at;
    record.outcome = Outcome::Failure;
    record.outcome_reason.set(PROCESS_ENDED);
    record
}

/// Puts the number of a last word right that is stored under another one.
pub(super) fn renumber(record: &mut Record, seq: i64) {
    if !says(record, STOPPED) {
        return;
    }
    let facts = serde_json::from_str(record.metadata.as_str());
    let Ok(serde_json::Value::Object(mut facts)) = facts else { return };
    facts.insert("last_seq".to_owned(), seq.into());
    record.metadata = Json::from_stored(serde_json::Value::Object(facts).to_string());
}

/// Says that the store holds less of a stream than was committed, and that another goes on.
pub(super) fn restored(stream: &str, committed: i64, found: i64) -> Box<Record> {
    let mut record = record(
        RESTORED,
        5,
        &serde_json::json!({
            "writer_id": stream,
            "committed_seq": committed,
            "found_seq": found,
            "count": (committed - found).max(0),
        }),
    );
    record.outcome = Outcome::Failure;
    record
}

/// Why records are taken out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    /// Whether their time is over; else the log is too large, and that was said to be enough.
    pub(super) is_expired: bool,
    /// How full the log was, if it was full.
    pub(super) full: Option<Fullness>,
}

/// Says which records are about to be taken out, how long they were to be kept, why they go, and where they are kept from
/// now on.
pub(super) fn retention_run(
    removal: &Removal,
    keep: Option<Keep>,
    cause: Cause,
    archived: Option<&Archived>,
) -> Box<Record> {
    let mut facts = removal.to_json();
    facts["policy"] = keep.map(|keep| keep.to_string()).into();
    facts["why"] = if cause.is_expired { "expired" } else { "max_size" }.into();
    if let Some(full) = cause.full {
        facts["bytes"] = full.bytes().into();
        facts["max_size"] = full.limit().to_string().into();
    }
    if let Some(archived) = archived {
        facts["archive"] = archived.to_json();
    }
    record(RETENTION_RUN, if cause.is_expired { 2 } else { 4 }, &facts)
}

/// Says of which records the addresses are about to go.
pub(super) fn addresses_expired(expiry: &AddressExpiry) -> Box<Record> {
    record(ADDRESSES_EXPIRED, 2, &expiry.to_json())
}

/// Says what became of it.
pub(super) fn addresses_ended(ended: &AddressesEnded) -> Box<Record> {
    record(ADDRESSES_ENDED, 1, &ended.to_json())
}

/// Says in which part of an archive the addresses are about to go. Without positions: no verification of the log takes it
/// for its own.
pub(super) fn archived_addresses_expired(
    unit: &Unit,
    days: u32,
    location: &str,
    part: &str,
) -> Box<Record> {
    let facts = serde_json::json!({
        "month": unit.month.to_string(),
        "class": unit.class,
        "groups": Groups::of(Group::Network).to_string(),
        "archive": { "location": location, "part": part },
        "days": days,
    });
    record(ADDRESSES_EXPIRED, 2, &facts)
}

/// Says what became of it.
pub(super) fn archived_addresses_ended(ended: &ArchivedAddressesEnded) -> Box<Record> {
    record(ADDRESSES_ENDED, 1, &ended.to_json())
}

/// Says which part of an archive was written, so that nobody takes one away unnoticed.
#[cfg(feature = "archive")]
pub(super) fn archived(part: &crate::archive::Part, location: &str) -> Box<Record> {
    let manifest = &part.manifest;
    let facts = serde_json::json!({
        "month": manifest.month.to_string(),
        "class": manifest.class,
        "part": manifest.part,
        "location": location,
        "count": manifest.records,
        "entries": manifest.entries,
        "first": manifest.first,
        "last": manifest.last,
        "root": manifest.root,
        "manifest": part.path(),
        "digest": part.digest_hex(),
    });
    record(ARCHIVED, 1, &facts)
}

/// Returns a short fingerprint of the settings, so that a change of them shows in the trail.
pub(super) fn config_digest(settings: &str) -> String {
    crate::record::hex(&Sha256::digest(settings)[..16])
}

pub(super) fn record(action: &str, severity: u8, metadata: &serde_json::Value) -> Box<Record> {
    let mut record = Box::<Record>::default();
    record.origin = Origin::System;
    record.category = Category::System;
    record.operation = Operation::Execute;
    record.outcome = Outcome::Success;
    record.actor_type = ActorType::System;
    record.severity = severity;
    record.action.set(action);
    record.metadata = Json::from_stored(metadata.to_string());
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::{Pipeline, admit},
        store::{MemoryStore, SPOOL_DAMAGED},
    };

    #[tokio::test]
    async fn the_name_of_a_stream_is_not_taken_for_the_number_of_a_card() {
        let pipeline = Pipeline::builder(MemoryStore::new()).start().await.unwrap();
        let name = WriterId::new(4_542_190_140_478_293_237);
        let mut gap = missing(SPOOL_DAMAGED, Some(1), Timestamp::from_micros(1), Some(name));
        admit::prepare(pipeline.recorder().core(), &mut gap);
        let facts: serde_json::Value = serde_json::from_str(gap.metadata.as_str()).unwrap();
        assert_eq!(facts["writer_id"], name.to_string());
    }
}

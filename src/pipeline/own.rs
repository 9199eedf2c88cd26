//! What the pipeline records about itself.

use sha2::{Digest as _, Sha256};

use super::tally::{ByCategory, CATEGORIES};
use crate::{
    record::{ActorType, Category, Json, Operation, Origin, Outcome, Record},
    time::Timestamp,
};

pub(super) const GAP: &str = "gap";
pub(super) const FOLDED: &str = "folded";
pub(super) const STARTED: &str = "started";
pub(super) const STOPPED: &str = "stopped";
pub(super) const RESTORED: &str = "restored";

/// Tells whether a record is one of those made here. None comes through the recorder: a manual record
/// has another origin.
pub(super) fn is_own(record: &Record) -> bool {
    record.origin == Origin::System
        && record.category == Category::System
        && matches!(record.action.as_str(), GAP | FOLDED | STARTED | STOPPED | RESTORED)
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

/// Says that so many records of the spool are missing here, and why; of which kind they were nobody knows.
pub(super) fn missing(reason: &str, count: u64, at: Timestamp) -> Box<Record> {
    let mut record = record(
        GAP,
        4,
        &serde_json::json!({ "count": count, "reason": reason, "first_at": at, "last_at": at }),
    );
    record.occurred_at = at;
    record.outcome = Outcome::Failure;
    record.outcome_reason.set(reason);
    record
}

/// Says that a writer began, and with which settings.
pub(super) fn started(config_digest: &str) -> Box<Record> {
    record(STARTED, 1, &serde_json::json!({ "config_digest": config_digest }))
}

/// Says that a writer ended in good order; its number is the last of the stream.
pub(super) fn stopped(last_seq: i64) -> Box<Record> {
    record(STOPPED, 1, &serde_json::json!({ "last_seq": last_seq }))
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

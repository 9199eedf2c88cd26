//! What the log says of itself: gaps, ends, stubs and rollbacks.

use serde_json::Value;

use super::erased::ErasedList;
use crate::{
    ledger::{ADDRESSES_EXPIRED, AddressExpiry, RETENTION_RUN, Removal},
    record::{Category, Origin, Record, WriterId},
    time::Timestamp,
};

/// What a stub's `outcome_reason` says, and what stands in its metadata: whoever records by hand may use
/// the first for something else.
pub(crate) const QUARANTINED: &str = "quarantined";
pub(crate) const STUB_METADATA: &str = "\"quarantined\":true";

/// What a gap record says that was written for the process before, which ended without a word.
pub(crate) const UNCLEAN_END: &str = "unclean_end";

/// The action of the records that tell of erasures.
pub(crate) const ERASED: &str = "erased";

/// Tells whether a record stands in the place of one that the store could not take.
pub(crate) fn is_stub(record: &Record) -> bool {
    record.outcome_reason == QUARANTINED && record.metadata.as_str().contains(STUB_METADATA)
}

/// What one record says of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Telling {
    Stub,
    Gap {
        count: Option<u64>,
        reason: String,
    },
    /// The process of that stream ended without a word, its last number being that.
    UncleanEnd {
        of: WriterId,
        last_seq: i64,
    },
    Restored {
        lost: u64,
    },
    Erased(ErasedList),
    /// The time of the addresses of a month and class was over, and they were taken out of the records.
    AddressesExpired(AddressExpiry),
    /// The time of a month and class was over, and its records were taken out.
    Removed(Removal),
}

/// Returns what a record says of the log, and can say where it stands; most say nothing.
pub(super) fn told(record: &Record, position: i64, committed_at: Timestamp) -> Option<Telling> {
    if is_stub(record) {
        return Some(Telling::Stub);
    }
    if record.category != Category::System || record.origin != Origin::System {
        return None;
    }
    let facts = || -> Value { serde_json::from_str(record.metadata.as_str()).unwrap_or_default() };
    match record.action.as_str() {
        "gap" => {
            let facts = facts();
            let stream = facts["writer_id"].as_str().and_then(|text| text.parse().ok());
            if record.outcome_reason == UNCLEAN_END
                && let (Some(of), Some(last_seq)) = (stream, facts["last_seq"].as_i64())
            {
                return Some(Telling::UncleanEnd { of, last_seq });
            }
            let reason = record.outcome_reason.as_str().to_owned();
            Some(Telling::Gap { count: facts["count"].as_u64(), reason })
        }
        RETENTION_RUN => Removal::told(record).map(Telling::Removed),
        ADDRESSES_EXPIRED => {
            let expiry = AddressExpiry::told(record);
            let expiry = expiry.filter(|expiry| expiry.fits(position, committed_at));
            expiry.map(Telling::AddressesExpired)
        }
        "restored" => Some(Telling::Restored { lost: facts()["count"].as_u64().unwrap_or(0) }),
        ERASED => ErasedList::from_json(&facts()["records"]).map(Telling::Erased),
        _ => None,
    }
}

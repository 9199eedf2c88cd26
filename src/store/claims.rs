//! The keys of what was handed in, in memory.

use std::collections::HashMap;

use super::{Claim, Claimed, Holding, IngestKey};
use crate::{record::RecordId, time::Timestamp};

/// Every key that was claimed.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<IngestKey, Kept>);

#[derive(Debug)]
struct Kept {
    fingerprint: [u8; 32],
    record_id: RecordId,
    at: Timestamp,
    done: bool,
}

impl Claims {
    pub(super) fn claim(&mut self, claim: &Claim) -> Claimed {
        let Claim { key, fingerprint, record_id, at, expired_before } = *claim;
        let Some(kept) = self.0.get_mut(&key) else {
            self.0.insert(key, Kept { fingerprint, record_id, at, done: false });
            return Claimed::Yours { record_id, taken_over: false };
        };
        let (record_id, before) = (kept.record_id, kept.fingerprint);
        if kept.done {
            Claimed::Done { record_id, fingerprint: before }
        } else if kept.at < expired_before {
            (kept.at, kept.fingerprint) = (at, fingerprint);
            Claimed::Yours { record_id, taken_over: true }
        } else {
            Claimed::Busy { record_id, fingerprint: before }
        }
    }

    pub(super) fn settle(&mut self, key: &IngestKey) {
        if let Some(kept) = self.0.get_mut(key) {
            kept.done = true;
        }
    }

    pub(super) fn release(&mut self, claim: &Holding) {
        let is_his =
            |kept: &Kept| !kept.done && kept.record_id == claim.record_id && kept.at == claim.at;
        if self.0.get(&claim.key).is_some_and(is_his) {
            self.0.remove(&claim.key);
        }
    }

    pub(super) fn forget(&mut self, before: Timestamp) -> u64 {
        let there = self.0.len();
        self.0.retain(|_, kept| kept.at >= before);
        (there - self.0.len()) as u64
    }
}

//! Each export is a record, however it ended.

use super::super::{access::Grant, state::Api};
use crate::{
    encode::Format,
    pipeline::Recorder,
    record::{Category, Operation, Outcome, Record},
};

/// What was handed out so far, and to whom. Recorded when dropped: a task that is thrown away with its
/// runtime is an export too.
#[derive(Debug)]
pub(super) struct Account {
    recorder: Recorder,
    draft: Record,
    format: Format,
    query: String,
    position: i64,
    outcome: (Outcome, &'static str),
    pub(super) records: u64,
    pub(super) unreadable: u64,
}

impl Account {
    pub(super) fn new(
        api: &Api,
        grant: &Grant,
        format: Format,
        query: &str,
        position: i64,
    ) -> Self {
        let mut draft =
            Record::by(grant.actor().clone()).verb("log_exported").category(Category::System);
        draft.operation = Operation::Read;
        draft.severity = 1;
        if let Some(tenant) = grant.only_tenant() {
            draft.tenant_id.set(tenant);
        }
        Self {
            recorder: api.recorder().clone(),
            draft,
            format,
            query: query.to_owned(),
            position,
            outcome: (Outcome::Aborted, "client_disconnect"),
            records: 0,
            unreadable: 0,
        }
    }

    /// Says that the client was handed everything.
    pub(super) const fn complete(&mut self) {
        self.outcome = (Outcome::Success, "");
    }

    /// Says that the store failed.
    pub(super) const fn failed(&mut self) {
        self.outcome = (Outcome::Failure, "store_unavailable");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let (outcome, reason) = self.outcome;
        let record =
            std::mem::take(&mut self.draft).outcome(outcome, reason).metadata(&serde_json::json!({
                "format": self.format.as_str(),
                "filter": self.query,
                "position": self.position,
                "count": self.records,
                "unreadable": self.unreadable,
            }));
        // Whether it was taken is in the tally, like that of every record.
        let _counted = self.recorder.record(record);
    }
}

//! That somebody's data was exported, told by the log itself.

use std::{error, fmt, time::Duration};

use tokio::time::timeout;

use super::{Pipeline, own, recorder::Admission, subject::Subject};
use crate::{
    record::{Actor, Operation, RecordId},
    store::Read as _,
};

/// A record that is not stored by then is not going to be soon.
const STORED_WITHIN: Duration = Duration::from_secs(30);

/// Records that what the log holds about a person is exported, by whoever does so beside the HTTP interface: that
/// records its own.
#[derive(Debug, Clone)]
#[must_use = "it tells nothing by itself"]
pub struct SubjectExport {
    asked: String,
    tenant: Option<String>,
    by: Actor,
}

/// Why an export did not take place: nobody would know of it.
#[derive(Debug)]
pub struct Untold(());

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the record that tells of the export could not be stored, hence nothing is exported",
        )
    }
}

impl error::Error for Untold {}

impl SubjectExport {
    /// Tells of an export of what is held about `subject`, by somebody.
    pub fn new(subject: &Subject, by: Actor) -> Self {
        // As a question of the HTTP interface, in which an erasure finds the name.
        let segment = percent_encoding::NON_ALPHANUMERIC;
        let encoded =
            |text: &String| percent_encoding::utf8_percent_encode(text, segment).to_string();
        let mut names = subject.names.iter().map(encoded);
        let mut asked = format!("/subjects/{}/export", names.next().unwrap_or_default());
        for (nth, name) in names.enumerate() {
            asked.push_str(if nth == 0 { "?also=" } else { "&also=" });
            asked.push_str(&name);
        }
        Self { asked, tenant: subject.tenant.clone(), by }
    }

    /// Records that it begins, and returns when that is stored.
    ///
    /// # Errors
    ///
    /// When it could not be stored; then nothing is to be exported.
    pub async fn begun(&self, pipeline: &Pipeline) -> Result<RecordId, Untold> {
        self.tell(pipeline, "subject_export", None).await
    }

    /// Records that it has ended with so many records, and returns when that is stored.
    ///
    /// # Errors
    ///
    /// When it could not be stored; then what was exported is not to be handed on.
    pub async fn ended(&self, pipeline: &Pipeline, records: u64) -> Result<RecordId, Untold> {
        self.tell(pipeline, "subject_export_end", Some(records)).await
    }

    async fn tell(
        &self,
        pipeline: &Pipeline,
        endpoint: &str,
        shown: Option<u64>,
    ) -> Result<RecordId, Untold> {
        let recorder = pipeline.recorder();
        let facts = serde_json::json!({
            "endpoint": endpoint,
            "asked": self.asked,
            "shown": shown,
            "count": 1,
        });
        let mut record = own::record("log_exported", 3, &facts);
        record.operation = Operation::Read;
        let core = recorder.core();
        record.occurred_at = core.clock.now();
        record.id = RecordId::from_bytes(core.ids.id(record.occurred_at));
        record.set_actor(&self.by);
        record.tenant_id.set(self.tenant.as_deref().unwrap_or_default());
        // Whose clock is far ahead is given another time, and with it another id.
        let Admission::Accepted(id) = recorder.announce(record) else { return Err(Untold(())) };
        if timeout(STORED_WITHIN, pipeline.flush()).await.is_err() {
            return Err(Untold(()));
        }
        let Some(store) = pipeline.store() else { return Err(Untold(())) };
        match store.record(id).await {
            Ok(Some(_)) => Ok(id),
            Ok(None) | Err(_) => Err(Untold(())),
        }
    }
}

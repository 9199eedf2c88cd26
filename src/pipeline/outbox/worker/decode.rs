//! Rows of the outbox into records.

use super::Worker;
use crate::{
    pipeline::{number, quarantine},
    record::{PortableError, Record, WriterId},
    store::{Append, OutboxRow},
};

impl<S: Append> Worker<S> {
    /// Makes records of rows. False means that a later version of this crate wrote one of them.
    pub(super) async fn decode(&mut self, stream: WriterId, rows: Vec<OutboxRow>) -> bool {
        self.settler.batch.clear();
        for row in rows {
            let mut record = self.core.pool.take();
            match Record::from_portable(&row.payload, &mut record) {
                Ok(()) => {}
                Err(
                    error @ (PortableError::Version(_)
                    | PortableError::Schema(_)
                    | PortableError::Unknown(_)),
                ) => {
                    self.settler.batch.clear();
                    if self.patience.pass() {
                        tracing::error!(
                            id = %row.record_id, error = &error as &dyn std::error::Error,
                            "a record in the outbox is of a later version; it waits for a service of that version"
                        );
                    }
                    return false;
                }
                Err(error) => {
                    record = Box::new(quarantine::unreadable(row.record_id));
                    number::seal(&mut record);
                    self.keep_unreadable(stream, &row, error).await;
                }
            }
            self.classes.classify(&mut record);
            record.recorded_at = row.claimed_at;
            record.writer_id = stream;
            record.seq = row.seq;
            self.settler.batch.push(record);
        }
        true
    }

    /// Puts what cannot be read into the quarantine file; a stub of it goes on.
    async fn keep_unreadable(&mut self, stream: WriterId, row: &OutboxRow, error: PortableError) {
        let (id, seq) = (row.record_id, row.seq);
        self.core.outboxes.quarantine();
        tracing::error!(
            %id, seq, error = &error as &dyn std::error::Error, file = self.quarantine.is_some(),
            "a record in the outbox cannot be read; a stub of it goes to the store, and its bytes to the \
             quarantine file if there is one"
        );
        let Some(path) = self.quarantine.clone() else { return };
        let (bytes, now) = (row.payload.clone(), self.core.clock.now());
        let kept = tokio::task::spawn_blocking(move || {
            quarantine::keep_bytes(&path, stream, seq, &bytes, &error.to_string(), now)
                .map_err(|error| (path, error))
        })
        .await;
        if let Ok(Err((path, error))) = kept {
            tracing::error!(
                %id, seq, path = %path.display(), error = &error as &dyn std::error::Error,
                "could not write the quarantine file; only the stub is kept"
            );
        }
    }
}

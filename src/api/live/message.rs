//! What goes over the wire: the three messages of the contract.

use super::place::Place;
use crate::{query::Binding, record::Record, time::Timestamp};

/// One message holds at most so many records,
const MAX_RECORDS: usize = 256;
/// and no further one once it is so long: together with the record that crossed the line, this is what a
/// client who does not read costs.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// How many records it holds.
    pub(super) records: usize,
    /// Its `type`.
    pub(super) kind: &'static str,
    /// Where to go on behind it.
    pub(super) cursor: String,
    /// The whole of it.
    pub(super) json: String,
}

/// Makes the cursors of one session.
#[derive(Debug, Clone)]
pub(super) struct Cursors {
    pub(super) key: [u8; 32],
    pub(super) binding: Binding,
    /// Against which relative times of the filter were read.
    pub(super) now: Timestamp,
}

impl Cursors {
    fn at(&self, place: Place) -> String {
        place.cursor(self.now).seal(&self.key, self.binding)
    }

    pub(super) fn lagged(&self, missed: u64, place: Place) -> Message {
        let cursor = self.at(place);
        let json = format!(r#"{{"type":"lagged","missed":{missed},"cursor":"{cursor}"}}"#);
        Message { records: 0, kind: "lagged", cursor, json }
    }

    pub(super) fn heartbeat(&self, place: Place) -> Message {
        let cursor = self.at(place);
        let json = format!(r#"{{"type":"heartbeat","cursor":"{cursor}"}}"#);
        Message { records: 0, kind: "heartbeat", cursor, json }
    }
}

/// Records on their way into a message.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    data: String,
    count: usize,
}

impl Gathered {
    pub(super) fn push(&mut self, record: &Record) {
        let json = match serde_json::to_string(record) {
            Ok(json) => json,
            // Not reached: a record has text for keys and no numbers but integers.
            Err(error) => return tracing::error!(%error, "a record could not be written as JSON"),
        };
        if self.count > 0 {
            self.data.push(',');
        }
        self.data.push_str(&json);
        self.count += 1;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.data.len()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.count >= MAX_RECORDS || self.data.len() >= MAX_BYTES
    }

    /// Makes the message of what has been gathered up to `place`, and begins anew.
    pub(super) fn take(&mut self, cursors: &Cursors, place: Place) -> Message {
        let Self { data, count } = std::mem::take(self);
        let cursor = cursors.at(place);
        let json =
            format!(r#"{{"type":"records","data":[{data}],"count":{count},"cursor":"{cursor}"}}"#);
        Message { records: count, kind: "records", cursor, json }
    }
}

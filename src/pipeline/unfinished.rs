//! The end of an earlier process that did not come to one: what it began and did not end becomes a record that
//! says so, and so does the stream itself.

use std::sync::Arc;

use super::{
    admit,
    core::Core,
    own,
    spool::{Ending, OldStream, SpoolError},
};
use crate::{
    record::{Outcome, Record, RecordId},
    store::{PROCESS_ENDED, SPOOL_DAMAGED},
};

/// Of an intent nobody knows more.
const ATTEMPTED: &str = "attempted, outcome unknown";

/// Gives an end to everything that has none; `position` is the store's. May be done again: what was ended before is
/// not found. Reads and writes files.
///
/// Returns false when only the last word could not be written: what is there can be read all the same.
pub(super) fn end(core: &Arc<Core>, old: &OldStream, position: i64) -> Result<bool, SpoolError> {
    let mut ending = old.ending(position)?;
    let (mut record, mut bytes, mut count) = (Record::default(), Vec::new(), 0_u64);
    while let Some(unfinished) = ending.next_unfinished()? {
        if let Err(error) = Record::from_portable(&unfinished.record, &mut record) {
            // A later version wrote it: as it stands it is read again by one that knows it, or becomes a stub.
            tracing::warn!(%error, "something that did not end cannot be read");
            ending.end(unfinished.open, unfinished.recorded_at, &unfinished.record)?;
            continue;
        }
        finish(&mut record);
        bytes.clear();
        record.to_portable(&mut bytes);
        ending.end(unfinished.open, core.clock.now(), &bytes)?;
        count += 1;
    }
    let lost = ending.lost();
    if lost > 0 {
        let now = core.clock.now();
        let mut gap = own::missing(SPOOL_DAMAGED, Some(lost), now, None);
        admit::prepare(core, &mut gap);
        bytes.clear();
        gap.to_portable(&mut bytes);
        ending.tell_lost(now, &bytes)?;
    }
    if count > 0 {
        tracing::warn!(
            stream = %old.writer_id(), count,
            "an earlier process ended in the middle of requests; their records say so"
        );
    }
    let said = say_end(core, &mut ending);
    let is_all = count == 0 && lost == 0;
    match said.and_then(|()| ending.finish()) {
        Ok(()) => Ok(true),
        Err(error) if is_all => {
            tracing::warn!(
                stream = %old.writer_id(), error = &error as &dyn std::error::Error,
                "could not write that an earlier process ended; its records are stored first"
            );
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Ends a stream that does not end with the word of its own process. What is written follows from the files alone.
fn say_end(core: &Core, ending: &mut Ending) -> Result<(), SpoolError> {
    let Some(end) = ending.end_of_stream() else { return Ok(()) };
    let mut last = Record::default();
    if let Some((number, bytes)) = ending.last()? {
        if Record::from_portable(&bytes, &mut last).is_err() {
            // A later version wrote it, and may have ended the stream with it.
            return Ok(());
        }
        if number + 1 == end.number && own::says(&last, own::STOPPED) {
            return Ok(());
        }
    }
    let mut record = own::recovered(end.number, end.at);
    record.id = RecordId::new(end.at, end.random);
    // Those of the process that ended, not of this one.
    record.service.set(&last.service);
    record.instance.set(&last.instance);
    record.environment.set(&last.environment);
    admit::prepare(core, &mut record);
    let mut bytes = Vec::new();
    record.to_portable(&mut bytes);
    ending.close(end.at, &bytes)
}

/// Says of a record as far as it was known that its process ended.
fn finish(record: &mut Record) {
    if own::says(record, own::GAP) {
        // What it says of losses is all that anybody knows.
        return;
    }
    if record.outcome == Outcome::Unknown {
        if record.status.is_some() || record.grpc_status.is_some() {
            record.outcome = Outcome::Failure;
        } else if record.description.is_absent() {
            // Before the handler: whether it did anything, nobody knows.
            record.description.set(ATTEMPTED);
        }
    }
    record.outcome_reason.set(PROCESS_ENDED);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn losses_that_were_not_counted_to_the_end_are_told_of_as_they_are() {
        let mut gap = own::missing("spool_full", None, Timestamp::from_micros(1), None);
        let before = gap.clone();
        finish(&mut gap);
        assert_eq!(gap, before);
    }

    #[test]
    fn what_is_known_stays_and_what_is_not_is_said() {
        let mut intent = Record::default();
        finish(&mut intent);
        assert_eq!((intent.outcome, intent.description.as_str()), (Outcome::Unknown, ATTEMPTED));
        assert_eq!(intent.outcome_reason, PROCESS_ENDED);
        let mut answered = Record { status: Some(200), outcome: Outcome::Success, ..intent };
        finish(&mut answered);
        assert_eq!(answered.outcome, Outcome::Success);
        let mut unsaid = Record { status: Some(200), ..Record::default() };
        finish(&mut unsaid);
        assert_eq!(unsaid.outcome, Outcome::Failure);
    }
}

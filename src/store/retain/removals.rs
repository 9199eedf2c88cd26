//! What the log itself tells of what was taken out, and what it would have to tell.

use crate::{
    ledger::{RETENTION_RUN, Removal, RemovalCount},
    query::PageRequest,
    record::RecordId,
    store::{Read, Retain, StoreError, UnitFacts, holds::of_the_log_itself},
};

/// So many records at once.
const PAGE: usize = 1_000;
/// So many entries of the ledger at once.
const ENTRIES: usize = 5_000;

/// Returns every removal that the log tells of, the oldest first, each with the record that does.
pub(crate) async fn removals<S: Read>(store: &S) -> Result<Vec<(RecordId, Removal)>, StoreError> {
    let filter = of_the_log_itself(RETENTION_RUN)?;
    let (mut told, mut request) = (Vec::new(), PageRequest::oldest(PAGE));
    loop {
        let page = store.records(&filter, &request).await?;
        told.extend(
            page.records.iter().filter_map(|record| Some((record.id, Removal::told(record)?))),
        );
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(told),
        }
    }
}

/// Adds up what is to be taken out of a unit: all that the ledger accounts for by now; `None` when that is
/// nothing any more.
///
/// # Errors
///
/// When the store cannot be asked.
pub async fn removal_of<S: Retain>(
    store: &S,
    facts: &UnitFacts,
) -> Result<Option<Removal>, StoreError> {
    let (mut count, mut after) = (RemovalCount::default(), facts.first - 1);
    loop {
        let entries = store.unit_entries(&facts.unit, after, ENTRIES).await?;
        entries.iter().for_each(|entry| count.push(entry));
        match entries.last() {
            Some(last) if entries.len() == ENTRIES => after = last.position,
            _ => return Ok(count.of(facts.unit.month, &facts.unit.class)),
        }
    }
}

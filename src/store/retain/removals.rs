//! What the log itself tells of retention: removals, and the policy that somebody set.

use serde_json::Value;

use crate::{
    ledger::{RETENTION_RUN, Removal, RemovalCount},
    query::{Filter, PageRequest},
    record::{Category, Origin, Record, RecordId},
    rules::RetentionPolicy,
    store::{Read, Retain, StoreError, StoreErrorKind, UnitFacts},
};

/// The action of the record that sets the policy.
pub(crate) const RETENTION_CHANGED: &str = "retention_changed";

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

/// Returns the policy that somebody set through the API, with the record of it; `None` when nobody did.
///
/// The log itself is where it is kept: the newest record of a change holds.
///
/// # Errors
///
/// When the store cannot be asked, or the policy was set by a newer build and cannot be read.
pub async fn set_policy_of<S: Read>(
    store: &S,
) -> Result<Option<(Record, RetentionPolicy)>, StoreError> {
    let filter = of_the_log_itself(RETENTION_CHANGED)?;
    let page = store.records(&filter, &PageRequest::newest(1)).await?;
    let Some(record) = page.records.into_iter().next() else { return Ok(None) };
    let told: Value = serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
    // Taken back: the policy of the code and the rules file holds again.
    if told["policy"].is_null() {
        return Ok(None);
    }
    let policy = RetentionPolicy::from_json(&told["policy"]).map_err(|error| {
        StoreError::new(StoreErrorKind::Data, "read the retention policy in the log")
            .with_source(error)
    })?;
    Ok(Some((record, policy)))
}

fn of_the_log_itself(action: &str) -> Result<Filter, StoreError> {
    let filter = Filter::new().any_of("action", [action]);
    let filter = filter.and_then(|filter| filter.any_of("category", [Category::System.as_str()]));
    let filter = filter.and_then(|filter| filter.any_of("origin", [Origin::System.as_str()]));
    filter.map_err(|error| {
        StoreError::new(StoreErrorKind::Data, "look for what the log tells of itself")
            .with_source(error)
    })
}

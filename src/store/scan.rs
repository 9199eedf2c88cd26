//! Answering by reading records: where a filter asks for more than SQL can tell exactly.
//!
//! A store renders of a filter what it can, never less than what passes, and reads candidates in the order
//! of the page; [`Filter::matches`] has the last word. So every store gives the same answer, and none has to
//! parse JSON or find words by rules of its own.

use std::{future::Future, time::Instant};

use super::StoreError;
use crate::{
    query::{
        Aggregate, Aggregated, Count, Counter, Filter, Keyset, Page, PageRequest, Place, Relation,
        TextSearch, Total,
    },
    record::Record,
};

/// Candidates in the order of a page, as a store read them.
pub(super) struct Candidates {
    /// Each with its place.
    pub(super) records: Vec<(Place, Record)>,
    /// Rows that were left out because they cannot be read as records.
    pub(super) unreadable: u64,
    /// Where to go on; `None` when there are no more.
    pub(super) next: Option<Place>,
}

/// How many candidates to read at once when most may not pass.
const CHUNK: usize = 1_000;

/// How much of candidates is held at once, however many were asked for: a fetch ends with the one that
/// exceeds it, and the next goes on from there.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) const BYTES: usize = 8 << 20;

/// How many at first: where most pass, they fill a page, and a thousand would be read for nothing.
const FIRST_CHUNK: usize = 128;

/// Reads a page. `fetch` returns candidates strictly after a place, at most so many.
///
/// `exact` says that every candidate passes, so that the page is one fetch.
pub(super) async fn page<F, Fetching>(
    filter: &Filter,
    request: &PageRequest,
    exact: bool,
    text: TextSearch,
    mut fetch: F,
) -> Result<Page, StoreError>
where
    F: FnMut(Option<Place>, usize) -> Fetching,
    Fetching: Future<Output = Result<Candidates, StoreError>>,
{
    let begun = Instant::now();
    let mut page = Page { complete: true, text, ..Page::default() };
    let mut after = request.after;
    let mut least = FIRST_CHUNK.max(request.limit.saturating_mul(2));
    loop {
        let wanted = request.limit - page.records.len();
        // One more tells whether there is another page.
        let chunk = if exact { wanted + 1 } else { (wanted + 1).max(least) };
        least = CHUNK;
        let candidates = fetch(after, chunk).await?;
        page.unreadable += candidates.unreadable;
        for (place, record) in candidates.records {
            if !exact && !filter.matches(&record) {
                after = Some(place);
                continue;
            }
            if page.records.len() == request.limit {
                page.next = after;
                return Ok(page);
            }
            page.first.get_or_insert(place);
            page.records.push(record);
            after = Some(place);
        }
        match candidates.next {
            None => return Ok(page),
            next => after = next,
        }
        if begun.elapsed() >= request.patience {
            // A full page lacks nothing; what comes after it is the next one's affair.
            page.complete = page.records.len() == request.limit;
            page.next = after;
            return Ok(page);
        }
    }
}

/// Returns the place of a record in the order of time.
pub(super) fn placed(record: Record) -> (Place, Record) {
    (Place::Occurred(Keyset::of(&record)), record)
}

/// Counts by reading pages, as far as the time allows. The caller says how exact that is.
pub(super) async fn aggregate<F, Reading>(
    ask: &Aggregate,
    mut read: F,
) -> Result<Aggregated, StoreError>
where
    F: FnMut(PageRequest) -> Reading,
    Reading: Future<Output = Result<Page, StoreError>>,
{
    let begun = Instant::now();
    let mut counter = Counter::new(ask);
    let mut complete = true;
    let mut request = PageRequest::newest(CHUNK);
    loop {
        let left = ask.patience.saturating_sub(begun.elapsed());
        let page = read(request.within(left)).await?;
        page.records.iter().for_each(|record| counter.add(record));
        let Some(next) = page.next else { break };
        if begun.elapsed() >= ask.patience {
            complete = false;
            break;
        }
        request = request.after(next);
    }
    Ok(Aggregated { complete, exact: complete, ..counter.finish() })
}

/// Counts by reading pages, up to a cap.
pub(super) async fn count<F, Reading>(how: Count, mut read: F) -> Result<Total, StoreError>
where
    F: FnMut(PageRequest) -> Reading,
    Reading: Future<Output = Result<Page, StoreError>>,
{
    let begun = Instant::now();
    let cap = match how {
        Count::Estimate => Count::CAP,
        Count::UpTo(cap) => cap,
    };
    let mut request = PageRequest::newest(CHUNK);
    let mut value = 0;
    loop {
        let left = PageRequest::DEFAULT_PATIENCE.saturating_sub(begun.elapsed());
        let page = read(request.within(left)).await?;
        value += page.records.len() as u64;
        if value > cap {
            return Ok(Total { value: cap, relation: Relation::AtLeast });
        }
        let Some(next) = page.next else {
            return Ok(Total { value, relation: Relation::Equal });
        };
        if begun.elapsed() >= PageRequest::DEFAULT_PATIENCE {
            return Ok(Total { value, relation: Relation::AtLeast });
        }
        request = request.after(next);
    }
}

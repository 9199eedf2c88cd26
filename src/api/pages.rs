//! Pages that keep to a size, whatever the size of their records.
//!
//! A record may hold bodies and changes of some hundred kilobytes, and a thousand of them are what one page
//! may be asked for. So a large page is read in parts, each as long as the size of the last allows, and ends
//! early when it is large enough: its `next` goes on from there.

use std::time::Instant;

use crate::{
    query::{Filter, Page, PageRequest},
    record::Record,
    store::{AnyStore, Read as _, StoreError},
};

/// How many rows the first part has. Most pages are no longer.
const FIRST_ROWS: usize = 100;

/// Reads a page that ends when its records hold `bytes` of text, or soon after.
pub(super) async fn bounded(
    store: &AnyStore,
    filter: &Filter,
    request: &PageRequest,
    bytes: usize,
) -> Result<Page, StoreError> {
    let begun = Instant::now();
    let mut rows = FIRST_ROWS.min(request.limit);
    let mut page = store.records(filter, &PageRequest { limit: rows, ..*request }).await?;
    let mut held = text_bytes(&page.records);
    let mut last = 0;
    while let Some(next) = page.next
        && page.complete
        && page.records.len() < request.limit
        && held < bytes
    {
        rows = next_rows(&page.records[last..], rows, bytes - held);
        rows = rows.min(request.limit - page.records.len());
        last = page.records.len();
        let patience = request.patience.saturating_sub(begun.elapsed());
        let part = PageRequest { limit: rows, patience, ..*request }.after(next);
        let part = store.records(filter, &part).await?;
        held += text_bytes(&part.records);
        page.records.extend(part.records);
        page.first = page.first.or(part.first);
        page.next = part.next;
        page.complete = part.complete;
        page.unreadable += part.unreadable;
    }
    Ok(page)
}

/// Returns how many rows to read next after some, so that they hold `bytes` of text if they are like those.
pub(super) fn next_rows(records: &[Record], rows: usize, bytes: usize) -> usize {
    rows_like(text_bytes(records), records.len(), rows, bytes)
}

/// As [`next_rows`], of `count` records with so much text together.
pub(super) fn rows_like(text: usize, count: usize, rows: usize, bytes: usize) -> usize {
    match text.checked_div(count) {
        // Never more than four times as many: the records may grow again.
        Some(each) => (bytes / each.max(1)).max(1).min(4 * rows),
        None => rows,
    }
}

fn text_bytes(records: &[Record]) -> usize {
    records.iter().map(Record::text_bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{RecordId, WriterId},
        store::{Append as _, Appender as _, Batch, MemoryStore},
        time::Timestamp,
    };

    /// A log of `count` records with `body` bytes each.
    async fn log(count: i64, body: usize) -> AnyStore {
        let store = MemoryStore::new();
        let records = (1..=count).map(|seq| {
            let at = Timestamp::from_micros(seq);
            let mut record = Record {
                id: RecordId::new(at, [seq.to_be_bytes()[7]; 10]),
                occurred_at: at,
                writer_id: WriterId::new(1),
                seq,
                ..Record::default()
            };
            record.request_body.set(&"x".repeat(body));
            Box::new(record)
        });
        let records: Vec<_> = records.collect();
        store.connect().await.unwrap().append(Batch::new(&records).unwrap()).await.unwrap();
        AnyStore::new(store)
    }

    #[tokio::test]
    async fn a_page_of_small_records_is_as_long_as_was_asked_for() {
        let store = log(1_000, 10).await;
        for limit in [1, 99, 100, 101, 999, 1_000, 1_001] {
            for request in [PageRequest::newest(limit), PageRequest::oldest(limit)] {
                let whole = store.records(&Filter::new(), &request).await.unwrap();
                let page = bounded(&store, &Filter::new(), &request, 1 << 20).await.unwrap();
                assert_eq!(page, whole, "{limit}");
            }
        }
    }

    #[tokio::test]
    async fn a_page_of_large_records_ends_early_and_goes_on() {
        let store = log(400, 50_000).await;
        let (mut request, mut seqs) = (PageRequest::newest(1_000), Vec::new());
        loop {
            let page = bounded(&store, &Filter::new(), &request, 1 << 20).await.unwrap();
            assert!(page.records.len() <= FIRST_ROWS, "{}", page.records.len());
            seqs.extend(page.records.iter().map(|record| record.seq));
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
        assert!(seqs.into_iter().eq((1..=400).rev()));
    }

    #[test]
    fn the_next_part_goes_by_the_size_of_the_last() {
        let record = |body: usize| {
            let mut record = Record::default();
            record.request_body.set(&"x".repeat(body));
            record
        };
        assert_eq!(next_rows(&[], 7, 1_000_000), 7);
        assert_eq!(next_rows(&[record(400_000)], 100, 1_000_000), 2);
        assert_eq!(next_rows(&[record(4_000_000)], 100, 1_000_000), 1);
        assert_eq!(next_rows(&[record(10)], 100, 1_000_000), 400);
    }
}

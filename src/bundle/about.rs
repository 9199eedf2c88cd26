//! Subject exports: what the log holds about one person, for that person.
//!
//! A bundle of the records about him, with two files more: `data.json` and `data.csv` have them for reading. What is about
//! other people is masked there; a group of which something was masked is not opened among the proofs, which hold
//! without: the canonical bytes have its commitment alone.

use super::{Ask, Bundle, MAX_ROWS, PAGE_BYTES, Stage, failed};
use crate::{
    encode::{Encoder, Format},
    pipeline::{Sought, Subject},
    privacy::Keys,
    query::{Direction, Filter, PageRequest, Place},
    record::{Category, Groups, Record},
    store::{AnyStore, Read as _, Snapshot, StoreError},
    time::Timestamp,
};

/// Whose data is to be exported, and to whom.
#[derive(Debug, Clone)]
#[must_use = "it does nothing by itself"]
pub struct SubjectAsk {
    subject: Subject,
    scope: Filter,
    left_out: Vec<&'static str>,
    asked: String,
    now: Timestamp,
}

impl SubjectAsk {
    /// Asks for all records about a person, at this time.
    pub fn new(subject: Subject, now: Timestamp) -> Self {
        let (scope, left_out) = (Filter::new(), Vec::new());
        Self { subject, scope, left_out, asked: "everything about one person".to_owned(), now }
    }

    /// Keeps to the records that pass a filter: those that whoever asks may see. Without records of the categories in
    /// `left_out` it is not all there is, and the manifest says so.
    pub fn scope(mut self, scope: Filter, left_out: impl IntoIterator<Item = Category>) -> Self {
        self.scope = scope;
        self.left_out = left_out.into_iter().map(Category::as_str).collect();
        self
    }

    /// Says the question in the words of whoever asks; it stands in the export.
    pub fn asked(mut self, asked: impl Into<String>) -> Self {
        self.asked = asked.into();
        self
    }
}

/// The person whom a bundle is about.
#[derive(Debug)]
pub(super) struct About {
    sought: Sought,
    snapshot: Snapshot,
    pub(super) left_out: Vec<&'static str>,
    encoder: Encoder,
    buffer: Vec<u8>,
}

impl About {
    /// Takes those records of a page that are about him.
    pub(super) fn of_page(&self, records: &mut Vec<Record>) {
        records.retain(|record| self.sought.is_in(record) && self.snapshot.holds(record));
    }

    /// Returns a record as he may see it, and which groups are not as they were.
    pub(super) fn shown(&self, record: &Record) -> (Record, Groups) {
        let mut shown = record.clone();
        let masked = self.sought.mask_others(&mut shown);
        (shown, masked)
    }
}

impl Bundle {
    /// Begins an export of what the store holds about a person now: `None` when that is nothing.
    ///
    /// `held` is asked for the records: where the database holds whoever asks to his tenant, the store that does.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or its ledger does not go on from its last checkpoint.
    pub async fn about(
        store: AnyStore,
        held: AnyStore,
        ask: SubjectAsk,
        keys: &Keys,
    ) -> Result<Option<Self>, StoreError> {
        let Some((about, filter)) = About::anywhere(&held, &ask, keys).await? else {
            return Ok(None);
        };
        let ask = Ask { filter, direction: Direction::Newer, asked: ask.asked, now: ask.now };
        let begun = Self::begin(store, ask, keys.signing_seeds()).await?;
        Ok(begun.map(|mut bundle| {
            bundle.position = about.snapshot.position;
            bundle.records = held;
            bundle.about = Some(about);
            bundle
        }))
    }

    /// Returns the position up to which such an export would cover the log if it began now, and signs nothing; `None` when
    /// there would be nothing in it.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn would_be_about(
        store: &AnyStore,
        held: &AnyStore,
        ask: &SubjectAsk,
        keys: &Keys,
    ) -> Result<Option<i64>, StoreError> {
        let Some((about, _)) = About::anywhere(held, ask, keys).await? else { return Ok(None) };
        Ok(Self::would_cover(store, true).await?.map(|_| about.snapshot.position))
    }

    /// Writes a page of the records for reading.
    pub(super) async fn page_of_data(
        &mut self,
        format: Format,
        after: Option<Place>,
        rows: usize,
    ) -> Result<Stage, StoreError> {
        let Some(about) = &mut self.about else { return Ok(Stage::End) };
        if after.is_none() {
            about.encoder = Encoder::new(format);
            self.zip
                .start(if format == Format::Csv { "data.csv" } else { "data.json" })
                .map_err(failed)?;
            about.encoder.begin(&mut about.buffer);
        }
        let request = PageRequest { after, ..PageRequest::oldest(rows) };
        let mut page = self.records.records(&self.ask.filter, &request).await?;
        let text: usize = page.records.iter().map(Record::text_bytes).sum();
        let each = text.checked_div(page.records.len()).unwrap_or(0).max(1);
        about.of_page(&mut page.records);
        for record in &page.records {
            let (shown, _) = about.shown(record);
            about.encoder.record(&shown, &mut about.buffer);
        }
        if page.next.is_none() {
            about.encoder.end(&mut about.buffer);
        }
        self.zip.bytes(&about.buffer).map_err(failed)?;
        about.buffer.clear();
        Ok(match (page.next, format) {
            (Some(next), _) => {
                let rows = (PAGE_BYTES / each).clamp(1, MAX_ROWS.min(4 * rows));
                Stage::Data { format, after: Some(next), rows }
            }
            (None, Format::Csv) => Stage::End,
            (None, _) => Stage::Data { format: Format::Csv, after: None, rows },
        })
    }
}

impl About {
    /// Looks for the person, and returns what finds him; `None` where nothing does.
    async fn anywhere(
        held: &AnyStore,
        ask: &SubjectAsk,
        keys: &Keys,
    ) -> Result<Option<(Self, Filter)>, StoreError> {
        let sought = Sought::new(ask.subject.clone(), keys.clone());
        let filter = sought.filter().and(ask.scope.clone());
        let about = Self {
            sought,
            // Before the head is signed, which so covers all of it.
            snapshot: held.snapshot().await?,
            left_out: ask.left_out.clone(),
            encoder: Encoder::new(Format::Json),
            buffer: Vec::new(),
        };
        Ok(about.is_anywhere(held, &filter).await?.then_some((about, filter)))
    }

    async fn is_anywhere(&self, held: &AnyStore, filter: &Filter) -> Result<bool, StoreError> {
        let mut request = PageRequest::oldest(MAX_ROWS);
        loop {
            let mut page = held.records(filter, &request).await?;
            self.of_page(&mut page.records);
            if !page.records.is_empty() {
                return Ok(true);
            }
            match page.next {
                Some(next) => request = PageRequest::oldest(MAX_ROWS).after(next),
                None => return Ok(false),
            }
        }
    }
}

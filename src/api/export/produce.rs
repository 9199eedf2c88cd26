//! Reading, page after page, and encoding.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::{
    super::{pages::next_rows, watch::Session},
    RECORDS, UNREADABLE,
    ask::Ask,
    body::{ExportBody, Piece},
};
use crate::{
    encode::Encoder,
    query::{Direction, Filter, Page, PageRequest, Place},
    store::{AnyStore, Read as _, Snapshot, StoreError, StoreErrorKind, restricted_page},
};

/// How many bytes are handed over at once.
const PIECE: usize = 64 * 1024;

/// A client that takes nothing for so long is gone, whatever its connection says.
pub(in crate::api) const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How many rows the first page has: few, so that the client sees something at once.
const FIRST_ROWS: usize = 100;

/// How many rows a page has at most. More would spare little time and take more memory.
const MAX_ROWS: usize = 1_000;

/// How many bytes of text a page should have. Records may hold 400 KB each, and then a page has few.
const PAGE_BYTES: usize = 1024 * 1024;

/// An export under way.
#[derive(Debug)]
pub(super) struct Producer {
    source: Source,
    snapshot: Snapshot,
    encoder: Encoder,
    session: Session,
    records: u64,
    unreadable: u64,
}

impl Producer {
    pub(super) fn new(
        store: AnyStore,
        filter: Filter,
        snapshot: Snapshot,
        ask: &Ask,
        session: Session,
    ) -> Self {
        Self {
            source: Source {
                store,
                filter,
                direction: ask.direction,
                is_restricted: ask.restricted,
            },
            snapshot,
            encoder: Encoder::new(ask.format).bom(ask.bom),
            session,
            records: 0,
            unreadable: 0,
        }
    }

    /// Begins, in a task of its own that ends with the body.
    pub(super) fn start(self) -> ExportBody {
        // One piece waits while the next one is made.
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(self.run(sender));
        ExportBody::new(pieces)
    }

    async fn run(mut self, sender: mpsc::Sender<Piece>) {
        let piece = match self.pages(&sender).await {
            Ok(()) => {
                self.session.complete();
                let mut trailers = HeaderMap::with_capacity(2);
                trailers.insert(RECORDS, self.records.into());
                trailers.insert(UNREADABLE, self.unreadable.into());
                Piece::End(trailers)
            }
            Err(Stopped::Left) => return,
            Err(Stopped::Broken(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    records = self.records,
                    "an export broke off"
                );
                self.session.broken();
                Piece::Broken(error)
            }
        };
        // Recorded before the client sees the end: whoever has the whole file is in the log.
        drop(self.session);
        // Otherwise nobody is left to be told.
        let _told = timeout(PATIENCE, sender.send(piece)).await;
    }

    async fn pages(&mut self, sender: &mpsc::Sender<Piece>) -> Result<(), Stopped> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 4);
        self.encoder.begin(&mut out);
        let mut rows = FIRST_ROWS;
        let mut reading = Some(self.source.read(None, rows));
        while let Some(page) = reading {
            let page = page.wait(sender).await?;
            rows = next_rows(&page.records, rows, PAGE_BYTES).min(MAX_ROWS);
            // The next page is read while this one is encoded and on its way.
            reading = page.next.map(|next| self.source.read(Some(next), rows));
            self.unreadable += page.unreadable;
            for record in page.records.iter().filter(|record| self.snapshot.holds(record)) {
                self.encoder.record(record, &mut out);
                self.session.showed(1);
                self.records += 1;
                if out.len() >= PIECE {
                    send(sender, &mut out).await?;
                }
            }
        }
        self.encoder.end(&mut out);
        send(sender, &mut out).await
    }
}

/// Hands over what is there.
async fn send(sender: &mpsc::Sender<Piece>, out: &mut Vec<u8>) -> Result<(), Stopped> {
    let next = Vec::with_capacity(out.capacity().min(2 * PIECE));
    let piece = Piece::Data(Bytes::from(std::mem::replace(out, next)));
    match timeout(PATIENCE, sender.send(piece)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Stopped::Left),
    }
}

/// Why an export ended early.
#[derive(Debug)]
enum Stopped {
    /// The client is gone.
    Left,
    Broken(StoreError),
}

/// Where pages come from.
#[derive(Debug)]
struct Source {
    store: AnyStore,
    filter: Filter,
    direction: Direction,
    is_restricted: bool,
}

impl Source {
    /// Begins to read a page.
    fn read(&self, after: Option<Place>, rows: usize) -> Reading {
        let (store, filter) = (self.store.clone(), self.filter.clone());
        let request = PageRequest { after, direction: self.direction, ..PageRequest::newest(rows) };
        let is_restricted = self.is_restricted;
        // On another thread if there is one: decoding a page takes as long as encoding it.
        Reading(tokio::spawn(async move {
            match is_restricted {
                true => restricted_page(&store, &filter, &request).await,
                false => store.records(&filter, &request).await,
            }
        }))
    }
}

/// A page that is being read; reading stops when it is dropped.
#[derive(Debug)]
struct Reading(JoinHandle<Result<Page, StoreError>>);

impl Reading {
    async fn wait(mut self, sender: &mpsc::Sender<Piece>) -> Result<Page, Stopped> {
        tokio::select! {
            () = sender.closed() => Err(Stopped::Left),
            page = &mut self.0 => match page {
                Ok(page) => page.map_err(Stopped::Broken),
                Err(_) => {
                    let doing = "read a page: the task that read it panicked";
                    Err(Stopped::Broken(StoreError::new(StoreErrorKind::Data, doing)))
                }
            },
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

//! From a place in the ledger through history into the present, as messages.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    hub::{Next, Seat},
    message::{Cursors, Gathered, Message},
    place::Place,
    reader::{self, CHUNK},
};
use crate::{
    api::pages::rows_like,
    query::Filter,
    record::Record,
    store::{AnyStore, StoreError},
};

/// A client that has heard nothing for so long hears that there is nothing.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// What was found waits so long for company.
const COMPANY: Duration = Duration::from_millis(250);
/// What is read ahead for one client: so many bytes of text, and the record that crosses the line. Records may
/// hold some hundred kilobytes each, and a thousand may listen.
pub(super) const AHEAD_BYTES: usize = 512 * 1024;
/// How many records are read together at first; afterwards their size says.
const FIRST_ROWS: usize = 64;
/// How often to try when the store does not answer.
const RETRY: Duration = Duration::from_secs(2);

/// The rest of the ledger from a place on, as far as it passes a filter.
#[derive(Debug)]
pub(super) struct Tail {
    seat: Seat,
    store: AnyStore,
    filter: Arc<Filter>,
    cursors: Cursors,
    /// Behind what has been looked at: either sent, or gathered, or not wanted.
    place: Place,
    /// Read from the store and not looked at yet.
    ahead: VecDeque<(Place, Record)>,
    /// How many to read next.
    rows: usize,
    /// Behind all that is in `ahead`.
    reached: Place,
    gathered: Gathered,
    gathering_since: Instant,
    missed: u64,
    /// When the next heartbeat is due.
    beat: Instant,
}

/// The ledger went back behind places that were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

impl Tail {
    pub(super) fn new(
        seat: Seat,
        store: AnyStore,
        filter: Arc<Filter>,
        cursors: Cursors,
        place: Place,
    ) -> Self {
        let now = Instant::now();
        Self {
            seat,
            store,
            filter,
            cursors,
            place,
            ahead: VecDeque::new(),
            rows: FIRST_ROWS,
            reached: place,
            gathered: Gathered::default(),
            gathering_since: now,
            missed: 0,
            // At once: whoever is cut off before the first record knows where to go on.
            beat: now,
        }
    }

    /// Returns the next message.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a place counts as passed with the message that says so.
    pub(super) async fn next(&mut self) -> Result<Message, Lost> {
        loop {
            if let Some(message) = self.due() {
                return Ok(message);
            }
            if !self.ahead.is_empty() {
                self.look_ahead();
                tokio::task::yield_now().await;
                continue;
            }
            match self.seat.next(self.place) {
                Next::Entry(entry) => {
                    self.look_at(&entry);
                    // A client that keeps up is never pending otherwise.
                    tokio::task::yield_now().await;
                }
                Next::Level if self.gathered.is_empty() => tokio::select! {
                    () = self.seat.moved() => {}
                    () = sleep_until(self.beat) => {}
                },
                Next::Level => return Ok(self.send_gathered()),
                Next::Older { missed } => {
                    self.missed += missed;
                    // What he missed is told behind what he got.
                    if self.missed > 0 && !self.gathered.is_empty() {
                        return Ok(self.send_gathered());
                    }
                    if self.missed == 0 {
                        self.read().await;
                    }
                }
                Next::Lost => return Err(Lost),
            }
        }
    }

    /// Returns the message that has to go out now, if there is one.
    fn due(&mut self) -> Option<Message> {
        let now = Instant::now();
        if self.gathered.is_empty() {
            if self.missed > 0 {
                self.beat = now + HEARTBEAT;
                return Some(self.cursors.lagged(std::mem::take(&mut self.missed), self.place));
            }
            if now >= self.beat {
                self.beat = now + HEARTBEAT;
                return Some(self.cursors.heartbeat(self.place));
            }
            return None;
        }
        // Also when no more comes: a store that does not answer keeps back nothing that it gave before.
        let waited = now >= self.gathering_since + COMPANY;
        (self.gathered.is_full() || waited).then(|| self.send_gathered())
    }

    fn send_gathered(&mut self) -> Message {
        self.beat = Instant::now() + HEARTBEAT;
        // While it is being sent, what it holds is not to be counted as missed.
        self.seat.stand_at(self.place);
        self.gathered.take(&self.cursors, self.place)
    }

    fn look_at(&mut self, entry: &crate::pipeline::Committed) {
        for record in &*entry.records {
            let place = Place::within(entry.position, entry.first_seq, record.seq);
            if place > self.place {
                self.gather(place, record);
                if self.gathered.is_full() {
                    return;
                }
            }
        }
        self.place = Place::behind(entry.position);
    }

    fn look_ahead(&mut self) {
        while let Some((place, record)) = self.ahead.pop_front() {
            self.gather(place, &record);
            if self.gathered.is_full() {
                break;
            }
        }
        if self.ahead.is_empty() {
            self.place = self.reached;
        }
    }

    fn gather(&mut self, place: Place, record: &Record) {
        self.place = place;
        if self.filter.matches(record) {
            if self.gathered.is_empty() {
                self.gathering_since = Instant::now();
            }
            self.gathered.push(record);
        }
    }

    /// Reads on in the store.
    async fn read(&mut self) {
        let turn = self.seat.reader().await;
        let read = reader::records(&self.store, self.place, self.rows).await;
        drop(turn);
        match read {
            Ok(Some((mut records, reached))) => {
                let sizes = records.iter().map(|(_, record)| record.text_bytes());
                let text = sizes.clone().sum();
                let kept = within(sizes, AHEAD_BYTES);
                self.rows = rows_like(text, records.len(), self.rows, AHEAD_BYTES).min(CHUNK);
                self.reached = reached;
                if kept < records.len() {
                    // The others are read again, when he has taken these.
                    records.truncate(kept);
                    records.shrink_to_fit();
                    self.reached = records.last().map_or(self.place, |(place, _)| *place);
                }
                self.ahead = records.into();
                if self.ahead.is_empty() {
                    self.place = self.reached;
                }
            }
            // The hub has seen more than the store shows: it will show.
            Ok(None) => sleep(COMPANY).await,
            Err(error) => self.wait_out(&error).await,
        }
    }

    /// Returns how much text is held for the client, beside the message that he is being sent.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.gathered.bytes() + self.ahead.iter().map(|(_, r)| r.text_bytes()).sum::<usize>()
    }

    /// Goes on with another store.
    #[cfg(test)]
    pub(super) fn ask(&mut self, store: AnyStore) {
        self.store = store;
    }

    async fn wait_out(&self, error: &StoreError) {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "could not read the history for a live session; trying again"
        );
        sleep_until(self.beat.min(Instant::now() + RETRY)).await;
    }
}

/// Returns how many of these sizes, at least one, stay within `most` or cross it with the last.
fn within(sizes: impl Iterator<Item = usize>, most: usize) -> usize {
    let mut sum = 0;
    let fits = |size: &usize| {
        let fits = sum < most;
        sum += size;
        fits
    };
    sizes.take_while(fits).count()
}

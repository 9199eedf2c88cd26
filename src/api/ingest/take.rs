//! Taking items in: claim, record, wait for the commit, settle.
//!
//! A key is settled only when its record is stored, and released only when it is certain that it will not
//! be. What lies between, when this process dies or does not know, expires: whoever sends the item next
//! takes the claim over, under the id that the record had, and looks whether it is there.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    ops::Range,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{
    Turn,
    answer::{Answer, Refusal, Taken},
    body::Items,
    keys::{self, Caller},
    prepare::{Context, Prepared, Wish},
};
use crate::{
    api::state::Api,
    pipeline::{Fate, Turned},
    record::{Record, RecordId},
    store::{
        AnyStore, Claim, Claimed, Holding, IngestKey, Read as _, Register as _, StoreError,
        StoreErrorKind,
    },
    time::Timestamp,
};

/// What is not stored by then is not acknowledged.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Whoever claimed a key and has not settled it by then is taken for dead.
pub(super) const CLAIMS_LAST: Duration = Duration::from_secs(120);
/// So many items are read, claimed and recorded at a time.
const CHUNK: usize = 500;
/// So many look-ups go on side by side.
const LOOK_UPS: usize = 8;
/// An answer that is known is not kept back for longer than this.
const SETTLE_WITHIN: Duration = Duration::from_secs(2);

/// What is to be taken in.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) items: Items,
    /// The `Idempotency-Key`.
    pub(super) key: Option<String>,
    pub(super) caller: Caller,
    pub(super) turn: Turn,
}

/// Takes everything in that can be, and answers. Goes on after the answer until it is known of every
/// record what became of it.
pub(super) async fn take(api: Api, request: Request, answer: oneshot::Sender<Answer>) {
    let Request { items, key, caller, turn } = request;
    // Without a store nobody comes here.
    let Ok(store) = api.store().cloned() else { return };
    let (fates, told) = mpsc::unbounded_channel();
    let mut work = Work {
        store,
        deadline: Instant::now() + ANSWER_WITHIN,
        claimed_at: api.now(),
        taken: (0..items.len()).map(|_| None).collect(),
        leaders: HashMap::new(),
        followers: Vec::new(),
        pending: HashMap::new(),
        fates,
        api,
    };
    let mut start = 0;
    while start < items.len() {
        let end = (start + CHUNK).min(items.len());
        if let Err(why) = work.chunk(&items, start..end, key.as_deref(), &caller).await {
            work.refuse_rest(&why);
            break;
        }
        start = end;
        tokio::task::yield_now().await;
    }
    drop(items);
    work.finish(told, answer, turn).await;
}

struct Work {
    api: Api,
    store: AnyStore,
    deadline: Instant,
    /// The time of all claims of this request: with its id, it says whose a claim is.
    claimed_at: Timestamp,
    taken: Vec<Option<Taken>>,
    /// The first item of each key.
    leaders: HashMap<IngestKey, (usize, [u8; 32])>,
    /// Items whose key an earlier one has, with that, and whether they say the same.
    followers: Vec<(usize, usize, bool)>,
    pending: HashMap<usize, Pending>,
    fates: mpsc::UnboundedSender<(usize, Fate)>,
}

/// A record in the queue.
struct Pending {
    id: RecordId,
    held: Option<Holding>,
}

impl Work {
    /// Takes some of the items in, as far as the queue.
    ///
    /// # Errors
    ///
    /// Why nothing more can be taken.
    async fn chunk(
        &mut self,
        items: &Items,
        range: Range<usize>,
        key: Option<&str>,
        caller: &Caller,
    ) -> Result<(), Refusal> {
        let mut ready = Vec::with_capacity(range.len());
        let now = self.api.now();
        let context = Context { intake: self.api.intake(), caller, key, now };
        for index in range {
            match items.text(index).and_then(|text| {
                context.prepare(index, text).map_err(|refusal| {
                    let detail = format!("{}{}", items.place(index), refusal.detail);
                    Refusal { detail, ..refusal }
                })
            }) {
                Ok(prepared) => ready.push(prepared),
                Err(refusal) => self.taken[index] = Some(Taken::Refused(refusal)),
            }
        }
        ready.retain(|prepared| self.leads(prepared));
        let mut mine = self.claim(ready).await?;
        let existing = match self.existing(&mine).await {
            Ok(existing) => existing,
            Err(error) => {
                complain(&error);
                release(&self.store, &self.fresh(&mine)).await;
                return Err(Refusal::away());
            }
        };
        let claimed_at = self.claimed_at;
        let (mut done, mut given_up) = (Vec::new(), Vec::new());
        mine.retain(|Mine { prepared, taken_over }| {
            let Some(stored) = existing.get(&prepared.index) else { return true };
            let key = prepared.claim.map(|wish| wish.key);
            let taken = if keys::says_the_same(stored, &prepared.record, prepared.dated) {
                done.extend(key);
                Taken::Stored { id: stored.id, duplicate: true }
            } else if *taken_over {
                // Left to expire again: released, the key would be free for something else.
                Taken::Refused(Refusal::conflict())
            } else {
                given_up.extend(holding(prepared, claimed_at));
                let detail = "there is another record of this id; give each item an id of its own";
                Taken::Refused(Refusal::new("id-taken", detail))
            };
            self.taken[prepared.index] = Some(taken);
            false
        });
        settle(&self.store, &done).await;
        release(&self.store, &given_up).await;
        self.record(mine).await
    }

    /// Tells whether the item is the first of its key; another waits for what becomes of that.
    fn leads(&mut self, prepared: &Prepared) -> bool {
        let Some(Wish { key, fingerprint }) = prepared.claim else { return true };
        match self.leaders.entry(key) {
            Entry::Vacant(place) => {
                place.insert((prepared.index, fingerprint));
                true
            }
            Entry::Occupied(leader) => {
                let (leader, first) = *leader.get();
                self.followers.push((prepared.index, leader, first == fingerprint));
                false
            }
        }
    }

    /// Claims the keys, and returns what is to be recorded.
    async fn claim(&mut self, ready: Vec<Prepared>) -> Result<Vec<Mine>, Refusal> {
        let at = self.claimed_at;
        let claims: Vec<_> = ready
            .iter()
            .filter_map(|prepared| {
                let Wish { key, fingerprint } = prepared.claim?;
                let expired_before = at.saturating_sub(CLAIMS_LAST);
                Some(Claim { key, fingerprint, record_id: prepared.record.id, at, expired_before })
            })
            .collect();
        let claimed = if claims.is_empty() {
            Vec::new()
        } else {
            match timeout_at(self.deadline, self.store.claim(&claims)).await {
                Ok(Ok(claimed)) => claimed,
                Ok(Err(error)) => {
                    complain(&error);
                    return Err(Refusal::away());
                }
                // What was claimed all the same expires.
                Err(_late) => return Err(Refusal::away()),
            }
        };
        let (mut claimed, mut mine) = (claimed.into_iter(), Vec::with_capacity(ready.len()));
        for mut prepared in ready {
            let Some(wish) = prepared.claim else {
                mine.push(Mine { prepared, taken_over: false });
                continue;
            };
            let taken = match claimed.next() {
                Some(Claimed::Yours { record_id, taken_over }) => {
                    if !taken_over || adopt(&mut prepared, record_id) {
                        mine.push(Mine { prepared, taken_over });
                        continue;
                    }
                    Taken::Refused(Refusal::conflict())
                }
                Some(Claimed::Done { record_id, fingerprint })
                    if fingerprint == wish.fingerprint =>
                {
                    Taken::Stored { id: record_id, duplicate: true }
                }
                Some(Claimed::Busy { fingerprint, .. }) if fingerprint == wish.fingerprint => {
                    Taken::Refused(Refusal::in_progress())
                }
                Some(Claimed::Done { .. } | Claimed::Busy { .. }) => {
                    Taken::Refused(Refusal::conflict())
                }
                None => Taken::Refused(Refusal::away()),
            };
            self.taken[prepared.index] = Some(taken);
        }
        Ok(mine)
    }

    /// Looks which of the records are stored already: those whose id the sender chose, and those of dead
    /// claimants.
    async fn existing(&self, mine: &[Mine]) -> Result<HashMap<usize, Record>, StoreError> {
        let asked: Vec<_> = mine
            .iter()
            .filter(|Mine { prepared, taken_over }| prepared.named || *taken_over)
            .map(|Mine { prepared, .. }| (prepared.index, prepared.record.id))
            .collect();
        let mut found = HashMap::new();
        if asked.is_empty() {
            return Ok(found);
        }
        let mut asking = JoinSet::new();
        for part in asked.chunks(asked.len().div_ceil(LOOK_UPS)) {
            let (store, part) = (self.store.clone(), part.to_vec());
            asking.spawn(async move {
                let mut found = Vec::new();
                for (index, id) in part {
                    found.extend(store.record(id).await?.map(|record| (index, record)));
                }
                Ok::<_, StoreError>(found)
            });
        }
        while let Some(part) = asking.join_next().await {
            // A panic of a store is not this request's.
            let part =
                part.map_err(|_| StoreError::new(StoreErrorKind::Transient, "look records up"))?;
            found.extend(part?);
        }
        Ok(found)
    }

    /// Hands records to the queue, and waits for room until the deadline.
    async fn record(&mut self, mine: Vec<Mine>) -> Result<(), Refusal> {
        let mut mine = mine.into_iter();
        while let Some(Mine { prepared, taken_over }) = mine.next() {
            let held = holding(&prepared, self.claimed_at);
            let Prepared { index, record, bytes, .. } = prepared;
            let id = record.id;
            match self.offer(record, bytes, index).await {
                Ok(()) => {
                    self.pending.insert(index, Pending { id, held });
                }
                Err(Unoffered::Expected) => {
                    self.taken[index] = Some(Taken::Refused(Refusal::in_progress()));
                    // Of a claim that was taken over, it is the first claimant who is still at it.
                    let held = held.filter(|_| !taken_over);
                    release(&self.store, held.as_slice()).await;
                }
                Err(Unoffered::Never(why)) => {
                    let rest: Vec<_> = mine.collect();
                    let mut given_up = self.fresh(&rest);
                    given_up.extend(held.filter(|_| !taken_over));
                    release(&self.store, &given_up).await;
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    async fn offer(
        &self,
        mut record: Box<Record>,
        bytes: u32,
        index: usize,
    ) -> Result<(), Unoffered> {
        let intake = self.api.intake();
        loop {
            // Before the attempt: room that appears after it completes this one.
            let room = intake.room();
            record = match intake.offer(record, bytes, index, &self.fates) {
                Ok(()) => return Ok(()),
                Err(Turned::Expected) => return Err(Unoffered::Expected),
                Err(Turned::Closed) => return Err(Unoffered::Never(Refusal::closed())),
                Err(Turned::Full(record)) => record,
            };
            if timeout_at(self.deadline, room).await.is_err() {
                return Err(Unoffered::Never(Refusal::full()));
            }
        }
    }

    /// The claims that nobody else can be at.
    fn fresh(&self, mine: &[Mine]) -> Vec<Holding> {
        let fresh = mine.iter().filter(|mine| !mine.taken_over);
        fresh.filter_map(|mine| holding(&mine.prepared, self.claimed_at)).collect()
    }

    fn refuse_rest(&mut self, why: &Refusal) {
        for (index, taken) in self.taken.iter_mut().enumerate() {
            if taken.is_none() && !self.pending.contains_key(&index) {
                *taken = Some(Taken::Refused(why.clone()));
            }
        }
    }

    /// Waits for the commits, settles, answers, and waits on for what is late.
    async fn finish(
        self,
        mut told: mpsc::UnboundedReceiver<(usize, Fate)>,
        answer: oneshot::Sender<Answer>,
        turn: Turn,
    ) {
        let Self { api, store, deadline, mut taken, followers, mut pending, fates, .. } = self;
        // Queue and writer hold the others: when they drop the last, nobody knows any more.
        drop(fates);
        api.intake().hurry();
        let (done, given_up) = (Vec::new(), Vec::new());
        let mut ends = Ends { store, done, given_up };
        while !pending.is_empty() {
            let Ok(Some((index, fate))) = timeout_at(deadline, told.recv()).await else { break };
            let Some(Pending { id, held }) = pending.remove(&index) else { continue };
            ends.add(held, fate);
            taken[index] = Some(match fate {
                Fate::Stored | Fate::Spooled => Taken::Stored { id, duplicate: false },
                Fate::Unstorable => Taken::Refused(Refusal::new(
                    "unstorable",
                    "the store cannot take it; the service's own diagnostics say why",
                )),
                Fate::Lost => Taken::Refused(Refusal::closed()),
            });
        }
        // Before the answer: whoever repeats himself at once is to find it done.
        ends.write().await;
        for (index, leader, same) in followers {
            taken[index] = taken[leader].clone().map(|leader| match leader {
                Taken::Stored { .. } if !same => Taken::Refused(Refusal::conflict()),
                Taken::Stored { id, .. } => Taken::Stored { id, duplicate: true },
                refused @ Taken::Refused(_) => refused,
            });
        }
        let unknown = || Taken::Refused(Refusal::away());
        let taken = taken.into_iter().map(|taken| taken.unwrap_or_else(unknown)).collect();
        // Whoever has gone asks again, under the same keys.
        let _heard = answer.send(Answer(taken));
        drop(turn);
        while !pending.is_empty() {
            // The end comes when the pipeline has: what is then unknown expires.
            let Some((index, fate)) = told.recv().await else { break };
            if let Some(Pending { held, .. }) = pending.remove(&index) {
                ends.add(held, fate);
            }
            if told.is_empty() {
                ends.write().await;
            }
        }
        ends.write().await;
    }
}

/// An item whose key is this request's, or that has none.
struct Mine {
    prepared: Prepared,
    taken_over: bool,
}

/// Returns the claim under which an item is recorded, as the store knows it.
fn holding(prepared: &Prepared, at: Timestamp) -> Option<Holding> {
    let Wish { key, .. } = prepared.claim?;
    Some(Holding { key, record_id: prepared.record.id, at })
}

enum Unoffered {
    /// Somebody in this process waits for a record of this id.
    Expected,
    /// Nor will another be taken.
    Never(Refusal),
}

/// Gives the record the id that a dead claimant meant it to have; false when it says another time.
fn adopt(prepared: &mut Prepared, id: RecordId) -> bool {
    let record = &mut prepared.record;
    if prepared.dated && record.skewed.is_absent() {
        if record.occurred_at.as_millis() != id.at().as_millis() {
            return false;
        }
    } else {
        record.occurred_at = id.at();
    }
    record.id = id;
    true
}

/// What became of keys, and is to be written down.
struct Ends {
    store: AnyStore,
    done: Vec<IngestKey>,
    given_up: Vec<Holding>,
}

impl Ends {
    fn add(&mut self, held: Option<Holding>, fate: Fate) {
        match fate {
            // What is in the spool, the store will have.
            Fate::Stored | Fate::Spooled => self.done.extend(held.map(|held| held.key)),
            Fate::Unstorable | Fate::Lost => self.given_up.extend(held),
        }
    }

    /// Writes it down; what fails stays for the next time, and at last for whoever takes the claim over.
    async fn write(&mut self) {
        if settle(&self.store, &self.done).await {
            self.done.clear();
        }
        // What somebody else has taken over by then, and is about to store, stays his.
        if release(&self.store, &self.given_up).await {
            self.given_up.clear();
        }
    }
}

async fn settle(store: &AnyStore, keys: &[IngestKey]) -> bool {
    keys.is_empty() || written(store.settle(keys)).await
}

async fn release(store: &AnyStore, claims: &[Holding]) -> bool {
    claims.is_empty() || written(store.release(claims)).await
}

async fn written(write: impl Future<Output = Result<(), StoreError>>) -> bool {
    match timeout(SETTLE_WITHIN, write).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            complain(&error);
            false
        }
        Err(_late) => false,
    }
}

fn complain(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the store did not answer while records were handed in"
    );
}

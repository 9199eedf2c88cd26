//! Who waits for the commit of a record: the callers of the HTTP interface, to whom nothing is
//! acknowledged before it is stored.

use std::collections::HashMap;

use tokio::sync::mpsc::UnboundedSender;

use super::threads::{
    Mutex, MutexGuard,
    atomic::{AtomicUsize, Ordering},
};
use crate::record::{Record, RecordId};

/// What became of a record that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The store holds it.
    Stored,
    /// The spool holds it, on the disk; the store will.
    #[cfg_attr(not(feature = "api"), allow(dead_code, reason = "for the interface"))]
    Spooled,
    /// The store cannot take it, and holds a stub in its place.
    Unstorable,
    /// It was dropped at a shutdown.
    Lost,
}

/// Where fates are told, with the number that the waiting party gave the record.
pub(crate) type Fates = UnboundedSender<(usize, Fate)>;

/// So many are remembered that are in the spool, lest a second record of the same id follows. Further ones wait
/// outside.
#[cfg(feature = "api")]
const MOST: usize = 1 << 17;

/// The records that somebody waits for, by id.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// Nobody waits for one any more that is in the spool.
    waiting: Mutex<HashMap<RecordId, Option<(usize, Fates)>>>,
    /// Asked for each batch, without the lock: mostly nobody waits.
    count: AtomicUsize,
}

impl Receipts {
    /// Begins to wait; false when somebody waits for a record of this id already.
    #[cfg(feature = "api")]
    pub(super) fn expect(&self, id: RecordId, number: usize, fates: &Fates) -> bool {
        let mut waiting = self.lock();
        if waiting.contains_key(&id) {
            return false;
        }
        waiting.insert(id, Some((number, fates.clone())));
        self.count.store(waiting.len(), Ordering::SeqCst);
        true
    }

    /// Tells whether there is no room to expect more.
    #[cfg(feature = "api")]
    pub(super) fn is_full(&self) -> bool {
        self.count.load(Ordering::SeqCst) >= MOST
    }

    /// Ends the waiting for a record that was not taken.
    #[cfg(feature = "api")]
    pub(super) fn forget(&self, id: RecordId) {
        let mut waiting = self.lock();
        waiting.remove(&id);
        self.count.store(waiting.len(), Ordering::SeqCst);
    }

    /// Tells whoever waits for them what became of records.
    pub(super) fn tell<'a>(&self, records: impl IntoIterator<Item = &'a Record>, fate: Fate) {
        // A record is expected before it is pushed into the queue, which orders the two.
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut waiting = self.lock();
        for record in records {
            if let Some(Some((number, fates))) = waiting.remove(&record.id) {
                // Who does not listen any more has given up.
                let _heard = fates.send((number, fate));
            }
        }
        self.count.store(waiting.len(), Ordering::SeqCst);
    }

    /// Tells whoever waits for them that records are in the spool. They stay expected until they are stored.
    #[cfg(feature = "api")]
    pub(super) fn tell_spooled(&self, ids: &[RecordId]) {
        let mut waiting = self.lock();
        for id in ids {
            if let Some((number, fates)) = waiting.get_mut(id).and_then(Option::take) {
                // Who does not listen any more has given up.
                let _heard = fates.send((number, Fate::Spooled));
            }
        }
    }

    /// Ends all waiting: what became of these records nobody knows.
    pub(super) fn end(&self) {
        let mut waiting = self.lock();
        waiting.clear();
        self.count.store(0, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordId, Option<(usize, Fates)>>> {
        self.waiting.lock()
    }
}

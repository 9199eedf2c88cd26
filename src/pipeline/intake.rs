//! The door for records that other services hand in.
//!
//! It differs from the [`Recorder`] in three ways. Whoever hands in is still there: what finds no room is
//! given back to him and not counted as lost. He is told when his records are stored. And he may fill only
//! half of the queue, so that a flood from outside never costs the application a record of its own.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
};

use tokio::sync::{futures::OwnedNotified, mpsc, oneshot};

use super::{
    admit,
    feed::lock,
    pipeline::Pipeline,
    queue::{Lane, Refused},
    receipts::Fates,
    recorder::{Recorder, complete},
    spool::{self, Mark},
};
use crate::record::{Origin, Record, RecordId};

/// Takes finished records of others, and tells when they are stored. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Intake {
    recorder: Recorder,
    flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// What is in the spool, and whose sender waits until the disk has it.
    spooled: Arc<Mutex<Spooled>>,
}

/// The newest frame, and the records up to it.
#[derive(Debug, Default)]
struct Spooled {
    last: Option<Mark>,
    ids: Vec<RecordId>,
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Turned {
    /// There is no room; it comes back.
    Full(Box<Record>),
    /// The pipeline has been shut down.
    Closed,
    /// A record of this id is on its way already.
    Expected,
}

impl Pipeline {
    /// Returns the door for records of other services.
    pub(crate) fn intake(&self) -> Intake {
        Intake { recorder: self.recorder(), flushes: self.flushes(), spooled: Arc::default() }
    }
}

impl Intake {
    /// Returns the recorder behind the door.
    pub(crate) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Finishes a record as the recorder does with one by hand, and returns the bytes that it occupies.
    ///
    /// # Errors
    ///
    /// The name of a required field that is empty.
    pub(crate) fn prepare(&self, record: &mut Record) -> Result<u32, &'static str> {
        complete(record)?;
        record.origin = Origin::Ingest;
        Ok(admit::prepare(self.recorder.core(), record))
    }

    /// Offers a prepared record to the queue. What becomes of it is told to `fates` under `number`; dropped
    /// unheard, the sender says that nobody will ever know.
    ///
    /// # Errors
    ///
    /// When it is not taken; then it is not counted either.
    pub(crate) fn offer(
        &self,
        record: Box<Record>,
        bytes: u32,
        number: usize,
        fates: &Fates,
    ) -> Result<(), Turned> {
        let core = self.recorder.core();
        let (id, lane) = (record.id, Lane::of(&record));
        if core.receipts.is_full() {
            return Err(Turned::Full(record));
        }
        // Before the push: the writer may have stored it a moment later.
        if !core.receipts.expect(id, number, fates) {
            return Err(Turned::Expected);
        }
        core.counters.receive();
        if let Some(spooling) = &core.spooling {
            let refused = if spooling.is_half_full() {
                (record, spool::Refused::Full)
            } else {
                match core.spool(spooling, record, lane, None) {
                    Ok((_, mark)) => {
                        let mut spooled = lock(&self.spooled);
                        spooled.last = spooled.last.max(Some(mark));
                        spooled.ids.push(id);
                        return Ok(());
                    }
                    Err(refused) => refused,
                }
            };
            core.counters.unreceive();
            core.receipts.forget(id);
            return Err(match refused {
                (_, spool::Refused::Closed) => Turned::Closed,
                (record, _) => Turned::Full(record),
            });
        }
        let refused = match core.queue.push_politely(lane, record, bytes) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        core.counters.unreceive();
        core.receipts.forget(id);
        Err(match refused {
            Refused::Full(record) => Turned::Full(record),
            Refused::Closed(_) => Turned::Closed,
        })
    }

    /// Returns what completes when there may be room again, if made before the attempt that found none.
    pub(crate) fn room(&self) -> OwnedNotified {
        let core = self.recorder.core();
        match &core.spooling {
            Some(spooling) => spooling.spool.room().notified_owned(),
            None => core.queue.room().notified_owned(),
        }
    }

    /// Asks the writer not to wait for more before it stores what it was given: somebody waits for that. With a
    /// spool, he waits for the disk.
    pub(crate) fn hurry(&self) {
        let core = self.recorder.core();
        if let Some(spooling) = &core.spooling {
            let Spooled { last, ids } = std::mem::take(&mut *lock(&self.spooled));
            let Some(mark) = last else { return };
            let (recorder, spool) = (self.recorder.clone(), spooling.spool.clone());
            core.runtime.spawn(async move {
                let mut wait = spool::SyncWait::default();
                // A spool that ended before has told nobody: then nobody knows.
                if poll_fn(|cx| spool.poll_synced(mark, &mut wait, cx)).await.is_ok() {
                    recorder.core().receipts.tell_spooled(&ids);
                }
            });
            return;
        }
        let (reply, _unheard) = oneshot::channel();
        // An error means that the writer has ended: then there is nothing to hurry.
        let _sent = self.flushes.send(reply);
    }
}

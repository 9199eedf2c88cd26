//! Signing the head of the ledger, in the background.
//!
//! Every ten seconds while the ledger grows, and hourly while it does not: that nothing happened is proved too. Of
//! several processes that look at the same time one is first, and the others see that it was done.
//!
//! It remembers the last head of its own time, and signs no ledger that does not go on from it: whoever rewrites the ledger
//! and takes the heads away that would show it finds nobody to sign the new one, as long as the process lives.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::core::Core;
use crate::{
    ledger::{Checkpoint, Frontier, KeptCheckpoint, Note, NoteError},
    privacy::Keys,
    store::{AnyStore, Evidence as _, Read as _, StoreError, StoreErrorKind, make_checkpoint},
    time::{Clock, Timestamp},
};

/// A head is signed at the most so often.
const GROWN: Duration = Duration::from_secs(10);
/// And at the least so often.
const IDLE: Duration = Duration::from_secs(3_600);
/// What waits between two attempts while the store is away, at most.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// So many entries of the ledger are read at once.
const PAGE: usize = 2_000;

/// Signs until the pipeline has ended, if there are keys. Once for each pipeline, however many routers it has.
pub(super) fn keep(core: &Arc<Core>, store: &AnyStore, ended: &watch::Receiver<bool>) {
    let Some(keys) = &core.privacy.keys else { return };
    core.signing.call_once(|| {
        let (keys, clock) = (keys.clone(), Arc::clone(&core.clock));
        let (store, mut ended) = (store.clone(), ended.clone());
        // Holds nothing of the core: whoever signs keeps no pipeline alive.
        core.runtime.spawn(async move {
            tokio::select! {
                _ended = ended.wait_for(|ended| *ended) => {}
                () = sign(&store, &keys, &*clock) => {}
            }
        });
    });
}

async fn sign(store: &AnyStore, keys: &Keys, clock: &dyn Clock) {
    let (mut pause, mut known) = (GROWN, None);
    loop {
        sleep(pause).await;
        pause = match sign_if_due(store, keys, &mut known, clock.now()).await {
            Ok(()) => GROWN,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the head of the ledger was not signed");
                (pause * 2).min(MAX_BACKOFF)
            }
        };
    }
}

async fn sign_if_due(
    store: &AnyStore,
    keys: &Keys,
    known: &mut Option<KeptCheckpoint>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let last = store.last_checkpoint().await?;
    let head = store.head().await?;
    let is_due = last.is_none_or(|last| {
        let signed = head_of(&last);
        // One that cannot be read is for `make_checkpoint` to complain about.
        signed.is_ok_and(|signed| {
            let wait = if head > last.size { GROWN } else { IDLE };
            // A clock that was set back does not keep heads from being signed.
            signed.at.saturating_add(wait) <= now || now < signed.at
        })
    });
    if is_due && (head > 0 || known.is_some()) {
        if let Some(known) = &known {
            goes_on_from(store, known).await?;
        }
        *known = make_checkpoint(store, keys.signing_seeds(), now).await?;
    }
    Ok(())
}

fn head_of(kept: &KeptCheckpoint) -> Result<Checkpoint, NoteError> {
    kept.note.parse::<Note>().and_then(|note| Checkpoint::parse(note.text()))
}

/// Refuses a ledger that is another one than that whose head is known, unless a later epoch says that a backup was restored.
async fn goes_on_from(store: &AnyStore, known: &KeptCheckpoint) -> Result<(), StoreError> {
    let kept = store.checkpoints(known.number - 1, 1).await?;
    if kept.first().is_some_and(|kept| kept.note == known.note) {
        // Where it stands, everybody can see what does not go on from it.
        return Ok(());
    }
    let Ok(head) = head_of(known) else { return Ok(()) };
    let (mut frontier, mut agrees) = (Frontier::new(), false);
    loop {
        let position = i64::try_from(frontier.size()).unwrap_or(i64::MAX);
        let rows = store.ledger_rows(position, PAGE).await?;
        let full = rows.len() == PAGE;
        for entry in rows.into_iter().filter_map(|row| row.entry.ok()) {
            if entry.epoch > head.epoch {
                return Ok(());
            }
            frontier.push(entry.leaf_hash());
            agrees |= frontier.size() == head.size && frontier.root() == head.root;
        }
        if !full {
            break;
        }
    }
    if agrees {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Data,
        format!(
            "sign the head of the ledger: the head of {} entries that was signed at {} is gone, and the ledger does not go \
             on from it; `activity verify` says what was altered",
            head.size, head.at
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{Record, RecordId, WriterId},
        store::{Append as _, Appender as _, Batch, MemoryStore},
    };

    async fn append(store: &MemoryStore, seq: i64) {
        let at = Timestamp::from_micros(seq * 1_000_000);
        let record = Record {
            id: RecordId::new(at, [7; 10]),
            occurred_at: at,
            writer_id: WriterId::new(1),
            seq,
            ..Record::default()
        };
        let records = [Box::new(record)];
        store.connect().await.unwrap().append(Batch::new(&records).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn a_head_is_signed_when_it_moved_and_once_an_hour() {
        let log = MemoryStore::new();
        let (store, keys) = (AnyStore::new(log.clone()), Keys::ephemeral());
        let mut known = None;
        let mut signed = async |seconds: i64| {
            let now = Timestamp::from_micros(seconds * 1_000_000);
            sign_if_due(&store, &keys, &mut known, now).await.unwrap();
            store.checkpoints(0, 100).await.unwrap().len()
        };
        assert_eq!(signed(0).await, 0, "an empty ledger has no head");
        append(&log, 1).await;
        assert_eq!(signed(100).await, 1);
        assert_eq!(signed(111).await, 1, "it has not moved");
        append(&log, 2).await;
        assert_eq!(signed(109).await, 1, "too soon");
        assert_eq!(signed(111).await, 2);
        assert_eq!(signed(111 + 3_599).await, 2);
        assert_eq!(signed(111 + 3_600).await, 3, "nothing happened, which is proved too");
        assert_eq!(store.checkpoints(2, 1).await.unwrap()[0].size, 2);
    }

    #[tokio::test]
    async fn a_ledger_that_was_written_anew_is_not_signed() {
        let keys = Keys::ephemeral();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let log = async |seqs: &[i64]| {
            let log = MemoryStore::new();
            for seq in seqs {
                append(&log, *seq).await;
            }
            AnyStore::new(log)
        };
        let mut known = None;
        sign_if_due(&log(&[1, 2]).await, &keys, &mut known, at(100)).await.unwrap();
        assert_eq!(known.as_ref().unwrap().size, 2);
        // The head is gone with all that would show it: what is there is another ledger, a shorter one, or none.
        for (other, why) in [(log(&[1]).await, "shorter"), (log(&[]).await, "empty")] {
            let refused = sign_if_due(&other, &keys, &mut known, at(200)).await;
            let refused = refused.expect_err(why).to_string();
            assert!(refused.contains("the head of 2 entries that was signed at"), "{refused}");
            assert!(other.checkpoints(0, 10).await.unwrap().is_empty(), "{why}");
            assert_eq!(known.as_ref().unwrap().size, 2, "{why}: it is still known");
        }
    }
}

//! Rows as the verifier is shown them, checkpoints and anchors.

use std::ops::Bound;

use super::MemoryStore;
use crate::{
    ledger::{
        Entry, Hash, KeptCheckpoint, TreeNode,
        verify::{LedgerRow, RecordRow, StreamRows, Verified},
    },
    record::{Groups, RecordId, WriterId},
    store::{Evidence, Read as _, Restricted, StoreError},
    time::Timestamp,
};

impl Evidence for MemoryStore {
    async fn restricted(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Restricted)>, StoreError> {
        let state = self.lock();
        let range = state.restricted.range((Bound::Excluded(after), Bound::Unbounded)).take(limit);
        Ok(range.map(|(number, kept)| (*number, kept.clone())).collect())
    }

    async fn restricted_of(&self, id: RecordId) -> Result<Vec<Restricted>, StoreError> {
        let state = self.lock();
        Ok(state.restricted.values().filter(|kept| kept.id == id).cloned().collect())
    }

    async fn restricted_marks(
        &self,
        ids: &[RecordId],
    ) -> Result<Vec<(RecordId, Groups)>, StoreError> {
        let state = self.lock();
        let kept = state.restricted.values().filter(|kept| ids.contains(&kept.id));
        Ok(kept.map(|kept| (kept.id, kept.groups)).collect())
    }

    async fn ledger_rows(&self, after: i64, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
        let entries = self.entries(after.max(0), limit).await?;
        let row = |entry: Entry| LedgerRow { position: Some(entry.position), entry: Ok(entry) };
        Ok(entries.into_iter().map(row).collect())
    }

    async fn record_rows(
        &self,
        stream: WriterId,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let state = self.lock();
        let last = state.streams.get(&stream).map_or(0, |last_seq| to.min(*last_seq));
        let found = (from.max(1)..=last).filter_map(|seq| {
            let record = state.records.get(state.places.get(&(stream, seq))?)?;
            Some(RecordRow::new(seq, Box::new(record.clone())))
        });
        Ok(found.take(limit).collect())
    }

    async fn stream_rows(&self, after: i64, limit: usize) -> Result<Vec<StreamRows>, StoreError> {
        let state = self.lock();
        let later = state.streams.iter().filter(|(writer_id, _)| writer_id.get() > after);
        let rows = later.map(|(writer_id, &last_seq)| StreamRows {
            writer_id: writer_id.get(),
            first_seq: 1,
            last_seq,
        });
        Ok(rows.take(limit).collect())
    }

    async fn committed(&self, stream: WriterId) -> Result<i64, StoreError> {
        Ok(self.lock().streams.get(&stream).copied().unwrap_or(0))
    }

    async fn entry_of(&self, stream: WriterId, seq: i64) -> Result<Option<Entry>, StoreError> {
        let state = self.lock();
        let mut entries = state.entries.iter();
        let found = entries.find(|entry| {
            let new = &entry.new;
            new.writer_id == stream && (new.first_seq..=new.last_seq).contains(&seq)
        });
        Ok(found.cloned())
    }

    async fn add_checkpoint(
        &self,
        checkpoint: &KeptCheckpoint,
        nodes: &[TreeNode],
        _at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if state.checkpoints.len() as i64 + 1 != checkpoint.number {
            return Ok(false);
        }
        state.checkpoints.push(checkpoint.clone());
        for node in nodes {
            state.nodes.insert((node.height, node.number), node.hash);
        }
        Ok(true)
    }

    async fn last_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        Ok(self.lock().checkpoints.last().cloned())
    }

    async fn checkpoints(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let state = self.lock();
        let later = state.checkpoints.iter().filter(|checkpoint| checkpoint.number > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn tree_nodes(
        &self,
        height: u32,
        from: i64,
        before: i64,
    ) -> Result<Vec<(i64, Hash)>, StoreError> {
        let state = self.lock();
        let nodes = state.nodes.range((height, from)..(height, before.max(from)));
        Ok(nodes.map(|((_, number), hash)| (*number, *hash)).collect())
    }

    async fn add_anchor(&self, note: &str, _at: Timestamp) -> Result<(), StoreError> {
        self.lock().anchors.push(note.to_owned());
        Ok(())
    }

    async fn anchors(&self, after: i64, limit: usize) -> Result<Vec<(i64, String)>, StoreError> {
        let state = self.lock();
        let later = (1..).zip(state.anchors.iter().cloned()).filter(|(number, _)| *number > after);
        Ok(later.take(limit).collect())
    }

    async fn keep_verified(&self, verified: &Verified) -> Result<(), StoreError> {
        self.lock().verified = Some(*verified);
        Ok(())
    }

    async fn last_verified(&self) -> Result<Option<Verified>, StoreError> {
        Ok(self.lock().verified)
    }
}

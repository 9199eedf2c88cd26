//! Taking personal groups out, and keeping some aside under a hold.

use super::MemoryStore;
use crate::store::{Erase, ErasedGroups, ErasedSubject, ErasurePlace, Restricted, StoreError};

impl Erase for MemoryStore {
    async fn erase(&self, records: &[ErasedGroups], holds: u64) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(None);
        }
        Ok(Some(records.iter().map(|erased| state.empty(erased)).sum()))
    }

    async fn restrict(
        &self,
        records: &[ErasedGroups],
        kept: &[Restricted],
        holds: u64,
    ) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(None);
        }
        let mut count = 0;
        for (erased, kept) in records.iter().zip(kept) {
            let gone = state.empty(erased);
            if gone > 0 {
                state.keep(kept.clone());
            }
            count += gone;
        }
        Ok(Some(count))
    }

    async fn end_restricted(&self, numbers: &[i64], holds: u64) -> Result<Option<u64>, StoreError> {
        let mut state = self.lock();
        if state.holds_told() != holds {
            return Ok(None);
        }
        let ended = numbers.iter().filter_map(|number| state.restricted.remove(number));
        Ok(Some(ended.count() as u64))
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn erasure_places(&self, _names: &[String]) -> Result<Vec<ErasurePlace>, StoreError> {
        Ok(Vec::new())
    }

    async fn add_erased_subjects(&self, subjects: &[ErasedSubject]) -> Result<(), StoreError> {
        self.lock().erased.extend_from_slice(subjects);
        Ok(())
    }

    async fn erased_subjects(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ErasedSubject)>, StoreError> {
        let state = self.lock();
        let skipped = usize::try_from(after).unwrap_or(0);
        let numbered = (1..).zip(&state.erased).skip(skipped).take(limit);
        Ok(numbered.map(|(number, subject)| (number, subject.clone())).collect())
    }
}

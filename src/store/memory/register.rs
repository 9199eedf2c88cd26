//! What was handed in already, and who may call.

use super::MemoryStore;
use crate::{
    store::{ApiKey, Claim, Claimed, Holding, IngestKey, Register, StoreError, StoreErrorKind},
    time::Timestamp,
};

impl Register for MemoryStore {
    async fn claim(&self, claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        let mut state = self.lock();
        Ok(claims.iter().map(|claim| state.claims.claim(claim)).collect())
    }

    async fn settle(&self, keys: &[IngestKey]) -> Result<(), StoreError> {
        let mut state = self.lock();
        keys.iter().for_each(|key| state.claims.settle(key));
        Ok(())
    }

    async fn release(&self, claims: &[Holding]) -> Result<(), StoreError> {
        let mut state = self.lock();
        claims.iter().for_each(|claim| state.claims.release(claim));
        Ok(())
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.lock().claims.forget(before))
    }

    async fn add_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.api_keys.iter().any(|other| other.id == key.id) {
            let doing = format!("add the API key {}: there is one of this id", key.id);
            return Err(StoreError::new(StoreErrorKind::Data, doing));
        }
        state.api_keys.push(key.clone());
        Ok(())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.lock().api_keys.clone())
    }

    async fn revoke_api_key(&self, id: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.lock();
        let key = state.api_keys.iter_mut().find(|key| key.id == id && key.revoked_at.is_none());
        Ok(key.map(|key| key.revoked_at = Some(at)).is_some())
    }
}

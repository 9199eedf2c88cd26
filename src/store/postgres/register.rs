//! The small tables beside the log.

use super::store::PostgresStore;
use crate::{
    store::{ApiKey, Claim, Claimed, IngestKey, Register, StoreError, StoreErrorKind},
    time::Timestamp,
};

impl Register for PostgresStore {
    async fn claim(&self, _claims: &[Claim]) -> Result<Vec<Claimed>, StoreError> {
        Err(unready())
    }

    async fn settle(&self, _keys: &[IngestKey]) -> Result<(), StoreError> {
        Err(unready())
    }

    async fn release(&self, _keys: &[IngestKey]) -> Result<(), StoreError> {
        Err(unready())
    }

    async fn forget(&self, _before: Timestamp) -> Result<u64, StoreError> {
        Err(unready())
    }

    async fn add_api_key(&self, _key: &ApiKey) -> Result<(), StoreError> {
        Err(unready())
    }

    async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Err(unready())
    }

    async fn revoke_api_key(&self, _id: &str, _at: Timestamp) -> Result<bool, StoreError> {
        Err(unready())
    }
}

/// The tables come with the next version of the schema.
pub(super) fn unready() -> StoreError {
    StoreError::new(StoreErrorKind::Configuration, "use a table that this schema does not have yet")
}

//! The small tables beside the log: what was taken in already, and who may call.

use std::future::Future;

use super::StoreError;
use crate::{record::RecordId, time::Timestamp};

/// The name under which somebody hands in a record, hashed together with who he is.
pub type IngestKey = [u8; 32];

/// A wish to take in a record under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The key.
    pub key: IngestKey,
    /// A digest of what was handed in: the same key with something else is a mistake of the caller.
    pub fingerprint: [u8; 32],
    /// The id that the record will have.
    pub record_id: RecordId,
    /// When the claim is made.
    pub at: Timestamp,
    /// Claims made earlier than this, and not done, are taken over: their claimants are dead.
    pub expired_before: Timestamp,
}

/// A claim that was granted, as whoever has it knows it.
///
/// Id and time together are one claimant's: who takes an expired claim over keeps the id, and is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "stores outside read it")]
pub struct Holding {
    /// The key.
    pub key: IngestKey,
    /// The id that the record was to have, as [`Claimed::Yours`] said.
    pub record_id: RecordId,
    /// When the claim was made: its [`at`](Claim::at).
    pub at: Timestamp,
}

/// What became of a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claimed {
    /// The record is the claimant's to record, under this id: the claim's own, or that of an expired claim
    /// which was taken over (its record may be stored all the same: look before recording).
    Yours {
        /// The id that the record must have.
        record_id: RecordId,
        /// Whether an expired claim was taken over.
        taken_over: bool,
    },
    /// It was recorded before, under this id.
    Done {
        /// The id that it has.
        record_id: RecordId,
        /// What was handed in then.
        fingerprint: [u8; 32],
    },
    /// Somebody is at it.
    Busy {
        /// The id that it will have.
        record_id: RecordId,
        /// What was handed in then.
        fingerprint: [u8; 32],
    },
}

/// A key with which a program calls the API of `activity serve`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public name, the first part of the key as it is shown once.
    pub id: String,
    /// What the operator calls it: the `service` of what it hands in.
    pub name: String,
    /// SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// The permissions, as in `logs.ingest`.
    pub permissions: Vec<String>,
    /// The only tenant that it may see and write for; `None` for all.
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A store that keeps the small tables beside the log.
pub trait Register: Send + Sync + 'static {
    /// Claims keys, all in one transaction, and says for each in its order what became of it. A key that
    /// occurs twice among `claims` is `Busy` the second time.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked; then nothing is claimed, or the claims expire by themselves.
    fn claim(
        &self,
        claims: &[Claim],
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>> + Send;

    /// Marks keys as done: their records are stored.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn settle(&self, keys: &[IngestKey]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives up claims that are not done, so that the keys can be claimed again at once. A claim that
    /// somebody else has taken over meanwhile is his, and stays.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn release(&self, claims: &[Holding]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets keys that were claimed before `before`, oldest first, and says how many: some ten thousand in
    /// one call, so that nobody waits long behind it. When it says none, there are none left.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn forget(&self, before: Timestamp) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Adds an API key.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or holds one of this id.
    fn add_api_key(&self, key: &ApiKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns every API key, revoked ones included, oldest first.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn api_keys(&self) -> impl Future<Output = Result<Vec<ApiKey>, StoreError>> + Send;

    /// Revokes an API key, and says whether there was one that was not revoked yet.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn revoke_api_key(
        &self,
        id: &str,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

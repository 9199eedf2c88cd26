//! Looking after a store.

use std::future::Future;

use super::StoreError;
use crate::{record::WriterId, time::Timestamp};

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Storage {
    /// Records that were ever appended: the sum of the streams' last numbers. What retention has ended
    /// still counts, since counting what is left would mean reading it.
    pub rows: i64,
    /// Bytes on disk, or in memory.
    pub bytes: i64,
    /// The earliest `occurred_at` of a record that is there.
    pub oldest: Option<Timestamp>,
    /// The latest `occurred_at` of a record that is there.
    pub newest: Option<Timestamp>,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPosition {
    /// The stream.
    pub writer_id: WriterId,
    /// The number of its last record.
    pub last_seq: i64,
}

/// A store that can be looked after.
pub trait Maintain: Send + Sync + 'static {
    /// Brings the schema to this build's version, and makes the leaves that will be needed soon.
    ///
    /// Safe to repeat, and safe when several processes start at once.
    ///
    /// # Errors
    ///
    /// When the store is of a newer version than this build, or refuses.
    fn migrate(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Returns how much the store holds.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn storage(&self) -> impl Future<Output = Result<Storage, StoreError>> + Send;

    /// Returns every stream with its last number.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn streams(&self) -> impl Future<Output = Result<Vec<StreamPosition>, StoreError>> + Send;
}

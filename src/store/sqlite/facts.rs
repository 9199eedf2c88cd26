//! What a set-up stands on, for whoever looks for what is wrong with it.

use std::collections::HashSet;

use sqlx::Row as _;

use super::{error::store_error, store::SqliteStore};
use crate::store::StoreError;

/// What makes the log append-only; whoever owns the file can remove them.
const GUARDS: [&str; 15] = [
    "activity_records_delete",
    "activity_records_sealed",
    "activity_records_groups",
    "activity_ledger_insert",
    "activity_ledger_update",
    "activity_ledger_delete",
    "activity_checkpoints_insert",
    "activity_checkpoints_update",
    "activity_checkpoints_delete",
    "activity_anchors_update",
    "activity_anchors_delete",
    "activity_erased_subjects_update",
    "activity_erased_subjects_delete",
    "activity_restricted_update",
    "activity_restricted_delete",
];

/// A connection without `PRAGMA foreign_keys`, as the shell of SQLite has it, can leave one behind.
const PERMIT_LEFT: &str =
    "activity_permits, in which a permit was left (DELETE FROM activity_permits)";

/// What a set-up stands on: [`SqliteStore::facts`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteFacts {
    /// How SQLite keeps commits, as in `wal`: what lets readers and the writer work at the same time.
    pub journal_mode: String,
    /// The triggers that make the log append-only and are missing, and the table of permits where one was left behind.
    pub missing_guards: Vec<&'static str>,
}

impl SqliteStore {
    /// Returns what the set-up stands on, without a change to it.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn facts(&self) -> Result<SqliteFacts, StoreError> {
        let failed = |error| store_error("look at the set-up", error);
        let journal_mode = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(self.pool())
            .await
            .map_err(failed)?;
        let triggers = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .fetch_all(self.pool())
            .await
            .map_err(failed)?;
        let triggers = triggers.iter().map(|row| row.try_get::<String, _>(0));
        let there = triggers.collect::<Result<HashSet<_>, _>>().map_err(failed)?;
        let permits: i64 = sqlx::query_scalar("SELECT count(*) FROM activity_permits")
            .fetch_one(self.pool())
            .await
            .map_err(failed)?;
        let missing = GUARDS.into_iter().filter(|name| !there.contains(*name));
        let missing_guards = missing.chain((permits > 0).then_some(PERMIT_LEFT)).collect();
        Ok(SqliteFacts { journal_mode, missing_guards })
    }
}

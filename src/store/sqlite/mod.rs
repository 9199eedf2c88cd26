//! SQLite: the embedded store.
//!
//! One file holds everything, under names that begin with `activity_`. A file of its own is the
//! ordinary case; sharing one with the application works, and nothing of the application's is touched:
//! neither `user_version` nor `application_id`, which many applications use themselves. The version of
//! the schema stands in the table `activity_migrations`.
//!
//! **Goes in:** batches, through a connection that one writer owns. **Comes out:** pages, records, counts
//! and ledger entries, through a pool of connections that cannot write. What is folded in behind the writers
//! (rollups, the text index) and the small tables beside the log are written by connections of their own, in
//! short transactions.
//!
//! ```
//! # async fn run() -> Result<(), tower_activity::store::StoreError> {
//! use tower_activity::{query::{Filter, PageRequest}, store::{Read as _, sqlite::SqliteStore}};
//!
//! let store = SqliteStore::open("sqlite::memory:").await?;
//! let page = store.records(&Filter::new(), &PageRequest::newest(50)).await?;
//! assert!(page.records.is_empty());
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(run()).unwrap();
//! ```
//!
//! # What is promised
//!
//! - An append is one transaction under SQLite's write lock: all rows with their ledger entries, or
//!   nothing. Several writers, also of several processes, take turns.
//! - With `synchronous=NORMAL`, which [`SqliteStore::open`] sets, a power cut may lose the last
//!   transactions but never leaves half of one; the death of the process loses nothing committed. A pipeline
//!   with a spool sets `FULL` for its appends.
//! - Rows are append-only: triggers refuse every change but the erasure of a personal group, and every
//!   deletion without a permit. Whoever can write the file can go round the triggers; the ledger then
//!   shows what was done.
//! - A backup that is put in the place of the file, without the files beside it (`-wal`, `-shm`), is taken up with
//!   the next append or read.
//! - What was deleted is overwritten with zeros (`secure_delete`).

mod aggregate;
mod append;
mod asking;
mod bunches;
mod completeness;
mod erase;
mod error;
mod evidence;
mod facts;
mod filter;
mod identity;
mod location;
mod migrations;
mod outbox;
mod packed;
mod page;
mod read;
mod register;
mod restrict;
mod retain;
mod rollup;
mod rows;
mod scratch;
mod spans;
mod sql;
mod store;
mod uncount;
mod words;
mod write;

pub use append::SqliteAppender;
pub use facts::SqliteFacts;
pub use outbox::SqliteOutbox;
pub use store::SqliteStore;

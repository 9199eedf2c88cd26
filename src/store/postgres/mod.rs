//! Records in Postgres, 13 or later: many processes, one log.
//!
//! Everything lives in the schema `activity`. The files in `migrations/postgres/` make it, run by
//! [`PostgresStore::open`] or by hand; the owner of an ordinary database may do so, without extensions. The
//! database's encoding is UTF8; its other settings do not matter.
//!
//! # How an append goes
//!
//! One transaction: `COPY … BINARY` into the leaf of each run of records (a leaf holds one month of one
//! retention class), the batch's ledger entries, COMMIT. At COMMIT a deferred trigger takes the ledger's
//! lock, refuses the entry unless its stream stands just before it, and gives it position and time. The
//! lock is therefore held by the server alone, for moments: a client that freezes or vanishes in its
//! transaction holds up nobody but its own stream. A leaf that is missing is made first, in a transaction of
//! its own.
//!
//! # PgBouncer
//!
//! Transaction mode works: no session state is kept, time limits are set per transaction, and named
//! prepared statements are not used.
//!
//! # What guards the log
//!
//! Triggers refuse DELETE, TRUNCATE and every UPDATE but the one that empties an erasable group and
//! leaves its commitment. They stop mistakes and stolen application passwords; whoever owns the tables
//! can remove triggers, and is caught by the ledger's proofs.

mod aggregate;
mod append;
mod ask;
mod column;
mod completeness;
mod count;
mod decode;
mod encode;
mod erase;
mod error;
mod evidence;
mod facts;
mod filter;
mod find;
mod index;
mod leaf;
mod literal;
mod maintain;
mod migrations;
mod months;
mod outbox;
mod page;
mod proof;
mod read;
mod register;
mod restrict;
mod retain;
mod rollup;
mod store;
mod words;

pub use append::PostgresAppender;
pub use facts::PostgresFacts;
pub use outbox::PostgresOutbox;
pub use store::PostgresStore;

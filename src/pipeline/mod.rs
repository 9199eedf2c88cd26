//! From a finished record to a stored one.
//!
//! What enters: records, through a [`Recorder`]: those of requests from the layer, and manual ones. What
//! leaves: batches into a [store](crate::store), and behind each commit its records into the
//! [feed](Pipeline::subscribe).
//!
//! ```
//! use std::time::Duration;
//! use tower_activity::{
//!     pipeline::Pipeline,
//!     record::{Actor, Record},
//!     store::MemoryStore,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let pipeline = Pipeline::builder(store.clone()).service("shop").start().await?;
//! let recorder = pipeline.recorder();
//! recorder.record(Record::by(Actor::user("ana")).cancelled("order", "55"));
//! pipeline.flush().await;
//! assert!(store.all().iter().any(|record| record.action == "cancel"));
//!
//! let report = pipeline.shutdown(Duration::from_secs(5)).await;
//! assert_eq!(report.to_string(), "stored 1 · dropped 0 · gaps 0");
//! # Ok(())
//! # }
//! ```
//!
//! **Promised.** The request path never waits (unless asked to with [`Overflow::Block`]), takes no lock
//! and makes no system call; refusals of nobody in particular, which are folded when there are many, take
//! one for a look-up. Memory is bounded by count and by bytes, also while the store is away. At
//! every moment received = stored + spooled + queued + dropped, see [`Tally`]; what was dropped is told of by a gap
//! record. What is stored is stored exactly once, under numbers without a gap.
//!
//! With a folder ([`PipelineBuilder::spool`]) records wait in files: they survive the process, and what the queue and
//! its bounds say holds for the spool. A request then makes one write to an open file, under a lock that is never held
//! across a sync.
//!
//! A record that must exist if and only if a transaction of the application commits goes into that transaction:
//! [`Recorder::record_in`].
//!
//! **Not promised.** Without a folder, records that are queued when the process dies are lost: delivery is
//! `best_effort`.
//!
//! # Metrics
//!
//! With the feature `metrics`, from the writer and the thread of the spool, and never from the request path: the
//! counters `activity_records_received_total`, `…_accepted_total`, `…_stored_total`, `…_duplicates_total`,
//! `…_dropped_total` (by `reason`, `lane` and `category`), `…_quarantined_total`,
//! `…_folded_total`, `…_own_total`, `activity_gaps_total` and `activity_store_retries_total`; the gauges
//! `activity_queue_records`, `activity_queue_bytes` and `activity_open_drafts`; the histogram
//! `activity_batch_seconds`. With a spool also `activity_records_drained_total`, `activity_spool_quarantined_total`,
//! `activity_spool_failed_syncs_total`, the histogram `activity_fsync_seconds`, and the gauges
//! `activity_spool_records`, `…_bytes`, `…_segments` and
//! `…_oldest_seconds`. With an outbox also `activity_outbox_recorded_total`, `…_stored_total` and
//! `…_quarantined_total`, and the gauges `activity_outbox_pending` and `activity_outbox_oldest_seconds`.

mod admit;
#[cfg(feature = "archive")]
mod archiving;
mod batcher;
mod blind;
mod builder;
mod burst;
mod classes;
mod clerk;
mod commit;
mod core;
mod custody;
mod desk;
mod drain;
mod ends;
mod epoch;
mod erasure;
mod feed;
mod fold;
mod gap;
#[cfg(all(test, feature = "axum"))]
pub(crate) mod gated;
#[cfg(feature = "api")]
mod intake;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod lane;
mod link;
mod meters;
mod modes;
#[cfg(feature = "api")]
mod notary;
mod number;
mod open;
mod outbox;
mod own;
#[allow(clippy::module_inception, reason = "named for the type that it holds")]
mod pipeline;
mod pool;
mod process;
mod quarantine;
mod queue;
mod receipts;
mod recorder;
mod retention;
mod retry;
#[cfg(feature = "api")]
mod rollups;
mod scope;
mod settings;
mod settle;
mod sink;
mod source;
mod spool;
mod spooled;
mod spooling;
mod starts;
mod subject;
mod tally;
mod teller;
mod threads;
mod told;
mod unended;
mod unfinished;
mod unrecorded;
mod watch;
mod writer;

#[cfg(feature = "archive")]
pub use archiving::{ArchiveRequest, ArchivingError, ToldPart};
pub use blind::BlindIndex;
pub use builder::{
    DEFAULT_BATCH_AGE, DEFAULT_BATCH_BYTES, DEFAULT_BATCH_ROWS, DEFAULT_CALL_DEADLINE,
    DEFAULT_QUEUE, DEFAULT_QUEUE_BYTES, PipelineBuilder,
};
#[cfg(feature = "api")]
pub(crate) use commit::{CommitSource, Commits, Committed};
pub use custody::{Custodian, CustodyError, HeldPseudonyms, HoldRequest, Placed, Released};
pub use erasure::{
    ArchiveErasure, Certificate, EraseError, ErasedPeople, Eraser, Erasing, ErasurePlan,
    ErasureRequest, FileErasure, LeftArchive, SignedHead, UnreachedFile,
};
pub use feed::{DEFAULT_SUBSCRIPTION_CAPACITY, Lagged, Subscription};
#[cfg(feature = "api")]
pub(crate) use intake::{Intake, Turned};
pub use modes::{
    DEFAULT_FSYNC_INTERVAL, DEFAULT_SPOOL_CAP, DEFAULT_SPOOL_KEEP, DEFAULT_STRICT_DEADLINE,
};
#[allow(unused_imports, reason = "capture takes these doors next")]
pub(crate) use open::{BeginWait, Hold, OpenTicket, Renewed, StrictRefused};
pub use outbox::{BoxFuture, OutboxTally, RecordInError, WriteInError};
pub use pipeline::{DROP_DEADLINE, Pipeline, ShutdownReport};
#[cfg(feature = "api")]
pub(crate) use receipts::Fate;
pub(crate) use recorder::AdmitWait;
pub use recorder::{Admission, Recorder};
pub use retention::{
    EndedUnit, HeldUnit, PolicySource, RetentionRun, RetentionStep, Schedule, ScheduleError,
    UnarchivedUnit,
};
pub use scope::{Context, Scoped};
pub use settings::{Overflow, StartError};
pub use sink::{Sink, SinkAppender, SinkStore};
#[cfg(feature = "api")]
pub(crate) use subject::Sought;
pub use subject::Subject;
pub use tally::{DropReason, Dropped, Tally};
pub use told::{SubjectExport, Untold};
pub use unrecorded::Unrecorded;
#[cfg(feature = "api")]
pub(crate) use {
    recorder::{Pressure, SpoolPressure},
    watch::Use,
};

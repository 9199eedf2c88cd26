//! For teams with a writer of their own.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    record::{Record, WriterId},
    store::{Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
};

/// Takes finished records to a place of its own: one method, and the pipeline does the rest.
///
/// The records of a call belong together: they are numbered without a gap (`writer_id`, `seq`), and the
/// next call goes on from there. An error says what the pipeline does next, see [`StoreErrorKind`]: it
/// waits and comes back with the same records, or looks for the bad one among them.
///
/// A call whose answer did not arrive (the deadline passed) is repeated: records arrive **at least once**,
/// and their `id` tells the second time from the first.
///
/// ```
/// use tower_activity::{
///     pipeline::{Pipeline, Sink, SinkStore},
///     record::Record,
///     store::StoreError,
/// };
///
/// struct Lines;
///
/// impl Sink for Lines {
///     async fn write(&self, records: &[Box<Record>]) -> Result<(), StoreError> {
///         for record in records {
///             println!("{}", serde_json::json!(record));
///         }
///         Ok(())
///     }
/// }
///
/// # async fn example() -> Result<(), tower_activity::pipeline::StartError> {
/// let pipeline = Pipeline::builder(SinkStore::new(Lines)).start().await?;
/// # drop(pipeline);
/// # Ok(())
/// # }
/// ```
pub trait Sink: Send + Sync + 'static {
    /// Writes the records, all or none as far as it can.
    ///
    /// # Errors
    ///
    /// Whatever kind says best what the pipeline should do.
    fn write(&self, records: &[Box<Record>])
    -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Makes a store that can be appended to out of a [`Sink`]; it has no ledger.
pub struct SinkStore<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    sink: K,
    state: Mutex<State>,
}

/// The end of the stream as far as the sink has answered for it.
#[derive(Debug, Default)]
struct State {
    writer_id: WriterId,
    last_seq: i64,
}

impl<K: Sink> SinkStore<K> {
    /// Makes the store.
    #[must_use]
    pub fn new(sink: K) -> Self {
        Self { shared: Arc::new(Shared { sink, state: Mutex::default() }) }
    }
}

impl<K> fmt::Debug for SinkStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkStore").finish_non_exhaustive()
    }
}

/// The connection to a [`SinkStore`].
pub struct SinkAppender<K> {
    shared: Arc<Shared<K>>,
}

impl<K> fmt::Debug for SinkAppender<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkAppender").finish_non_exhaustive()
    }
}

impl<K: Sink> Append for SinkStore<K> {
    type Appender = SinkAppender<K>;

    async fn connect(&self) -> Result<SinkAppender<K>, StoreError> {
        Ok(SinkAppender { shared: Arc::clone(&self.shared) })
    }
}

impl State {
    fn last_seq(&self, writer_id: WriterId) -> i64 {
        if self.writer_id == writer_id { self.last_seq } else { 0 }
    }
}

impl<K: Sink> Appender for SinkAppender<K> {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.last_seq(writer_id))
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let last_seq = self.position(batch.writer_id()).await?;
        if batch.first_seq() != last_seq + 1 {
            return Err(StoreError::new(StoreErrorKind::Position { last_seq }, "write a batch"));
        }
        self.shared.sink.write(batch.records()).await?;
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.writer_id = batch.writer_id();
        state.last_seq = batch.last_seq();
        // A sink keeps no ledger.
        Ok(Appended { entries: Vec::new() })
    }
}

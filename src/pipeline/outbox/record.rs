//! Recording in a transaction.

use std::{fmt::Write as _, pin::Pin};

use serde::Serialize;

use super::{RecordInError, WriteInError};
use crate::{
    pipeline::{
        admit,
        core::Core,
        number,
        recorder::{Recorder, complete},
        scope::Scoped,
    },
    record::{Origin, Record, RecordId},
    store::{InTransaction, NewRow},
    time::Timestamp,
};

/// What the closures of [`Recorder::write_in`] return.
pub type BoxFuture<'t, R> = Pin<Box<dyn Future<Output = R> + Send + 't>>;

impl Recorder {
    /// Records something that exists if and only if the transaction commits, and returns its id.
    ///
    /// The record goes into the outbox of the transaction's own database
    /// ([`PipelineBuilder::outbox`](crate::pipeline::PipelineBuilder::outbox)), and from there into the log,
    /// within moments of the commit. It is filled in, redacted and bounded as every other; its
    /// [`origin`](Record::origin) is `transaction`. `Activity::record` begins one that carries the id,
    /// the actor and the address of the request at hand.
    ///
    /// ```
    /// # async fn example(
    /// #     recorder: tower_activity::Recorder,
    /// #     pool: sqlx::SqlitePool,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_activity::Record;
    ///
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("UPDATE orders SET state = 'cancelled' WHERE id = 55")
    ///     .execute(&mut *transaction)
    ///     .await?;
    /// recorder.record_in(&mut transaction, Record::by("ana").cancelled("order", "55")).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Loss
    ///
    /// None: what was committed is in the application's database until the log has it. It gets there as long
    /// as some process that was given this outbox runs now and then.
    ///
    /// # Errors
    ///
    /// When a required field is empty, when the pipeline has no outbox in such a database, and when the
    /// database refuses. Let the transaction roll back then.
    ///
    /// # Cancel safety
    ///
    /// As with any statement: a transaction in which one was abandoned should be rolled back, which dropping
    /// it does.
    pub async fn record_in<T: InTransaction + ?Sized>(
        &self,
        transaction: &mut T,
        record: Record,
    ) -> Result<RecordId, RecordInError> {
        let core = self.core();
        if !core.outboxes.has(T::DATABASE) {
            return Err(RecordInError::NoOutbox(T::DATABASE));
        }
        let mut record = Box::new(record);
        if let Err(field) = complete(&mut record) {
            core.counters.refuse(field);
            return Err(RecordInError::Refused(field));
        }
        record.origin = Origin::Transaction;
        let encoded = Encoded::new(core, &mut record);
        transaction.put(encoded.row()).await.map_err(RecordInError::Store)?;
        core.outboxes.record(T::DATABASE);
        Ok(encoded.record_id)
    }

    /// Records what a change did, in the transaction that makes it: the fields that differ between two
    /// states of the thing, as [`Record::changes`] finds them. Returns `None`, and records nothing, when the
    /// states are the same.
    ///
    /// Read the state before from the same transaction (in Postgres `for update`), so that nobody comes
    /// between.
    ///
    /// ```
    /// # #[derive(serde::Serialize)]
    /// # struct Order;
    /// # async fn load(transaction: &mut sqlx::SqliteConnection) -> Result<Order, sqlx::Error> { Ok(Order) }
    /// # async fn pay(transaction: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> { Ok(()) }
    /// # async fn example(
    /// #     recorder: tower_activity::Recorder,
    /// #     pool: sqlx::SqlitePool,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_activity::Record;
    ///
    /// let mut transaction = pool.begin().await?;
    /// let before = load(&mut transaction).await?;
    /// pay(&mut transaction).await?;
    /// let after = load(&mut transaction).await?;
    /// let record = Record::by("ana").verb("pay").on("order", "55");
    /// recorder.change_in(&mut transaction, record, &before, &after).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Loss
    ///
    /// None, as with [`record_in`](Self::record_in).
    ///
    /// # Errors
    ///
    /// As [`record_in`](Self::record_in), and when a state cannot be written as JSON.
    ///
    /// # Cancel safety
    ///
    /// As [`record_in`](Self::record_in).
    pub async fn change_in<T, B, A>(
        &self,
        transaction: &mut T,
        record: Record,
        before: &B,
        after: &A,
    ) -> Result<Option<RecordId>, RecordInError>
    where
        T: InTransaction + ?Sized,
        B: Serialize + ?Sized,
        A: Serialize + ?Sized,
    {
        let record = record.try_changes(before, after).map_err(RecordInError::State)?;
        if record.changes.is_absent() {
            return Ok(None);
        }
        self.record_in(transaction, record).await.map(Some)
    }
}

impl Recorder {
    /// Makes a change and records what it did, in one transaction: reads the thing, lets `write` change it, reads it
    /// again, and records the fields that differ as [`change_in`](Self::change_in) does. Returns what `write`
    /// returned, and the id of the record; `None` when the change made no difference.
    ///
    /// Both are closures that return a boxed future, which may own what it needs and not borrow it. `read` runs
    /// twice. In Postgres it should lock what it reads (`for update`), so that nobody comes between.
    /// What the database makes of the change (defaults, triggers, rounding) is in the record.
    ///
    /// ```
    /// # #[derive(serde::Serialize)]
    /// # struct Order { state: String }
    /// # async fn example(
    /// #     recorder: tower_activity::Recorder,
    /// #     pool: sqlx::SqlitePool,
    /// # ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use sqlx::{Sqlite, Transaction};
    /// use tower_activity::Record;
    ///
    /// async fn load(transaction: &mut Transaction<'_, Sqlite>) -> Result<Order, sqlx::Error> {
    ///     let state = sqlx::query_scalar("SELECT state FROM orders WHERE id = 55");
    ///     Ok(Order { state: state.fetch_one(&mut **transaction).await? })
    /// }
    ///
    /// async fn pay(transaction: &mut Transaction<'_, Sqlite>) -> Result<u64, sqlx::Error> {
    ///     let paid = sqlx::query("UPDATE orders SET state = 'paid' WHERE id = 55");
    ///     Ok(paid.execute(&mut **transaction).await?.rows_affected())
    /// }
    ///
    /// let mut transaction = pool.begin().await?;
    /// let record = Record::by("ana").verb("pay").on("order", "55");
    /// let (rows, _id) = recorder
    ///     .write_in(&mut transaction, record, |t| Box::pin(load(t)), |t| Box::pin(pay(t)))
    ///     .await?;
    /// transaction.commit().await?;
    /// # let _: u64 = rows;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Loss
    ///
    /// None, as with [`record_in`](Self::record_in).
    ///
    /// # Errors
    ///
    /// Those of `read` and `write`, as [`WriteInError::Write`], and those of [`change_in`](Self::change_in). Let the
    /// transaction roll back then.
    ///
    /// # Cancel safety
    ///
    /// As [`record_in`](Self::record_in).
    pub async fn write_in<T, S, W, E>(
        &self,
        transaction: &mut T,
        record: Record,
        mut read: impl for<'t> FnMut(&'t mut T) -> BoxFuture<'t, Result<S, E>>,
        write: impl for<'t> FnOnce(&'t mut T) -> BoxFuture<'t, Result<W, E>>,
    ) -> Result<(W, Option<RecordId>), WriteInError<E>>
    where
        T: InTransaction + ?Sized,
        S: Serialize,
    {
        let before = read(transaction).await.map_err(WriteInError::Write)?;
        let written = write(transaction).await.map_err(WriteInError::Write)?;
        let after = read(transaction).await.map_err(WriteInError::Write)?;
        let recorded = self.change_in(transaction, record, &before, &after).await?;
        Ok((written, recorded))
    }
}

impl Scoped {
    /// Records something with the context filled in, that exists if and only if the transaction commits; as
    /// [`Recorder::record_in`].
    ///
    /// # Errors
    ///
    /// As [`Recorder::record_in`].
    pub async fn record_in<T: InTransaction + ?Sized>(
        &self,
        transaction: &mut T,
        mut record: Record,
    ) -> Result<RecordId, RecordInError> {
        self.fill(&mut record);
        self.recorder().record_in(transaction, record).await
    }

    /// Records what a change did, with the context filled in; as [`Recorder::change_in`].
    ///
    /// # Errors
    ///
    /// As [`Recorder::change_in`].
    pub async fn change_in<T, B, A>(
        &self,
        transaction: &mut T,
        mut record: Record,
        before: &B,
        after: &A,
    ) -> Result<Option<RecordId>, RecordInError>
    where
        T: InTransaction + ?Sized,
        B: Serialize + ?Sized,
        A: Serialize + ?Sized,
    {
        self.fill(&mut record);
        self.recorder().change_in(transaction, record, before, after).await
    }

    /// Makes a change and records what it did, with the context filled in; as [`Recorder::write_in`].
    ///
    /// # Errors
    ///
    /// As [`Recorder::write_in`].
    pub async fn write_in<T, S, W, E>(
        &self,
        transaction: &mut T,
        mut record: Record,
        read: impl for<'t> FnMut(&'t mut T) -> BoxFuture<'t, Result<S, E>>,
        write: impl for<'t> FnOnce(&'t mut T) -> BoxFuture<'t, Result<W, E>>,
    ) -> Result<(W, Option<RecordId>), WriteInError<E>>
    where
        T: InTransaction + ?Sized,
        S: Serialize,
    {
        self.fill(&mut record);
        self.recorder().write_in(transaction, record, read, write).await
    }
}

/// A record as it lies in an outbox.
pub(super) struct Encoded {
    pub(super) record_id: RecordId,
    leaf: String,
    added_at: Timestamp,
    payload: Vec<u8>,
}

impl Encoded {
    /// Prepares, seals and encodes a record. The salts are made here and go with it, so that the log gets
    /// the same canonical bytes however often it is sent.
    pub(super) fn new(core: &Core, record: &mut Record) -> Self {
        admit::prepare(core, record);
        number::seal(record);
        let mut leaf = String::new();
        let _infallible =
            write!(leaf, "{}/{}", record.occurred_at.month(), record.category.as_str());
        let mut payload = Vec::new();
        record.to_portable(&mut payload);
        Self { record_id: record.id, leaf, added_at: core.clock.now(), payload }
    }

    pub(super) fn row(&self) -> NewRow<'_> {
        NewRow {
            record_id: self.record_id,
            leaf: &self.leaf,
            added_at: self.added_at,
            payload: &self.payload,
        }
    }
}

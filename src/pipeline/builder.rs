//! How a pipeline is set up, and what is refused before anything starts.

use std::{borrow::Cow, fmt, panic::catch_unwind, path::PathBuf, sync::Arc, time::Duration};

use super::{
    batcher::Limits,
    classes::Classes,
    core::{Core, Origins, Privacy, Waiting},
    custody, desk,
    ends::{self, Ends},
    erasure::Arrivals,
    feed::Feed,
    fold::Folds,
    link::Link,
    modes::Modes,
    outbox::{self, Outboxes},
    own::{self, Author},
    pipeline::Pipeline,
    pool::{self, Pool},
    process::Process,
    quarantine,
    queue::{MAX_BYTES, MAX_COUNT, Queue},
    receipts::Receipts,
    retention::{self, Policies, Schedule},
    settings::{Overflow, StartError},
    settle::Settler,
    tally::{CATEGORIES, Counters, category_index},
    watch::Watched,
    writer::{Setup, Writer},
};
use crate::{
    privacy::{AddressPolicy, KeySet, Keys, Redactor},
    record::{Category, Record},
    rules::{CompiledRules, RetentionPolicy, Rules},
    store::{AnyOutbox, Append, Archival, Outbox},
    time::{Clock, IdSource, RandomIds, SystemClock},
};

/// A second of a busy service: enough to sit out a slow commit.
pub const DEFAULT_QUEUE: usize = 8_192;
/// Room for a full queue of ordinary records, and small beside the memory of any service.
pub const DEFAULT_QUEUE_BYTES: usize = 32 * 1024 * 1024;
/// Beyond this, larger batches gain no more speed in either database.
pub const DEFAULT_BATCH_ROWS: usize = 5_000;
/// Keeps a transaction short even when records carry bodies.
pub const DEFAULT_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// People who look at their own action find it there.
pub const DEFAULT_BATCH_AGE: Duration = Duration::from_millis(200);
/// A database that has not answered by then is treated as one that never will.
pub const DEFAULT_CALL_DEADLINE: Duration = Duration::from_secs(30);

/// The least budget: two of the largest records, and the shares that are set aside.
const MIN_QUEUE_BYTES: usize = 2 * 1024 * 1024;

pub(super) type Retention = Arc<dyn Fn(&Record) -> Cow<'static, str> + Send + Sync>;

/// Sets up a [`Pipeline`]; made by [`Pipeline::builder`].
#[must_use = "a builder does nothing until `start`"]
pub struct PipelineBuilder<S> {
    store: S,
    rules: Rules,
    redactor: Redactor,
    keys: Option<Keys>,
    address_policy: Option<AddressPolicy>,
    address_policies: Vec<(Category, AddressPolicy)>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    service: Option<String>,
    instance: Option<String>,
    environment: Option<String>,
    queue: usize,
    queue_bytes: usize,
    batch: Limits,
    call_deadline: Duration,
    overflow: Overflow,
    pub(super) modes: Modes,
    retention: Option<Retention>,
    retention_policy: Option<RetentionPolicy>,
    retention_schedule: Option<Schedule>,
    archive: Option<Arc<dyn Archival>>,
    quarantine: Option<PathBuf>,
    outboxes: Vec<AnyOutbox>,
    reads_ahead: bool,
}

impl<S> fmt::Debug for PipelineBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder")
            .field("queue", &self.queue)
            .field("queue_bytes", &self.queue_bytes)
            .field("batch", &self.batch)
            .field("overflow", &self.overflow)
            .field("modes", &self.modes)
            .finish_non_exhaustive()
    }
}

impl<S: Append> PipelineBuilder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            rules: Rules::rest(),
            redactor: Redactor::default(),
            keys: None,
            address_policy: None,
            address_policies: Vec::new(),
            clock: Arc::new(SystemClock::default()),
            ids: Arc::new(RandomIds),
            service: None,
            instance: None,
            environment: None,
            queue: DEFAULT_QUEUE,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            batch: Limits {
                rows: DEFAULT_BATCH_ROWS,
                bytes: DEFAULT_BATCH_BYTES,
                age: DEFAULT_BATCH_AGE,
            },
            call_deadline: DEFAULT_CALL_DEADLINE,
            overflow: Overflow::default(),
            modes: Modes::default(),
            retention: None,
            retention_policy: None,
            retention_schedule: None,
            archive: None,
            quarantine: None,
            outboxes: Vec::new(),
            reads_ahead: true,
        }
    }

    /// Reads a spool and sends it by turns, which only a measurement wants.
    #[cfg(feature = "internals")]
    #[doc(hidden)]
    pub fn without_reading_ahead(mut self) -> Self {
        self.reads_ahead = false;
        self
    }

    /// Sets the rules. Defaults to the REST conventions.
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets what takes secrets out of records. Defaults to the built-in lists.
    pub fn redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// Sets the keys for pseudonyms. Defaults to none: then session ids and attempted accounts are left
    /// out.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets how much of a client's address is kept. Defaults to that in the rules, else to all of it.
    pub fn address_policy(mut self, policy: AddressPolicy) -> Self {
        self.address_policy = Some(policy);
        self
    }

    /// Sets how much of a client's address is kept in records of one category.
    pub fn address_policy_for(mut self, category: Category, policy: AddressPolicy) -> Self {
        self.address_policies.push((category, policy));
        self
    }

    /// Sets the clock. Defaults to that of the operating system.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the source of ids. Defaults to random UUIDv7.
    pub fn ids(mut self, ids: impl IdSource) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Sets the name of the service that records. Defaults to that in the rules, else to none.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Sets the name of this instance of the service. Defaults to none.
    ///
    /// Give each replica one of its own, and a replica that is started again the one that it had, as the name of a pod
    /// of a `StatefulSet`: a process that starts under the name of another one has taken its place, and says of what
    /// that one left open that it ended.
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sets the deployment, as in `production`. Defaults to that in the rules, else to none.
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = Some(environment.into());
        self
    }

    /// Sets how many records may wait for the writer. Defaults to 8,192.
    ///
    /// One in eight is reserved for the security lane.
    pub fn queue(mut self, count: usize) -> Self {
        self.queue = count;
        self
    }

    /// Sets how many bytes the pipeline's records may occupy, those in a batch under way and in the pool
    /// included. Defaults to 32 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets how many rows close a batch. Defaults to 5,000.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch.rows = rows;
        self
    }

    /// Sets how many bytes of text close a batch. Defaults to 4 MiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch.bytes = bytes;
        self
    }

    /// Sets how old a batch may become. Defaults to 200 ms.
    pub fn batch_age(mut self, age: Duration) -> Self {
        self.batch.age = age;
        self
    }

    /// Sets how long a call to the store may take. Defaults to 30 s.
    pub fn call_deadline(mut self, deadline: Duration) -> Self {
        self.call_deadline = deadline;
        self
    }

    /// Sets what happens when the queue is full. Defaults to [`Overflow::DropNewest`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets how long records are kept. Defaults to `[retention]` in the rules file, else to the preset
    /// `default`. What is [set](super::Custodian::set_policy) while services run stands above it.
    ///
    /// Nothing is taken out by that alone: see [`retention_schedule`](Self::retention_schedule) and
    /// [`Pipeline::run_retention`].
    pub fn retention_policy(mut self, policy: RetentionPolicy) -> Self {
        self.retention_policy = Some(policy);
        self
    }

    /// Sets when to take out what the policy no longer keeps, as in `"daily@03:00".parse()?` (UTC). Of several
    /// processes one does it. Defaults to never.
    pub fn retention_schedule(mut self, schedule: Schedule) -> Self {
        self.retention_schedule = Some(schedule);
        self
    }

    /// Sets the archive: then nothing is taken out that is not kept there, read back and verified, and
    /// [erasing](Pipeline::eraser) somebody reaches it. Defaults to none.
    ///
    /// Rules that name one (`archive` in `[retention]`) do not start without.
    pub fn archive(mut self, archive: impl Archival) -> Self {
        self.archive = Some(Arc::new(archive));
        self
    }

    /// Sets what gives each record its retention class, instead of the [policy](Self::retention_policy). A class
    /// that the policy does not know is kept for ever. What the log says of itself is always in the class `system`.
    ///
    /// It runs when a batch closes, away from the request path. The class names the leaf that a record
    /// lives in, so there should be few.
    pub fn retention(
        mut self,
        policy: impl Fn(&Record) -> Cow<'static, str> + Send + Sync + 'static,
    ) -> Self {
        self.retention = Some(Arc::new(policy));
        self
    }

    /// Sets the file that keeps records which the store cannot take, as JSON Lines. Defaults to none:
    /// then only their stubs are kept.
    pub fn quarantine(mut self, path: impl Into<PathBuf>) -> Self {
        self.quarantine = Some(path.into());
        self
    }

    /// Adds an outbox: a place in the application's own database where
    /// [`Recorder::record_in`](super::Recorder::record_in) puts records, and from where a worker moves them
    /// into the store. Defaults to none.
    ///
    /// Every process that is given the same outbox works on it. There may be one for each database that the
    /// application writes to.
    pub fn outbox(mut self, outbox: impl Outbox) -> Self {
        self.outboxes.push(AnyOutbox::new(outbox));
        self
    }

    /// Starts the writer.
    ///
    /// The store need not be reachable: the writer holds what it is given until it is.
    ///
    /// # Errors
    ///
    /// When settings contradict each other or rules are not sound, when the quarantine file or the folder of the
    /// spool cannot be written, when a class is asked for that needs a folder and none is named, and outside of a tokio
    /// runtime.
    pub async fn start(self) -> Result<Pipeline, StartError> {
        self.check()?;
        let rules = self.rules.compile()?;
        self.modes.check(&rules)?;
        let delivery = self.modes.class(&rules);
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::Runtime)?;
        // A runtime does not tell whether it has a timer, only panics when it is used without.
        catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO)))
            .map_err(|_| StartError::Runtime)?;

        if let Some(path) = self.quarantine.clone() {
            quarantine::check(path).await.map_err(StartError::Settings)?;
        }

        let defaults = rules.defaults();
        let named = |set: Option<String>, file: Option<&str>| {
            set.or_else(|| file.map(str::to_owned)).unwrap_or_default().into()
        };
        let origins = Origins {
            service: named(self.service, defaults.service()),
            instance: named(self.instance, None),
            environment: named(self.environment, defaults.environment()),
        };
        let privacy = privacy(
            (self.redactor, self.keys),
            (self.address_policy, &self.address_policies),
            &rules,
        )?;
        let pool_bytes = self.queue_bytes / pool::PART;
        let threshold = self.batch.rows.min(self.queue / 2).max(1);
        let config_digest = own::config_digest(&format!(
            "{:?} {} {} {:?} {:?} {:?} {:?}",
            self.modes,
            self.queue,
            self.queue_bytes,
            self.batch,
            self.overflow,
            origins,
            self.rules
        ));
        let policies = Policies::new(self.retention_policy, self.rules.retention_policy().cloned());
        let process = Process::this();
        let spooling = self.modes.open(Arc::clone(&self.clock)).await?;
        if spooling.is_some() || !self.outboxes.is_empty() {
            self.store.keep_commits();
        }
        let reader = self.store.reader();
        let erased = Arrivals::new(reader.clone().zip(privacy.keys.clone()));
        let core = Arc::new(Core {
            rules,
            privacy,
            clock: self.clock,
            ids: self.ids,
            origins,
            author: Author { mode: delivery.as_str(), process: process.clone() },
            overflow: self.overflow,
            call_deadline: self.call_deadline,
            delivery,
            strict_deadline: self.modes.strict_deadline,
            queue: Queue::new(self.queue, self.queue_bytes - pool_bytes, threshold),
            spooling,
            pool: Pool::new(self.queue, pool_bytes),
            counters: Counters::default(),
            feed: Feed::default(),
            outboxes: Outboxes::new(self.outboxes.iter().map(AnyOutbox::database)),
            receipts: Receipts::default(),
            folds: Folds::default(),
            watched: Watched::default(),
            ends: Ends::default(),
            erased,
            waiting: Waiting::default(),
            policies: Arc::new(policies),
            archive: self.archive,
            runtime: runtime.clone(),
            committed: tokio::sync::watch::Sender::new(false),
            folding: std::sync::Once::new(),
            signing: std::sync::Once::new(),
            stop: tokio::sync::watch::Sender::new(None),
            hung_up: tokio::sync::watch::Sender::new(false),
        });
        let classes = self.retention.unwrap_or_else(|| {
            // Not the core itself, which has a hand on the task that has this.
            let policies = Arc::clone(&core.policies);
            Arc::new(move |record: &Record| {
                Cow::Owned(policies.now().0.class_of(record).into_owned())
            })
        });
        let setup = Setup {
            batch: self.batch,
            call_deadline: self.call_deadline,
            retention: Some(classes),
            quarantine: self.quarantine,
            config_digest,
            reads_ahead: self.reads_ahead,
        };
        if let Some(store) = &reader {
            // What waits in a spool is classified at once.
            custody::look(&core, store).await;
        }
        let store = Arc::new(self.store);
        // Before anything is written: the first commit may be over when this task goes on.
        let committed = core.committed.subscribe();
        let mut outboxes = Vec::with_capacity(self.outboxes.len());
        for outbox in self.outboxes.into_iter().enumerate() {
            let link = Link::new(Arc::clone(&store), core.stop.subscribe(), setup.call_deadline);
            let settler = Settler::new(Arc::clone(&core), link, setup.quarantine.clone());
            let classes = Classes(setup.retention.clone());
            let (worker, handle) = outbox::Worker::new(
                outbox,
                settler,
                classes,
                setup.batch,
                setup.quarantine.clone(),
            );
            outboxes.push((handle, runtime.spawn(worker.run()).abort_handle()));
        }
        let (task, handle) = if core.spooling.is_some() {
            let (work, handle) = desk::open(store, &core, setup);
            (runtime.spawn(work), handle)
        } else {
            let (writer, handle) = Writer::new(store, Arc::clone(&core), setup);
            (runtime.spawn(writer.run()), handle)
        };
        if let (Some(store), Some(process)) = (&reader, process) {
            ends::look_later(&core, store.clone(), process, committed, handle.ended.clone());
        }
        if let Some(store) = &reader {
            custody::follow(&core, store.clone(), handle.ended.clone());
        }
        if let (Some(store), Some(schedule)) = (&reader, self.retention_schedule) {
            retention::keep(&core, store.clone(), schedule, handle.ended.clone());
        }
        if let Some(store) = &reader {
            let is_scheduled = self.retention_schedule.is_some();
            retention::watch_size(&core, store.clone(), is_scheduled, handle.ended.clone());
        }
        Ok(Pipeline::new(core, reader, handle, task, outboxes))
    }

    fn check(&self) -> Result<(), StartError> {
        let settings = |what: String| Err(StartError::Settings(what));
        if let (Some(location), None) = (self.rules.retention_archive(), &self.archive) {
            return settings(format!(
                "the rules say that what is taken out is kept in `{location}`: open that archive and give it with \
                 `archive`, so that nothing goes that is not kept there"
            ));
        }
        if !(8..=MAX_COUNT).contains(&self.queue) {
            return settings(format!(
                "a queue of {} records is not within 8 and {MAX_COUNT}",
                self.queue
            ));
        }
        if !(MIN_QUEUE_BYTES..=MAX_BYTES).contains(&self.queue_bytes) {
            return settings(format!(
                "a queue of {} bytes is not within {MIN_QUEUE_BYTES} and {MAX_BYTES}",
                self.queue_bytes
            ));
        }
        if self.batch.rows == 0 || self.batch.bytes == 0 {
            return settings("a batch needs room for a row".to_owned());
        }
        if self.batch.bytes > self.queue_bytes {
            return settings(format!(
                "a batch of {} bytes never fills from a queue of {} bytes",
                self.batch.bytes, self.queue_bytes
            ));
        }
        if self.batch.age.is_zero() || self.call_deadline.is_zero() {
            return settings(
                "the batch age and the call deadline are longer than nothing".to_owned(),
            );
        }
        if self.overflow == Overflow::Block(Duration::ZERO) {
            return settings("to block for no time is `Overflow::DropNewest`".to_owned());
        }
        Ok(())
    }
}

fn privacy(
    (redactor, keys): (Redactor, Option<Keys>),
    (general, by_category): (Option<AddressPolicy>, &[(Category, AddressPolicy)]),
    rules: &CompiledRules,
) -> Result<Privacy, StartError> {
    let defaults = rules.defaults();
    let in_rules = defaults.address().map(str::parse).transpose();
    let in_rules = in_rules.map_err(|error| StartError::Settings(format!("the rules: {error}")))?;
    let general = general.or(in_rules).unwrap_or_default();
    let mut addresses = [general; CATEGORIES.len()];
    for (category, policy) in by_category {
        addresses[category_index(*category)] = *policy;
    }
    if keys.is_none() && addresses.contains(&AddressPolicy::Hmac) {
        return Err(StartError::Settings(
            "the address policy `hmac` needs keys: give them with `keys`".to_owned(),
        ));
    }
    let extra_keys = KeySet::new(defaults.redact().iter().map(String::as_str))
        .map_err(|error| StartError::Settings(format!("the rules: {error}")))?;
    Ok(Privacy { redactor, extra_keys, keys, addresses })
}

//! Records of jobs and commands, which share an actor and a reason.

use super::recorder::{Admission, Recorder};
use crate::record::{Actor, ActorType, Record, Text};

/// What the records of one piece of work have in common.
///
/// Fills in only what a record does not say itself.
#[derive(Debug, Clone, Default)]
pub struct Context {
    actor: Option<Actor>,
    tenant: Text,
    org: Text,
    channel: Text,
    correlation_id: Text,
    reason: Text,
}

impl Context {
    /// Makes a context that says nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets who acts, where a record has nobody.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<Actor>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn tenant(mut self, tenant_id: &str) -> Self {
        self.tenant.set(tenant_id.trim());
        self
    }

    /// Sets the organisation.
    #[must_use]
    pub fn org(mut self, org_id: &str) -> Self {
        self.org.set(org_id.trim());
        self
    }

    /// Sets the application's module.
    #[must_use]
    pub fn channel(mut self, channel: &str) -> Self {
        self.channel.set(channel.trim());
        self
    }

    /// Sets the id of the work as a whole.
    #[must_use]
    pub fn correlation_id(mut self, id: &str) -> Self {
        self.correlation_id.set(id.trim());
        self
    }

    /// Sets why it is done.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason.set(reason.trim());
        self
    }

    fn fill(&self, record: &mut Record) {
        if let Some(actor) = &self.actor
            && record.actor_type == ActorType::Anonymous
            && record.actor_id.is_absent()
        {
            record.set_actor(actor);
        }
        for (text, value) in [
            (&mut record.tenant_id, &self.tenant),
            (&mut record.org_id, &self.org),
            (&mut record.channel, &self.channel),
            (&mut record.correlation_id, &self.correlation_id),
            (&mut record.reason, &self.reason),
        ] {
            if text.is_absent() {
                text.set(value);
            }
        }
    }
}

/// A recorder that fills in a [`Context`].
///
/// Cheap to clone into the tasks that the work spawns.
///
/// ```
/// # async fn example(recorder: tower_activity::pipeline::Recorder) {
/// use tower_activity::{pipeline::Context, record::{Actor, Record}};
///
/// let job = recorder.scope(
///     Context::new().actor(Actor::system("expiry")).tenant("acme").reason("unpaid for 14 days"),
/// );
/// for order in ["55", "56"] {
///     job.record(Record::by(Actor::anonymous()).cancelled("order", order));
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Scoped {
    recorder: Recorder,
    context: std::sync::Arc<Context>,
}

impl Scoped {
    pub(super) fn new(recorder: Recorder, context: Context) -> Self {
        Self { recorder, context: std::sync::Arc::new(context) }
    }

    /// Records something, with the context filled in; as [`Recorder::record`].
    #[allow(clippy::must_use_candidate, reason = "most callers leave the accounting to the tally")]
    pub fn record(&self, mut record: Record) -> Admission {
        self.context.fill(&mut record);
        self.recorder.record(record)
    }

    /// Records something, with the context filled in; as [`Recorder::record_wait`].
    pub async fn record_wait(&self, mut record: Record) -> Admission {
        self.context.fill(&mut record);
        self.recorder.record_wait(record).await
    }

    pub(super) fn fill(&self, record: &mut Record) {
        self.context.fill(record);
    }

    /// Returns the recorder without the context.
    #[must_use]
    pub const fn recorder(&self) -> &Recorder {
        &self.recorder
    }
}

//! The handle through which an application adds to the record of a request.

use std::{error, fmt, sync::Arc};

use serde::Serialize;

use super::draft::{Open, Said, Shared, State, Target};
use crate::{
    privacy::Keys,
    record::{Actor, ActorType, Address, Json, Outcome, Record, diff},
};

/// What a handler or an inner layer adds to the record of the request that it serves.
///
/// A handle is in the extensions of each request that the layer may record; in axum it is an extractor
/// too. It is cheap to clone and may be moved anywhere, into spawned tasks and response bodies alike.
/// Nothing that is set here is required: a rule or the convention has a word for everything.
///
/// Setters return the handle, so that they can be chained. They never fail and never panic. Once the
/// record is finished (see [`capture`](crate::capture) for when that is) they change nothing and
/// leave one warning in the log of the process; [`check`](Self::check) tells.
///
/// ```
/// use tower_activity::capture::Activity;
///
/// fn cancel(activity: &Activity, id: u64) {
///     activity.entity("order", id).action("cancel").reason("customer called");
/// }
/// # cancel(&Activity::detached(), 55);
/// ```
#[derive(Clone)]
pub struct Activity(Option<Arc<Shared>>);

#[allow(clippy::must_use_candidate, reason = "setters act; that they can be chained is a courtesy")]
impl Activity {
    pub(super) const fn new(cell: Arc<Shared>) -> Self {
        Self(Some(cell))
    }

    /// Makes a handle to no record: everything that is told to it is forgotten.
    ///
    /// For tests of handlers, and for requests that no rule can record.
    #[must_use]
    pub const fn detached() -> Self {
        Self(None)
    }

    /// Tells whether what is said now still enters the record.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.as_ref().is_some_and(|cell| cell.lock().open.is_some())
    }

    /// Tells whether the record is finished already, so that nothing can be added any more.
    ///
    /// # Errors
    ///
    /// When it is. A [detached](Self::detached) handle is never too late.
    pub fn check(&self) -> Result<(), TooLate> {
        if self.0.is_none() || self.is_open() { Ok(()) } else { Err(TooLate) }
    }

    /// Sets who acted.
    pub fn actor(&self, actor: impl Into<Actor>) -> &Self {
        let actor = actor.into();
        self.say(Said::ACTOR, |open| open.record.set_actor(&actor))
    }

    /// Sets the actor's name as it is now.
    pub fn actor_name(&self, name: &str) -> &Self {
        self.tell(|open| open.record.actor_name.set(bounded(name)))
    }

    /// Sets what kind of party the actor is.
    pub fn actor_type(&self, kind: ActorType) -> &Self {
        self.say(Said::ACTOR, |open| open.record.actor_type = kind)
    }

    /// Sets who really acted, when somebody acts as somebody else.
    pub fn impersonator(&self, impersonator: impl Into<Actor>) -> &Self {
        let actor = impersonator.into();
        self.tell(|open| {
            open.record.impersonator_id.set(bounded(actor.id()));
            open.record.impersonator_name.set(bounded(actor.name()));
        })
    }

    /// Sets how the actor proved who he is: `password`, `oidc`, `api_key`.
    pub fn auth_method(&self, method: &str) -> &Self {
        self.tell(|open| open.record.auth_method.set(bounded(method)))
    }

    /// Sets the tenant.
    pub fn tenant(&self, tenant: impl fmt::Display) -> &Self {
        let tenant = tenant.to_string();
        self.tell(|open| open.record.tenant_id.set(bounded(&tenant)))
    }

    /// Sets the organisation.
    pub fn org(&self, org: impl fmt::Display) -> &Self {
        let org = org.to_string();
        self.tell(|open| open.record.org_id.set(bounded(&org)))
    }

    /// Sets the application's module, for feeds.
    pub fn channel(&self, channel: &str) -> &Self {
        self.tell(|open| open.record.channel.set(bounded(channel)))
    }

    /// Sets the session, of which a keyed hash is kept; without keys nothing is.
    pub fn session(&self, session: &str) -> &Self {
        self.tell(|open| set_session(open, session))
    }

    /// Sets the thing that was acted on.
    pub fn entity(&self, entity_type: &str, id: impl fmt::Display) -> &Self {
        self.entity_type(entity_type).entity_id(id)
    }

    /// Sets the type of that thing, singular and in snake case.
    pub fn entity_type(&self, entity_type: &str) -> &Self {
        self.say(Said::ENTITY_TYPE, |open| open.record.entity_type.set(bounded(entity_type)))
    }

    /// Sets the id of that thing.
    pub fn entity_id(&self, id: impl fmt::Display) -> &Self {
        let id = id.to_string();
        self.say(Said::ENTITY_ID, |open| open.record.entity_id.set(bounded(&id)))
    }

    /// Sets the name of that thing as it is now.
    pub fn entity_name(&self, name: &str) -> &Self {
        self.tell(|open| open.record.entity_name.set(bounded(name)))
    }

    /// Sets what was done, in snake case: `cancel`.
    pub fn action(&self, action: &str) -> &Self {
        self.say(Said::ACTION, |open| open.record.action.set(bounded(action)))
    }

    /// Sets a sentence that says what happened.
    pub fn description(&self, sentence: &str) -> &Self {
        self.say(Said::DESCRIPTION, |open| open.record.description.set(bounded(sentence)))
    }

    /// Sets the justification that the actor gave.
    pub fn reason(&self, reason: &str) -> &Self {
        self.tell(|open| open.record.reason.set(bounded(reason)))
    }

    /// Sets how it ended, where the status does not say it.
    ///
    /// A panic, an error of the service and a client that went away outrank it.
    pub fn outcome(&self, outcome: Outcome) -> &Self {
        self.say(Said::OUTCOME, |open| open.record.outcome = outcome)
    }

    /// Sets why it ended so, as one word in snake case.
    pub fn outcome_reason(&self, reason: &str) -> &Self {
        self.say(Said::OUTCOME_REASON, |open| open.record.outcome_reason.set(bounded(reason)))
    }

    /// Sets the application's own id of a wider action.
    pub fn correlation_id(&self, id: impl fmt::Display) -> &Self {
        let id = id.to_string();
        self.tell(|open| open.record.correlation_id.set(bounded(&id)))
    }

    /// Adds a fact under a key, replacing what was under it.
    ///
    /// A value that cannot be written as JSON is left out; what looks like a secret is masked.
    pub fn metadata(&self, key: &str, value: impl Serialize) -> &Self {
        let Ok(value) = serde_json::to_value(value) else { return self };
        self.state(|state| {
            state.metadata.insert(bounded(key).to_owned(), value);
        })
    }

    /// Adds a further thing that was acted on, with the part that it plays: `parent`, `member`.
    pub fn target(&self, entity_type: &str, id: impl fmt::Display, relation: &str) -> &Self {
        self.add_target(entity_type, id.to_string(), None, relation)
    }

    /// Adds a further thing that was acted on, with its name as it is now.
    pub fn named_target(
        &self,
        entity_type: &str,
        id: impl fmt::Display,
        name: &str,
        relation: &str,
    ) -> &Self {
        self.add_target(entity_type, id.to_string(), Some(bounded(name).to_owned()), relation)
    }

    fn add_target(&self, kind: &str, id: String, name: Option<String>, relation: &str) -> &Self {
        let target = Target {
            entity_type: bounded(kind).to_owned(),
            id: bounded(&id).to_owned(),
            name,
            relation: bounded(relation).to_owned(),
        };
        self.state(|state| state.targets.push(target))
    }

    /// Adds somebody whose data it is, beside who acted.
    pub fn subject(&self, id: impl fmt::Display) -> &Self {
        let id = bounded(&id.to_string()).to_owned();
        self.state(|state| state.subjects.push(id))
    }

    /// Keeps what changed between two states of the thing, field by field.
    ///
    /// Fields whose names are those of secrets are named, their values are not kept. States that cannot
    /// be written as JSON change nothing.
    pub fn changes<B, A>(&self, before: &B, after: &A) -> &Self
    where
        B: Serialize + ?Sized,
        A: Serialize + ?Sized,
    {
        // The application's code runs before the lock is taken, and not for a record that is closed.
        if !self.is_open() {
            return self.tell(|_| {});
        }
        let (Ok(before), Ok(after)) = (serde_json::to_value(before), serde_json::to_value(after))
        else {
            tracing::warn!("states that cannot be written as JSON have no changes");
            return self;
        };
        let Ok(changes) = Json::of(&diff(before, after)) else { return self };
        self.state(|state| {
            let Some(open) = state.open.as_mut() else { return };
            open.record.changes = changes;
        })
    }

    /// Says that this request is not to be recorded.
    pub fn discard(&self) -> &Self {
        self.say(Said::DISCARD, |_| {})
    }

    /// Returns the id of the request, if it has one.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        let state = self.0.as_ref()?.lock();
        state.open.as_ref()?.record.request_id.as_option().map(str::to_owned)
    }

    /// Begins a record of something that was done within this request: with the actor, the tenant, the
    /// session, the address, the route and the ids of the request as far as they are known by now, and with
    /// outcome `success`.
    ///
    /// It is a record of its own, beside that of the request; both carry the same request id. Of a
    /// [detached](Self::detached) handle, and once the request's record is finished, nothing is known.
    ///
    /// ```
    /// # async fn example(
    /// #     activity: tower_activity::Activity,
    /// #     recorder: tower_activity::Recorder,
    /// #     mut transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// recorder.record_in(&mut transaction, activity.record().cancelled("order", "55")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn record(&self) -> Record {
        let mut record = Record { outcome: Outcome::Success, ..Record::default() };
        self.with(|state| {
            let Some(open) = state.open.as_ref() else { return };
            let known = &open.record;
            record.actor_type = known.actor_type;
            for (text, value) in [
                (&mut record.actor_id, &known.actor_id),
                (&mut record.actor_name, &known.actor_name),
                (&mut record.impersonator_id, &known.impersonator_id),
                (&mut record.impersonator_name, &known.impersonator_name),
                (&mut record.auth_method, &known.auth_method),
                (&mut record.credential_id, &known.credential_id),
                (&mut record.session_id, &known.session_id),
                (&mut record.tenant_id, &known.tenant_id),
                (&mut record.org_id, &known.org_id),
                (&mut record.channel, &known.channel),
                (&mut record.method, &known.method),
                (&mut record.route, &known.route),
                (&mut record.host, &known.host),
                (&mut record.user_agent, &known.user_agent),
                (&mut record.request_id, &known.request_id),
                (&mut record.correlation_id, &known.correlation_id),
                (&mut record.trace_id, &known.trace_id),
                (&mut record.span_id, &known.span_id),
            ] {
                text.set(value);
            }
            // Whole: the recorder applies the policy of the record's own category.
            record.ip = state.client.map(Address::new);
        });
        record
    }

    /// Sets the actor if nobody inside has said who it is.
    pub(super) fn suggest_actor(&self, actor: &Actor) {
        self.state(|state| {
            if let Some(open) = state.open.as_mut().filter(|_| !state.said.has(Said::ACTOR)) {
                open.record.set_actor(actor);
            }
        });
    }

    fn tell(&self, set: impl FnOnce(&mut Open)) -> &Self {
        self.say(Said::default(), set)
    }

    fn say(&self, what: Said, set: impl FnOnce(&mut Open)) -> &Self {
        self.state(|state| {
            if let Some(open) = state.open.as_mut() {
                set(open);
                state.said.add(what);
            }
        })
    }

    fn state(&self, change: impl FnOnce(&mut State)) -> &Self {
        let Some(cell) = &self.0 else { return self };
        let mut state = cell.lock();
        if state.open.is_some() {
            change(&mut state);
        } else if !state.said.has(Said::WARNED) {
            state.said.add(Said::WARNED);
            drop(state);
            tracing::warn!("an activity was told something after its record was finished");
        }
        self
    }

    pub(super) const fn cell(&self) -> Option<&Arc<Shared>> {
        self.0.as_ref()
    }

    /// Looks at the state of the draft, if there is one.
    pub(super) fn with(&self, look: impl FnOnce(&mut State)) {
        if let Some(cell) = &self.0 {
            look(&mut cell.lock());
        }
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            None => "detached",
            Some(_) if self.is_open() => "open",
            Some(_) => "finished",
        };
        f.debug_tuple("Activity").field(&state).finish()
    }
}

/// Keeps a keyed hash of a session id; the id itself goes no further than this.
pub(super) fn set_session(open: &mut Open, session: &str) {
    if let Some(keys) = open.config.recorder.keys() {
        let tenant = open.record.tenant_id.as_option();
        open.record.session_id = keys.pseudonym(Keys::SESSION, tenant, session).into();
    }
}

/// More text than any field keeps is not copied under a lock.
fn bounded(text: &str) -> &str {
    let text = text.trim();
    &text[..text.floor_char_boundary(8 * 1024)]
}

/// The record of a request was finished before the application had said everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record of this request is finished already")
    }
}

impl error::Error for TooLate {}

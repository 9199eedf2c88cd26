//! What the layer was told, behind one `Arc`.

use std::{fmt, sync::Arc};

use http::{HeaderName, request::Parts};

use super::{draft::Pool, refusal::Refusals};
use crate::{pipeline::Recorder, privacy::client::Trust, record::Actor};

pub(super) type ActorOf = Arc<dyn Fn(&Parts) -> Option<Actor> + Send + Sync>;
pub(super) type TextOf = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// The configuration of a layer and of all services that it made.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) recorder: Recorder,
    pub(super) pool: Arc<Pool>,
    pub(super) trust: Trust,
    pub(super) actor: Option<ActorOf>,
    pub(super) tenant: Option<TextOf>,
    pub(super) session: Option<TextOf>,
    pub(super) query: bool,
    pub(super) request_id: HeaderName,
    pub(super) make_request_id: bool,
    pub(super) refusals: Arc<Refusals>,
}

impl Config {
    /// Tells whether any closure of the application wants to see the request's parts.
    pub(super) const fn asks(&self) -> bool {
        self.actor.is_some() || self.tenant.is_some() || self.session.is_some()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("trust", &self.trust)
            .field("actor", &self.actor.is_some())
            .field("tenant", &self.tenant.is_some())
            .field("session", &self.session.is_some())
            .field("query", &self.query)
            .field("request_id", &self.request_id)
            .field("make_request_id", &self.make_request_id)
            .finish_non_exhaustive()
    }
}

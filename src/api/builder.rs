//! What can be set about the router.

use std::fmt;

use axum::Router;
use ipnet::IpNet;

use super::{
    access::{Access, AnyAccess},
    origin::Origins,
    router,
    state::Api,
};
use crate::{
    pipeline::Pipeline,
    privacy::{ForwardedHeader, client::Trust},
};

/// Sets up the API over a pipeline's store; [`Pipeline::api`] begins it.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_activity::{MemoryStore, Pipeline, access};
///
/// let activity = Pipeline::builder(MemoryStore::new()).start().await?;
/// let router = activity
///     .api(access::development())
///     .allow_origin("https://admin.example.com")
///     .into_router();
/// # drop(router);
/// # Ok(())
/// # }
/// ```
#[must_use = "the router is made by `into_router`"]
pub struct ApiBuilder<'p> {
    pipeline: &'p Pipeline,
    access: AnyAccess,
    settings: Settings,
}

/// What was set, for all handlers.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) trust: Trust,
    pub(super) origins: Origins,
}

impl Pipeline {
    /// Begins to set up the API over the pipeline's store; `access` says who may do what.
    pub fn api(&self, access: impl Access) -> ApiBuilder<'_> {
        let networks = self.recorder().rules().defaults().trusted_proxies().into();
        let trust = Trust { networks, header: ForwardedHeader::default() };
        let settings = Settings { trust, origins: Origins::default() };
        ApiBuilder { pipeline: self, access: AnyAccess::new(access), settings }
    }

    /// Returns the API over the pipeline's store, to be mounted anywhere; `access` says who may do what.
    ///
    /// A store that cannot be read (a [`Sink`](crate::pipeline::Sink)) answers every question with 501.
    /// [`api`](Self::api) is the same with settings.
    pub fn router(&self, access: impl Access) -> Router {
        self.api(access).into_router()
    }
}

impl ApiBuilder<'_> {
    /// Lets pages of this origin, as in `https://admin.example.com`, read answers (CORS, with credentials), hand in,
    /// take tickets and open WebSockets, as far as access goes. Those of the log's own origin always may. Defaults
    /// to no other.
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.settings.origins.allow(origin);
        self
    }

    /// Sets the networks whose word about the client's address is believed. Defaults to the
    /// `trusted_proxies` of the rules; a layer that was told others needs them here too.
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.settings.trust.networks = networks.into_iter().collect();
        self
    }

    /// Sets which header the trusted proxies write. Defaults to `X-Forwarded-For`, and `Forwarded` where
    /// there is none.
    pub fn forwarded_header(mut self, header: ForwardedHeader) -> Self {
        self.settings.trust.header = header;
        self
    }

    /// Returns the router, to be nested under a path or served by itself.
    ///
    /// At its root it shows browsers the viewer. It answers for unknown paths below its own. Under `nest_service("/activity", …)` it also answers
    /// `/activity/`, which axum's `nest` shows to no inner router. To merge it into a router on the same level see
    /// [`into_routes`](Self::into_routes).
    pub fn into_router(self) -> Router {
        router::whole(Api::new(self.pipeline, self.access, self.settings))
    }

    /// Returns the router without an answer for unknown paths and without `/`, to be merged into a router
    /// that has its own.
    pub fn into_routes(self) -> Router {
        router::routes(Api::new(self.pipeline, self.access, self.settings))
    }
}

impl fmt::Debug for ApiBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

//! The layer: what an application configures.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderName, request::Parts};
use ipnet::IpNet;
use tower_layer::Layer;

use super::{
    config::Config,
    draft::Pool,
    service::ActivityService,
    wrap::{OwnBody, SameBody},
};
use crate::{
    pipeline::Recorder,
    privacy::{ForwardedHeader, client::Trust},
    record::Actor,
};

/// The header that request ids are taken from.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whether this process has any layer: if not, a handler that asks for its handle was forgotten.
static BUILT: AtomicBool = AtomicBool::new(false);

#[cfg(feature = "axum")]
pub(super) fn was_built() -> bool {
    BUILT.load(Ordering::Relaxed)
}

/// Makes a service record what it does.
///
/// Put it **outside** of authentication, so that refused requests are seen too, and add it **last**:
/// routes and fallbacks that are added to an axum router after a layer are not inside it.
///
/// ```
/// # #[cfg(feature = "axum")]
/// # fn app(recorder: tower_activity::pipeline::Recorder) -> axum::Router {
/// use axum::{Router, routing::put};
/// use tower_activity::{capture::ActivityLayer, record::Actor};
///
/// Router::new()
///     .route("/api/orders/{id}", put(|| async {}))
///     .layer(
///         ActivityLayer::new(recorder)
///             .trusted_proxies(["10.0.0.0/8".parse().unwrap()])
///             .actor(|parts| {
///                 let key = parts.headers.get("x-key-name")?.to_str().ok()?;
///                 Some(Actor::api_key(key))
///             }),
///     )
/// # }
/// ```
///
/// Bodies keep their types, which takes a body type that can hold another body: those of axum and tonic
/// do. For plain hyper and tower services see [`any_body`](Self::any_body).
pub struct ActivityLayer<W = SameBody> {
    config: Arc<Config>,
    bodies: PhantomData<fn() -> W>,
}

impl ActivityLayer {
    /// Makes a layer that records through `recorder`, with the trusted proxies of its rules.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        let networks = recorder.rules().defaults().trusted_proxies().into();
        let config = Config {
            recorder,
            pool: Arc::new(Pool::new()),
            trust: Trust { networks, header: ForwardedHeader::default() },
            actor: None,
            tenant: None,
            session: None,
            query: false,
            request_id: REQUEST_ID,
            make_request_id: false,
            refusals: Arc::default(),
        };
        Self { config: Arc::new(config), bodies: PhantomData }
    }

    /// Makes a layer for services whose body types cannot hold another body.
    ///
    /// The inner service gets `Request<RequestBody<B>>`, and the caller `Response<ResponseBody<B>>`.
    #[must_use]
    pub fn any_body(self) -> ActivityLayer<OwnBody> {
        ActivityLayer { config: self.config, bodies: PhantomData }
    }
}

impl<W> ActivityLayer<W> {
    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.config));
        self
    }

    /// Sets the networks whose word about the client's address is believed. Defaults to the
    /// `trusted_proxies` of the rules.
    ///
    /// The client is the rightmost hop outside of them; the peer of the connection if it is outside itself.
    #[must_use]
    pub fn trusted_proxies(self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        let networks = networks.into_iter().collect();
        self.set(|config| config.trust.networks = networks)
    }

    /// Sets which header the trusted proxies write. Defaults to `X-Forwarded-For`, and `Forwarded`
    /// where there is none.
    #[must_use]
    pub fn forwarded_header(self, header: ForwardedHeader) -> Self {
        self.set(|config| config.trust.header = header)
    }

    /// Sets how to tell from the head of a request who acts. Defaults to nobody.
    ///
    /// The last of the sources: an actor in the request's extensions, a handler or inner layer that
    /// tells the [`Activity`](super::Activity), and an [`Actor`] in the response's extensions go before
    /// it, in rising order. Runs for every request that may be recorded, before the inner service.
    #[must_use]
    pub fn actor<F>(self, actor: F) -> Self
    where
        F: Fn(&Parts) -> Option<Actor> + Send + Sync + 'static,
    {
        self.set(|config| config.actor = Some(Arc::new(actor)))
    }

    /// Sets how to tell the tenant. Defaults to none.
    #[must_use]
    pub fn tenant<F>(self, tenant: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        self.set(|config| config.tenant = Some(Arc::new(tenant)))
    }

    /// Sets how to tell the session. Defaults to none.
    ///
    /// The record keeps a keyed hash of what this returns, and nothing if the pipeline has no keys.
    #[must_use]
    pub fn session<F>(self, session: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        self.set(|config| config.session = Some(Arc::new(session)))
    }

    /// Sets whether query strings are kept, with secrets masked. Defaults to false.
    #[must_use]
    pub fn query(self, keep: bool) -> Self {
        self.set(|config| config.query = keep)
    }

    /// Sets the header that request ids are taken from. Defaults to `x-request-id`.
    #[must_use]
    pub fn request_id(self, header: HeaderName) -> Self {
        self.set(|config| config.request_id = header)
    }

    /// Sets whether a request without an id gets one, which the service sees and the client is
    /// answered. Defaults to false.
    #[must_use]
    pub fn make_request_id(self, make: bool) -> Self {
        self.set(|config| config.make_request_id = make)
    }
}

impl<W> Clone for ActivityLayer<W> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), bodies: PhantomData }
    }
}

impl<W> fmt::Debug for ActivityLayer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ActivityLayer").field(&self.config).finish()
    }
}

impl<S, W> Layer<S> for ActivityLayer<W> {
    type Service = ActivityService<S, W>;

    fn layer(&self, inner: S) -> Self::Service {
        // Routers may ask anew for each request: a store each time would move the line between cores.
        if !BUILT.load(Ordering::Relaxed) {
            BUILT.store(true, Ordering::Relaxed);
        }
        ActivityService::new(inner, Arc::clone(&self.config))
    }
}

//! The service: opens a draft, calls the inner service, returns the future.

use std::{
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    Activity,
    activity::set_session,
    announce::{Announcement, Intent},
    begin,
    body::RequestBody,
    config::Config,
    draft::Draft,
    future::{MadeId, ResponseFuture, Step},
    guard::PanicGuard,
    head,
    wrap::{SameBody, WrapRequest, WrapResponse},
};
use crate::{
    record::RecordId,
    time::{IdSource as _, RandomIds},
};

/// Records what the inner service does.
///
/// Made by [`ActivityLayer`](super::ActivityLayer). The inner service has to be `Clone`, as servers ask of it
/// anyway: a strict request takes it along until its intent is on the disk. It is cloned for such requests only.
#[derive(Debug)]
pub struct ActivityService<S, W = SameBody> {
    inner: S,
    config: Arc<Config>,
    bodies: PhantomData<fn() -> W>,
}

impl<S, W> ActivityService<S, W> {
    pub(super) const fn new(inner: S, config: Arc<Config>) -> Self {
        Self { inner, config, bodies: PhantomData }
    }

    /// Returns the inner service.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, W> Clone for ActivityService<S, W> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.config))
    }
}

/// What the inner service is called with.
type Inner<W, B> = Request<<W as WrapRequest<B>>::Body>;

impl<S, W, ReqB, ResB> Service<Request<ReqB>> for ActivityService<S, W>
where
    W: WrapRequest<ReqB> + WrapResponse<ResB>,
    S: Service<Inner<W, ReqB>, Response = Response<ResB>> + Clone,
    S::Error: 'static,
    ReqB: Body,
    ResB: Body,
{
    type Response = Response<<W as WrapResponse<ResB>>::Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Inner<W, ReqB>, W>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let rules = self.config.recorder.rules();
        if let Some(outer) = request.extensions().get::<Activity>().filter(|a| a.is_open()) {
            // A layer inside another of ours: one request is one record, and it is the outer one's.
            let announced = begin::add_to_outer(rules, &request, outer)
                .zip(outer.cell())
                .map(|(config, cell)| Announcement::intent(Arc::clone(cell), config));
            let outer = outer.clone();
            let request = ask(&self.config, request, &outer).map(W::pass_request);
            return ResponseFuture::untouched(self.step(request, announced));
        }
        let Some(planned) = begin::plan(rules, &request) else {
            return ResponseFuture::untouched(self.step(request.map(W::pass_request), None));
        };
        let class = planned.class(&self.config);
        let announced = planned.must_be_announced(class);
        let mut draft = Some(begin::open(&self.config, &request, planned, class));
        let head_request = head::is_head(request.method());
        let guard = PanicGuard::new(&mut draft);
        // In a function of its own: the guard holds the draft while code of the application runs.
        let (step, made_id) = self.call_recorded(request, guard.draft(), announced);
        guard.disarm();
        match draft {
            Some(draft) => ResponseFuture::recorded(step, draft, head_request, made_id),
            None => ResponseFuture::untouched(step),
        }
    }
}

impl<S, W> ActivityService<S, W> {
    #[inline]
    fn call_recorded<ReqB, ResB>(
        &mut self,
        request: Request<ReqB>,
        draft: Option<&Draft>,
        announced: bool,
    ) -> (Step<S, Inner<W, ReqB>>, MadeId)
    where
        W: WrapRequest<ReqB> + WrapResponse<ResB>,
        S: Service<Inner<W, ReqB>, Response = Response<ResB>> + Clone,
        ReqB: Body,
        ResB: Body,
    {
        let Some(cell) = draft.and_then(Draft::cell) else {
            return (self.step(request.map(W::pass_request), None), None);
        };
        let announced =
            announced.then(|| Announcement::intent(Arc::clone(cell), Arc::clone(&self.config)));
        let activity = Activity::new(Arc::clone(cell));
        // A request is large: it is taken apart only for those who want to see its parts.
        let mut request = request;
        if self.config.asks() {
            request = ask(&self.config, request, &activity);
        }
        let made_id =
            self.config.make_request_id.then(|| make_id(&self.config, &mut request, &activity));
        request.extensions_mut().insert(activity);
        if request.body().is_end_stream() {
            return (self.step(request.map(W::pass_request), announced), made_id.flatten());
        }
        let copies = cell.lock().request.is_on();
        let cell = Arc::clone(cell);
        let request = request.map(|body| W::watch_request(RequestBody::new(body, cell, copies)));
        (self.step(request, announced), made_id.flatten())
    }

    /// Calls the inner service, or puts it off until the spool has the intent.
    ///
    /// Only what was polled ready may be called, and the permit or slot that this reserved may belong to the
    /// instance. So the future takes the ready instance with it, and a clone of it, which whoever calls next
    /// polls ready first, stays here. All other requests call the instance where it is, without a clone.
    #[inline]
    fn step<R>(&mut self, request: R, announced: Option<Announcement>) -> Step<S, R>
    where
        S: Service<R> + Clone,
    {
        let Some(announcement) = announced else {
            return Step::Called { future: self.inner.call(request) };
        };
        let fresh = self.inner.clone();
        let service = mem::replace(&mut self.inner, fresh);
        Step::Announced { intent: Some(Box::new(Intent { announcement, service, request })) }
    }
}

/// Asks the closures of the application who acts, for whom and in which session.
fn ask<B>(config: &Config, request: Request<B>, activity: &Activity) -> Request<B> {
    if !config.asks() {
        return request;
    }
    let (parts, body) = request.into_parts();
    // Before the lock is taken: closures may do as they like.
    let tenant = config.tenant.as_ref().and_then(|tenant| tenant(&parts));
    let actor = config.actor.as_ref().and_then(|actor| actor(&parts));
    let session = config.session.as_ref().and_then(|session| session(&parts));
    if let Some(actor) = &actor {
        activity.suggest_actor(actor);
    }
    activity.with(|state| {
        let Some(open) = state.open.as_mut() else { return };
        if let Some(tenant) = &tenant
            && open.record.tenant_id.is_absent()
        {
            open.record.tenant_id.set(begin::cut(tenant));
        }
        if let Some(session) = &session
            && open.record.session_id.is_absent()
        {
            set_session(open, session);
        }
    });
    Request::from_parts(parts, body)
}

/// Gives a request without an id one, and returns the header to answer it with.
fn make_id<B>(config: &Config, request: &mut Request<B>, activity: &Activity) -> MadeId {
    let mut made = None;
    activity.with(|state| {
        let Some(open) = state.open.as_mut() else { return };
        if open.record.request_id.is_absent() {
            let id = RecordId::from_bytes(RandomIds.id(config.recorder.clock().now())).to_string();
            open.record.request_id.set(&id);
            made = HeaderValue::from_str(&id).ok();
        }
    });
    let value = made?;
    request.headers_mut().insert(config.request_id.clone(), value.clone());
    Some(Box::new((config.request_id.clone(), value)))
}

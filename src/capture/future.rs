//! The future of a response: finishes the draft at the head, or hands it on to the body.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    announce::{self, Announcement, Intent},
    body::{ResponseBody, Watch},
    config::Config,
    draft::{Draft, Finished, Said},
    guard::PanicGuard,
    head::{self, Next},
    kind::error_kind,
    outcome::Ending,
    refusal::{self, Refusal, Refusals},
    wrap::WrapResponse,
};
use crate::pipeline::StrictRefused;

pin_project! {
    /// The response future of [`ActivityService`](super::ActivityService).
    ///
    /// Dropped before the response is there, it records the request as aborted. That of a strict request calls
    /// the service `S` with the request `R` only when the intent is on the disk.
    pub struct ResponseFuture<S, R, W>
    where
        S: Service<R>,
    {
        // Before the draft, so that an intent is taken back before the record of its end is handed in.
        #[pin]
        step: Step<S, R>,
        draft: Option<Draft>,
        head_request: bool,
        made_id: MadeId,
        // Boxed, because they are rare: a future is moved a few times before it is polled.
        waiting: Option<Box<Waiting<Result<S::Response, S::Error>>>>,
        bodies: PhantomData<fn() -> W>,
    }
}

pin_project! {
    /// How far a request has come.
    #[project = StepProjection]
    pub(super) enum Step<S, R>
    where
        S: Service<R>,
    {
        // Boxed for the same reason; none once it has been refused.
        Announced { intent: Option<Box<Intent<S, R>>> },
        Called { #[pin] future: S::Future },
    }
}

impl<S: Service<R>, R, W> ResponseFuture<S, R, W> {
    pub(super) const fn untouched(step: Step<S, R>) -> Self {
        Self {
            step,
            draft: None,
            head_request: false,
            made_id: None,
            waiting: None,
            bodies: PhantomData,
        }
    }

    pub(super) const fn recorded(
        step: Step<S, R>,
        draft: Draft,
        head_request: bool,
        made_id: MadeId,
    ) -> Self {
        Self { step, draft: Some(draft), head_request, made_id, waiting: None, bodies: PhantomData }
    }
}

impl<S: Service<R>, R, W> fmt::Debug for ResponseFuture<S, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("draft", &self.draft).finish_non_exhaustive()
    }
}

impl<S, D, W, B> Future for ResponseFuture<S, Request<D>, W>
where
    S: Service<Request<D>, Response = Response<B>>,
    S::Error: 'static,
    W: WrapResponse<B>,
    B: Body,
{
    type Output = Result<Response<W::Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(waiting) = this.waiting {
            let vouched = ready!(waiting.stage.poll(cx));
            if let Some(waiting) = this.waiting.take() {
                return Poll::Ready(waiting.stage.hand_on::<W, _, _>(waiting.held, vouched));
            }
        }
        if let StepProjection::Announced { intent } = this.step.as_mut().project() {
            // Taken out only when it is done: dropped while it waits, it goes before the draft.
            let Some(waiting) = intent else { return Poll::Pending };
            let vouched = ready!(waiting.announcement.poll(cx));
            let Some(announced) = intent.take() else { return Poll::Pending };
            let Intent { announcement, mut service, request } = *announced;
            if let Err(why) = vouched {
                let draft = this.draft.take();
                let made_id = this.made_id.take();
                let head = *this.head_request;
                let grpc = refusal::grpc_type(request.headers());
                let response = refuse::<W, B>(&announcement, why, draft, made_id, head, grpc);
                return Poll::Ready(Ok(response));
            }
            // Holds on to the draft's cell, which is to be free again by the end.
            drop(announcement);
            let guard = PanicGuard::new(this.draft);
            let future = service.call(request);
            drop(service);
            guard.disarm();
            this.step.as_mut().set(Step::Called { future });
        }
        let StepProjection::Called { future } = this.step.project() else { return Poll::Pending };
        if this.draft.is_none() {
            let result = ready!(future.poll(cx));
            return Poll::Ready(result.map(|response| response.map(W::pass_response)));
        }
        let guard = PanicGuard::new(this.draft);
        let polled = future.poll(cx);
        guard.disarm();
        let mut result = ready!(polled);
        if let (Some(made), Ok(response)) = (this.made_id.take(), result.as_mut()) {
            let (name, value) = *made;
            response.headers_mut().entry(name).or_insert(value);
        }
        let mut stage = match end(this.draft, &result, *this.head_request) {
            End::Here(None) => {
                return Poll::Ready(result.map(|response| response.map(W::pass_response)));
            }
            End::Here(Some(finished)) => Stage::Finished(finished),
            End::Later(watch) => {
                Stage::Head(watch.draft.as_ref().and_then(announce::at_head), watch)
            }
        };
        match stage.poll(cx) {
            Poll::Ready(vouched) => Poll::Ready(stage.hand_on::<W, _, _>(result, vouched)),
            // Only a strict request, a pipeline that waits for the disk before each response, or one that
            // was built to block makes a client wait for its answer.
            Poll::Pending => {
                *this.waiting = Some(Box::new(Waiting { stage, held: result }));
                Poll::Pending
            }
        }
    }
}

/// Answers a strict request that is not attempted, and records that.
fn refuse<W, B>(
    announcement: &Announcement,
    why: StrictRefused,
    draft: Option<Draft>,
    made_id: MadeId,
    head_request: bool,
    grpc: Option<HeaderValue>,
) -> Response<W::Body>
where
    W: WrapResponse<B>,
    B: Body,
{
    Refusals::say(announcement.config(), Refusal::Before, why);
    let (mut response, size) = Refusal::Before.answer::<W, B>(why, grpc);
    if let Some(made) = made_id {
        let (name, value) = *made;
        response.headers_mut().insert(name, value);
    }
    // Also where the draft is that of a layer outside of this one, which then sees this answer.
    announcement.refuse();
    if let Some(draft) = draft {
        let size = if head_request { 0 } else { size };
        let finished = draft.finish_if(|state| {
            head::read(state, &response, head::Announced::exactly(size), head_request);
            Some(Ending::Head { bytes: Some(size) })
        });
        // Dropped, it is handed in without waiting: the spool may have room again, or for this one.
        drop(finished);
    }
    response
}

/// The header that a made request id is answered with.
pub(super) type MadeId = Option<Box<(HeaderName, HeaderValue)>>;

/// An answer that waits, and what it waits for.
struct Waiting<T> {
    stage: Stage,
    held: T,
}

/// What is still to be done about the record before the head is handed on.
enum Stage {
    /// It has ended, and waits for room or for the disk.
    Finished(Finished),
    /// It goes on with the body, and what is known of it waits for the disk.
    Head(Option<Announcement>, Watch),
}

impl Stage {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StrictRefused>> {
        match self {
            Self::Finished(finished) => finished.poll(cx),
            // A spool that does not take it sheds no request: its record is still to come.
            Self::Head(Some(announcement), _) => announcement.poll(cx).map(|_| Ok(())),
            Self::Head(None, _) => Poll::Ready(Ok(())),
        }
    }

    /// Hands the answer on, or ours in its place if nobody vouches for the record.
    fn hand_on<W, B, E>(
        self,
        result: Result<Response<B>, E>,
        vouched: Result<(), StrictRefused>,
    ) -> Result<Response<W::Body>, E>
    where
        W: WrapResponse<B>,
        B: Body,
    {
        let response = result?;
        match self {
            Self::Head(_, watch) => {
                Ok(response.map(|body| W::watch_response(ResponseBody::new(body, watch))))
            }
            Self::Finished(finished) => match vouched {
                Ok(()) => Ok(response.map(W::pass_response)),
                Err(why) => Ok(replace::<W, B>(&response, finished.config(), why)),
            },
        }
    }
}

/// Answers a strict request whose outcome nobody vouches for.
fn replace<W, B>(instead_of: &Response<B>, config: &Config, why: StrictRefused) -> Response<W::Body>
where
    W: WrapResponse<B>,
    B: Body,
{
    Refusals::say(config, Refusal::After, why);
    let headers = instead_of.headers();
    let (mut response, _) = Refusal::After.answer::<W, B>(why, refusal::grpc_type(headers));
    if let Some(id) = headers.get(&config.request_id) {
        response.headers_mut().insert(config.request_id.clone(), id.clone());
    }
    response
}

enum End {
    Here(Option<Finished>),
    Later(Watch),
}

fn end<B: Body, E: 'static>(
    slot: &mut Option<Draft>,
    result: &Result<Response<B>, E>,
    head_request: bool,
) -> End {
    let Some(draft) = slot.take() else { return End::Here(None) };
    let response = match result {
        Ok(response) => response,
        Err(error) => return End::Here(draft.finish(&Ending::Failed(error_kind(error)))),
    };
    // Before the draft is looked into: the body may be the application's own, and do as it likes.
    let body = head::Announced::of(response.body());
    let mut watch = None;
    let finished = draft.finish_if(|state| match head::read(state, response, body, head_request) {
        Next::Discard => {
            state.said.add(Said::DISCARD);
            Some(Ending::Complete)
        }
        Next::Finish { bytes } => Some(Ending::Head { bytes }),
        Next::Watch { exact, copies } => {
            watch = Some((exact, copies, state.grpc));
            None
        }
    });
    match (finished, watch) {
        (Ok(finished), _) => End::Here(finished),
        (Err(draft), Some((exact, copies, grpc))) => {
            End::Later(Watch { draft: Some(draft), exact, copies, grpc })
        }
        // Not reached: a draft that is still open is one to watch.
        (Err(draft), None) => End::Here(draft.finish(&Ending::Complete)),
    }
}

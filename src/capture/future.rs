//! The future of a response: finishes the draft at the head, or hands it on to the body.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderName, HeaderValue, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    body::{ResponseBody, Watch},
    draft::{Draft, Finished, Said},
    guard::PanicGuard,
    head::{self, Next},
    kind::error_kind,
    outcome::Ending,
    wrap::WrapResponse,
};

pin_project! {
    /// The response future of [`ActivityService`](super::ActivityService).
    ///
    /// Dropped before the response is there, it records the request as aborted.
    pub struct ResponseFuture<F, W>
    where
        F: Future,
    {
        #[pin]
        inner: F,
        draft: Option<Draft>,
        head_request: bool,
        made_id: MadeId,
        // Boxed, because they are rare: a future is moved a few times before it is polled.
        waiting: Option<Box<Waiting<F::Output>>>,
        bodies: PhantomData<fn() -> W>,
    }
}

impl<F: Future, W> ResponseFuture<F, W> {
    pub(super) const fn untouched(inner: F) -> Self {
        Self {
            inner,
            draft: None,
            head_request: false,
            made_id: None,
            waiting: None,
            bodies: PhantomData,
        }
    }

    pub(super) const fn recorded(
        inner: F,
        draft: Draft,
        head_request: bool,
        made_id: MadeId,
    ) -> Self {
        Self {
            inner,
            draft: Some(draft),
            head_request,
            made_id,
            waiting: None,
            bodies: PhantomData,
        }
    }
}

impl<F: Future, W> fmt::Debug for ResponseFuture<F, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("draft", &self.draft).finish_non_exhaustive()
    }
}

impl<F, W, B, E> Future for ResponseFuture<F, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    W: WrapResponse<B>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<W::Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = if let Some(waiting) = this.waiting {
            ready!(waiting.finished.poll(cx));
            match this.waiting.take() {
                Some(waiting) => waiting.held,
                // Polled after completion: the inner future answers for that.
                None => ready!(this.inner.poll(cx)),
            }
        } else if this.draft.is_none() {
            ready!(this.inner.poll(cx))
        } else {
            let guard = PanicGuard::new(this.draft);
            let polled = this.inner.poll(cx);
            guard.disarm();
            let mut result = ready!(polled);
            if let (Some(made), Ok(response)) = (this.made_id.take(), result.as_mut()) {
                let (name, value) = *made;
                response.headers_mut().entry(name).or_insert(value);
            }
            match end(this.draft, &result, *this.head_request) {
                End::Here(None) => result,
                End::Here(Some(mut finished)) => {
                    if finished.poll(cx).is_pending() {
                        // Only a pipeline that was built to block makes a client wait for its answer.
                        *this.waiting = Some(Box::new(Waiting { finished, held: result }));
                        return Poll::Pending;
                    }
                    result
                }
                End::Later(watch) => {
                    return Poll::Ready(result.map(|response| {
                        response.map(|body| W::watch_response(ResponseBody::new(body, watch)))
                    }));
                }
            }
        };
        Poll::Ready(result.map(|response| response.map(W::pass_response)))
    }
}

/// The header that a made request id is answered with.
pub(super) type MadeId = Option<Box<(HeaderName, HeaderValue)>>;

/// What waits for room in the queue, and its record.
pub(super) struct Waiting<T> {
    pub(super) finished: Finished,
    pub(super) held: T,
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
            watch = Some((exact, copies));
            None
        }
    });
    match (finished, watch) {
        (Ok(finished), _) => End::Here(finished),
        (Err(draft), Some((exact, copies))) => {
            End::Later(Watch { draft: Some(draft), exact, copies })
        }
        // Not reached: a draft that is still open is one to watch.
        (Err(draft), None) => End::Here(draft.finish(&Ending::Complete)),
    }
}

//! The bodies around the bodies: counting, copying, and finishing the draft at the end.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Buf as _;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    draft::{Draft, Finished, Shared},
    future::Waiting,
    guard::PanicGuard,
    head,
    kind::error_kind,
    outcome::Ending,
};

pin_project! {
    /// The body of a request that counts, and copies where a rule asks for it, what the service reads.
    ///
    /// Frames pass as they are. Nothing is collected: a body that nobody reads stays unread.
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        seen: Option<Arc<Shared>>,
        copies: bool,
    }
}

impl<B> RequestBody<B> {
    pub(super) const fn new(inner: B, cell: Arc<Shared>, copies: bool) -> Self {
        Self { inner, seen: Some(cell), copies }
    }

    pub(super) const fn untouched(inner: B) -> Self {
        Self { inner, seen: None, copies: false }
    }

    /// Returns the body as it came.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.inner
    }
}

impl<B> fmt::Debug for RequestBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody").field("watched", &self.seen.is_some()).finish_non_exhaustive()
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = ready!(this.inner.as_mut().poll_frame(cx));
        if let Some(cell) = this.seen {
            let data = match &polled {
                Some(Ok(frame)) => frame.data_ref(),
                _ => None,
            };
            if let Some(data) = data {
                cell.request_bytes.fetch_add(data.remaining() as u64, Ordering::Relaxed);
            }
            if *this.copies {
                let mut state = cell.lock();
                if let Some(data) = data {
                    state.request.copy(data);
                }
                if polled.is_none() || this.inner.is_end_stream() {
                    state.request.end();
                }
            }
        }
        Poll::Ready(polled)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

pin_project! {
    /// The body of a response that finishes the record of its request when it ends.
    ///
    /// Frames, size hint and end pass as they are. The record is finished before the last frame is handed
    /// on, because servers drop a body of exact size without asking it for more; at the latest it is
    /// finished when the body is dropped, as `aborted` unless it had ended.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        #[pin]
        inner: B,
        watch: Option<Watch>,
        waiting: Option<Box<Waiting<Option<Result<Frame<B::Data>, B::Error>>>>>,
    }
}

/// What is to be known about a body.
pub(super) struct Watch {
    pub(super) draft: Option<Draft>,
    /// The announced size; unknown for gRPC, which ends in its trailers.
    pub(super) exact: Option<u64>,
    pub(super) copies: bool,
}

impl<B: Body> ResponseBody<B> {
    pub(super) const fn new(inner: B, watch: Watch) -> Self {
        Self { inner, watch: Some(watch), waiting: None }
    }

    pub(super) const fn untouched(inner: B) -> Self {
        Self { inner, watch: None, waiting: None }
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("watched", &self.watch.is_some())
            .finish_non_exhaustive()
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        if let Some(waiting) = this.waiting {
            ready!(waiting.finished.poll(cx));
            return Poll::Ready(this.waiting.take().and_then(|waiting| waiting.held));
        }
        let Some(watch) = this.watch else { return this.inner.poll_frame(cx) };
        let guard = PanicGuard::new(&mut watch.draft);
        let polled = this.inner.as_mut().poll_frame(cx);
        let at_end = polled.is_ready() && this.inner.is_end_stream();
        guard.disarm();
        let polled = ready!(polled);
        let Some(ending) = watch.see(polled.as_ref(), at_end) else { return Poll::Ready(polled) };
        let finished = this.watch.take().and_then(|watch| watch.finish(&ending));
        if let Some(mut finished) = finished
            && finished.poll(cx).is_pending()
        {
            // Only a pipeline that was built to block makes a client wait for its last frame.
            *this.waiting = Some(Box::new(Waiting { finished, held: polled }));
            return Poll::Pending;
        }
        Poll::Ready(polled)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        // A frame that waits for the queue is still to come.
        self.waiting.is_none() && self.inner.is_end_stream()
    }
}

impl Watch {
    /// Looks at what was polled; returns the ending if this was the last of it.
    fn see<D: bytes::Buf, E: 'static>(
        &self,
        polled: Option<&Result<Frame<D>, E>>,
        at_end: bool,
    ) -> Option<Ending> {
        let frame = match polled {
            None => return Some(self.end()),
            Some(Err(error)) => return Some(Ending::Failed(error_kind(error))),
            Some(Ok(frame)) => frame,
        };
        let cell = self.draft.as_ref().and_then(Draft::cell)?;
        let mut count = 0;
        if let Some(data) = frame.data_ref() {
            let bytes = data.remaining() as u64;
            count = cell.response_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
            if self.copies {
                cell.lock().response.copy(data);
            }
        }
        if let Some(trailers) = frame.trailers_ref() {
            head::grpc_status(&mut cell.lock(), trailers);
            return Some(self.end());
        }
        (at_end || self.exact.is_some_and(|exact| count >= exact)).then(|| self.end())
    }

    fn end(&self) -> Ending {
        if self.copies
            && let Some(cell) = self.draft.as_ref().and_then(Draft::cell)
        {
            cell.lock().response.end();
        }
        Ending::Complete
    }

    fn finish(mut self, ending: &Ending) -> Option<Finished> {
        self.draft.take()?.finish(ending)
    }
}

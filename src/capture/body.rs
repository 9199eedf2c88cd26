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
    guard::PanicGuard,
    head,
    kind::error_kind,
    outcome::Ending,
    refusal::{self, Refusal, Refusals},
};
use crate::pipeline::StrictRefused;

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
    ///
    /// Of a strict request the last frame is handed on when the disk has the record. If it does not take it, the
    /// body is cut off: with an error, or for gRPC with trailers that say INTERNAL.
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        // None where the answer is ours.
        #[pin]
        inner: Option<B>,
        answer: Option<B::Data>,
        watch: Option<Watch>,
        waiting: Option<Box<Last<B::Data, B::Error>>>,
        cut: bool,
    }
}

/// What `poll_frame` gives.
type Polled<D, E> = Option<Result<Frame<D>, E>>;

/// The last of a body, which waits for its record.
struct Last<D, E> {
    finished: Finished,
    held: Polled<D, E>,
    grpc: bool,
}

/// What is to be known about a body.
pub(super) struct Watch {
    pub(super) draft: Option<Draft>,
    /// The announced size; unknown for gRPC, which ends in its trailers.
    pub(super) exact: Option<u64>,
    pub(super) copies: bool,
    pub(super) grpc: bool,
}

impl<B: Body> ResponseBody<B> {
    pub(super) const fn new(inner: B, watch: Watch) -> Self {
        Self { inner: Some(inner), answer: None, watch: Some(watch), waiting: None, cut: false }
    }

    pub(super) const fn untouched(inner: B) -> Self {
        Self { inner: Some(inner), answer: None, watch: None, waiting: None, cut: false }
    }

    pub(super) const fn answering(answer: Option<B::Data>) -> Self {
        Self { inner: None, answer, watch: None, waiting: None, cut: false }
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
        if let Some(last) = this.waiting {
            let vouched = ready!(last.finished.poll(cx));
            *this.cut |= vouched.is_err();
            return Poll::Ready(this.waiting.take().and_then(|last| last.hand_on(vouched)));
        }
        if *this.cut {
            return Poll::Ready(None);
        }
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(this.answer.take().map(|data| Ok(Frame::data(data))));
        };
        let Some(watch) = this.watch else { return inner.poll_frame(cx) };
        let guard = PanicGuard::new(&mut watch.draft);
        let polled = inner.as_mut().poll_frame(cx);
        let at_end = polled.is_ready() && inner.is_end_stream();
        guard.disarm();
        let polled = ready!(polled);
        let Some(ending) = watch.see(polled.as_ref(), at_end) else { return Poll::Ready(polled) };
        let grpc = watch.grpc;
        let finished = this.watch.take().and_then(|watch| watch.finish(&ending));
        let Some(finished) = finished else { return Poll::Ready(polled) };
        let mut last = Last { finished, held: polled, grpc };
        match last.finished.poll(cx) {
            Poll::Ready(vouched) => {
                *this.cut |= vouched.is_err();
                Poll::Ready(last.hand_on(vouched))
            }
            // Only a strict request, a pipeline that waits for the disk before each response, or one that
            // was built to block makes a client wait for its last frame.
            Poll::Pending => {
                *this.waiting = Some(Box::new(last));
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Some(inner) => inner.size_hint(),
            None => SizeHint::with_exact(refusal::size(self.answer.as_ref())),
        }
    }

    fn is_end_stream(&self) -> bool {
        // A frame that waits for its record is still to come.
        self.waiting.is_none()
            && (self.cut
                || match &self.inner {
                    Some(inner) => inner.is_end_stream(),
                    None => self.answer.is_none(),
                })
    }
}

impl<D, E: 'static> Last<D, E> {
    /// Hands the last frame on, or cuts the body off if nobody vouches for the record.
    fn hand_on(self, vouched: Result<(), StrictRefused>) -> Polled<D, E> {
        let Err(why) = vouched else { return self.held };
        Refusals::say(self.finished.config(), Refusal::After, why);
        if let Some(Err(error)) = self.held {
            return Some(Err(error));
        }
        if self.grpc {
            let trailers = self.held.and_then(Result::ok).map(Frame::into_trailers);
            let mut trailers = trailers.and_then(Result::ok).unwrap_or_default();
            Refusal::After.write_grpc(why, &mut trailers);
            return Some(Ok(Frame::trailers(trailers)));
        }
        // Where no such error can be made the frame is kept back all the same: a client that was told the
        // size of the body sees that it lacks something.
        refusal::cut_off().map(Err)
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

//! The answers that are ours: a strict request whose record nobody can vouch for.

use std::{
    any::Any,
    error::Error,
    fmt, io,
    marker::PhantomData,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{config::Config, wrap::WrapResponse};
use crate::pipeline::StrictRefused;

/// On which side of the handler the spool failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The intent could not be kept: the service was not called.
    Before,
    /// The outcome could not be kept: the service has done what it does.
    After,
}

impl Refusal {
    const fn status(self) -> StatusCode {
        match self {
            Self::Before => StatusCode::SERVICE_UNAVAILABLE,
            Self::After => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// UNAVAILABLE may be tried again, INTERNAL must be looked into.
    const fn grpc_status(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Before => "14",
            Self::After => "13",
        })
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Before => {
                "the operation was not attempted, because its audit record could not be kept"
            }
            Self::After => {
                "the operation was carried out, or may have been, but its audit record could not be completed"
            }
        }
    }

    /// What whoever asked is to do about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::Before => "try again later",
            Self::After => "look before trying again",
        }
    }

    const fn problem(self) -> &'static str {
        match self {
            Self::Before => {
                r#""type":"urn:tower-activity:problem:not-attempted","title":"Service Unavailable","status":503"#
            }
            Self::After => {
                r#""type":"urn:tower-activity:problem:outcome-not-recorded","title":"Internal Server Error","status":500"#
            }
        }
    }

    /// Says what happened, and what may be done about it. Nothing in it has to be escaped in JSON, or
    /// percent-encoded as a message of gRPC.
    fn text(self, why: StrictRefused) -> String {
        let detail = self.detail();
        match (why.cut(), self) {
            (None, _) => format!("{detail}; {}", self.advice()),
            (Some(cut), Self::Before) => format!("{detail} whole; {cut}"),
            (Some(cut), Self::After) => format!("{detail}; {cut}; {}", self.advice()),
        }
    }

    /// Makes the answer: a problem, or for gRPC trailers without anything before them. The size of its body
    /// comes with it.
    pub(super) fn answer<W: WrapResponse<B>, B: Body>(
        self,
        why: StrictRefused,
        grpc: Option<HeaderValue>,
    ) -> (Response<W::Body>, u64) {
        let (body, size) = W::answer(if grpc.is_some() {
            Bytes::new()
        } else {
            format!(r#"{{{},"detail":"{}"}}"#, self.problem(), self.text(why)).into()
        });
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        if let Some(content_type) = grpc {
            headers.insert(header::CONTENT_TYPE, content_type);
            self.write_grpc(why, headers);
            return (response, size);
        }
        if size > 0 {
            let problem = HeaderValue::from_static("application/problem+json");
            headers.insert(header::CONTENT_TYPE, problem);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        *response.status_mut() = self.status();
        (response, size)
    }

    /// Writes the status of a call into its trailers, instead of the one that is there.
    pub(super) fn write_grpc(self, why: StrictRefused, trailers: &mut HeaderMap) {
        trailers.insert("grpc-status", self.grpc_status());
        let message = HeaderValue::try_from(self.text(why));
        trailers.insert("grpc-message", message.unwrap_or(HeaderValue::from_static(self.detail())));
        // What the service said about its own status.
        trailers.remove("grpc-status-details-bin");
    }
}

/// Returns the content type of a gRPC message; `None` for everything else.
pub(super) fn grpc_type(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(header::CONTENT_TYPE)?;
    value.as_bytes().starts_with(b"application/grpc").then(|| value.clone())
}

/// Counts refusals, and says so aloud: the first at once, then at most once a minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: AtomicU64,
    /// Monotonic microseconds of the last time, plus one; 0 before the first.
    said_at: AtomicU64,
}

const SAY_EVERY: Duration = Duration::from_secs(60);

impl Refusals {
    pub(super) fn say(config: &Config, which: Refusal, why: StrictRefused) {
        let this = &config.refusals;
        let count = this.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let now = micros(config.recorder.clock().monotonic()).saturating_add(1);
        let last = this.said_at.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last) < micros(SAY_EVERY) {
            return;
        }
        // One of those who come here at the same time speaks.
        if this.said_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let what = match which {
                Refusal::Before => "a strict request was refused, its handler did not run",
                Refusal::After => "the outcome of a strict request could not be kept",
            };
            tracing::error!(%why, count, "{what}");
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX - 1)
}

/// The body of an answer that has not gone the way of the others: its record was not kept.
#[derive(Debug)]
struct Unvouched;

impl fmt::Display for Unvouched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the audit record of the request could not be completed")
    }
}

impl Error for Unvouched {}

/// Makes the error that cuts an answer off, of whatever type the errors of its body are; `None` for types
/// that nothing is known of.
pub(super) fn cut_off<E: 'static>() -> Option<E> {
    given::<E, Box<dyn Error + Send + Sync>>(|| Unvouched.into())
        .or_else(|| given(|| io::Error::other(Unvouched)))
        .or_else(|| super::with_axum::body_error(|| Unvouched.into()))
        .or_else(grpc_error)
}

#[cfg(feature = "tonic")]
fn grpc_error<E: 'static>() -> Option<E> {
    given(|| tonic::Status::internal(Unvouched.to_string()))
}

#[cfg(not(feature = "tonic"))]
const fn grpc_error<E: 'static>() -> Option<E> {
    None
}

/// Makes a frame's data of a text, of whatever type the data of a body is; `None` for types that nothing is
/// known of.
pub(super) fn data<D: 'static>(text: Bytes) -> Option<D> {
    if text.is_empty() {
        return None;
    }
    let mut text = Some(text);
    let mut take = || text.take().unwrap_or_default();
    given::<D, Bytes>(&mut take)
        .or_else(|| given(|| Vec::from(take())))
        .or_else(|| given(|| String::from_utf8(take().into()).unwrap_or_default()))
        .or_else(|| given(|| PLAIN))
}

/// For bodies whose data are as old as the program.
const PLAIN: &[u8] = br#"{"title":"the audit record of this request could not be kept"}"#;

/// Makes a `T` if it is an `M`.
pub(super) fn given<T: 'static, M: 'static>(make: impl FnOnce() -> M) -> Option<T> {
    let mut slot = None::<T>;
    let any: &mut dyn Any = &mut slot;
    *any.downcast_mut::<Option<M>>()? = Some(make());
    slot
}

pin_project! {
    /// A body of one frame, in place of one that the service did not make.
    pub(super) struct Answer<D, E> {
        data: Option<D>,
        errors: PhantomData<fn() -> E>,
    }
}

impl<D, E> Answer<D, E> {
    pub(super) const fn new(data: Option<D>) -> Self {
        Self { data, errors: PhantomData }
    }
}

impl<D: Buf, E> Body for Answer<D, E> {
    type Data = D;
    type Error = E;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<D>, E>>> {
        Poll::Ready(self.project().data.take().map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(size(self.data.as_ref()))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }
}

/// Returns the bytes of a frame's data.
pub(super) fn size<D: Buf>(data: Option<&D>) -> u64 {
    data.map_or(0, |data| data.remaining() as u64)
}

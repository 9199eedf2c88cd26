//! How the layer gets between a body and its reader.
//!
//! Counting and copying frames takes a body around the body. Frameworks with an erased body type (axum,
//! tonic) can hold the outer one in the same type, at the cost of a box, which is paid only where there is
//! something to watch: [`SameBody`]. Everything else gets the outer type itself: [`OwnBody`].

use bytes::Bytes;
use http_body::Body;

use super::{
    body::{RequestBody, ResponseBody},
    refusal::{self, Answer},
};

/// Keeps the body types of the service; the default, for axum and tonic.
///
/// An untouched request and an answer that is complete at its head pass without an allocation.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SameBody;

/// Gives the inner service a [`RequestBody`] and returns a [`ResponseBody`]: for plain hyper and tower
/// services, whatever their bodies are.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct OwnBody;

/// A body type that can hold any body with the same data and errors.
///
/// Implemented for the bodies of axum and tonic. For a boxed body of one's own:
///
/// ```
/// use std::{convert::Infallible, pin::Pin, task::{Context, Poll}};
/// use bytes::Bytes;
/// use http_body::{Body, Frame};
/// use tower_activity::capture::RewrapBody;
///
/// struct Boxed(Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>);
///
/// impl Body for Boxed {
///     type Data = Bytes;
///     type Error = Infallible;
///
///     fn poll_frame(
///         mut self: Pin<&mut Self>,
///         cx: &mut Context<'_>,
///     ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
///         self.0.as_mut().poll_frame(cx)
///     }
/// }
///
/// impl RewrapBody for Boxed {
///     fn rewrap<B>(body: B) -> Self
///     where
///         B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
///     {
///         Self(Box::pin(body))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the layer cannot watch a `{Self}` without changing its type",
    note = "for services with other bodies than those of axum and tonic, use `ActivityLayer::new(..).any_body()`"
)]
pub trait RewrapBody: Body + Sized {
    /// Puts a body into this type.
    fn rewrap<B>(body: B) -> Self
    where
        B: Body<Data = Self::Data, Error = Self::Error> + Send + 'static;
}

/// Says what the inner service gets for a body of type `B`; sealed.
pub trait WrapRequest<B>: sealed::Sealed {
    /// The body that the inner service gets.
    type Body;

    #[doc(hidden)]
    fn watch_request(body: RequestBody<B>) -> Self::Body;

    #[doc(hidden)]
    fn pass_request(body: B) -> Self::Body;
}

/// Says what the caller gets for a body of type `B`; sealed.
pub trait WrapResponse<B: Body>: sealed::Sealed {
    /// The body that the caller gets.
    type Body;

    #[doc(hidden)]
    fn watch_response(body: ResponseBody<B>) -> Self::Body;

    #[doc(hidden)]
    fn pass_response(body: B) -> Self::Body;

    /// Makes a body of ours, and tells its size: 0 where the data of such bodies cannot be made.
    #[doc(hidden)]
    fn answer(text: Bytes) -> (Self::Body, u64);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::SameBody {}
    impl Sealed for super::OwnBody {}
}

impl<B> WrapRequest<B> for SameBody
where
    B: RewrapBody + Send + 'static,
{
    type Body = B;

    fn watch_request(body: RequestBody<B>) -> B {
        B::rewrap(body)
    }

    fn pass_request(body: B) -> B {
        body
    }
}

impl<B> WrapResponse<B> for SameBody
where
    B: RewrapBody + Send + 'static,
    B::Data: Send,
    B::Error: Send + 'static,
{
    type Body = B;

    fn watch_response(body: ResponseBody<B>) -> B {
        B::rewrap(body)
    }

    fn pass_response(body: B) -> B {
        body
    }

    fn answer(text: Bytes) -> (B, u64) {
        let data = refusal::data::<B::Data>(text);
        let size = refusal::size(data.as_ref());
        (B::rewrap(Answer::new(data)), size)
    }
}

impl<B> WrapRequest<B> for OwnBody {
    type Body = RequestBody<B>;

    fn watch_request(body: RequestBody<B>) -> RequestBody<B> {
        body
    }

    fn pass_request(body: B) -> RequestBody<B> {
        RequestBody::untouched(body)
    }
}

impl<B: Body> WrapResponse<B> for OwnBody
where
    B::Data: 'static,
{
    type Body = ResponseBody<B>;

    fn watch_response(body: ResponseBody<B>) -> ResponseBody<B> {
        body
    }

    fn pass_response(body: B) -> ResponseBody<B> {
        ResponseBody::untouched(body)
    }

    fn answer(text: Bytes) -> (ResponseBody<B>, u64) {
        let data = refusal::data::<B::Data>(text);
        let size = refusal::size(data.as_ref());
        (ResponseBody::answering(data), size)
    }
}

#[cfg(feature = "tonic")]
impl RewrapBody for tonic::body::Body {
    fn rewrap<B>(body: B) -> Self
    where
        B: Body<Data = Self::Data, Error = Self::Error> + Send + 'static,
    {
        Self::new(body)
    }
}

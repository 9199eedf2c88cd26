//! All that is axum's: templates, addresses, the extractor, and bodies that hold bodies.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use axum::extract::{
    ConnectInfo, FromRequestParts, MatchedPath, OptionalFromRequestParts, OriginalUri,
};
use http::{Extensions, Uri, request::Parts};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{Activity, RewrapBody};

/// Returns the template of the route that a router matched.
pub(super) fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

/// Returns the URI from before nested routers stripped it.
pub(super) fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    extensions.get::<OriginalUri>().map(|original| &original.0)
}

/// Returns the peer of the connection, where the app is served with connect info.
pub(super) fn connect_info(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// Makes an error of axum's bodies, if that is what is asked for.
pub(super) fn body_error<E: 'static>(error: impl FnOnce() -> axum::BoxError) -> Option<E> {
    super::refusal::given(|| axum::Error::new(error()))
}

impl<S: Send + Sync> FromRequestParts<S> for Activity {
    type Rejection = Infallible;

    /// Never fails: where no layer is, or no rule can record the request, the handle is detached.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        static WARNED: AtomicBool = AtomicBool::new(false);
        if let Some(activity) = parts.extensions.get::<Self>() {
            return Ok(activity.clone());
        }
        if !super::layer::was_built() && !WARNED.swap(true, Ordering::Relaxed) {
            tracing::warn!("a handler takes an `Activity`, but no `ActivityLayer` was added");
        }
        Ok(Self::detached())
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Activity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

impl RewrapBody for axum::body::Body {
    fn rewrap<B>(body: B) -> Self
    where
        B: Body<Data = Self::Data, Error = Self::Error> + Send + 'static,
    {
        Self::new(Flat { inner: body })
    }
}

pin_project! {
    /// Takes axum's box off the errors of a body, because axum puts it on again.
    ///
    /// Two boxes would hide the error from those who look for its type, such as axum itself when it
    /// decides between 400 and 413.
    struct Flat<B> {
        #[pin]
        inner: B,
    }
}

impl<B: Body<Error = axum::Error>> Body for Flat<B> {
    type Data = B::Data;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().inner.poll_frame(cx).map_err(axum::Error::into_inner)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

//! The handle as an extractor of axum.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, Ordering},
};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::Activity;

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

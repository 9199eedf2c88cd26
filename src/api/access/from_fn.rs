//! Access decided by a closure.

use std::{fmt, future::Future};

use http::request::Parts;

use super::{Access, Denial, Grant};

/// Decides by a closure over the head of the request.
///
/// ```
/// use tower_activity::{access::{self, Denial, Grant, Permissions}, record::Actor};
///
/// let access = access::from_fn(|parts| {
///     let name = parts.headers.get("x-user").and_then(|name| name.to_str().ok());
///     let answer = match name {
///         Some(name) => Ok(Grant::new(Actor::user(name), Permissions::viewer())),
///         None => Err(Denial::Forbidden { detail: "please log in".to_owned() }),
///     };
///     async move { answer }
/// });
/// # drop(access);
/// ```
pub fn from_fn<F, Deciding>(decide: F) -> FromFn<F>
where
    F: Fn(&Parts) -> Deciding + Send + Sync + 'static,
    Deciding: Future<Output = Result<Grant, Denial>> + Send + 'static,
{
    FromFn(decide)
}

/// The access part that [`from_fn`] returns.
#[derive(Clone)]
pub struct FromFn<F>(F);

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

impl<F, Deciding> Access for FromFn<F>
where
    F: Fn(&Parts) -> Deciding + Send + Sync + 'static,
    Deciding: Future<Output = Result<Grant, Denial>> + Send + 'static,
{
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        (self.0)(parts).await
    }
}

//! Who may do what with the log: decided by the application, through one trait.
//!
//! Closed by default: `()` refuses everybody and says how to let somebody in. The whole of it, with proxies,
//! browsers and tenants, is told in `docs/access.md`; `examples/access.rs` is an application to copy from.

mod basic;
mod development;
mod from_fn;
mod or;
mod permissions;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use http::request::Parts;

pub use basic::{BadLogin, BadPassword, Basic, BasicWith, Login, Password, basic, basic_with};
pub use development::{Development, development};
pub use from_fn::{FromFn, from_fn};
pub use or::Or;
pub use permissions::{Permission, Permissions};

use crate::record::{Actor, Category};

/// Decides who may do what.
///
/// Asked once for each request, before anything is read. Whatever it grants holds for this request alone (for
/// a live session: until it ends).
pub trait Access: Send + Sync + 'static {
    /// Says who is calling and what he may do, from the head of the request.
    ///
    /// # Errors
    ///
    /// When the caller is nobody who may come in.
    fn grant(&self, parts: &Parts) -> impl Future<Output = Result<Grant, Denial>> + Send;

    /// Asks `other` where this one says that nobody has said who he is.
    ///
    /// Whoever is known here and may not come in stays outside.
    #[must_use]
    fn or<B: Access>(self, other: B) -> Or<Self, B>
    where
        Self: Sized,
    {
        Or { first: self, second: other }
    }
}

/// Who is calling, and what he may do.
#[derive(Debug, Clone)]
pub struct Grant {
    actor: Actor,
    permissions: Permissions,
    tenant: Option<String>,
    service: Option<String>,
}

impl Grant {
    /// Lets `actor` do what `permissions` allow, in all tenants.
    #[must_use]
    pub fn new(actor: Actor, permissions: Permissions) -> Self {
        Self { actor, permissions, tenant: None, service: None }
    }

    /// Limits everything he sees and hands in to one tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Names the service that he speaks for: the `service` of what he hands in.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Returns who is calling.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns what he may do.
    #[must_use]
    pub const fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// Returns the only tenant that he may see; `None` for all.
    #[must_use]
    pub fn only_tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the service that he speaks for.
    #[must_use]
    pub fn speaks_for(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Tells whether he may do this.
    #[must_use]
    pub const fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Tells whether he may read records of this category.
    #[must_use]
    pub const fn may_read(&self, category: Category) -> bool {
        self.may(match category {
            Category::System => Permission::Configure,
            Category::Authentication => Permission::ViewAuthentication,
            _ => Permission::ViewActions,
        })
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// Nobody said who he is: 401, with this challenge (RFC 9110, `WWW-Authenticate`) if there is one.
    Unauthenticated {
        /// The challenge, as in `Basic realm="activity"`.
        challenge: Option<String>,
        /// What to do, in a sentence.
        detail: String,
    },
    /// He is known, and may not: 403.
    Forbidden {
        /// What to do, in a sentence.
        detail: String,
    },
    /// It cannot be told now: 429, with this many seconds to wait.
    Later {
        /// When to come back.
        seconds: u64,
        /// What to do, in a sentence.
        detail: String,
    },
}

impl Access for () {
    async fn grant(&self, _parts: &Parts) -> Result<Grant, Denial> {
        Err(Denial::Forbidden {
            detail: "the log is closed: give its router an access part, as in \
                     `activity.router(access::from_fn(…))` or `access::basic(…)`"
                .to_owned(),
        })
    }
}

/// An access part without its type.
#[derive(Clone)]
pub(super) struct AnyAccess(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn grant<'a>(
        &'a self,
        parts: &'a Parts,
    ) -> Pin<Box<dyn Future<Output = Result<Grant, Denial>> + Send + 'a>>;
}

impl<A: Access> Erased for A {
    fn grant<'a>(
        &'a self,
        parts: &'a Parts,
    ) -> Pin<Box<dyn Future<Output = Result<Grant, Denial>> + Send + 'a>> {
        Box::pin(Access::grant(self, parts))
    }
}

impl AnyAccess {
    pub(super) fn new(access: impl Access) -> Self {
        Self(Arc::new(access))
    }

    pub(super) async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        self.0.grant(parts).await
    }
}

impl fmt::Debug for AnyAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyAccess").finish_non_exhaustive()
    }
}

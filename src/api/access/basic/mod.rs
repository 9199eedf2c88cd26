//! Access by name and password: HTTP's own Basic authentication (RFC 7617).

mod credentials;
mod password;

use std::{collections::HashMap, error, fmt, future::Future, sync::Arc};

use http::request::Parts;

use super::{Access, Denial, Grant, Permissions};
use crate::record::Actor;
use credentials::Credentials;
use password::Known;
pub use password::{BadPassword, Password};

const CHALLENGE: &str = r#"Basic realm="activity", charset="UTF-8""#;

/// Lets in whoever gives a name and its password.
///
/// Passwords travel with each request: use it behind TLS, or on a network that nobody else is on. They are not
/// kept as they are (see [`Password`]), are compared in constant time, and unknown names take as long as
/// wrong passwords. Refused attempts are records, counted when there are many.
///
/// ```
/// use tower_activity::access::{self, Login, Password, Permissions};
///
/// let access = access::basic([
///     Login::new("guest", Password::plain("look around")?, Permissions::viewer()),
///     Login::new("ana", Password::plain("take it away")?, Permissions::admin()).tenant("t1"),
/// ])?;
/// # drop(access);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// When two logins have one name, or a name is empty or holds a colon or a control character, which cannot
/// be sent.
pub fn basic(logins: impl IntoIterator<Item = Login>) -> Result<Basic, BadLogin> {
    let mut known = HashMap::new();
    for login in logins {
        let name = login.name.clone();
        if name.is_empty() || name.contains(':') || name.contains(char::is_control) {
            return Err(BadLogin { name, problem: "has a name that cannot be sent" });
        }
        let grant = login.grant();
        if known.insert(name.clone(), (Known::new(login.password), grant)).is_some() {
            return Err(BadLogin { name, problem: "is there twice" });
        }
    }
    let decoy = known.values().map(|(known, _)| known.decoy()).max_by_key(Known::is_slow);
    Ok(Basic { known: Arc::new(known), decoy: decoy.map(Arc::new) })
}

/// Lets in whom `verify` knows by name and password: where the passwords are somewhere else.
///
/// `verify` sees to it that it takes as long for unknown names, and that many attempts at once do not
/// exhaust the machine.
///
/// ```
/// use tower_activity::{access::{self, Grant, Permissions}, record::Actor};
///
/// let access = access::basic_with(|name: String, password: String| async move {
///     let is_right = name == "ana" && password == "asked of a directory";
///     is_right.then(|| Grant::new(Actor::user(name), Permissions::viewer()))
/// });
/// # drop(access);
/// ```
pub fn basic_with<F, Verifying>(verify: F) -> BasicWith<F>
where
    F: Fn(String, String) -> Verifying + Send + Sync + 'static,
    Verifying: Future<Output = Option<Grant>> + Send + 'static,
{
    BasicWith(verify)
}

/// One who may log in: name, password, and what he may do.
#[derive(Debug, Clone)]
pub struct Login {
    name: String,
    password: Password,
    permissions: Permissions,
    tenant: Option<String>,
    service: Option<String>,
}

impl Login {
    /// Lets `name` do what `permissions` allow, in all tenants.
    #[must_use]
    pub fn new(name: impl Into<String>, password: Password, permissions: Permissions) -> Self {
        Self { name: name.into(), password, permissions, tenant: None, service: None }
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

    fn grant(&self) -> Grant {
        let mut grant = Grant::new(Actor::user(&self.name), self.permissions);
        if let Some(tenant) = &self.tenant {
            grant = grant.tenant(tenant);
        }
        if let Some(service) = &self.service {
            grant = grant.service(service);
        }
        grant
    }
}

/// A login that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLogin {
    name: String,
    problem: &'static str,
}

impl fmt::Display for BadLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the login `{}` {}", self.name.escape_debug(), self.problem)
    }
}

impl error::Error for BadLogin {}

/// The access part that [`basic`] returns.
#[derive(Clone)]
pub struct Basic {
    known: Arc<HashMap<String, (Known, Grant)>>,
    /// What is compared for a name that nobody has.
    decoy: Option<Arc<Known>>,
}

impl Access for Basic {
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        let Credentials { name, password } = Credentials::of(parts).ok_or_else(asked)?;
        let found = self.known.get(&name);
        let known = found.map(|(known, _)| known).or(self.decoy.as_deref()).ok_or_else(asked)?;
        let is_right = known.verify(password.clone()).await?;
        if !is_right
            && !known.is_slow()
            && let Some(slow) = self.decoy.as_deref().filter(|decoy| decoy.is_slow())
        {
            // A quick refusal would tell that the name is somebody's.
            slow.verify(password).await?;
        }
        found.filter(|_| is_right).map(|(_, grant)| grant.clone()).ok_or_else(asked)
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").field("names", &self.known.keys()).finish_non_exhaustive()
    }
}

/// The access part that [`basic_with`] returns.
#[derive(Clone)]
pub struct BasicWith<F>(F);

impl<F> fmt::Debug for BasicWith<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicWith").finish_non_exhaustive()
    }
}

impl<F, Verifying> Access for BasicWith<F>
where
    F: Fn(String, String) -> Verifying + Send + Sync + 'static,
    Verifying: Future<Output = Option<Grant>> + Send + 'static,
{
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        let Credentials { name, password } = Credentials::of(parts).ok_or_else(asked)?;
        (self.0)(name, password).await.ok_or_else(asked)
    }
}

/// One answer for everybody who is not let in: it does not tell which part was wrong.
fn asked() -> Denial {
    Denial::Unauthenticated {
        challenge: Some(CHALLENGE.to_owned()),
        detail: "the log asks for a name and its password".to_owned(),
    }
}

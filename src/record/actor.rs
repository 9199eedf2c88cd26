//! Who acted.

use super::words::ActorType;

/// Who acted: a kind of party, usually with an id, perhaps with a name.
///
/// ```
/// use tower_activity::record::Actor;
///
/// let ana = Actor::user("ana").named("Ana Diaz");
/// let job = Actor::system("nightly-report");
/// assert_ne!(ana, job);
/// assert_eq!(Actor::from("ana"), Actor::user("ana"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    kind: ActorType,
    id: String,
    name: String,
}

impl Actor {
    /// Makes an actor of the given kind.
    #[must_use]
    pub fn new(kind: ActorType, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), name: String::new() }
    }

    /// Makes a person.
    #[must_use]
    pub fn user(id: impl Into<String>) -> Self {
        Self::new(ActorType::User, id)
    }

    /// Makes another program.
    #[must_use]
    pub fn service(id: impl Into<String>) -> Self {
        Self::new(ActorType::Service, id)
    }

    /// Makes a key or token without a person behind it.
    #[must_use]
    pub fn api_key(id: impl Into<String>) -> Self {
        Self::new(ActorType::ApiKey, id)
    }

    /// Makes the application itself; `id` says which part of it.
    #[must_use]
    pub fn system(id: impl Into<String>) -> Self {
        Self::new(ActorType::System, id)
    }

    /// Makes a program that acts on a person's behalf by its own decisions.
    #[must_use]
    pub fn agent(id: impl Into<String>) -> Self {
        Self::new(ActorType::Agent, id)
    }

    /// Makes nobody known.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Adds the name as it is now.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Returns the kind of party.
    #[must_use]
    pub const fn kind(&self) -> ActorType {
        self.kind
    }

    /// Returns the id; empty when nobody is known.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the name; empty when none was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl From<&str> for Actor {
    /// Takes the id of a person.
    fn from(id: &str) -> Self {
        Self::user(id)
    }
}

impl From<String> for Actor {
    /// Takes the id of a person.
    fn from(id: String) -> Self {
        Self::user(id)
    }
}

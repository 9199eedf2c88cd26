//! What a request means, once its status is known.

use std::{error, fmt, sync::Arc};

use serde::{Serialize, ser::SerializeStruct};

use super::{Delivery, Description, How, Level, pattern::Pattern};
use crate::record::{Category, Operation};

/// A JSON pointer (RFC 6901) into a body.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pointer(Arc<str>);

/// Why a text is not a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerError(String);

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a JSON pointer: it starts with `/`, and `~` stands only as `~0` or `~1`",
            self.0.escape_debug()
        )
    }
}

impl error::Error for PointerError {}

impl Pointer {
    /// Parses a pointer that names something below the root.
    ///
    /// # Errors
    ///
    /// Refuses what RFC 6901 does, and the empty pointer, which is the whole body.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let mut chars = text.chars();
        let mut good = chars.next() == Some('/');
        while let Some(c) = chars.next() {
            good &= c != '~' || matches!(chars.next(), Some('0' | '1'));
        }
        if good { Ok(Self(text.into())) } else { Err(PointerError(text.to_owned())) }
    }

    /// Returns the pointer as `serde_json::Value::pointer` takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the id of a thing is read, unless the handler says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum EntityIdFrom {
    /// Nowhere.
    #[default]
    Nothing,
    /// From the path, by the parameter's name in the route template of the request.
    Param(Arc<str>),
    /// From the last segment of the answer's `Location`.
    Location,
    /// A created thing: from `Location`, else from the JSON answer when the plan scans it.
    Created,
    /// From a JSON request body.
    Request(Pointer),
    /// From a JSON response body.
    Response(Pointer),
    /// The acting party is the thing: its id is the actor's.
    Actor,
}

impl EntityIdFrom {
    /// Returns the name of the path parameter, if it is one.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Param(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for EntityIdFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Param(name) => write!(f, "{{{name}}}"),
            Self::Location => f.write_str("location"),
            Self::Created => f.write_str("created"),
            Self::Request(pointer) => write!(f, "request:{pointer}"),
            Self::Response(pointer) => write!(f, "response:{pointer}"),
            Self::Actor => f.write_str("actor"),
        }
    }
}

impl Serialize for EntityIdFrom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_none(),
            source => serializer.collect_str(source),
        }
    }
}

/// A further thing that a request concerns: the parent of a nested resource, or what a rule adds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelatedThing {
    /// The kind of thing.
    pub entity_type: Arc<str>,
    /// Where its id is read.
    pub id: EntityIdFrom,
    /// What it is to the entity: `parent`, `member`, or a rule's own word.
    pub relation: Arc<str>,
}

impl RelatedThing {
    pub(super) fn new(entity_type: &str, id: EntityIdFrom, relation: &str) -> Self {
        Self { entity_type: entity_type.into(), id, relation: relation.into() }
    }
}

impl Serialize for RelatedThing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut thing = serializer.serialize_struct("RelatedThing", 3)?;
        thing.serialize_field("type", &*self.entity_type)?;
        thing.serialize_field("id", &self.id)?;
        thing.serialize_field("relation", &*self.relation)?;
        thing.end()
    }
}

/// What a request means: the fields of a record that follow from route, method and status.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Meaning {
    /// The name of the rule, or `rest`, `rest:login` and the like for a convention.
    pub rule: Arc<str>,
    /// How sure this is.
    pub how: How,
    /// The kind of thing; absent where the route names none.
    pub entity_type: Option<Arc<str>>,
    /// What was done to it, in snake case.
    pub action: Arc<str>,
    /// The normalised verb.
    pub operation: Operation,
    /// The kind of fact.
    pub category: Category,
    /// 0 to 6 as in OCSF, when a rule says so.
    pub severity: Option<u8>,
    /// Where the entity's id is read, unless the handler says it.
    pub entity_id: EntityIdFrom,
    /// Further things, parents first, from the outermost in.
    pub related: Box<[RelatedThing]>,
    /// How much is kept; never [`Level::None`] in what [`Plan::decide`](super::Plan::decide) gives.
    pub level: Level,
    /// What a rule asks for; the global class holds where that is stricter.
    pub delivery: Delivery,
    /// The sentence of a rule.
    pub description: Option<Description>,
    /// Keys to redact beside the usual ones.
    pub redact: Arc<[Arc<str>]>,
    /// Where a refused login names the account that was tried, in the request body, in order.
    ///
    /// The record keeps a keyed pseudonym of the first that is a text, never the text itself.
    pub attempted_account: Arc<[Pointer]>,
    /// The rule's route and the request's, to read parameters by.
    pub(super) paths: [Option<Arc<Pattern>>; 2],
}

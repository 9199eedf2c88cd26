//! What routes mean where no rule says it: the conventions of REST, gRPC and authentication.
//!
//! A vocabulary of English and of HTTP, not a table of routes: what holds for one API holds for
//! the next. Every decision leaves a step that says why, and what rests on nothing is a guess.

mod actions;
mod authentication;
mod convention;
mod grpc;
mod links;
mod place;
mod segments;
mod vocabulary;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{
    EntityIdFrom, How, RelatedThing,
    meaning::Pointer,
    pattern::{Pattern, Segment},
    status::StatusSet,
};
use crate::record::{Category, Operation};

pub(super) use vocabulary::{category_of, operation_of};

/// One reading of a route, for some endings.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The name that records carry.
    pub(super) which: &'static str,
    pub(super) how: How,
    /// It belongs to the convention for authentication.
    pub(super) authentication: bool,
    pub(super) status: StatusSet,
    pub(super) entity_type: Option<String>,
    pub(super) action: String,
    pub(super) operation: Operation,
    pub(super) category: Category,
    pub(super) entity_id: EntityIdFrom,
    pub(super) parents: Vec<RelatedThing>,
    pub(super) accounts: Arc<[Pointer]>,
    pub(super) steps: Vec<String>,
}

impl Reading {
    pub(super) fn entity_type(&self) -> Option<&str> {
        self.entity_type.as_deref()
    }

    pub(super) fn is_read(&self) -> bool {
        self.operation == Operation::Read
    }
}

/// Reads a route: the readings that apply, in order, each for its endings; together they take
/// every ending that is recorded by convention.
pub(super) fn read(method: &str, template: Option<&Pattern>, ignore: &[String]) -> Vec<Reading> {
    let path = match template {
        Some(template) => {
            if let Some(reading) = grpc::read(method, template) {
                return vec![reading];
            }
            segments::read(template, ignore)
        }
        None => segments::Path::default(),
    };
    if is_graphql(template) && method == "POST" {
        return vec![graphql()];
    }
    let special = authentication::read(method, &path);
    let found = convention::find(method, path);
    let mut category = category_of(&found.action);
    if category.is_none() {
        category = found.entity.as_deref().and_then(vocabulary::category_of_entity);
    }
    let reading = Reading {
        which: "rest",
        how: found.how,
        authentication: false,
        status: endings(found.operation),
        entity_type: found.entity,
        action: found.action,
        operation: found.operation,
        category: category.unwrap_or_default(),
        entity_id: found.entity_id,
        parents: found.related,
        accounts: Arc::default(),
        steps: found.steps,
    };
    let mut readings = special;
    readings.push(reading);
    readings
}

/// Makes ready what the first reading would otherwise wait for: the plural rules, compiled once
/// per process.
pub(super) fn warm() {
    words::singular("things");
}

/// Mutations are recorded however they end; reads when they are refused or panic.
fn endings(operation: Operation) -> StatusSet {
    if operation == Operation::Read {
        StatusSet::of(&["denied", "panic"])
    } else {
        StatusSet::default()
    }
}

fn is_graphql(template: Option<&Pattern>) -> bool {
    matches!(
        template.and_then(|t| t.segments().last()),
        Some(Segment::Literal(text)) if text.eq_ignore_ascii_case("graphql")
    )
}

fn graphql() -> Reading {
    Reading {
        which: "rest",
        how: How::Convention,
        authentication: false,
        status: StatusSet::default(),
        entity_type: Some("graphql".to_owned()),
        action: "execute".to_owned(),
        operation: Operation::Execute,
        category: Category::Activity,
        entity_id: EntityIdFrom::Nothing,
        parents: Vec::new(),
        accounts: Arc::default(),
        steps: vec!["GraphQL executes: what, only the request tells".to_owned()],
    }
}

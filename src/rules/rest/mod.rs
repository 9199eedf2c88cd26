//! What routes mean where no rule says it.

use std::sync::Arc;

use super::{
    EntityIdFrom, How, Pointer, RelatedThing,
    pattern::{Pattern, Segment},
    status::StatusSet,
};
use crate::record::{Category, Operation};

/// One reading of a route, for some endings.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) which: &'static str,
    pub(super) how: How,
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

pub(super) fn read(method: &str, template: Option<&Pattern>, _ignore: &[String]) -> Vec<Reading> {
    let mut entity = None;
    let mut id = EntityIdFrom::Nothing;
    for segment in template.iter().flat_map(|t| t.segments()) {
        match segment {
            Segment::Literal(text) => {
                entity = Some(text.trim_end_matches('s').to_owned());
                id = EntityIdFrom::Nothing;
            }
            Segment::Param(name) => id = EntityIdFrom::Param((&**name).into()),
            _ => {}
        }
    }
    let (action, operation) = match method {
        "POST" => ("create", Operation::Create),
        "PUT" | "PATCH" => ("update", Operation::Update),
        "DELETE" => ("delete", Operation::Delete),
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "CONNECT" => ("read", Operation::Read),
        _ => ("execute", Operation::Execute),
    };
    let status = if operation == Operation::Read {
        StatusSet::of(&["denied", "panic"])
    } else {
        StatusSet::default()
    };
    vec![Reading {
        which: "rest",
        how: How::Convention,
        authentication: false,
        status,
        entity_type: entity,
        action: action.to_owned(),
        operation,
        category: Category::Activity,
        entity_id: id,
        parents: Vec::new(),
        accounts: Arc::from([]),
        steps: Vec::new(),
    }]
}

pub(super) fn operation_of(_action: &str) -> Option<Operation> {
    None
}

pub(super) fn category_of(_action: &str) -> Option<Category> {
    None
}

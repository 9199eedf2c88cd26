//! The REST convention: method and route into entity and action.
//!
//! One question after another; the first that says yes decides, and leaves a step that says why.

use super::{
    actions::{acts, phrase},
    links::link,
    place::{owner, place},
    segments::{Part, Path},
    vocabulary::{
        ACTION_LISTS, ACTION_MARKS, ACTION_PARAMS, ATTRIBUTES, BULK, CHOSEN, CONFIGURATIONS, Kind,
        MEDIA, ONE_THING, QUALIFIERS, verb,
    },
    words,
};
use crate::{
    record::Operation,
    rules::{EntityIdFrom, How, RelatedThing, methods::SAFE},
};

/// What the convention makes of a route.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entity: Option<String>,
    pub(super) action: String,
    pub(super) operation: Operation,
    pub(super) entity_id: EntityIdFrom,
    pub(super) related: Vec<RelatedThing>,
    pub(super) how: How,
    pub(super) steps: Vec<String>,
}

/// Reads a route.
pub(super) fn find(method: &str, mut path: Path) -> Found {
    let mut how = How::Convention;
    let mut steps = std::mem::take(&mut path.steps);
    let decision = decide(method, &mut path, &mut how, &mut steps);
    let place = place(&path, decision.entity_at, &mut steps);
    let mut entity = decision.entity.or(place.entity);
    if entity.is_none()
        && let Some(namespace) = &path.namespace
    {
        let name = words::entity(namespace);
        steps.push(format!("no resource is named: `{name}` stands before the version"));
        entity = Some(name);
        how = How::Guess;
    }
    if entity.is_none() {
        steps.push("the route names no resource".to_owned());
        how = How::Guess;
    }
    let mut related = place.parents;
    related.extend(decision.related);
    let made = matches!(decision.operation, Operation::Create) && place.id == EntityIdFrom::Nothing;
    Found {
        entity,
        entity_id: if made && decision.action == "create" {
            EntityIdFrom::Created
        } else {
            place.id
        },
        action: decision.action,
        operation: decision.operation,
        related,
        how,
        steps,
    }
}

/// What is done, and which part names the thing it is done to.
pub(super) struct Decision {
    pub(super) action: String,
    pub(super) operation: Operation,
    /// The place of the part that names the entity: the last thing before it counts.
    pub(super) entity_at: usize,
    /// A name that no single part gives.
    pub(super) entity: Option<String>,
    pub(super) related: Vec<RelatedThing>,
}

impl Decision {
    pub(super) fn new(action: impl Into<String>, operation: Operation, entity_at: usize) -> Self {
        Self { action: action.into(), operation, entity_at, entity: None, related: Vec::new() }
    }
}

fn decide(method: &str, path: &mut Path, how: &mut How, steps: &mut Vec<String>) -> Decision {
    let crud = crud(method);
    if let Some(custom) = path.custom.take() {
        if let Some((action, operation)) = phrase(&custom, true) {
            steps.push(format!("`{action}` after the path is the action"));
            return Decision::new(action, operation, path.parts.len());
        }
        steps.push(format!("`{}` after the path is a variant", custom.join("_")));
    }
    drop_marks(method, path, steps);
    let end = path.parts.len();
    let Some(last) = path.parts.last() else {
        return Decision::new(crud.0, crud.1, end);
    };
    let reads = crud.1 == Operation::Read;
    match last {
        Part::Id(Some(name)) if !reads && is_action_param(name) && end > 1 => {
            steps
                .push(format!("`{{{name}}}` names the action: what it is, only the request tells"));
            path.parts.pop();
            Decision::new("update", Operation::Update, end - 1)
        }
        Part::Id(_) | Part::Alias(_) => on_item(method, path, steps),
        Part::Thing(_) if reads => {
            let many = last_words(&path.parts)
                .is_some_and(|w| w.last().is_some_and(|w| words::is_plural(w)));
            let action = if many { "list" } else { "read" };
            steps.push(format!("{method} reads"));
            Decision::new(action, Operation::Read, end)
        }
        Part::Thing(_) => on_thing(method, path, how, steps),
    }
}

/// Returns what a method does to a thing, when nothing else is known.
fn crud(method: &str) -> (&'static str, Operation) {
    match method {
        "POST" => ("create", Operation::Create),
        "PUT" | "PATCH" => ("update", Operation::Update),
        "DELETE" => ("delete", Operation::Delete),
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "CONNECT" => ("read", Operation::Read),
        _ if SAFE.contains(&method) => ("read", Operation::Read),
        _ => ("execute", Operation::Execute),
    }
}

fn last_words(parts: &[Part]) -> Option<&[String]> {
    match parts.last() {
        Some(Part::Thing(words)) => Some(words),
        _ => None,
    }
}

fn is_action_param(name: &str) -> bool {
    let words = words::split(name);
    words.len() == 1 && ACTION_PARAMS.contains(&words[0].as_str())
}

/// Takes off what only says "an action" or "many", at the end.
fn drop_marks(method: &str, path: &mut Path, steps: &mut Vec<String>) {
    while path.parts.len() > 1 {
        let Some([word]) = last_words(&path.parts) else {
            return;
        };
        let qualifies = QUALIFIERS.contains(&word.as_str()) || BULK.contains(&word.as_str());
        let named = path.parts.len() > 2 && path.parts[path.parts.len() - 2].is_item();
        let fallback = named && matches!(word.as_str(), "default" | "current" | "latest");
        let shown = method != "POST" && matches!(word.as_str(), "preview" | "custom" | "draft");
        if !(qualifies || shown || fallback) {
            return;
        }
        steps.push(format!("`{word}` qualifies what stands before it"));
        path.parts.pop();
    }
}

/// The route ends with an item.
fn on_item(method: &str, path: &Path, steps: &mut Vec<String>) -> Decision {
    let end = path.parts.len();
    let crud = crud(method);
    if crud.1 == Operation::Read {
        steps.push(format!("{method} reads"));
        return Decision::new("read", Operation::Read, end);
    }
    let run = path.parts.iter().rev().take_while(|part| part.is_item()).count();
    let at = end - run;
    let Some(Part::Thing(words)) = at.checked_sub(1).map(|at| &path.parts[at]) else {
        return match method {
            "POST" => Decision::new("update", Operation::Update, end),
            _ => Decision::new(crud.0, crud.1, end),
        };
    };
    // A verb may stand before its object: `/unlink/{provider}`.
    if let Some(link) = link(method, path, at, words, steps) {
        return link;
    }
    match method {
        "POST" => {
            let chosen = match &path.parts[end - 1] {
                Part::Id(Some(name)) => {
                    words::split(name).last().is_some_and(|word| CHOSEN.contains(&word.as_str()))
                }
                _ => false,
            };
            if chosen && at > 1 {
                steps.push("POST on an item that the client names makes it".to_owned());
                return Decision::new("create", Operation::Create, end);
            }
            steps.push("POST on an item changes it".to_owned());
            Decision::new("update", Operation::Update, end)
        }
        _ => {
            steps.push(format!("{method} on an item: {}", crud.0));
            Decision::new(crud.0, crud.1, end)
        }
    }
}

/// The route ends with a thing: an action, a property or a collection.
fn on_thing(method: &str, path: &mut Path, how: &mut How, steps: &mut Vec<String>) -> Decision {
    let end = path.parts.len();
    let words: Vec<String> = last_words(&path.parts).unwrap_or_default().to_vec();
    let before = end.checked_sub(2).map(|at| path.parts[at].clone());
    let item = before.as_ref().is_some_and(Part::is_item);
    let crud = crud(method);
    let below_many = matches!(&before, Some(Part::Thing(words)) if words.last().is_some_and(|w| words::is_plural(w)));

    if let Some(Part::Thing(mark)) = &before
        && let [mark] = mark.as_slice()
        && ACTION_MARKS.contains(&mark.as_str())
    {
        steps.push(format!("what follows `{mark}` is the action"));
        let (action, operation) = phrase(&words, true).unwrap_or_else(|| {
            *how = How::Guess;
            (words.join("_"), Operation::Execute)
        });
        path.parts.truncate(end - 2);
        return Decision::new(action, operation, end - 2);
    }
    if let [word] = words.as_slice()
        && ACTION_LISTS.contains(&word.as_str())
        && end > 1
    {
        steps.push(format!("`{word}` takes actions: which one, only the request tells"));
        let one = words::singular(word);
        path.parts.pop();
        return Decision::new(format!("{}_{one}", crud.0), Operation::Execute, end - 1);
    }
    if let Some((action, operation)) = acts(method, &words, item, below_many, end) {
        steps.push(format!("`{}` is an action", words.join("_")));
        path.parts.pop();
        let mut decision = Decision::new(action, operation, end - 1);
        if end == 1 && words.len() > 1 && verb(&words[0]).is_some() {
            // `POST /create-order`: nothing but the object names the thing.
            steps.push("the words behind the verb are what it is done to".to_owned());
            words[0].clone_into(&mut decision.action);
            decision.entity = Some(words::entity(&words[1..]));
        } else {
            through_property(path, &mut decision, steps);
        }
        return decision;
    }
    // A verb with its object or manner behind it: `/destroy_with_resources/retry`.
    if let Some(Part::Thing(earlier)) = &before
        && earlier.len() > 1
        && verb(&earlier[0]).is_some_and(|(kind, _)| kind == Kind::Verb)
        && let Some((action, operation)) = phrase(earlier, false)
    {
        steps.push(format!("`{}` qualifies the action before it", words.join("_")));
        path.parts.truncate(end - 2);
        return Decision::new(action, operation, end - 2);
    }
    if let Some(Part::Thing(earlier)) = &before
        && let [word] = earlier.as_slice()
        && verb(word).is_some_and(|(kind, _)| kind == Kind::Verb)
        && end > 2
        && method == "POST"
    {
        steps.push(format!("`{}` qualifies the action `{word}`", words.join("_")));
        let operation = verb(word).map_or(Operation::Execute, |(_, operation)| operation);
        let action = word.clone();
        path.parts.truncate(end - 2);
        return Decision::new(action, operation, end - 2);
    }
    if let Some(link) = link(method, path, end, &words, steps) {
        return link;
    }
    property_or_collection(method, path, &words, item, how, steps)
}

/// `/users/{id}/credentials/change_password`, `/users/{id}/email/verify`: what is done to a
/// property is done to the item.
fn through_property(path: &Path, decision: &mut Decision, steps: &mut Vec<String>) {
    let at = decision.entity_at;
    let [.., before, Part::Thing(words)] = &path.parts[..at] else {
        return;
    };
    if !before.is_item() {
        return;
    }
    let [word] = words.as_slice() else { return };
    let several = ONE_THING.contains(&word.as_str());
    if !several && !ATTRIBUTES.contains(&word.as_str()) {
        return;
    }
    steps.push(format!("`{word}` belongs to the item before it"));
    decision.entity_at = at - 1;
    if !several {
        decision.action = format!("{}_{word}", decision.action);
    }
}

fn property_or_collection(
    method: &str,
    path: &mut Path,
    words: &[String],
    item: bool,
    how: &mut How,
    steps: &mut Vec<String>,
) -> Decision {
    let end = path.parts.len();
    let crud = crud(method);
    let last = words.last().map(String::as_str).unwrap_or_default();
    let name = words.join("_");
    let configures = CONFIGURATIONS.contains(&last);
    let one_thing = ONE_THING.contains(&last) && (item || configures);
    let many = words::is_plural(last) && !one_thing;
    let attribute = one_thing || (ATTRIBUTES.contains(&last) && !many);
    let media = MEDIA.contains(&last);
    let below_many = end > 1
        && owner(path, end - 1).is_some_and(|w| w.last().is_some_and(|w| words::is_plural(w)));

    if method == "POST" && media && (item || below_many) {
        steps.push(format!("`{name}` is something to upload"));
        path.parts.pop();
        return Decision::new(format!("upload_{name}"), Operation::Create, end - 1);
    }
    if item && !many {
        match method {
            "PUT" | "PATCH" => {
                steps.push(format!("`{name}` is a property of the item"));
                path.parts.pop();
                return Decision::new(format!("update_{name}"), Operation::Update, end - 1);
            }
            "DELETE" => {
                steps.push(format!("`{name}` is a property of the item"));
                path.parts.pop();
                return Decision::new(format!("delete_{name}"), Operation::Update, end - 1);
            }
            "POST" if attribute => {
                steps.push(format!("`{name}` is a property that POST changes"));
                path.parts.pop();
                return Decision::new(format!("update_{name}"), Operation::Update, end - 1);
            }
            _ => {}
        }
    }
    if method == "POST" && configures && !many && end > 1 {
        steps.push(format!("there is one `{name}`: POST changes it"));
        return Decision::new("update", Operation::Update, end);
    }
    if !many && end == 1 && method == "POST" {
        *how = How::Guess;
        steps.push(format!("nothing is known of `{name}`: taken for a thing"));
    }
    if many {
        steps.push(format!("`{name}` is a collection: {method} is {}", crud.0));
    } else {
        steps.push(format!("`{name}` is a thing: {method} is {}", crud.0));
    }
    Decision::new(crud.0, crud.1, end)
}

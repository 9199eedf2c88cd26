//! Which thing a route is about: its entity, its id and its parents.

use super::{
    segments::{Part, Path},
    vocabulary::{ACTION_MARKS, SECRETS},
    words,
};
use crate::rules::{EntityIdFrom, RelatedThing};

/// The entity of a route.
pub(super) struct Place {
    pub(super) entity: Option<String>,
    pub(super) id: EntityIdFrom,
    pub(super) parents: Vec<RelatedThing>,
}

/// Names the entity, its id and its parents from what stands before a place.
pub(super) fn place(path: &Path, at: usize, steps: &mut Vec<String>) -> Place {
    let parts = &path.parts[..at.min(path.parts.len())];
    let thing =
        parts.iter().rposition(|part| matches!(part, Part::Thing(words) if !is_mark(words)));
    let Some(thing) = thing else {
        // `/me`: the acting party itself.
        let me = matches!(parts, [Part::Alias(true)]);
        return Place {
            entity: me.then(|| "user".to_owned()),
            id: if me { EntityIdFrom::Actor } else { id_source(parts) },
            parents: Vec::new(),
        };
    };
    let Part::Thing(words) = &parts[thing] else {
        return Place { entity: None, id: EntityIdFrom::Nothing, parents: Vec::new() };
    };
    let entity = words::entity(words);
    if entity != words.join("_") {
        steps.push(format!("`{}` in the singular is the entity `{entity}`", words.join("_")));
    } else {
        steps.push(format!("`{entity}` is the entity"));
    }
    let after = &parts[thing + 1..];
    let me = matches!(after.first(), Some(Part::Alias(true)));
    let id = if me && matches!(entity.as_str(), "user" | "account" | "profile") {
        EntityIdFrom::Actor
    } else {
        id_source(after)
    };
    Place { entity: Some(entity), id, parents: parents(&parts[..thing]) }
}

fn is_mark(words: &[String]) -> bool {
    matches!(words, [word] if ACTION_MARKS.contains(&word.as_str()))
}

/// Returns the id among the parameters that follow a thing.
fn id_source(after: &[Part]) -> EntityIdFrom {
    match id_of(after) {
        Some(name) => EntityIdFrom::Param(name.into()),
        None => EntityIdFrom::Nothing,
    }
}

/// The last parameter of a run, but never one that lets its holder in.
pub(super) fn id_of(after: &[Part]) -> Option<&str> {
    after
        .iter()
        .take_while(|part| part.is_item())
        .filter_map(|part| match part {
            Part::Id(Some(name)) => Some(name.as_str()),
            _ => None,
        })
        .filter(|name| {
            let words = words::split(name);
            !words.last().is_some_and(|word| SECRETS.contains(&word.as_str()))
        })
        .last()
}

/// Returns the things with an id that stand before a place, from the outermost in.
fn parents(parts: &[Part]) -> Vec<RelatedThing> {
    let mut parents = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let Part::Thing(words) = part else { continue };
        if let Some(name) = id_of(&parts[at + 1..]) {
            let id = EntityIdFrom::Param(name.into());
            parents.push(RelatedThing::new(&words::entity(words), id, "parent"));
        }
    }
    parents
}

/// Returns the words of the thing that owns the part at a place.
pub(super) fn owner(path: &Path, before: usize) -> Option<&[String]> {
    path.parts[..before].iter().rev().find_map(|part| match part {
        Part::Thing(words) => Some(words.as_slice()),
        _ => None,
    })
}

//! The REST convention: method and route into entity and action.
//!
//! One question after another; the first that says yes decides, and leaves a step that says why.

use super::{
    segments::{Part, Path},
    vocabulary::{
        self as known, ACTION_LISTS, ACTION_MARKS, ACTION_PARAMS, ATTRIBUTES, BULK, CHOSEN,
        CONFIGURATIONS, CONTAINERS, HELD, Kind, MEDIA, NOUNISH, ONE_THING, PARTIES, QUALIFIERS,
        SECRETS, verb,
    },
    words,
};
use crate::{
    record::Operation,
    rules::{EntityIdFrom, How, RelatedThing},
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
struct Decision {
    action: String,
    operation: Operation,
    /// The place of the part that names the entity: the last thing before it counts.
    entity_at: usize,
    /// A name that no single part gives.
    entity: Option<String>,
    related: Vec<RelatedThing>,
}

impl Decision {
    fn new(action: impl Into<String>, operation: Operation, entity_at: usize) -> Self {
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

/// A collection of links under an item: the item gets or loses a member.
fn link(
    method: &str,
    path: &Path,
    at: usize,
    words: &[String],
    steps: &mut Vec<String>,
) -> Option<Decision> {
    let one = words::singular(words.last()?);
    let below_item = at >= 2 && path.parts[at - 2].is_item();
    let party = PARTIES.contains(&one.as_str());
    let holder =
        owner(path, at - 1).and_then(|words| words.last()).map(|word| words::singular(word));
    let held = HELD.contains(&one.as_str())
        && holder.is_some_and(|holder| CONTAINERS.contains(&holder.as_str()));
    if !below_item || !(party || held) {
        return foreign(method, path, at, words, steps);
    }
    let me = matches!(path.parts.get(at), Some(Part::Alias(true)));
    let item = path.parts.len() > at;
    let verb = match (method, item) {
        ("PUT", true) | ("POST", _) if me => "join",
        ("DELETE", _) if me => "leave",
        ("PUT", true) | ("POST", false) => "add",
        ("POST" | "PATCH" | "PUT", _) => "update",
        ("DELETE", _) => "remove",
        _ => return None,
    };
    let operation =
        if verb == "leave" || verb == "remove" { Operation::Delete } else { Operation::Update };
    steps.push(format!("`{}` are parties to what stands before them", words.join("_")));
    let action = if me { verb.to_owned() } else { format!("{verb}_{one}") };
    let mut decision = Decision::new(action, operation, at - 1);
    if words.len() > 1 && party {
        // `thread-members`: the members of a thread.
        decision.entity = Some(words::entity(&words[..words.len() - 1]));
    }
    if let Some(name) = id_of(&path.parts[at..]) {
        decision.related =
            vec![RelatedThing::new(&one, EntityIdFrom::Param(name.into()), "member")];
    }
    Some(decision)
}

/// `/guilds/{guild_id}/bans/{user_id}`: the id is that of another kind of thing, so that PUT
/// links it and DELETE unlinks it.
fn foreign(
    method: &str,
    path: &Path,
    at: usize,
    words: &[String],
    steps: &mut Vec<String>,
) -> Option<Decision> {
    let Some(Part::Id(Some(name))) = path.parts.get(at) else {
        return None;
    };
    let param = words::split(name);
    let [kind, id] = param.as_slice() else {
        return None;
    };
    let own = words.iter().any(|word| {
        let one = words::singular(word);
        one.starts_with(kind.as_str()) || kind.starts_with(&one)
    });
    let party = HELD.contains(&kind.as_str()) || kind == "message" || kind == "member";
    if own || !party || id != "id" || at < 2 {
        return None;
    }
    let (action, operation) = match method {
        "PUT" => ("add", Operation::Create),
        "DELETE" => ("remove", Operation::Delete),
        _ => return None,
    };
    steps.push(format!("`{{{name}}}` is the id of a {kind}: {method} links or unlinks it"));
    Some(Decision::new(action, operation, path.parts.len()))
}

/// Returns the words of the thing that owns the part at a place.
fn owner(path: &Path, before: usize) -> Option<&[String]> {
    path.parts[..before].iter().rev().find_map(|part| match part {
        Part::Thing(words) => Some(words.as_slice()),
        _ => None,
    })
}

/// The route ends with a thing: an action, a property or a collection.
fn on_thing(method: &str, path: &mut Path, how: &mut How, steps: &mut Vec<String>) -> Decision {
    let end = path.parts.len();
    let words: Vec<String> = last_words(&path.parts).unwrap_or_default().to_vec();
    let before = end.checked_sub(2).map(|at| path.parts[at].clone());
    let item = before.as_ref().is_some_and(Part::is_item);
    let crud = crud(method);

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
    if let Some((action, operation)) = acts(method, &words, item, end) {
        steps.push(format!("`{}` is an action", words.join("_")));
        path.parts.pop();
        let mut decision = Decision::new(action, operation, end - 1);
        if end == 1 && words.len() > 1 && verb(&words[0]).is_some() {
            // `POST /create-order`: nothing but the object names the thing.
            steps.push("the words behind the verb are what it is done to".to_owned());
            words[0].clone_into(&mut decision.action);
            decision.entity = Some(words::entity(&words[1..]));
        } else {
            decision.entity_at = through_property(path, decision.entity_at, steps);
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

/// `/users/{id}/credentials/change_password`: what is done to the credentials is done to the user.
fn through_property(path: &Path, at: usize, steps: &mut Vec<String>) -> usize {
    if at >= 2
        && let Part::Thing(words) = &path.parts[at - 1]
        && let [word] = words.as_slice()
        && ONE_THING.contains(&word.as_str())
        && path.parts[at - 2].is_item()
    {
        steps.push(format!("`{word}` belong to the item before them"));
        return at - 1;
    }
    at
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

/// Says whether the words at the end of a route are an action.
fn acts(method: &str, words: &[String], item: bool, end: usize) -> Option<(String, Operation)> {
    let first = words.first()?;
    let single = words.len() == 1;
    match method {
        "POST" => {}
        // PUT and PATCH name actions too, by plain verbs: `/replicas/{name}/promote`.
        "PUT" | "PATCH" => {
            let (kind, operation) = verb(first)?;
            let plain = kind == Kind::Verb || (kind == Kind::Either && single && item);
            if !plain
                || MEDIA.contains(&first.as_str())
                || ATTRIBUTES.contains(&words.last()?.as_str()) && single
            {
                return None;
            }
            return Some((words.join("_"), operation));
        }
        "DELETE" => {
            if single && item {
                if let Some(undone) = known::undone(first) {
                    return Some((undone, Operation::Update));
                }
            }
            return match verb(first) {
                Some((Kind::Verb, Operation::Delete)) if !single => {
                    Some((words.join("_"), Operation::Delete))
                }
                _ => None,
            };
        }
        _ => return None,
    }
    if single {
        if let Some(nominal) = known::nominal(first)
            && end > 1
        {
            let operation = known::operation_of(nominal).unwrap_or(Operation::Update);
            return Some((nominal.to_owned(), operation));
        }
        if words::is_plural(first) && verb(first).is_none() {
            return None;
        }
        return match verb(first)? {
            (Kind::Either, operation) if item => Some((first.clone(), operation)),
            (Kind::Either, _) => None,
            // `/content` and `/post` as first words of a path are no verbs without an object.
            (Kind::Verb | Kind::Question, operation) if end > 1 || item => {
                Some((first.clone(), operation))
            }
            (Kind::Verb | Kind::Question, operation) => Some((first.clone(), operation)),
        };
    }
    phrase(words, false)
}

/// Reads several words as an action: verb first, verb last, or many at once.
///
/// Where an action is certain, whatever the words are, they are it.
fn phrase(words: &[String], certain: bool) -> Option<(String, Operation)> {
    let (first, rest) = words.split_first()?;
    if rest.is_empty() {
        return match verb(first) {
            Some((_, operation)) => Some((first.clone(), operation)),
            None if certain => Some((first.clone(), Operation::Execute)),
            None => None,
        };
    }
    if BULK.contains(&first.as_str()) {
        let (at, (_, operation)) =
            rest.iter().enumerate().rev().find_map(|(at, word)| Some((at, verb(word)?)))?;
        let mut action = format!("bulk_{}", rest[at]);
        for word in rest.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, word)| word) {
            action.push('_');
            action.push_str(word);
        }
        return Some((action, operation));
    }
    let named =
        NOUNISH.contains(&first.as_str()) && rest.last().is_some_and(|w| words::is_plural(w));
    if let Some((kind, operation)) = verb(first)
        && (certain || (kind != Kind::Either && !named))
    {
        return Some((words.join("_"), operation));
    }
    let (last, object) = words.split_last()?;
    match verb(last) {
        Some((kind, operation))
            if certain || kind != Kind::Either || last == "import" || last == "export" =>
        {
            Some((format!("{last}_{}", object.join("_")), operation))
        }
        Some((Kind::Either, Operation::Transfer)) => {
            Some((format!("{last}_{}", object.join("_")), Operation::Transfer))
        }
        _ if certain => Some((words.join("_"), Operation::Execute)),
        _ => None,
    }
}

struct Place {
    entity: Option<String>,
    id: EntityIdFrom,
    parents: Vec<RelatedThing>,
}

/// Names the entity, its id and its parents from what stands before a place.
fn place(path: &Path, at: usize, steps: &mut Vec<String>) -> Place {
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
fn id_of(after: &[Part]) -> Option<&str> {
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

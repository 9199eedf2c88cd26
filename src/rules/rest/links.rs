//! Members, roles and the like: what an item is linked to comes and goes, and lives on.

use super::{
    convention::Decision,
    place::{id_of, owner},
    segments::{Part, Path},
    vocabulary::{CONTAINERS, GRANTED, GRANTEES, HELD, PARTIES, operation_of},
    words,
};
use crate::{
    record::Operation,
    rules::{EntityIdFrom, RelatedThing},
};

/// A collection of links under an item: the item gets or loses a member.
pub(super) fn link(
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
        && holder.as_ref().is_some_and(|holder| CONTAINERS.contains(&holder.as_str()));
    let granted = GRANTED.contains(&one.as_str())
        && words.len() == 1
        && holder.as_ref().is_some_and(|holder| GRANTEES.contains(&holder.as_str()));
    if !below_item || !(party || held || granted) {
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
    // As for the words alone, in a rule or in a record by hand: links are made and taken away.
    let operation = operation_of(verb).unwrap_or(Operation::Update);
    steps.push(format!("`{}` are linked to what stands before them", words.join("_")));
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

//! Which words at the end of a route are an action.

use super::{
    vocabulary::{self as known, ATTRIBUTES, BULK, Kind, MARKS, MEDIA, NOUNISH, verb},
    words,
};
use crate::record::Operation;

/// Says whether the words at the end of a route are an action.
pub(super) fn acts(
    method: &str,
    words: &[String],
    item: bool,
    below_many: bool,
    end: usize,
) -> Option<(String, Operation)> {
    let first = words.first()?;
    let single = words.len() == 1;
    if single && end > 1 && MARKS.contains(&first.as_str()) && method != "DELETE" {
        return Some((format!("mark_{first}"), Operation::Update));
    }
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
            if single
                && item
                && let Some(undone) = known::undone(first)
            {
                return Some((undone, Operation::Update));
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
            (Kind::Either, operation)
                if item || (below_many && operation == Operation::Execute) =>
            {
                Some((first.clone(), operation))
            }
            (Kind::Either, _) => None,
            // `/issue`, `/transfer`: with nothing before it, a word that may be a thing is one.
            (Kind::Verb, _) if end == 1 && NOUNISH.contains(&first.as_str()) => None,
            (Kind::Verb | Kind::Question, operation) => Some((first.clone(), operation)),
        };
    }
    phrase(words, false)
}

/// Reads several words as an action: verb first, verb last, or many at once.
///
/// Where an action is certain, whatever the words are, they are it.
pub(super) fn phrase(words: &[String], certain: bool) -> Option<(String, Operation)> {
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

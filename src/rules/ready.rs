//! Checks rules and parses their parts: all or nothing.

use std::{collections::HashMap, sync::Arc};

use http::Method;

use super::{
    Delivery, Description, EntityIdFrom, FinishPoint, Level, Rules,
    check::Check,
    condition::{Conditions, Entry},
    defaults::ADDRESS_WORDS,
    error::{Origin, Problem},
    meaning::{Pointer, RelatedThing},
    pattern::{Fit, Pattern},
    status::StatusSet,
};
use crate::{
    record::{Category, Operation},
    suggest::did_you_mean,
};

/// A sound rule.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) name: Arc<str>,
    pub(super) pattern: Option<Pattern>,
    pub(super) methods: Vec<Method>,
    pub(super) status: StatusSet,
    pub(super) conditions: Conditions,
    pub(super) entity: Option<Arc<str>>,
    pub(super) action: Option<Arc<str>>,
    pub(super) operation: Option<Operation>,
    pub(super) category: Option<Category>,
    pub(super) severity: Option<u8>,
    pub(super) entity_id: Option<EntityIdFrom>,
    pub(super) related: Vec<RelatedThing>,
    pub(super) level: Option<Level>,
    pub(super) max_request_body: Option<usize>,
    pub(super) max_response_body: Option<usize>,
    pub(super) delivery: Option<Delivery>,
    pub(super) finish: Option<FinishPoint>,
    pub(super) description: Option<Description>,
    pub(super) redact: Vec<Arc<str>>,
    pub(super) accounts: Arc<[Pointer]>,
    pub(super) id_from_response: Option<bool>,
}

/// More than this of one body is no longer evidence but a copy of the traffic.
const MOST_BODY: usize = 16 * 1024 * 1024;

/// Checks every rule and the set as a whole.
pub(super) fn prepare(rules: &Rules, problems: &mut Vec<Problem>) -> Vec<Ready> {
    let mut ready = Vec::new();
    let mut names: HashMap<&str, &Origin> = HashMap::new();
    check_defaults(rules, problems);
    for Entry { rule, origin } in &rules.entries {
        let mut check = Check { entry: &rule.name, origin, problems };
        if rule.name.trim().is_empty() {
            check.wrong("name", "the rule has no name".to_owned());
        } else if let Some(first) = names.get(rule.name.as_str()) {
            let place = first.place();
            check.wrong("name", format!("the name is taken by an earlier rule{place}"));
        } else {
            names.insert(&rule.name, origin);
        }
        ready.push(check.rule(rule));
    }
    // Whether one rule hides another can only be told of rules that are themselves sound.
    if problems.is_empty() {
        for (at, rule) in ready.iter().enumerate() {
            let origin = &rules.entries[at].origin;
            if let Some(first) = ready[..at].iter().position(|earlier| hides(earlier, rule)) {
                let place = rules.entries[first].origin.place();
                let what = format!(
                    "never reached: the earlier rule \"{}\"{place} matches everything that this \
                     one does; move this one above it or narrow that one",
                    ready[first].name.escape_debug()
                );
                problems.push(origin.problem(Some(&rule.name), "name", what));
            }
        }
    }
    ready
}

fn check_defaults(rules: &Rules, problems: &mut Vec<Problem>) {
    let origin = &rules.defaults_origin;
    if let Some(word) = rules.defaults.address()
        && !ADDRESS_WORDS.contains(&word)
    {
        let what = format!(
            "`{}` is not an address policy (one of {}){}",
            word.escape_debug(),
            ADDRESS_WORDS.join(", "),
            did_you_mean(word, ADDRESS_WORDS.iter().copied())
        );
        problems.push(origin.problem(None, "address", what));
    }
    for prefix in rules.defaults.ignore_prefixes() {
        if prefix.trim_matches('/').is_empty() || prefix.trim_matches('/').contains('/') {
            let what =
                format!("ignored prefix `{}` is not one segment of a path", prefix.escape_debug());
            problems.push(origin.problem(None, "ignore_prefixes", what));
        }
    }
    for (key, bytes) in [
        ("max_request_body", rules.defaults.max_request_body),
        ("max_response_body", rules.defaults.max_response_body),
    ] {
        if let Some(what) = bytes.and_then(|bytes| bad_bound(key, bytes)) {
            problems.push(origin.problem(None, key, what));
        }
    }
}

pub(super) fn bad_bound(key: &str, bytes: usize) -> Option<String> {
    match bytes {
        0 => Some(format!("`{key}` is 0: choose a level that keeps no body instead")),
        bytes if bytes > MOST_BODY => {
            Some(format!("`{key}` is {bytes}, more than {MOST_BODY} bytes"))
        }
        _ => None,
    }
}

/// Says whether whatever the later rule matches, the earlier one takes first.
fn hides(earlier: &Ready, later: &Ready) -> bool {
    let route = match (&earlier.pattern, &later.pattern) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => a.fit(b) == Fit::Always,
    };
    let methods = earlier.methods.is_empty()
        || (!later.methods.is_empty() && later.methods.iter().all(|m| earlier.methods.contains(m)));
    route
        && methods
        && earlier.conditions.covers(&later.conditions)
        && earlier.status.covers(&later.status)
}

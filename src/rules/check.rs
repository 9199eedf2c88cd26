//! One rule, part by part: what is wrong with it, and what it says if nothing is.

use std::sync::Arc;

use http::Method;

use super::{
    Description, EntityIdFrom, Level,
    condition::Conditions,
    description::SLOTS,
    error::{Origin, Problem},
    meaning::{Pointer, RelatedThing},
    pattern::Pattern,
    ready::{Ready, bad_bound},
    status::StatusSet,
};
use crate::suggest::did_you_mean;

/// The names that conventions write into records, so that a rule cannot pass for one.
const RESERVED: &[&str] = &["rest", "grpc"];

/// Notes what is wrong with a rule.
pub(super) struct Check<'a> {
    pub(super) entry: &'a str,
    pub(super) origin: &'a Origin,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    pub(super) fn wrong(&mut self, key: &str, what: String) {
        self.problems.push(self.origin.problem(Some(self.entry), key, what));
    }

    pub(super) fn rule(&mut self, rule: &super::Rule) -> Ready {
        let pattern = rule.route.as_deref().and_then(|route| {
            Pattern::parse(route).map_err(|error| self.wrong("route", error.to_string())).ok()
        });
        // A route that was not understood has no known parameters: what refers to them is not
        // reported on top of it.
        let judge_params = rule.route.is_none() || pattern.is_some();
        let known: Vec<&str> = pattern.iter().flat_map(Pattern::param_names).collect();

        let methods = self.methods(&rule.methods);
        let mut bad = Vec::new();
        let status = StatusSet::parse(rule.status.iter().map(String::as_str), &mut bad);
        for what in bad {
            self.wrong("status", what);
        }
        let mut bad = Vec::new();
        let conditions = Conditions::parse(&rule.headers, &rule.host, &mut bad);
        for (key, what) in bad {
            self.wrong(key, what);
        }
        let entity = self.word("entity", rule.entity.as_deref());
        let action = self.word("action", rule.action.as_deref());
        if rule.severity.is_some_and(|severity| severity > 6) {
            self.wrong("severity", "severity is 0 to 6, as in OCSF".to_owned());
        }
        let params = judge_params.then_some(&*known);
        let entity_id =
            rule.entity_id.as_deref().and_then(|text| self.id_source("entity_id", text, params));
        let mut related = Vec::new();
        for target in &rule.targets {
            let key = if target.relation == "parent" { "parents" } else { "targets" };
            let kind = self.word(key, Some(&target.entity_type));
            let relation = self.word(key, Some(&target.relation));
            let id = self.id_source(key, &target.id, params);
            if let (Some(kind), Some(relation), Some(id)) = (kind, relation, id) {
                related.push(RelatedThing::new(&kind, id, &relation));
            }
        }
        let description = rule.description.as_deref().and_then(|text| {
            let parsed = Description::parse(text);
            match parsed {
                Ok(description) => {
                    self.slots(&description, params);
                    Some(description)
                }
                Err(error) => {
                    self.wrong("description", format!("description has {error}"));
                    None
                }
            }
        });
        let mut accounts = Vec::new();
        for text in &rule.attempted_account {
            match Pointer::parse(text) {
                Ok(pointer) => accounts.push(pointer),
                Err(error) => self.wrong("attempted_account", error.to_string()),
            }
        }
        self.contradictions(rule);
        Ready {
            name: rule.name.as_str().into(),
            pattern,
            methods,
            status,
            conditions,
            entity,
            action,
            operation: rule.operation,
            category: rule.category,
            severity: rule.severity,
            entity_id,
            related,
            level: rule.level,
            max_request_body: rule.max_request_body,
            max_response_body: rule.max_response_body,
            delivery: rule.delivery,
            finish: rule.finish,
            description,
            redact: rule.redact.iter().map(|key| key.as_str().into()).collect(),
            accounts: accounts.into(),
            id_from_response: rule.id_from_response,
        }
    }

    fn methods(&mut self, words: &[String]) -> Vec<Method> {
        const USUAL: &[&str] =
            &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
        let mut methods = Vec::new();
        for word in words {
            let upper = word.to_ascii_uppercase();
            let Ok(method) = Method::from_bytes(word.as_bytes()) else {
                self.wrong("methods", format!("`{}` is not a method", word.escape_debug()));
                continue;
            };
            if !USUAL.contains(&word.as_str()) {
                // Methods are case-sensitive: `post` is another method than `POST`, and nobody
                // means it.
                let near = crate::suggest::nearest(&upper, USUAL.iter().copied());
                if let Some(near) = near {
                    let what = format!("`{word}` is not a known method; did you mean `{near}`?");
                    self.wrong("methods", what);
                    continue;
                }
            }
            if methods.contains(&method) {
                self.wrong("methods", format!("method `{method}` stands twice"));
            }
            methods.push(method);
        }
        methods
    }

    /// Checks a word that records will be searched by.
    fn word(&mut self, key: &str, text: Option<&str>) -> Option<Arc<str>> {
        let text = text?;
        let good = !text.is_empty()
            && text.len() <= 128
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'));
        if good {
            return Some(text.into());
        }
        let what = format!(
            "`{}` is not a word: letters, digits, `_`, `-`, `.`, `:`, 128 at most",
            text.chars().take(40).collect::<String>().escape_debug()
        );
        self.wrong(key, what);
        None
    }

    fn id_source(
        &mut self,
        key: &str,
        text: &str,
        params: Option<&[&str]>,
    ) -> Option<EntityIdFrom> {
        if let Some(name) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            if let Some(params) = params
                && !params.contains(&name)
            {
                let what = unknown_param(key, name, params);
                self.wrong(key, what);
                return None;
            }
            return Some(EntityIdFrom::Param(name.into()));
        }
        let pointer = |text: &str| Pointer::parse(text);
        let parsed = match text {
            "location" => return Some(EntityIdFrom::Location),
            "created" => return Some(EntityIdFrom::Created),
            "actor" => return Some(EntityIdFrom::Actor),
            "none" => return Some(EntityIdFrom::Nothing),
            _ => {
                if let Some(text) = text.strip_prefix("request:") {
                    pointer(text).map(EntityIdFrom::Request)
                } else if let Some(text) = text.strip_prefix("response:") {
                    pointer(text).map(EntityIdFrom::Response)
                } else {
                    let near = if params.is_some_and(|params| params.contains(&text)) {
                        format!("; did you mean `{{{text}}}`?")
                    } else {
                        did_you_mean(text, ["location", "created", "actor", "none"])
                    };
                    let what = format!(
                        "{key} `{}` is neither `{{parameter}}`, `location`, `created`, `actor`, \
                         `none`, `request:/pointer` nor `response:/pointer`{near}",
                        text.escape_debug()
                    );
                    self.wrong(key, what);
                    return None;
                }
            }
        };
        parsed.map_err(|error| self.wrong(key, format!("{key}: {error}"))).ok()
    }

    fn slots(&mut self, description: &Description, params: Option<&[&str]>) {
        let Some(params) = params else { return };
        for slot in description.slots() {
            if !SLOTS.contains(&slot) && !params.contains(&slot) {
                let near = did_you_mean(slot, SLOTS.iter().copied().chain(params.iter().copied()));
                let what = format!(
                    "description has the slot `{{{}}}`, which is neither a parameter of the \
                     route{} nor one of {}{near}",
                    slot.escape_debug(),
                    listed(params),
                    SLOTS.join(", ")
                );
                self.wrong("description", what);
            }
        }
    }

    fn contradictions(&mut self, rule: &super::Rule) {
        if RESERVED
            .iter()
            .any(|word| rule.name == *word || rule.name.starts_with(&format!("{word}:")))
        {
            self.wrong("name", "the name is that of a convention".to_owned());
        }
        for (key, bytes) in [
            ("max_request_body", rule.max_request_body),
            ("max_response_body", rule.max_response_body),
        ] {
            if let Some(what) = bytes.and_then(|bytes| bad_bound(key, bytes)) {
                self.wrong(key, what);
            }
        }
        if let Some(level) = rule.level {
            let kept = [
                ("max_request_body", rule.max_request_body, level.keeps_request()),
                ("max_response_body", rule.max_response_body, level.keeps_response()),
            ];
            for (key, bytes, keeps) in kept {
                if bytes.is_some() && !keeps {
                    let what = format!("`{key}` bounds a body that level `{level}` does not keep");
                    self.wrong(key, what);
                }
            }
        }
        if rule.level == Some(Level::None) {
            let said = [
                ("entity", rule.entity.is_some()),
                ("action", rule.action.is_some()),
                ("operation", rule.operation.is_some()),
                ("category", rule.category.is_some()),
                ("severity", rule.severity.is_some()),
                ("entity_id", rule.entity_id.is_some()),
                ("targets", !rule.targets.is_empty()),
                ("delivery", rule.delivery.is_some()),
                ("finish", rule.finish.is_some()),
                ("description", rule.description.is_some()),
                ("redact", !rule.redact.is_empty()),
                ("attempted_account", !rule.attempted_account.is_empty()),
            ];
            for (key, _) in said.into_iter().filter(|(_, said)| *said) {
                let what =
                    format!("`{key}` says something about a record that level `none` forbids");
                self.wrong(key, what);
            }
        }
    }
}

fn unknown_param(key: &str, name: &str, params: &[&str]) -> String {
    format!(
        "{key} names the parameter `{{{}}}`, which the route does not have{}{}",
        name.escape_debug(),
        listed(params),
        did_you_mean(name, params.iter().copied())
    )
}

fn listed(params: &[&str]) -> String {
    if params.is_empty() {
        return String::new();
    }
    let params: Vec<String> = params.iter().map(|name| format!("`{{{name}}}`")).collect();
    format!(" ({})", params.join(", "))
}

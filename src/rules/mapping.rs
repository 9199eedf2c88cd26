//! What rules and conventions together make of a route.

use std::{borrow::Cow, sync::Arc};

use http::Method;

use super::{
    Defaults, EntityIdFrom, How, Level, Meaning, Plan, Route,
    cache::Cache,
    condition::Question,
    meaning::RelatedThing,
    methods::Methods,
    pattern::{Fit, Pattern},
    plan::Candidate,
    ready::Ready,
    rest::{self, Reading},
    set::Conventions,
    status::StatusSet,
};

/// A sound rule set.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) rules: Vec<Ready>,
    pub(super) defaults: Defaults,
    pub(super) ignore: Vec<String>,
    pub(super) redact: Arc<[Arc<str>]>,
    pub(super) conventions: Conventions,
    pub(super) methods: Methods,
    /// The templates of rules and defaults, the most specific first.
    pub(super) templates: Vec<Pattern>,
    pub(super) cache: Cache,
}

/// Why a rule is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    Route,
    Method,
}

impl Mapping {
    pub(super) fn rules(&self) -> &[Ready] {
        &self.rules
    }

    pub(super) fn level(&self) -> Level {
        self.defaults.level()
    }

    /// Reads the route by the conventions, all of them: rules take from here what they leave out.
    pub(super) fn readings(&self, method: &str, template: Option<&Pattern>) -> Vec<Reading> {
        rest::read(method, template, &self.ignore)
    }

    /// Says whether a reading stands behind the rules of this set, or only fills their gaps.
    pub(super) fn stands(&self, reading: &Reading) -> bool {
        if reading.authentication { self.conventions.authentication } else { self.conventions.rest }
    }

    /// Returns the meaning of a rule on a route.
    pub(super) fn meaning_of_rule(
        &self,
        rule: &Ready,
        template: Option<&Arc<Pattern>>,
        reading: Option<&Reading>,
    ) -> Meaning {
        let pattern = rule.pattern.clone().map(Arc::new);
        let action: Option<Arc<str>> = rule.action.clone();
        let operation = rule.operation.or_else(|| {
            let said = action.as_deref().and_then(rest::operation_of);
            said.or_else(|| reading.map(|r| r.operation))
        });
        let category = rule.category.or_else(|| {
            let said = action.as_deref().and_then(rest::category_of);
            said.or_else(|| reading.map(|r| r.category))
        });
        let mut entity_id = rule.entity_id.clone();
        let mut related = rule.related.clone();
        if let Some(reading) = reading {
            let named = |id: &EntityIdFrom| in_words_of(id, pattern.as_deref(), template);
            let same = rule.entity.is_none() || rule.entity.as_deref() == reading.entity_type();
            // `entity = "order"` on `/orders/{id}/payments`: the entity is the parent.
            let parent = reading
                .parents
                .iter()
                .find(|parent| !same && Some(&parent.entity_type) == rule.entity.as_ref());
            if entity_id.is_none() {
                entity_id = match parent {
                    Some(parent) => named(&parent.id),
                    // What is created is not what the rule says it is about.
                    None if !same && reading.entity_id == EntityIdFrom::Created => None,
                    None => named(&reading.entity_id),
                };
            }
            if related.is_empty() {
                let others = reading.parents.iter().filter(|p| !parent.is_some_and(|q| *p == q));
                related.extend(
                    others.filter_map(|p| Some(RelatedThing { id: named(&p.id)?, ..p.clone() })),
                );
            }
        }
        let account = if rule.accounts.is_empty() {
            reading.map(|r| Arc::clone(&r.accounts)).unwrap_or_default()
        } else {
            Arc::clone(&rule.accounts)
        };
        Meaning {
            rule: Arc::clone(&rule.name),
            how: How::Rule,
            entity_type: rule
                .entity
                .clone()
                .or_else(|| reading.and_then(|r| r.entity_type().map(Into::into))),
            action: action
                .or_else(|| reading.map(|r| r.action.as_str().into()))
                .unwrap_or_else(|| "execute".into()),
            operation: operation.unwrap_or_default(),
            category: category.unwrap_or_default(),
            severity: rule.severity,
            entity_id: entity_id.unwrap_or_default(),
            related: related.into(),
            level: rule.level.unwrap_or_else(|| self.level()),
            delivery: rule.delivery.unwrap_or_else(|| self.defaults.delivery()),
            description: rule.description.clone(),
            redact: if rule.redact.is_empty() {
                Arc::clone(&self.redact)
            } else {
                self.redact.iter().chain(&rule.redact).cloned().collect()
            },
            attempted_account: account,
            paths: [pattern, template.cloned()],
        }
    }

    /// Returns the meaning of a convention on a route.
    pub(super) fn meaning_of_reading(
        &self,
        reading: &Reading,
        template: Option<&Arc<Pattern>>,
    ) -> Meaning {
        Meaning {
            rule: reading.which.into(),
            how: reading.how,
            entity_type: reading.entity_type().map(Into::into),
            action: reading.action.as_str().into(),
            operation: reading.operation,
            category: reading.category,
            severity: None,
            entity_id: reading.entity_id.clone(),
            related: reading.parents.clone().into(),
            level: self.level(),
            delivery: self.defaults.delivery(),
            description: None,
            redact: Arc::clone(&self.redact),
            attempted_account: Arc::clone(&reading.accounts),
            paths: [None, template.cloned()],
        }
    }

    pub(super) fn make_plan(&self, index: usize, route: Route<'_>) -> Plan {
        let method = self.methods.at(index);
        let template = match route {
            Route::Template(text) => Some(Arc::new(Pattern::template(text))),
            Route::Unmatched => None,
        };
        let name = method.map_or("OTHER", Method::as_str);
        let readings = self.readings(name, template.as_deref());
        let mut candidates = Vec::new();
        let mut questions = Vec::new();
        for rule in &self.rules {
            let Ok(question) = meet(rule, method, template.as_deref()) else {
                continue;
            };
            let last = question.is_none() && rule.status.is_any();
            let question = question.map(|question| {
                questions.push(question);
                questions.len() - 1
            });
            for (reading, endings) in sources(rule, &readings) {
                candidates.push(Candidate {
                    question,
                    status: rule.status.clone(),
                    reading: endings,
                    meaning: self.meaning_of_rule(rule, template.as_ref(), reading),
                    finish: rule.finish.unwrap_or_else(|| self.defaults.finish()),
                    max_request_body: rule
                        .max_request_body
                        .unwrap_or_else(|| self.defaults.max_request_body()),
                    max_response_body: rule
                        .max_response_body
                        .unwrap_or_else(|| self.defaults.max_response_body()),
                    id_from_response: rule
                        .id_from_response
                        .unwrap_or_else(|| self.defaults.id_from_response()),
                });
            }
            if last {
                return Plan::new(candidates, questions);
            }
        }
        for reading in readings.iter().filter(|reading| self.stands(reading)) {
            candidates.push(Candidate {
                question: None,
                status: reading.status.clone(),
                reading: None,
                meaning: self.meaning_of_reading(reading, template.as_ref()),
                finish: self.defaults.finish(),
                max_request_body: self.defaults.max_request_body(),
                max_response_body: self.defaults.max_response_body(),
                id_from_response: self.defaults.id_from_response(),
            });
        }
        Plan::new(candidates, questions)
    }
}

/// Returns the readings that a rule takes from what it leaves out, each with its endings.
///
/// A rule that only makes logins strict leaves it to the convention whether one failed: it takes
/// from both readings, each for its own endings. The last of them is for whatever is left.
pub(super) fn sources<'r>(
    rule: &Ready,
    readings: &'r [Reading],
) -> Vec<(Option<&'r Reading>, Option<StatusSet>)> {
    let whole = readings.iter().position(|reading| reading.status.is_any());
    let several = whole.unwrap_or_default();
    if rule.action.is_some() || rule.level == Some(Level::None) || several == 0 {
        let fitting = readings.iter().find(|reading| reading.status.covers(&rule.status));
        return vec![(fitting.or_else(|| readings.first()), None)];
    }
    let (some, rest) = readings.split_at(several);
    some.iter()
        .map(|reading| (Some(reading), Some(reading.status.clone())))
        .chain([(rest.first(), None)])
        .collect()
}

/// Says whether a rule can match, and what it then still asks of the request.
pub(super) fn meet(
    rule: &Ready,
    method: Option<&Method>,
    template: Option<&Pattern>,
) -> Result<Option<Question>, Miss> {
    let path = match (&rule.pattern, template) {
        (None, _) => None,
        (Some(_), None) => return Err(Miss::Route),
        (Some(pattern), Some(template)) => match pattern.fit(template) {
            Fit::No => return Err(Miss::Route),
            Fit::Always => None,
            Fit::ByPath => Some(pattern.clone()),
        },
    };
    let asked = rule.methods.is_empty() || method.is_some_and(|m| rule.methods.contains(m));
    if !asked {
        return Err(Miss::Method);
    }
    let open = path.is_some() || !rule.conditions.is_empty();
    Ok(open.then(|| Question { conditions: rule.conditions.clone(), path }))
}

/// Takes a parameter of the template in the words of the rule's route, which go first wherever
/// both have the name; nothing where the rule calls another parameter that.
fn in_words_of(
    id: &EntityIdFrom,
    pattern: Option<&Pattern>,
    template: Option<&Arc<Pattern>>,
) -> Option<EntityIdFrom> {
    let (Some(name), Some(pattern), Some(template)) = (id.param(), pattern, template) else {
        return Some(id.clone());
    };
    let at = |p: &Pattern| p.param_names().position(|n| n == name);
    if at(pattern).is_none_or(|place| Some(place) == at(template)) {
        return Some(id.clone());
    }
    let all = |p: &Pattern| p.param_names().count();
    let theirs = pattern.param_names().nth(at(template)?)?;
    (all(pattern) == all(template)).then(|| EntityIdFrom::Param(theirs.into()))
}

impl Meaning {
    /// Returns the value of a path parameter in a raw path: by the rule's own names where the
    /// meaning came from a rule with a route, else by those of the route template.
    ///
    /// See [`params`](super::params) for what is decoded and how.
    #[must_use]
    pub fn path_param<'p>(&self, raw_path: &'p str, name: &str) -> Option<Cow<'p, str>> {
        self.paths.iter().flatten().find_map(|pattern| super::params::read(pattern, raw_path, name))
    }
}

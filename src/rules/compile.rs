//! From rules as written to plans for the request path.

use std::{borrow::Cow, sync::Arc};

use http::Method;

use super::{
    Defaults, Delivery, EntityIdFrom, Explanation, How, Level, Meaning, Plan, Rules, RulesError,
    cache::Cache,
    condition::Question,
    explain,
    methods::Methods,
    pattern::{Fit, Pattern},
    plan::Candidate,
    ready::{self, Ready},
    rest::{self, Reading},
    set::Conventions,
};

/// The route of a request that neither the router nor the rules know.
///
/// Raw paths are never routes: there are as many as clients care to make up.
pub const UNMATCHED: &str = "{unmatched}";

/// A sound rule set, ready for the request path; cheap to clone.
#[derive(Debug, Clone)]
pub struct CompiledRules {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    rules: Vec<Ready>,
    defaults: Defaults,
    ignore: Vec<String>,
    redact: Arc<[Arc<str>]>,
    conventions: Conventions,
    methods: Methods,
    /// The templates of rules and defaults, the most specific first.
    templates: Vec<Pattern>,
    cache: Cache,
}

/// What is known of a request's route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// The template that the router gave, or [`CompiledRules::template_for`].
    Template(&'a str),
    /// None.
    Unmatched,
}

impl<'a> Route<'a> {
    /// Returns the text that the record's `route` is.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        match self {
            Self::Template(template) => template,
            Self::Unmatched => UNMATCHED,
        }
    }
}

impl CompiledRules {
    /// Returns the plan of a route and method.
    ///
    /// Made on the first request and kept: from then on a lookup is one hash, without lock and
    /// without allocation.
    #[must_use]
    pub fn plan(&self, method: &Method, route: Route<'_>) -> Arc<Plan> {
        let inner = &*self.inner;
        let index = inner.methods.index(method);
        inner.cache.plan(index, route.as_str(), || inner.make_plan(index, route))
    }

    /// Returns the template of a raw path that the rules know, for services without a router.
    ///
    /// The most specific one wins, as in a router: text before parameters before wildcards.
    #[must_use]
    pub fn template_for(&self, path: &str) -> Option<&str> {
        self.inner
            .templates
            .iter()
            .find(|template| template.matches_path(path))
            .map(|template| &**template.text())
    }

    /// Returns the defaults of the set.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.inner.defaults
    }

    /// Returns the rule that asks for the strictest delivery class beyond the default one, with that
    /// class, so that a pipeline which cannot keep it refuses to start.
    #[must_use]
    pub fn strictest_delivery(&self) -> Option<(&str, Delivery)> {
        let asked = |ready: &Ready| ready.delivery.filter(|class| *class > Delivery::default());
        let strictest = self.inner.rules.iter().max_by_key(|ready| asked(ready))?;
        asked(strictest).map(|class| (&*strictest.name, class))
    }

    /// Explains what a request to a route means when it ends with a status, and why.
    ///
    /// The route may be a template or a raw path. Conditions on headers and host are taken as
    /// met, and named.
    #[must_use]
    pub fn explain(&self, method: &str, route: &str, status: u16) -> Explanation {
        explain::explain(&self.inner, method, route, status)
    }
}

pub(super) fn compile(rules: &Rules) -> Result<CompiledRules, RulesError> {
    let mut problems = Vec::new();
    let ready = ready::prepare(rules, &mut problems);
    let mut templates: Vec<Pattern> = Vec::new();
    for text in rules.defaults.routes() {
        match Pattern::parse(text) {
            Ok(pattern) => templates.push(pattern),
            Err(error) => {
                problems.push(rules.defaults_origin.problem(None, "routes", error.to_string()));
            }
        }
    }
    if !problems.is_empty() {
        return Err(RulesError::new(problems));
    }
    templates.extend(ready.iter().filter_map(|rule| rule.pattern.clone()));
    templates.sort_by_key(Pattern::specificity);
    templates.dedup_by(|a, b| a.text() == b.text());
    let methods = Methods::new(ready.iter().flat_map(|rule| &rule.methods));
    Ok(CompiledRules {
        inner: Arc::new(Inner {
            cache: Cache::new(methods.count()),
            methods,
            templates,
            rules: ready,
            ignore: rules.defaults.ignore_prefixes().map(str::to_owned).collect(),
            redact: rules.defaults.redact().iter().map(|key| key.as_str().into()).collect(),
            defaults: rules.defaults.clone(),
            conventions: rules.conventions,
        }),
    })
}

/// Why a rule is no candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    Route,
    Method,
}

impl Inner {
    /// Takes a text that may be a template or a raw path for a route.
    pub(super) fn route_of<'a>(&'a self, text: &'a str) -> Route<'a> {
        if text == UNMATCHED {
            return Route::Unmatched;
        }
        let written = text.contains(['{', '*', '<', ':']);
        let known = (!written).then(|| self.templates.iter().find(|t| t.matches_path(text)));
        match known.flatten() {
            Some(template) => Route::Template(template.text()),
            None => Route::Template(text),
        }
    }

    pub(super) fn rules(&self) -> &[Ready] {
        &self.rules
    }

    pub(super) fn level(&self) -> Level {
        self.defaults.level()
    }

    /// Says whether a rule can match, and what it then still asks of the request.
    pub(super) fn meet(
        &self,
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
        readings: &[Reading],
    ) -> Meaning {
        let reading = readings
            .iter()
            .find(|reading| reading.status.covers(&rule.status))
            .or_else(|| readings.first());
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
            // An id of the convention belongs to the entity of the convention.
            let same = rule.entity.is_none() || rule.entity.as_deref() == reading.entity_type();
            let usable = |id: &EntityIdFrom| !self.clashes(id, pattern.as_deref(), template);
            if entity_id.is_none() && usable(&reading.entity_id) {
                let created = reading.entity_id == EntityIdFrom::Created;
                if same || !created {
                    entity_id = Some(reading.entity_id.clone());
                }
            }
            if related.is_empty() && same {
                related.extend(reading.parents.iter().filter(|p| usable(&p.id)).cloned());
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

    /// Says whether a parameter of the template has the name of another one of the rule's route.
    fn clashes(
        &self,
        id: &EntityIdFrom,
        pattern: Option<&Pattern>,
        template: Option<&Arc<Pattern>>,
    ) -> bool {
        let (Some(name), Some(pattern), Some(template)) = (id.param(), pattern, template) else {
            return false;
        };
        let place = |p: &Pattern| p.param_names().position(|n| n == name);
        place(pattern).is_some_and(|at| Some(at) != place(template))
    }

    fn make_plan(&self, index: usize, route: Route<'_>) -> Plan {
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
            let Ok(question) = self.meet(rule, method, template.as_deref()) else {
                continue;
            };
            let last = question.is_none() && rule.status.is_any();
            let question = question.map(|question| {
                questions.push(question);
                questions.len() - 1
            });
            candidates.push(Candidate {
                question,
                status: rule.status.clone(),
                meaning: self.meaning_of_rule(rule, template.as_ref(), &readings),
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
            if last {
                return Plan::new(candidates, questions);
            }
        }
        for reading in readings.iter().filter(|reading| self.stands(reading)) {
            candidates.push(Candidate {
                question: None,
                status: reading.status.clone(),
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

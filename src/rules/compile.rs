//! From rules as written to plans for the request path.

use std::sync::Arc;

use http::Method;

use super::{
    Defaults, Delivery, Explanation, Plan, Rules, RulesError,
    cache::Cache,
    explain,
    mapping::Mapping,
    methods::Methods,
    pattern::Pattern,
    ready::{self, Ready},
    rest,
};

/// The route of a request that neither the router nor the rules know.
///
/// Raw paths are never routes: there are as many as clients care to make up.
pub const UNMATCHED: &str = "{unmatched}";

/// A sound rule set, ready for the request path; cheap to clone.
#[derive(Debug, Clone)]
pub struct CompiledRules {
    inner: Arc<Mapping>,
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
        self.with_plan(method, route, Arc::clone)
    }

    /// Shows the plan to `take`, without counting one more owner of it.
    pub(crate) fn with_plan<T>(
        &self,
        method: &Method,
        route: Route<'_>,
        take: impl FnOnce(&Arc<Plan>) -> T,
    ) -> T {
        let inner = &*self.inner;
        let index = inner.methods.index(method);
        inner.cache.with(index, route.as_str(), || inner.make_plan(index, route), take)
    }

    /// Returns the plan of a route that the client named itself, as a gRPC call does.
    ///
    /// As [`plan`](Self::plan), but kept apart and for a while: clients can make up as many as they like.
    #[must_use]
    pub fn plan_named(&self, method: &Method, name: &str) -> Arc<Plan> {
        let inner = &*self.inner;
        let index = inner.methods.index(method);
        let make = || inner.make_plan(index, Route::Template(name));
        inner.cache.plan_named(index, name, make)
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
    /// The route is a template as the router has it; for a raw path, ask
    /// [`template_for`](Self::template_for) first. Conditions on headers and host are taken as
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
    rest::warm();
    templates.extend(ready.iter().filter_map(|rule| rule.pattern.clone()));
    templates.sort_by_key(Pattern::specificity);
    templates.dedup_by(|a, b| a.text() == b.text());
    let methods = Methods::new(ready.iter().flat_map(|rule| &rule.methods));
    Ok(CompiledRules {
        inner: Arc::new(Mapping {
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

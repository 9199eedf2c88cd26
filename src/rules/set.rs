//! The rule set: rules in order, the defaults, and which conventions stand behind them.

use std::path::Path;

use ipnet::IpNet;

use super::{
    CompiledRules, Defaults, Delivery, Explanation, FinishPoint, Level, RetentionPolicy, Rule,
    RulesError, compile::compile, condition::Entry, error::Origin, file, rule::texts,
};

/// Turns requests into meaning: ordered rules, first match wins, then the conventions.
///
/// A value: each method gives a new set. Builder and file say the same things in the same words,
/// rules stand in the order in which they were added, and what code sets of the defaults holds
/// against a file. [`check`](Self::check) tells everything that is wrong at once;
/// [`compile`](Self::compile) gives what the request path uses, and nothing less than a whole set.
///
/// ```
/// use tower_activity::rules::Rules;
///
/// let rules = Rules::rest().with_json(
///     r#"{ "rule": [{ "name": "close", "route": "/api/months/{m}/close", "action": "close" }] }"#,
/// )?;
/// let why = rules.explain("POST", "/api/months/{m}/close", 200)?;
/// assert_eq!((why.rule(), why.entity_type(), why.action()), ("close", Some("month"), "close"));
/// # Ok::<(), tower_activity::rules::RulesError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rules {
    pub(super) entries: Vec<Entry>,
    pub(super) defaults: Defaults,
    /// Where the defaults of a file stand.
    pub(super) defaults_origin: Origin,
    pub(super) conventions: Conventions,
    pub(super) retention: Option<RetentionPolicy>,
    pub(super) archive: Option<String>,
}

/// Which conventions stand behind the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conventions {
    pub(super) rest: bool,
    pub(super) authentication: bool,
}

impl PartialEq for Rules {
    /// Compares what the sets say, not where it was written.
    fn eq(&self, other: &Self) -> bool {
        self.conventions == other.conventions
            && self.defaults == other.defaults
            && self.retention == other.retention
            && self.archive == other.archive
            && self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|(a, b)| a.rule == b.rule)
    }
}

impl Default for Rules {
    /// Returns [`Rules::rest`].
    fn default() -> Self {
        Self::rest()
    }
}

impl Rules {
    /// Starts with the REST convention and the one for authentication.
    ///
    /// Mutations are recorded; reads only when they are refused (401, 403, 429) or panic.
    #[must_use]
    pub fn rest() -> Self {
        Self::with(Conventions { rest: true, authentication: true })
    }

    /// Starts with nothing: only what a rule asks for is recorded.
    ///
    /// The REST convention still fills in what such a rule leaves out.
    #[must_use]
    pub fn none() -> Self {
        Self::with(Conventions { rest: false, authentication: false })
    }

    /// Starts with the convention for authentication alone: login and failed login, logout,
    /// registration, passwords, tokens.
    #[must_use]
    pub fn authentication() -> Self {
        Self::with(Conventions { rest: false, authentication: true })
    }

    fn with(conventions: Conventions) -> Self {
        Self {
            entries: Vec::new(),
            defaults: Defaults::default(),
            defaults_origin: Origin::default(),
            conventions,
            retention: None,
            archive: None,
        }
    }

    /// Adds a rule after those that are there.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.entries.push(Entry { rule, origin: Origin::default() });
        self
    }

    /// Adds the rules of a file: TOML, or JSON when its name ends in `.json`.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or the set with it is not sound; all problems are listed,
    /// each with its line.
    pub fn with_file(self, path: impl AsRef<Path>) -> Result<Self, RulesError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| RulesError::unreadable(&name, source))?;
        let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        self.add(&text, Some(&name), json)
    }

    /// Adds the rules of a text in TOML.
    ///
    /// # Errors
    ///
    /// As [`with_file`](Self::with_file); without the feature `toml` every text is refused.
    pub fn with_toml(self, text: &str) -> Result<Self, RulesError> {
        self.add(text, None, false)
    }

    /// Adds the rules of a text in JSON, of the same shape as the TOML.
    ///
    /// # Errors
    ///
    /// As [`with_file`](Self::with_file).
    pub fn with_json(self, text: &str) -> Result<Self, RulesError> {
        self.add(text, None, true)
    }

    fn add(mut self, text: &str, name: Option<&str>, json: bool) -> Result<Self, RulesError> {
        let parsed = file::parse(text, name, json);
        let mut problems = parsed.problems;
        self.entries.extend(parsed.entries);
        self.defaults.fill_from(parsed.defaults);
        self.defaults_origin = parsed.defaults_origin;
        self.retention = self.retention.or(parsed.retention);
        self.archive = self.archive.or(parsed.archive);
        if let Err(error) = self.check() {
            problems.extend_from_slice(error.problems());
        }
        if problems.is_empty() {
            Ok(self)
        } else {
            problems.sort_by_key(|problem| problem.line());
            Err(RulesError::new(problems))
        }
    }

    /// Sets the leading segments that name no resource. Defaults to `api` and `rest`.
    #[must_use]
    pub fn ignore_prefixes(
        mut self,
        prefixes: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.defaults.ignore_prefixes = Some(texts(prefixes));
        self
    }

    /// Sets the networks whose word about a client's address is believed. Defaults to none.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.defaults.trusted_proxies = Some(networks.into_iter().collect());
        self
    }

    /// Names the route templates of a service that has no router to tell them.
    #[must_use]
    pub fn routes(mut self, routes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.defaults.routes = Some(texts(routes));
        self
    }

    /// Sets the name of the service.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.defaults.service = Some(service.into());
        self
    }

    /// Sets the name of the environment.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.defaults.environment = Some(environment.into());
        self
    }

    /// Sets the address policy: `full`, `truncate`, `hmac`, `none`.
    #[must_use]
    pub fn address(mut self, policy: impl Into<String>) -> Self {
        self.defaults.address = Some(policy.into());
        self
    }

    /// Sets the level of what no rule gives one. Defaults to `metadata`.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.defaults.level = Some(level);
        self
    }

    /// Sets the delivery class of what no rule gives one. Defaults to `best_effort`.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.defaults.delivery = Some(delivery);
        self
    }

    /// Sets the finish point of what no rule gives one. Defaults to `auto`.
    #[must_use]
    pub fn finish(mut self, finish: FinishPoint) -> Self {
        self.defaults.finish = Some(finish);
        self
    }

    /// Bounds kept request bodies, in bytes. Defaults to 16,384.
    #[must_use]
    pub fn max_request_body(mut self, bytes: usize) -> Self {
        self.defaults.max_request_body = Some(bytes);
        self
    }

    /// Bounds kept response bodies, in bytes. Defaults to 16,384.
    #[must_use]
    pub fn max_response_body(mut self, bytes: usize) -> Self {
        self.defaults.max_response_body = Some(bytes);
        self
    }

    /// Says whether the id of a created thing is looked for in JSON answers. Defaults to true.
    #[must_use]
    pub fn id_from_response(mut self, scan: bool) -> Self {
        self.defaults.id_from_response = Some(scan);
        self
    }

    /// Sets the keys that are redacted beside the usual ones.
    #[must_use]
    pub fn redact(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.defaults.redact = Some(texts(keys));
        self
    }

    /// Sets how long records are kept.
    #[must_use]
    pub fn retention(mut self, policy: RetentionPolicy) -> Self {
        self.retention = Some(policy);
        self
    }

    /// Returns how long records are kept; `None` when nothing is said of it.
    #[must_use]
    pub fn retention_policy(&self) -> Option<&RetentionPolicy> {
        self.retention.as_ref()
    }

    /// Returns where what is taken out is kept from then on, as `archive` in `[retention]` says; `None` when nothing is
    /// said of it.
    #[must_use]
    pub fn retention_archive(&self) -> Option<&str> {
        self.archive.as_deref()
    }

    /// Returns the defaults of the set.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// Says whether the set is sound.
    ///
    /// # Errors
    ///
    /// Lists everything that is wrong.
    pub fn check(&self) -> Result<(), RulesError> {
        compile(self).map(drop)
    }

    /// Makes the form that the request path uses.
    ///
    /// # Errors
    ///
    /// Lists everything that is wrong: nothing starts with half a rule set.
    pub fn compile(&self) -> Result<CompiledRules, RulesError> {
        compile(self)
    }

    /// Explains what a request to a route means when it ends with a status.
    ///
    /// For many questions, [`compile`](Self::compile) once and ask
    /// [`CompiledRules::explain`].
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn explain(
        &self,
        method: &str,
        route: &str,
        status: u16,
    ) -> Result<Explanation, RulesError> {
        Ok(self.compile()?.explain(method, route, status))
    }
}

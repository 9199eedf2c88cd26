//! What holds for every rule that does not say otherwise.

use ipnet::IpNet;

use super::{Delivery, FinishPoint, Level};

/// The `[defaults]` of a rule set; what is not set has the default named beside it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    pub(super) ignore_prefixes: Option<Vec<String>>,
    pub(super) trusted_proxies: Option<Vec<IpNet>>,
    pub(super) routes: Option<Vec<String>>,
    pub(super) service: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) address: Option<String>,
    pub(super) level: Option<Level>,
    pub(super) delivery: Option<Delivery>,
    pub(super) finish: Option<FinishPoint>,
    pub(super) max_request_body: Option<usize>,
    pub(super) max_response_body: Option<usize>,
    pub(super) id_from_response: Option<bool>,
    pub(super) redact: Option<Vec<String>>,
}

/// The words that an address policy may be.
pub(super) const ADDRESS_WORDS: &[&str] = &["full", "truncate", "hmac", "none"];

/// Enough for the bodies of ordinary calls, and little beside the queue's budget.
pub const DEFAULT_MAX_BODY: usize = 16 * 1024;

/// What nearly every API puts before its resources; versions go without being named.
const DEFAULT_IGNORED: &[&str] = &["api", "rest"];

impl Defaults {
    /// Returns the leading segments that name no resource. Defaults to `api`
    /// and `rest`; versions (`v1`,
    /// `2024-01-01`) never name one.
    pub fn ignore_prefixes(&self) -> impl Iterator<Item = &str> {
        let set = self.ignore_prefixes.as_deref();
        let usual = if set.is_none() { DEFAULT_IGNORED } else { &[] };
        set.unwrap_or_default().iter().map(String::as_str).chain(usual.iter().copied())
    }

    /// Returns the networks whose word about a client's address is believed. Defaults to none.
    #[must_use]
    pub fn trusted_proxies(&self) -> &[IpNet] {
        self.trusted_proxies.as_deref().unwrap_or_default()
    }

    /// Returns the route templates of a service without a router that tells them.
    #[must_use]
    pub fn routes(&self) -> &[String] {
        self.routes.as_deref().unwrap_or_default()
    }

    /// Returns the name of the service, if set.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Returns the name of the environment, if set.
    #[must_use]
    pub fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// Returns the word of the address policy, if set: `full`, `truncate`, `hmac`, `none`.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Returns the level of what no rule gives one. Defaults to `metadata`.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.unwrap_or_default()
    }

    /// Returns the delivery class of what no rule gives one. Defaults to `best_effort`, so that
    /// the global class holds.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery.unwrap_or_default()
    }

    /// Returns the finish point of what no rule gives one. Defaults to `auto`.
    #[must_use]
    pub fn finish(&self) -> FinishPoint {
        self.finish.unwrap_or_default()
    }

    /// Returns the bound of a kept request body, in bytes. Defaults to 16,384.
    #[must_use]
    pub fn max_request_body(&self) -> usize {
        self.max_request_body.unwrap_or(DEFAULT_MAX_BODY)
    }

    /// Returns the bound of a kept response body, in bytes. Defaults to 16,384.
    #[must_use]
    pub fn max_response_body(&self) -> usize {
        self.max_response_body.unwrap_or(DEFAULT_MAX_BODY)
    }

    /// Says whether the id of a created thing is looked for in a JSON answer. Defaults to true.
    #[must_use]
    pub fn id_from_response(&self) -> bool {
        self.id_from_response.unwrap_or(true)
    }

    /// Returns the keys that are redacted beside the usual ones.
    #[must_use]
    pub fn redact(&self) -> &[String] {
        self.redact.as_deref().unwrap_or_default()
    }

    /// Takes from the other what is not set here.
    pub(super) fn fill_from(&mut self, other: Self) {
        fn fill<T>(mine: &mut Option<T>, other: Option<T>) {
            if mine.is_none() {
                *mine = other;
            }
        }
        fill(&mut self.ignore_prefixes, other.ignore_prefixes);
        fill(&mut self.trusted_proxies, other.trusted_proxies);
        fill(&mut self.routes, other.routes);
        fill(&mut self.service, other.service);
        fill(&mut self.environment, other.environment);
        fill(&mut self.address, other.address);
        fill(&mut self.level, other.level);
        fill(&mut self.delivery, other.delivery);
        fill(&mut self.finish, other.finish);
        fill(&mut self.max_request_body, other.max_request_body);
        fill(&mut self.max_response_body, other.max_response_body);
        fill(&mut self.id_from_response, other.id_from_response);
        fill(&mut self.redact, other.redact);
    }
}

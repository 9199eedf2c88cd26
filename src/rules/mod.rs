//! From a request to its meaning: rules, the conventions behind them, and the rules file.
//!
//! What enters: a rule set as written ([`Rules`], [`Rule`], a TOML or JSON file), and of each
//! request its method, route template, head and ending. What leaves: a [`Plan`] before the
//! handler runs (must it be recorded, how strictly, which bodies) and a [`Meaning`] once the
//! status is known (entity, action, id, level, sentence).
//!
//! ```
//! use tower_activity::rules::{Ended, Route, Rules};
//!
//! let rules = Rules::rest().compile()?;
//! let plan = rules.plan(&http::Method::POST, Route::Template("/api/v1/orders/{id}/cancel"));
//! let mask = plan.applicable(&http::HeaderMap::new(), None, "/api/v1/orders/55/cancel");
//! let meaning = plan.decide(&mask, &Ended::with_status(200)).expect("mutations are recorded");
//! assert_eq!((meaning.entity_type.as_deref(), &*meaning.action), (Some("order"), "cancel"));
//! assert_eq!(meaning.path_param("/api/v1/orders/55/cancel", "id").as_deref(), Some("55"));
//! # Ok::<(), tower_activity::rules::RulesError>(())
//! ```
//!
//! A rules file says the same in TOML (or in JSON of the same shape); its keys are the setters of
//! [`Rule`] and, under `[defaults]`, of [`Rules`]:
//!
//! ```toml
//! [defaults]
//! ignore_prefixes = ["api", "v1"]
//! trusted_proxies = ["10.0.0.0/8"]
//!
//! [[rule]]
//! name      = "cancel order"
//! route     = "/api/orders/{id}/cancel"    # `{name}`, `*` one segment, `**` any rest
//! methods   = ["POST"]
//! entity    = "order"
//! action    = "cancel"
//! entity_id = "{id}"                       # or location, request:/pointer, response:/pointer
//! parents   = [{ type = "shop", id = "request:/shop" }]
//! delivery  = "strict"
//!
//! [[rule]]
//! name     = "failed login"
//! route    = "/auth/login"
//! status   = ["401", "403"]                # codes, classes (4xx), success, denied, failure …
//! entity   = "user"
//! action   = "login_failed"
//! category = "authentication"
//!
//! [[rule]]
//! name    = "sensitive read"
//! route   = "/api/patients/{id}/**"
//! methods = ["GET"]
//! headers = { x-purpose = "*" }
//! level   = "metadata"                     # none, metadata, request, request_response
//! ```
//!
//! **Promised.** Pure: no clock, no async, and no I/O but the reading of a file that is named.
//! Patterns match whole segments. First match wins. A set that is not sound is refused whole, with
//! every problem, its file, line and rule. A plan is made once per template and method; raw paths
//! never grow anything. Whatever a file or a route contains, nothing here panics.
//!
//! **Not promised.** The conventions guess well, not always: [`How`] says how sure they are, and
//! [`Rules::explain`] how they came to it. Where an API names things oddly, write a rule.

mod cache;
mod check;
mod compile;
mod condition;
mod defaults;
mod description;
mod error;
mod explain;
mod file;
mod mapping;
mod meaning;
mod methods;
mod params;
mod pattern;
mod plan;
mod ready;
mod rest;
mod retention;
mod rule;
mod set;
mod status;
mod words;

pub use compile::{CompiledRules, Route, UNMATCHED};
pub use defaults::{DEFAULT_MAX_BODY, Defaults};
pub use description::{Description, DescriptionError};
pub use error::{Problem, RulesError};
pub use explain::{Considered, Explanation};
pub use meaning::{EntityIdFrom, Meaning, Pointer, PointerError, RelatedThing};
pub use params::params;
pub use plan::{Mask, Plan, SCAN_BYTES};
pub use retention::{
    Fullness, Keep, Preset, RetentionError, RetentionPolicy, SizeLimit, TenantGroup,
};
pub use rule::Rule;
pub use set::Rules;
pub use status::Ended;
pub use words::{Delivery, FinishPoint, How, Level, UnknownRuleWord};

#[cfg(test)]
mod tests;

//! A rule as its author writes it: data, checked when the set is compiled.

use super::{Delivery, FinishPoint, Level};
use crate::record::{Category, Operation};

/// One rule: which requests it is about, and what they mean.
///
/// The setters mirror the keys of a rules file and are checked together with it, by
/// [`Rules::check`](super::Rules::check): what a file may not say, code may not either.
/// What a rule leaves out, the REST convention fills in.
///
/// ```
/// use tower_activity::rules::{Rule, Rules};
///
/// let rules = Rules::rest().rule(
///     Rule::new("cancel order")
///         .route("/api/orders/{id}/cancel")
///         .methods(["POST"])
///         .description("{actor} cancelled order {id}"),
/// );
/// assert!(rules.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    pub(super) name: String,
    pub(super) route: Option<String>,
    pub(super) methods: Vec<String>,
    pub(super) status: Vec<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) host: Vec<String>,
    pub(super) entity: Option<String>,
    pub(super) action: Option<String>,
    pub(super) operation: Option<Operation>,
    pub(super) category: Option<Category>,
    pub(super) severity: Option<u8>,
    pub(super) entity_id: Option<String>,
    pub(super) targets: Vec<TargetSpec>,
    pub(super) level: Option<Level>,
    pub(super) max_request_body: Option<usize>,
    pub(super) max_response_body: Option<usize>,
    pub(super) delivery: Option<Delivery>,
    pub(super) finish: Option<FinishPoint>,
    pub(super) description: Option<String>,
    pub(super) redact: Vec<String>,
    pub(super) attempted_account: Vec<String>,
    pub(super) id_from_response: Option<bool>,
}

/// A further thing as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TargetSpec {
    pub(super) entity_type: String,
    pub(super) id: String,
    pub(super) relation: String,
}

impl Rule {
    /// Starts a rule; the name stands in every record that it makes.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets the route: whole segments of text, `{name}` (a parameter, whatever the router calls
    /// it), `*` (any one segment), `**` (any number of them). Defaults to every route.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// Sets the methods. Defaults to every method.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = texts(methods);
        self
    }

    /// Sets the endings: codes (`404`), classes (`4xx`), ranges (`400-499`), `grpc:not_found`,
    /// and `success`, `denied`, `failure`, `error`, `aborted`, `panic`. Defaults to all.
    #[must_use]
    pub fn status(mut self, status: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.status = texts(status);
        self
    }

    /// Asks for a request header with a value, in which `*` stands for any text.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Asks for one of these hosts, without port; `*` stands for any text.
    #[must_use]
    pub fn host(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.host = texts(hosts);
        self
    }

    /// Sets the kind of thing.
    #[must_use]
    pub fn entity(mut self, entity: impl Into<String>) -> Self {
        self.entity = Some(entity.into());
        self
    }

    /// Sets the action.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self
    }

    /// Sets the normalised verb. Defaults to what the action says.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Sets the kind of fact.
    #[must_use]
    pub fn category(mut self, category: Category) -> Self {
        self.category = Some(category);
        self
    }

    /// Sets the severity, 0 to 6 as in OCSF.
    #[must_use]
    pub fn severity(mut self, severity: u8) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Sets where the id is read: `{param}`, `location`, `request:/pointer`,
    /// `response:/pointer`, `actor` or `none`.
    #[must_use]
    pub fn entity_id(mut self, source: impl Into<String>) -> Self {
        self.entity_id = Some(source.into());
        self
    }

    /// Adds the parent of a nested thing; the id is read as in [`entity_id`](Self::entity_id).
    #[must_use]
    pub fn parent(self, entity_type: impl Into<String>, id: impl Into<String>) -> Self {
        self.target(entity_type, id, "parent")
    }

    /// Adds a further thing, with what it is to the entity.
    #[must_use]
    pub fn target(
        mut self,
        entity_type: impl Into<String>,
        id: impl Into<String>,
        relation: impl Into<String>,
    ) -> Self {
        self.targets.push(TargetSpec {
            entity_type: entity_type.into(),
            id: id.into(),
            relation: relation.into(),
        });
        self
    }

    /// Sets how much is kept. Defaults to the level of the set.
    #[must_use]
    pub fn level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Bounds the kept request body, in bytes. Defaults to the bound of the set.
    #[must_use]
    pub fn max_request_body(mut self, bytes: usize) -> Self {
        self.max_request_body = Some(bytes);
        self
    }

    /// Bounds the kept response body, in bytes. Defaults to the bound of the set.
    #[must_use]
    pub fn max_response_body(mut self, bytes: usize) -> Self {
        self.max_response_body = Some(bytes);
        self
    }

    /// Sets the delivery class. Defaults to that of the [defaults](super::Rules::delivery).
    ///
    /// The strictest holds among this, the pipeline's mode and every other rule that may still record the
    /// request: which rule wins is known only with the status, and a strict request announces itself before
    /// its handler runs. `durable` and `strict` need a pipeline with a spool; one without does not start.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// Sets when the record is complete.
    #[must_use]
    pub fn finish(mut self, finish: FinishPoint) -> Self {
        self.finish = Some(finish);
        self
    }

    /// Sets the sentence: `{actor} cancelled {entity} {entity_id}`.
    #[must_use]
    pub fn description(mut self, template: impl Into<String>) -> Self {
        self.description = Some(template.into());
        self
    }

    /// Adds keys to redact in what is kept of the bodies.
    #[must_use]
    pub fn redact(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.redact.extend(texts(keys));
        self
    }

    /// Adds JSON pointers into the request body where a login names its account, in order.
    #[must_use]
    pub fn attempted_account(
        mut self,
        pointers: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.attempted_account.extend(texts(pointers));
        self
    }

    /// Says whether the id of a created thing is looked for in a JSON answer.
    #[must_use]
    pub fn id_from_response(mut self, scan: bool) -> Self {
        self.id_from_response = Some(scan);
        self
    }
}

pub(super) fn texts(texts: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}

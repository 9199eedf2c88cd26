//! Why a request means what it means.

use std::{fmt, sync::Arc};

use http::Method;
use serde::Serialize;

use super::{
    Ended, EntityIdFrom, How, Level, Meaning, UNMATCHED,
    mapping::{self, Mapping, Miss},
    meaning::RelatedThing,
    pattern::Pattern,
};

/// What a request means, which rule says so, and why no other.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    method: String,
    route: String,
    status: u16,
    recorded: bool,
    rule: Option<String>,
    how: Option<How>,
    entity_type: Option<String>,
    action: String,
    operation: crate::record::Operation,
    category: crate::record::Category,
    entity_id: EntityIdFrom,
    parents: Vec<RelatedThing>,
    level: Level,
    delivery: super::Delivery,
    considered: Vec<Considered>,
    steps: Vec<String>,
}

/// One rule or convention that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    rule: String,
    matched: bool,
    why: String,
}

impl Considered {
    /// Returns the name of the rule or convention.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Says whether it won.
    #[must_use]
    pub fn matched(&self) -> bool {
        self.matched
    }

    /// Returns why, or why not.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl Explanation {
    /// Says whether there is a record.
    #[must_use]
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    /// Returns the name of the rule or convention that won, or an empty text.
    #[must_use]
    pub fn rule(&self) -> &str {
        self.rule.as_deref().unwrap_or_default()
    }

    /// Returns how sure the mapping is, if anything won.
    #[must_use]
    pub fn how(&self) -> Option<How> {
        self.how
    }

    /// Returns the kind of thing.
    #[must_use]
    pub fn entity_type(&self) -> Option<&str> {
        self.entity_type.as_deref()
    }

    /// Returns what is done to it.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// Returns the normalised verb.
    #[must_use]
    pub fn operation(&self) -> crate::record::Operation {
        self.operation
    }

    /// Returns the kind of fact.
    #[must_use]
    pub fn category(&self) -> crate::record::Category {
        self.category
    }

    /// Returns where the id is read.
    #[must_use]
    pub fn entity_id(&self) -> &EntityIdFrom {
        &self.entity_id
    }

    /// Returns the further things, parents first.
    #[must_use]
    pub fn parents(&self) -> &[RelatedThing] {
        &self.parents
    }

    /// Returns how much is kept.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Returns what was looked at, in order, down to what won.
    #[must_use]
    pub fn considered(&self) -> &[Considered] {
        &self.considered
    }

    /// Returns how the convention read the route, step by step.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.steps
    }
}

pub(super) fn explain(inner: &Mapping, method: &str, route: &str, status: u16) -> Explanation {
    let parsed = Method::from_bytes(method.as_bytes()).ok();
    let template = (route != UNMATCHED).then(|| Arc::new(Pattern::template(route)));
    let ended = Ended::with_status(status);
    let readings = inner.readings(method, template.as_deref());
    let reading = readings
        .iter()
        .find(|reading| reading.status.contains(&ended))
        .or_else(|| readings.first());
    let mut considered = Vec::new();
    let mut winner: Option<Meaning> = None;
    for rule in inner.rules() {
        let why = match mapping::meet(rule, parsed.as_ref(), template.as_deref()) {
            Err(Miss::Route) => Err("its route is another".to_owned()),
            Err(Miss::Method) => Err(format!("it is not about {method}")),
            Ok(_) if !rule.status.contains(&ended) => {
                Err(format!("it is not about status {status}"))
            }
            Ok(None) => Ok("route, method and status match".to_owned()),
            Ok(Some(question)) => Ok(if question.conditions.is_empty() {
                "matches where the raw path does".to_owned()
            } else {
                "matches where the headers and host do".to_owned()
            }),
        };
        let matched = why.is_ok();
        considered.push(Considered {
            rule: rule.name.to_string(),
            matched,
            why: why.unwrap_or_else(|why| why),
        });
        if matched {
            // What the rule leaves out, it takes from where the plan has it.
            let sources = mapping::sources(rule, &readings);
            let source = sources.into_iter().find(|(_, endings)| {
                endings.as_ref().is_none_or(|endings| endings.contains(&ended))
            });
            let source = source.and_then(|(reading, _)| reading);
            winner = Some(inner.meaning_of_rule(rule, template.as_ref(), source));
            break;
        }
    }
    if winner.is_none() {
        for reading in &readings {
            let matched = inner.stands(reading) && reading.status.contains(&ended);
            let why = if matched {
                "no rule matches, and the convention is about this".to_owned()
            } else if !inner.stands(reading) {
                "the convention is off".to_owned()
            } else if reading.is_read() {
                "a read is recorded only when it is refused (401, 403, 429) or panics".to_owned()
            } else {
                format!("it is not about status {status}")
            };
            considered.push(Considered { rule: reading.which.to_owned(), matched, why });
            if matched {
                winner = Some(inner.meaning_of_reading(reading, template.as_ref()));
                break;
            }
        }
    }
    // What is not recorded still has a reading, which is what one wants to see when asking why.
    let won = winner.as_ref().map(|meaning| (meaning.rule.to_string(), meaning.how));
    let meaning = winner
        .or_else(|| reading.map(|reading| inner.meaning_of_reading(reading, template.as_ref())));
    let recorded = won.is_some() && meaning.as_ref().is_some_and(|m| m.level != Level::None);
    let (rule, how) = won.unzip();
    Explanation {
        method: method.to_owned(),
        route: route.to_owned(),
        status,
        recorded,
        rule,
        how,
        entity_type: meaning.as_ref().and_then(|m| m.entity_type.as_deref().map(str::to_owned)),
        action: meaning.as_ref().map_or_else(|| "execute".to_owned(), |m| m.action.to_string()),
        operation: meaning.as_ref().map(|m| m.operation).unwrap_or_default(),
        category: meaning.as_ref().map(|m| m.category).unwrap_or_default(),
        entity_id: meaning.as_ref().map(|m| m.entity_id.clone()).unwrap_or_default(),
        parents: meaning.as_ref().map(|m| m.related.to_vec()).unwrap_or_default(),
        level: if recorded {
            meaning.as_ref().map(|m| m.level).unwrap_or_default()
        } else {
            Level::None
        },
        delivery: meaning.as_ref().map(|m| m.delivery).unwrap_or_default(),
        considered,
        steps: reading.map(|r| r.steps.clone()).unwrap_or_default(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entity = self.entity_type().unwrap_or("-");
        writeln!(f, "{} {} → {}", self.method, self.route, self.status)?;
        if self.recorded {
            write!(f, "  recorded as {entity}/{}", self.action)?;
        } else {
            write!(f, "  not recorded; would be {entity}/{}", self.action)?;
        }
        write!(f, " ({}, {})", self.operation, self.category)?;
        if self.entity_id != EntityIdFrom::Nothing {
            write!(f, ", id from {}", self.entity_id)?;
        }
        for thing in &self.parents {
            write!(f, ", {} {} {}", thing.relation, thing.entity_type, thing.id)?;
        }
        if let (Some(rule), Some(how)) = (&self.rule, self.how) {
            write!(f, "\n  by {rule} ({how}), level {}, delivery {}", self.level, self.delivery)?;
        }
        for considered in &self.considered {
            let sign = if considered.matched { '+' } else { '-' };
            write!(f, "\n  {sign} {}: {}", considered.rule, considered.why)?;
        }
        for step in &self.steps {
            write!(f, "\n    {step}")?;
        }
        Ok(())
    }
}

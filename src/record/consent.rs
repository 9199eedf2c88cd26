//! Consents: what somebody agreed to, or agrees to no longer.

use serde::Serialize;

use super::{
    Record,
    actor::Actor,
    words::{Category, Outcome},
};

/// A consent that was given or withdrawn, to be recorded as evidence.
///
/// It is of a category of its own, and no ordinary erasure reaches it: whoever processes data on the strength of a
/// consent has to be able to show it (GDPR Art. 7(1)).
///
/// ```
/// use tower_activity::record::{Actor, Category, Consent, Record};
///
/// let given = Consent::given(Actor::user("ana"), "newsletter")
///     .version("2026-03")
///     .basis("GDPR Art. 6(1)(a)")
///     .channel("web");
/// let record = Record::from(given);
/// assert_eq!(record.category, Category::Consent);
/// assert_eq!(record.action, "consent_given");
/// assert_eq!((record.entity_type.as_str(), record.entity_id.as_str()), ("consent", "newsletter"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a consent does nothing until it is recorded"]
pub struct Consent {
    by: Actor,
    of: Option<String>,
    given: bool,
    facts: Facts,
    channel: String,
    tenant: String,
}

#[derive(Debug, Clone, Serialize)]
struct Facts {
    purpose: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis: Option<String>,
}

impl Consent {
    /// Begins a consent that somebody gave, to a purpose, as in `newsletter`.
    pub fn given(by: impl Into<Actor>, purpose: impl Into<String>) -> Self {
        Self::new(by.into(), purpose.into(), true)
    }

    /// Begins one that somebody withdrew.
    pub fn withdrawn(by: impl Into<Actor>, purpose: impl Into<String>) -> Self {
        Self::new(by.into(), purpose.into(), false)
    }

    fn new(by: Actor, purpose: String, given: bool) -> Self {
        let facts = Facts { purpose, version: None, basis: None };
        Self { by, of: None, given, facts, channel: String::new(), tenant: String::new() }
    }

    /// Says whose consent it is, where somebody else handed it in. Defaults to whoever gave it.
    pub fn of(mut self, subject: impl Into<String>) -> Self {
        self.of = Some(subject.into());
        self
    }

    /// Names the version of the text that was agreed to.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.facts.version = Some(version.into());
        self
    }

    /// Names the legal basis, as in `GDPR Art. 6(1)(a)`.
    pub fn basis(mut self, basis: impl Into<String>) -> Self {
        self.facts.basis = Some(basis.into());
        self
    }

    /// Says by which way it came: `web`, `phone`, `paper`.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// Sets the tenant.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }
}

impl From<Consent> for Record {
    fn from(consent: Consent) -> Self {
        let Consent { by, of, given, facts, channel, tenant } = consent;
        let subject = of.unwrap_or_else(|| by.id().to_owned());
        let mut record = Self::by(by)
            .verb(if given { "consent_given" } else { "consent_withdrawn" })
            .on("consent", &facts.purpose)
            .category(Category::Consent)
            .outcome(Outcome::Success, "")
            .channel(&channel)
            .tenant(&tenant)
            .metadata(&facts);
        if let Ok(subjects) = super::Json::of(&[subject]) {
            record.subject_ids = subjects;
        }
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_says_whose_it_is_for_what_and_on_which_text() {
        let consent = Consent::withdrawn(Actor::service("desk"), "profiling")
            .of("ana")
            .version("3")
            .basis("GDPR Art. 7(3)")
            .channel("phone")
            .tenant("acme");
        let record = Record::from(consent);
        assert_eq!(record.action, "consent_withdrawn");
        assert_eq!((record.channel.as_str(), record.tenant_id.as_str()), ("phone", "acme"));
        assert_eq!(record.subject_ids.as_str(), "[\"ana\"]");
        assert_eq!(
            record.metadata.as_str(),
            r#"{"purpose":"profiling","version":"3","basis":"GDPR Art. 7(3)"}"#
        );
    }
}

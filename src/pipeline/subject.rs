//! A person, as the log knows him.

#[cfg(feature = "api")]
use crate::privacy::{concerns, mask};
use crate::{
    privacy::{Keys, USES, concerned},
    query::{Expr, Filter, Pattern, Test, Wanted},
    record::{Field, Groups, Record},
};

/// Longer ones are no names.
pub(super) const LONGEST: usize = 512;
pub(super) const MOST_NAMES: usize = 64;

/// A person, by the ids that records have of him.
///
/// ```
/// use tower_activity::pipeline::Subject;
///
/// let ana = Subject::new("ana").also("ana@example.com").person_type("customer");
/// assert!(ana.check().is_ok());
/// assert!(Subject::new(" ").check().is_err());
/// ```
#[derive(Debug, Clone)]
#[must_use = "a subject does nothing by itself"]
pub struct Subject {
    pub(super) names: Vec<String>,
    pub(super) types: Vec<String>,
    pub(super) tenant: Option<String>,
}

impl Subject {
    /// Names a person by the id that records have of him.
    pub fn new(id: impl Into<String>) -> Self {
        Self { names: vec![id.into()], types: vec!["user".to_owned()], tenant: None }
    }

    /// Adds another id of the same person, as the account name or an id of before.
    pub fn also(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Adds a type of things that are persons, so that what was done to a `customer` of this id is about him too.
    /// Defaults to `user`.
    pub fn person_type(mut self, kind: impl Into<String>) -> Self {
        self.types.push(kind.into());
        self
    }

    /// Looks at the records of one tenant alone. Defaults to all.
    pub fn tenant(mut self, tenant: Option<String>) -> Self {
        self.tenant = tenant;
        self
    }

    /// Says what is wrong with it, if anything is.
    ///
    /// # Errors
    ///
    /// When a name or a type is empty or too long, or there are too many.
    pub fn check(&self) -> Result<(), &'static str> {
        let bad = |text: &String| text.trim().is_empty() || text.len() > LONGEST;
        if self.names.iter().any(bad) || self.names.len() > MOST_NAMES {
            return Err(
                "the subject is empty, or longer than 512 bytes, or has more than 64 names",
            );
        }
        if self.types.iter().any(bad) || self.types.len() > MOST_NAMES {
            return Err(
                "a type of persons is empty or longer than 512 bytes, or there are more than 64",
            );
        }
        Ok(())
    }
}

/// A person who is looked for, under whatever name records may have of him.
///
/// Failed logins keep the attempted account as a pseudonym, under the key of its time and for its tenant: each key
/// that there was is tried.
#[derive(Debug, Clone)]
pub(crate) struct Sought {
    subject: Subject,
    keys: Keys,
}

impl Sought {
    pub(crate) const fn new(subject: Subject, keys: Keys) -> Self {
        Self { subject, keys }
    }

    /// Tells whether a text in a record of this tenant is a name of his.
    fn is(&self, tenant: Option<&str>, text: &str) -> bool {
        let of_account = |name: &String| {
            let for_all = tenant.and(Some(self.keys.pseudonyms(Keys::ACCOUNT, None, name)));
            let mut all = self
                .keys
                .pseudonyms(Keys::ACCOUNT, tenant, name)
                .chain(for_all.into_iter().flatten());
            all.any(|pseudonym| pseudonym == text)
        };
        let names = &self.subject.names;
        names.iter().any(|name| name == text)
            || (Keys::is_pseudonym(text) && names.iter().any(of_account))
    }

    /// Returns the names under which he can be looked up: those that were given, and the pseudonyms of accounts
    /// under each key, for his tenant and for none.
    pub(crate) fn names(&self) -> Vec<String> {
        let tenant = self.subject.tenant.as_deref();
        let mut names = self.subject.names.clone();
        for name in &self.subject.names {
            names.extend(self.keys.pseudonyms(Keys::ACCOUNT, tenant, name));
            if tenant.is_some() {
                names.extend(self.keys.pseudonyms(Keys::ACCOUNT, None, name));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the filter that every record about him passes, and others beside.
    pub(crate) fn filter(&self) -> Filter {
        let names = self.names();
        let field = |name| Field::named(name).expect("every record has the field");
        let one_of = |name, values| Expr::Test(Test::OneOf(field(name), values));
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let mut any = vec![
            one_of("actor_id", names.clone()),
            one_of("impersonator_id", names.clone()),
            one_of("entity_id", names.clone()),
            Expr::Test(Test::Contains(field("subject_ids"), names.clone())),
            Expr::Test(Test::Json(field("targets"), vec!["id".to_owned()], Wanted::OneOf(names))),
            // Whoever used the log may have asked about him.
            one_of("category", words(&["system"])).and(one_of("action", words(&USES))),
        ];
        let filter = match &self.subject.tenant {
            None => {
                // Each tenant has pseudonyms of its own.
                let pseudonym = Pattern::new(["p1.", ""]);
                any.push(Expr::Test(Test::Like(field("entity_id"), pseudonym)));
                Filter::new()
            }
            Some(tenant) => Filter::new().and(one_of("tenant_id", vec![tenant.clone()])),
        };
        filter.and(Expr::Any(any))
    }

    /// Returns the groups of a record that erasing him takes; `instead` names them whatever his part.
    pub(crate) fn erased_from(&self, record: &Record, instead: Groups) -> Groups {
        let tenant = record.tenant_id.as_option();
        // An archive is read whole, and not through the filter: somebody of this name in another tenant is another one.
        if self.subject.tenant.as_deref().is_some_and(|own| tenant != Some(own)) {
            return Groups::NONE;
        }
        concerned(record, &self.subject.types, instead, |text| self.is(tenant, text))
    }

    /// Tells whether a record is about him.
    #[cfg(feature = "api")]
    pub(crate) fn is_in(&self, record: &Record) -> bool {
        let tenant = record.tenant_id.as_option();
        !concerns(record, &self.subject.types, |text| self.is(tenant, text)).is_empty()
    }

    /// Masks what is about others in a record about him, and returns the groups that lost something.
    #[cfg(feature = "api")]
    pub(crate) fn mask_others(&self, record: &mut Record) -> Groups {
        let tenant = record.tenant_id.as_option().map(str::to_owned);
        mask(record, &self.subject.types, |text| self.is(tenant.as_deref(), text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_erased_for_one_tenant_stays_in_the_others() {
        let mut record = Record::default();
        record.actor_id.set("ana");
        record.tenant_id.set("acme");
        for (tenant, is_meant) in [(None, true), (Some("acme"), true), (Some("globex"), false)] {
            let ana = Subject::new("ana").tenant(tenant.map(str::to_owned));
            let ana = Sought::new(ana, Keys::ephemeral());
            let groups = ana.erased_from(&record, Groups::NONE);
            assert_eq!(!groups.is_empty(), is_meant, "{tenant:?}");
        }
    }

    #[test]
    fn he_is_known_by_the_pseudonyms_of_every_key_and_of_the_records_tenant() {
        let keys = Keys::ephemeral();
        let ana = Sought::new(Subject::new("ana"), keys.clone());
        let mut record = Record::default();
        record.entity_type.set("user");
        record.entity_id.set(&keys.pseudonym(Keys::ACCOUNT, Some("acme"), "ana"));
        let of_ana = |record: &Record| ana.erased_from(record, Groups::NONE).to_string();
        assert!(ana.filter().matches(&record));
        assert_eq!(of_ana(&record), "", "the pseudonym is another tenant's");
        record.tenant_id.set("acme");
        assert!(ana.filter().matches(&record));
        assert_eq!(of_ana(&record), "tc");
        let of_globex = Sought::new(Subject::new("ana").tenant(Some("globex".to_owned())), keys);
        assert!(!of_globex.filter().matches(&record));
        let others = Sought::new(Subject::new("ana"), Keys::ephemeral());
        assert!(others.erased_from(&record, Groups::NONE).is_empty());
        // Nor where no filter was asked before, as in an archive.
        record.actor_id.set("ana");
        assert_eq!(of_ana(&record), "intc");
        assert!(of_globex.erased_from(&record, Groups::NONE).is_empty());
    }
}

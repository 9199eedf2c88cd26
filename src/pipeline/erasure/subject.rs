//! Names of people, and the digests that stand for them.

use std::collections::HashMap;

use super::request::ErasureRequest;
use crate::{
    privacy::{Keys, concerned, ids},
    record::{Groups, Record},
    store::{AnyStore, ErasedSubject, StoreError},
    time::Timestamp,
};

/// The purpose of the digests, so that they equal no other pseudonym.
const PURPOSE: &str = "erased";

/// Returns the entries of the list for these names, under every key: a process that has not read the newest yet knows
/// them too.
pub(super) fn entries(
    request: &ErasureRequest,
    names: &[String],
    keys: &Keys,
    erasure: &str,
    before: Timestamp,
) -> Vec<ErasedSubject> {
    let tenant = request.subject.tenant.as_deref();
    let digests = names.iter().flat_map(|name| keys.pseudonyms(PURPOSE, tenant, name));
    let entry = |digest| ErasedSubject {
        digest,
        erasure: erasure.to_owned(),
        before,
        types: request.subject.types.clone(),
        groups: request.groups.to_string(),
    };
    digests.map(entry).collect()
}

/// Those on the list, by digest.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<String, Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    before: Timestamp,
    types: Vec<String>,
    groups: Groups,
}

impl Known {
    pub(super) fn add(&mut self, subject: ErasedSubject) {
        let ErasedSubject { digest, before, types, groups, .. } = subject;
        // Letters that nobody wrote are none: then the part decides.
        let groups = Groups::parse(&groups).unwrap_or_default();
        self.0.entry(digest).or_default().push(Entry { before, types, groups });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the groups of a record that are about anybody on the list.
    pub(super) fn concerned(&self, record: &Record, keys: &Keys) -> Groups {
        let tenant = record.tenant_id.as_option();
        let mut groups = Groups::NONE;
        for id in ids(record) {
            let own = tenant.map(|tenant| keys.pseudonyms(PURPOSE, Some(tenant), &id));
            let digests: Vec<_> =
                keys.pseudonyms(PURPOSE, None, &id).chain(own.into_iter().flatten()).collect();
            let entries = digests.iter().filter_map(|digest| self.0.get(digest)).flatten();
            for entry in entries.filter(|entry| record.occurred_at <= entry.before) {
                groups =
                    groups.and(concerned(record, &entry.types, entry.groups, |name| name == id));
            }
        }
        groups
    }
}

/// Erasures that list nobody under any of some keys: whom they are of, nobody who has only these can tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strangers {
    pub(super) erasures: usize,
    /// There are no other erasures.
    pub(super) are_all: bool,
}

impl Strangers {
    pub(super) fn among(list: &[ErasedSubject], keys: &Keys) -> Self {
        let mut erasures = HashMap::new();
        for subject in list {
            let made_with = |id: &str| {
                let rest = subject.digest.strip_prefix("p1.").and_then(|it| it.strip_prefix(id));
                rest.is_some_and(|digest| digest.starts_with('.'))
            };
            let is_ours = keys.pseudonym_key_ids().any(made_with);
            *erasures.entry(&subject.erasure).or_insert(false) |= is_ours;
        }
        let all = erasures.len();
        let erasures = erasures.into_values().filter(|is_ours| !is_ours).count();
        Self { erasures, are_all: erasures > 0 && erasures == all }
    }
}

/// Everybody whom a log has on its list of erased people, for whoever puts something of them back.
#[derive(Debug)]
pub struct ErasedPeople {
    known: Known,
    keys: Keys,
    strangers: usize,
}

impl ErasedPeople {
    /// Reads the list of a log; it holds digests under these keys.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn of(store: &AnyStore, keys: Keys) -> Result<Self, StoreError> {
        let list = super::arrivals::read(store, 0).await?;
        let list: Vec<_> = list.into_iter().map(|(_, subject)| subject).collect();
        let strangers = Strangers::among(&list, &keys).erasures;
        let mut known = Known::default();
        list.into_iter().for_each(|subject| known.add(subject));
        Ok(Self { known, keys, strangers })
    }

    /// Returns how many erasures list nobody under any of these keys.
    pub(super) const fn strangers(&self) -> usize {
        self.strangers
    }

    /// Returns the groups of a record that are about anybody on the list.
    #[must_use]
    pub fn groups(&self, record: &Record) -> Groups {
        self.known.concerned(record, &self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::subject::Sought;

    #[test]
    fn who_is_on_the_list_is_known_by_digest_up_to_the_moment_of_his_erasure() {
        let keys = Keys::ephemeral();
        let at = Timestamp::from_micros;
        let request = ErasureRequest::new("ana", "x").tenant(Some("acme".to_owned()));
        let names = Sought::new(request.subject.clone(), keys.clone()).names();
        assert_eq!(names.len(), 3);
        let entries = entries(&request, &names, &keys, "e", at(10));
        assert!(entries.iter().all(|entry| !entry.digest.contains("ana")));
        let mut known = Known::default();
        entries.into_iter().for_each(|entry| known.add(entry));
        let mut record = Record { occurred_at: at(10), ..Record::default() };
        record.actor_id.set("ana");
        assert!(known.concerned(&record, &keys).is_empty(), "another tenant's");
        record.tenant_id.set("acme");
        assert_eq!(known.concerned(&record, &keys).to_string(), "inc");
        record.occurred_at = at(11);
        assert!(known.concerned(&record, &keys).is_empty(), "of the time after");
        record.occurred_at = at(9);
        assert!(known.concerned(&record, &Keys::ephemeral()).is_empty());
        record.actor_id.set("bob");
        assert!(known.concerned(&record, &keys).is_empty());
        // A failed login tried the account.
        record.entity_type.set("user");
        record.entity_id.set(&keys.pseudonym(Keys::ACCOUNT, Some("acme"), "ana"));
        assert_eq!(known.concerned(&record, &keys).to_string(), "tc");
    }
}

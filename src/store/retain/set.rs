//! What was set of the retention while services run, above what their files and their code say.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    query::PageRequest,
    record::{Record, RecordId},
    rules::{RetentionError, RetentionPolicy},
    store::{Evidence, Read, StoreError, StoreErrorKind, holds::of_the_log_itself},
    time::Timestamp,
};

/// The action of the record that sets a policy.
pub(crate) const RETENTION_CHANGED: &str = "retention_changed";

const DOING: &str = "read which retention policy is set";
const PAGE: usize = 500;

/// What was set, as the log tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicySet {
    general: Option<PolicyChange>,
    tenants: BTreeMap<String, PolicyChange>,
}

/// The last change of a policy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PolicyChange {
    /// The record of it.
    pub id: RecordId,
    /// When.
    pub at: Timestamp,
    /// Who, as type and id; the id is empty once that person was erased.
    pub by: String,
    /// The policy as JSON; null when what was set before was taken back.
    pub policy: Value,
}

impl PolicySet {
    /// Returns the last change for all, or for one tenant.
    #[must_use]
    pub fn of(&self, tenant: Option<&str>) -> Option<&PolicyChange> {
        match tenant {
            None => self.general.as_ref(),
            Some(tenant) => self.tenants.get(tenant),
        }
    }

    /// Returns the tenants for which something was set, with the last change.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &PolicyChange)> {
        self.tenants.iter().map(|(tenant, change)| (tenant.as_str(), change))
    }

    /// Tells whether a policy for all is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.general.as_ref().is_some_and(|change| !change.policy.is_null())
    }

    /// Returns the policy that holds where `below` is what files and code say.
    ///
    /// # Errors
    ///
    /// When what was set makes no sense to this version.
    pub fn over(&self, below: &RetentionPolicy) -> Result<RetentionPolicy, StoreError> {
        let unreadable = |id: RecordId, error: RetentionError| {
            let what = format!("the record {id} sets a policy that cannot be read: {error}");
            StoreError::new(StoreErrorKind::Data, DOING).with_source(what)
        };
        let set = self.general.as_ref().filter(|change| !change.policy.is_null());
        let mut policy = match set {
            Some(change) => RetentionPolicy::from_json(&change.policy)
                .map_err(|error| unreadable(change.id, error))?,
            None => below.clone(),
        };
        for (tenant, change) in &self.tenants {
            // Taken back, the class that its records have is still known, and is kept as everybody's.
            policy = policy
                .tenant(tenant, &change.policy)
                .map_err(|error| unreadable(change.id, error))?;
        }
        Ok(policy)
    }

    fn take(&mut self, record: &Record) -> Result<(), StoreError> {
        let facts: Value = serde_json::from_str(record.metadata.as_str()).unwrap_or_default();
        let Some(policy) = facts.get("new") else {
            let what = format!("the record {} sets a policy, and does not say which", record.id);
            return Err(StoreError::new(StoreErrorKind::Data, DOING).with_source(what));
        };
        let change = PolicyChange {
            id: record.id,
            at: record.occurred_at,
            by: format!("{}:{}", record.actor_type.as_str(), record.actor_id.as_str()),
            policy: policy.clone(),
        };
        match facts["tenant"].as_str() {
            None => self.general = Some(change),
            Some(tenant) => drop(self.tenants.insert(tenant.to_owned(), change)),
        }
        Ok(())
    }
}

/// Returns what was set of the retention in a log.
///
/// # Errors
///
/// When the store cannot be asked or shows a part of the log alone, and when a record that sets a policy cannot be read.
pub async fn policy_set<S: Read + Evidence>(store: &S) -> Result<PolicySet, StoreError> {
    store.expect_all().await?;
    let filter = of_the_log_itself(RETENTION_CHANGED)?;
    let (mut set, mut request) = (PolicySet::default(), PageRequest::oldest(PAGE));
    loop {
        let page = store.records(&filter, &request).await?;
        if page.unreadable > 0 {
            let what =
                "rows that set a policy cannot be read; `activity verify` says where they are";
            return Err(StoreError::new(StoreErrorKind::Data, DOING).with_source(what));
        }
        // In the order of time: what is newer stands.
        for record in &page.records {
            set.take(record)?;
        }
        match page.next {
            Some(next) => request = request.after(next),
            None => return Ok(set),
        }
    }
}

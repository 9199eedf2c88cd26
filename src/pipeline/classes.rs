//! Retention classes, and the order of a batch that follows from them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::builder::Retention;
use crate::record::{Category, Origin, Record};

/// Classes are names of leaves.
const MAX_CLASS: usize = 64;

/// The application's policy, if there is one.
#[derive(Clone, Default)]
pub(super) struct Classes(pub(super) Option<Retention>);

impl Classes {
    /// Gives a record its class: how long it is kept.
    pub(super) fn classify(&self, record: &mut Record) {
        // What the log says of itself is what proofs of the rest need: it lies apart, whatever the policy.
        if record.category == Category::System && record.origin == Origin::System {
            return record.retention_class.set(record.category.as_str());
        }
        let class = self.0.as_ref().and_then(|policy| {
            // The policy is the application's. A panic in it must not end the writer.
            catch_unwind(AssertUnwindSafe(|| policy(record))).ok()
        });
        match class {
            Some(class)
                if !class.is_empty() && class.len() <= MAX_CLASS && !class.contains('\0') =>
            {
                record.retention_class.set(&class);
            }
            _ => record.retention_class.set(record.category.as_str()),
        }
    }
}

/// Puts records of one leaf together: an entry of the ledger never spans leaves, so this keeps the entries few.
pub(super) fn sort_by_leaf(batch: &mut [Box<Record>]) {
    let Some(first) = batch.first() else { return };
    let month = first.occurred_at.month();
    let (from, to) = (month.start(), month.next().start());
    let one_leaf = batch.iter().all(|record| {
        (from..to).contains(&record.occurred_at) && record.retention_class == first.retention_class
    });
    if !one_leaf {
        // Stable, so that the order of arrival remains within a leaf.
        batch.sort_by_cached_key(|record| {
            (record.occurred_at.month().index(), record.retention_class.as_str().to_owned())
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, sync::Arc};

    use super::*;

    #[test]
    fn a_policy_that_panics_or_answers_nonsense_falls_back_to_the_category() {
        let policy: Retention = Arc::new(|record: &Record| match record.action.as_str() {
            "panic" => panic!("a policy of the application"),
            "long" => Cow::Owned("x".repeat(65)),
            _ => Cow::Borrowed("short"),
        });
        let classes = Classes(Some(policy));
        for (action, class) in [("panic", "activity"), ("long", "activity"), ("ok", "short")] {
            let mut record = Record::default();
            record.action.set(action);
            classes.classify(&mut record);
            assert_eq!(record.retention_class, class);
        }
    }
}

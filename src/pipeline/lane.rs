//! Which lane a record takes.

use super::queue::Lane;
use crate::record::{ActorType, Category, Outcome, Record};

impl Lane {
    /// Authentication, administration, what the crate says of itself, and known actors who were
    /// refused. Not refusals of nobody in particular: they are what a scanner makes by the thousand.
    pub(super) fn of(record: &Record) -> Self {
        match record.category {
            Category::Authentication | Category::Administration | Category::System => {
                Self::Security
            }
            Category::Activity | Category::Consent
                if record.outcome == Outcome::Denied
                    && record.actor_type != ActorType::Anonymous =>
            {
                Self::Security
            }
            Category::Activity | Category::Consent => Self::General,
        }
    }
}

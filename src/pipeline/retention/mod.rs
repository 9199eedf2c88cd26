//! Retention: which policy holds, what it would take out, and taking it out, by hand or on a schedule.
//!
//! The policy is the builder's, else that of the rules file, else the preset `default`. Nothing is taken out unless
//! somebody asks for it, or a schedule was set.

mod run;
mod schedule;
mod timer;

pub use run::{EndedUnit, HeldUnit, RetentionRun};
pub use schedule::{Schedule, ScheduleError};
pub(super) use timer::keep;

use super::pipeline::Pipeline;
use crate::{
    rules::RetentionPolicy,
    store::{AnyStore, RetentionPlan, StoreError, StoreErrorKind, retention_plan},
};

/// Where the policy that holds was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicySource {
    /// [`PipelineBuilder::retention_policy`](super::PipelineBuilder::retention_policy).
    Code,
    /// `[retention]` in the rules file.
    Rules,
    /// Nobody said anything: the preset `default`.
    Default,
}

impl PolicySource {
    /// Returns its name: `code`, `rules`, `default`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Rules => "rules",
            Self::Default => "default",
        }
    }
}

/// The policy that holds, and where it was said.
#[derive(Debug)]
pub(super) struct Policies {
    pub(super) policy: RetentionPolicy,
    source: PolicySource,
}

impl Policies {
    pub(super) fn new(code: Option<RetentionPolicy>, rules: Option<RetentionPolicy>) -> Self {
        let code = code.map(|policy| Self { policy, source: PolicySource::Code });
        let rules = rules.map(|policy| Self { policy, source: PolicySource::Rules });
        let said = code.or(rules);
        said.unwrap_or_else(|| Self {
            policy: RetentionPolicy::default(),
            source: PolicySource::Default,
        })
    }
}

impl Pipeline {
    /// Returns the retention policy that holds, and where it was said.
    #[must_use]
    pub fn retention_policy(&self) -> (&RetentionPolicy, PolicySource) {
        let Policies { policy, source } = &*self.core.policies;
        (policy, *source)
    }

    /// Returns what would be taken out now because its time is over, and what would be kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or only takes records.
    pub async fn plan_retention(&self) -> Result<RetentionPlan, StoreError> {
        let (policy, _) = self.retention_policy();
        retention_plan(self.readable()?, policy, self.core.clock.now()).await
    }

    /// Takes out what the policy says, whole months of a retention class at a time: first a record is stored that
    /// tells what goes, then the rows go. Each time `ended` is told.
    ///
    /// Safe to repeat, and to run in several processes at once.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses; what was taken out until then is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it between two steps; the next run goes on.
    pub async fn run_retention(
        &self,
        ended: impl FnMut(&EndedUnit),
    ) -> Result<RetentionRun, StoreError> {
        let (policy, _) = self.retention_policy();
        let core = &self.core;
        let sweep = run::Sweep::new(core, self.readable()?.clone());
        sweep.run(policy, core.clock.now(), ended).await
    }

    fn readable(&self) -> Result<&AnyStore, StoreError> {
        self.store().ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Configuration,
                "look after a store that only takes records",
            )
        })
    }
}

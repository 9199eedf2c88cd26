//! Retention: which policy holds, what it would take out, and taking it out, by hand or on a schedule.
//!
//! The policy is what was set while services run, else the builder's, else that of the rules file, else the preset
//! `default`. Nothing is taken out unless
//! somebody asks for it, or a schedule was set.

mod addresses;
mod agenda;
mod archived;
mod run;
mod schedule;
mod timer;

pub use run::{EndedUnit, HeldUnit, RetentionRun, RetentionStep, UnarchivedUnit};
pub use schedule::{Schedule, ScheduleError};
pub(super) use timer::{keep, watch_size};

use std::sync::{Arc, PoisonError, RwLock};

use super::pipeline::Pipeline;
use crate::{
    rules::RetentionPolicy,
    store::{
        AnyStore, PolicySet, RetentionPlan, StoreError, StoreErrorKind, policy_set, retention_plan,
    },
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
    /// It was [set](super::Custodian::set_policy) while services run, as by `PUT /retention`.
    Api,
}

impl PolicySource {
    /// Returns its name: `code`, `rules`, `default`, `api`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Rules => "rules",
            Self::Default => "default",
            Self::Api => "api",
        }
    }
}

/// The policies: what code or file say, and what holds.
#[derive(Debug)]
pub(super) struct Policies {
    below: (RetentionPolicy, PolicySource),
    holds: RwLock<Arc<(RetentionPolicy, PolicySource)>>,
}

impl Policies {
    pub(super) fn new(code: Option<RetentionPolicy>, rules: Option<RetentionPolicy>) -> Self {
        let code = code.map(|policy| (policy, PolicySource::Code));
        let rules = rules.map(|policy| (policy, PolicySource::Rules));
        let below = code.or(rules);
        let below = below.unwrap_or_else(|| (RetentionPolicy::default(), PolicySource::Default));
        Self { holds: RwLock::new(Arc::new(below.clone())), below }
    }

    /// Returns the policy that holds, as far as is known here.
    pub(super) fn now(&self) -> Arc<(RetentionPolicy, PolicySource)> {
        Arc::clone(&self.holds.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what holds under what was set.
    pub(super) fn under(
        &self,
        set: &PolicySet,
    ) -> Result<(RetentionPolicy, PolicySource), StoreError> {
        let (below, source) = &self.below;
        let source = if set.is_set() { PolicySource::Api } else { *source };
        Ok((set.over(below)?, source))
    }

    /// Has hold what was set.
    pub(super) fn take(&self, set: &PolicySet) -> Result<(), StoreError> {
        let holds = Arc::new(self.under(set)?);
        *self.holds.write().unwrap_or_else(PoisonError::into_inner) = holds;
        Ok(())
    }
}

impl Pipeline {
    /// Returns the retention policy that holds, and where it was said. What another process [set](super::Custodian::set_policy)
    /// a few seconds ago may not be known here.
    #[must_use]
    pub fn retention_policy(&self) -> (RetentionPolicy, PolicySource) {
        (*self.core.policies.now()).clone()
    }

    /// Returns what would be taken out now because its time is over, and what would be kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or only takes records.
    pub async fn plan_retention(&self) -> Result<RetentionPlan, StoreError> {
        let store = self.readable()?;
        let (policy, _) = self.core.policies.under(&policy_set(store).await?)?;
        retention_plan(store, &policy, self.core.clock.now()).await
    }

    /// Takes out what the policy says, whole months of a retention class at a time: first a record is stored that
    /// tells what goes, then the rows go, and the addresses whose time is over. Each time `told` is told.
    ///
    /// Where the log is larger than the policy allows, and the policy says so, months go before their time until it is
    /// not: see [`SizeLimit::force`](crate::rules::SizeLimit::force).
    ///
    /// Safe to repeat, and to run in several processes at once.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses, when a record that tells of it is not stored within 30 seconds, and when
    /// the pipeline ends; what was taken out until then is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it between two steps; the next run goes on.
    pub async fn run_retention(
        &self,
        told: impl FnMut(RetentionStep<'_>),
    ) -> Result<RetentionRun, StoreError> {
        self.run_as(|policy| policy, told).await
    }

    /// Runs as [`run_retention`](Self::run_retention) does, and has months go before their time where the log is larger
    /// than the policy allows, as if the policy [said so](crate::rules::SizeLimit::force).
    ///
    /// # Errors
    ///
    /// As [`run_retention`](Self::run_retention).
    ///
    /// # Cancel safety
    ///
    /// As [`run_retention`](Self::run_retention).
    pub async fn force_retention(
        &self,
        told: impl FnMut(RetentionStep<'_>),
    ) -> Result<RetentionRun, StoreError> {
        let forced = |policy: RetentionPolicy| {
            let limit = policy.size_limit().map(|limit| limit.force(true));
            policy.max_size(limit)
        };
        self.run_as(forced, told).await
    }

    async fn run_as(
        &self,
        policy: impl FnOnce(RetentionPolicy) -> RetentionPolicy,
        told: impl FnMut(RetentionStep<'_>),
    ) -> Result<RetentionRun, StoreError> {
        let (core, store) = (&self.core, self.readable()?);
        // What was set a moment ago elsewhere holds too.
        let work = async {
            let (set, _) = core.policies.under(&policy_set(store).await?)?;
            let sweep = run::Sweep::new(core, store.clone(), core.clock.now());
            sweep.run(&policy(set), told).await
        };
        self.unless_ended("run the retention", work).await
    }

    pub(in crate::pipeline) fn readable(&self) -> Result<&AnyStore, StoreError> {
        self.store().ok_or_else(|| {
            StoreError::new(
                StoreErrorKind::Configuration,
                "look after a store that only takes records",
            )
        })
    }
}

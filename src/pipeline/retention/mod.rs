//! Retention: which policy holds, what it would take out, and taking it out, by hand or on a schedule.
//!
//! The policy is the one that was set through the API, kept in the log itself; else the builder's; else that of
//! the rules file; else the preset `default`. Nothing is taken out unless somebody asks for it, or a schedule was
//! set.

mod run;
mod schedule;
mod timer;

use std::sync::{Arc, PoisonError, RwLock};

pub use run::{EndedUnit, RetentionRun};
pub use schedule::{Schedule, ScheduleError};
pub(super) use timer::keep;

use super::pipeline::Pipeline;
use crate::{
    record::Record,
    rules::RetentionPolicy,
    store::{AnyStore, RetentionPlan, StoreError, StoreErrorKind, retention_plan, set_policy_of},
};

/// Where the policy that holds was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicySource {
    /// Somebody set it through the API; a record of the log says who and when.
    Log,
    /// [`PipelineBuilder::retention_policy`](super::PipelineBuilder::retention_policy).
    Code,
    /// `[retention]` in the rules file.
    Rules,
    /// Nobody said anything: the preset `default`.
    Default,
}

impl PolicySource {
    /// Returns its name: `log`, `code`, `rules`, `default`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Code => "code",
            Self::Rules => "rules",
            Self::Default => "default",
        }
    }
}

/// The policy, as this process knows it.
#[derive(Debug)]
pub(super) struct Policies {
    /// What holds as long as nobody sets another.
    own: (RetentionPolicy, PolicySource),
    /// What gives records their classes.
    current: RwLock<Arc<RetentionPolicy>>,
}

impl Policies {
    pub(super) fn new(code: Option<RetentionPolicy>, rules: Option<RetentionPolicy>) -> Self {
        let code = code.map(|policy| (policy, PolicySource::Code));
        let rules = rules.map(|policy| (policy, PolicySource::Rules));
        let own = code.or(rules);
        let own = own.unwrap_or_else(|| (RetentionPolicy::default(), PolicySource::Default));
        let current = RwLock::new(Arc::new(own.0.clone()));
        Self { own, current }
    }

    /// Returns the class of a record.
    pub(super) fn class_of(&self, record: &Record) -> std::borrow::Cow<'static, str> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).class_of(record)
    }

    /// Looks what holds, and gives records their classes by it from now on.
    pub(super) async fn look(
        &self,
        store: &AnyStore,
    ) -> Result<(RetentionPolicy, PolicySource), StoreError> {
        let set = set_policy_of(store).await?.map(|(_, policy)| (policy, PolicySource::Log));
        let holds = set.unwrap_or_else(|| self.own.clone());
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if **current != holds.0 {
            *current = Arc::new(holds.0.clone());
        }
        Ok(holds)
    }
}

impl Pipeline {
    /// Returns the retention policy that holds, and where it was said.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or only takes records.
    pub async fn retention_policy(&self) -> Result<(RetentionPolicy, PolicySource), StoreError> {
        self.core.policies.look(self.readable()?).await
    }

    /// Returns what would be taken out now because its time is over, and what would be kept.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or only takes records.
    pub async fn plan_retention(&self) -> Result<RetentionPlan, StoreError> {
        let (policy, _) = self.retention_policy().await?;
        retention_plan(self.readable()?, &policy, self.core.clock.now()).await
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
        let (policy, _) = self.retention_policy().await?;
        self.run_retention_by(&policy, ended).await
    }

    /// Does as [`run_retention`](Self::run_retention) does by another policy, this once.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn run_retention_by(
        &self,
        policy: &RetentionPolicy,
        ended: impl FnMut(&EndedUnit),
    ) -> Result<RetentionRun, StoreError> {
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

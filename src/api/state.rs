//! What the handlers share.

use std::sync::{Arc, LazyLock};

use super::{
    access::{Access, AnyAccess, Grant},
    ingest::Ingest,
    problem::Problem,
};
use crate::{
    pipeline::{Intake, Pipeline, Recorder},
    privacy::Keys,
    query::Filter,
    record::Category,
    store::AnyStore,
    time::Timestamp,
};

/// Everything that a handler needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Api(Arc<Inner>);

struct Inner {
    store: Option<AnyStore>,
    recorder: Recorder,
    access: AnyAccess,
    ingest: Ingest,
}

impl Api {
    pub(super) fn new(pipeline: &Pipeline, access: impl Access) -> Self {
        Self(Arc::new(Inner {
            store: pipeline.store().cloned(),
            recorder: pipeline.recorder(),
            access: AnyAccess::new(access),
            ingest: Ingest::new(pipeline),
        }))
    }

    /// Returns the store, or the answer that there is none to be read.
    pub(super) fn store(&self) -> Result<&AnyStore, Problem> {
        self.0.store.as_ref().ok_or_else(Problem::unreadable_store)
    }

    /// Returns what requests that hand records in share.
    pub(super) fn ingest(&self) -> &Ingest {
        &self.0.ingest
    }

    /// Returns the door for records of others.
    pub(super) fn intake(&self) -> &Intake {
        self.0.ingest.intake()
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// Returns the key that cursors are made under.
    ///
    /// Without a key file it is the process's own: cursors of another replica, or from before a restart, are
    /// refused then.
    pub(super) fn cursor_key(&self) -> &[u8; 32] {
        static OF_THIS_PROCESS: LazyLock<Keys> = LazyLock::new(Keys::ephemeral);
        self.recorder().keys().unwrap_or(&OF_THIS_PROCESS).cursor_key()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.recorder().clock().now()
    }

    /// Asks who is calling and what he may do.
    pub(super) async fn grant(&self, parts: &http::request::Parts) -> Result<Grant, Problem> {
        self.0.access.grant(parts).await.map_err(Problem::from)
    }

    /// Returns the filter that everything a caller sees passes: his tenant, and the categories that he
    /// may read.
    pub(super) fn scope(&self, grant: &Grant) -> Result<Filter, Problem> {
        let mut filter = Filter::new();
        let readable: Vec<_> =
            Category::ALL.into_iter().filter(|category| grant.may_read(*category)).collect();
        if readable.is_empty() {
            return Err(Problem::forbidden("logs.actions.view"));
        }
        if readable.len() < Category::ALL.len() {
            let words = readable.into_iter().map(Category::as_str);
            filter = filter.any_of("category", words).map_err(|_| Problem::internal())?;
        }
        if let Some(tenant) = grant.only_tenant() {
            filter = filter.any_of("tenant_id", [tenant]).map_err(|_| Problem::internal())?;
        }
        Ok(filter)
    }
}

//! What the handlers share.

use std::sync::Arc;

use super::{
    access::{AnyAccess, Grant},
    builder::Settings,
    origin::Origins,
    problem::Problem,
    watch::Door,
};
use crate::{
    pipeline::{Pipeline, Recorder},
    privacy::client::Trust,
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
    settings: Settings,
}

impl Api {
    pub(super) fn new(pipeline: &Pipeline, access: AnyAccess, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            store: pipeline.store().cloned(),
            recorder: pipeline.recorder(),
            access,
            settings,
        }))
    }

    /// Returns the store, or the answer that there is none to be read.
    pub(super) fn store(&self) -> Result<&AnyStore, Problem> {
        self.0.store.as_ref().ok_or_else(Problem::unreadable_store)
    }

    pub(super) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    pub(super) fn now(&self) -> Timestamp {
        self.recorder().clock().now()
    }

    pub(super) fn access(&self) -> &AnyAccess {
        &self.0.access
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns whom to believe about the client's address.
    pub(super) fn trust(&self) -> &Trust {
        &self.settings().trust
    }

    /// Returns whose pages may act.
    pub(super) fn origins(&self) -> &Origins {
        &self.settings().origins
    }

    /// Returns who is calling and what he may do, as the guard has found out. New handlers take a
    /// [`Caller`](super::watch::Caller) instead.
    pub(super) async fn grant(&self, parts: &http::request::Parts) -> Result<Grant, Problem> {
        match parts.extensions.get::<Door>() {
            Some(door) => door.knock(parts).await.map(|caller| caller.grant().clone()),
            None => self.access().grant(parts).await.map_err(Problem::from),
        }
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

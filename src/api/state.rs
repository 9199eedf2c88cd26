//! What the handlers share.

use std::{
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use super::{
    access::{AnyAccess, Grant},
    builder::Settings,
    health::Checked,
    ingest::Ingest,
    live::{Hub, Tickets},
    origin::Origins,
    problem::Problem,
};
use crate::{
    pipeline::{BlindIndex, Custodian, Eraser, Intake, Pipeline, Recorder},
    privacy::client::Trust,
    privacy::{AddressPolicy, Keys},
    query::Filter,
    record::Category,
    store::{AnyStore, Maintain as _, Read as _},
    time::Timestamp,
};

/// A request that has not been answered by then never will be. Longer than the patience of any question with
/// a deadline of its own, so that those give what they have.
const DEADLINE: Duration = Duration::from_secs(15);

/// Everything that a handler needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Api(Arc<Inner>);

struct Inner {
    store: Option<AnyStore>,
    eraser: Option<Eraser>,
    custodian: Option<Custodian>,
    blind: Option<BlindIndex>,
    recorder: Recorder,
    access: AnyAccess,
    settings: Settings,
    checked: Checked,
    hub: Arc<Hub>,
    tickets: Tickets,
    ingest: Ingest,
}

impl Api {
    pub(super) fn new(pipeline: &Pipeline, access: AnyAccess, settings: Settings) -> Self {
        pipeline.keep_rollups();
        pipeline.keep_checkpoints();
        Self(Arc::new(Inner {
            store: pipeline.store().cloned(),
            // Without keys, or without a store to be read, there is none.
            eraser: pipeline.eraser().ok(),
            custodian: pipeline.custodian().ok(),
            blind: blind_index(pipeline),
            recorder: pipeline.recorder(),
            access,
            settings,
            checked: Checked::default(),
            hub: Hub::new(pipeline.commits()),
            tickets: Tickets::default(),
            ingest: Ingest::new(pipeline),
        }))
    }

    /// Returns the store, or the answer that there is none to be read.
    pub(super) fn store(&self) -> Result<&AnyStore, Problem> {
        self.0.store.as_ref().ok_or_else(Problem::unreadable_store)
    }

    /// Returns what erases people, if the pipeline has keys.
    pub(super) fn eraser(&self) -> Option<&Eraser> {
        self.0.eraser.as_ref()
    }

    /// Returns what places and lifts holds, and sets policies.
    pub(super) fn custodian(&self) -> Result<Custodian, Problem> {
        self.0.custodian.clone().ok_or_else(Problem::unreadable_store)
    }

    /// Returns the store for this caller's questions: where the database can, it holds them to his tenant too,
    /// whatever their filters say.
    pub(super) fn store_for(&self, grant: &Grant) -> Result<AnyStore, Problem> {
        let store = self.store()?;
        let held = grant.only_tenant().and_then(|tenant| store.of_tenant(tenant));
        Ok(held.unwrap_or_else(|| store.clone()))
    }

    /// Returns the filter that also finds what the log holds as a pseudonym by its text; a tenant that the caller is
    /// limited to is among its conditions.
    pub(super) async fn unveiled(&self, filter: Filter) -> Result<Filter, Problem> {
        match &self.0.blind {
            Some(blind) => self.in_time(async { Ok(blind.filter(filter).await?) }).await,
            None => Ok(filter),
        }
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

    /// Waits for an answer of the store as long as a request may take: a database that hangs is one that is
    /// away.
    pub(super) async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let deadline = self.recorder().call_deadline().min(DEADLINE);
        let answer = tokio::time::timeout(deadline, asking).await;
        answer.unwrap_or_else(|_| {
            tracing::error!(?deadline, "the store did not answer a question in time");
            Err(Problem::out_of_time())
        })
    }

    /// Brings the rollups up to date if little is missing, so that a quiet log counts its last record too.
    /// The rest is the background's, and the answer says how far it has come.
    pub(super) async fn fold_a_little(store: &AnyStore) {
        const ENTRIES: usize = 32;
        if let Err(error) = store.fold(ENTRIES).await {
            // Counting goes on where it stands.
            tracing::debug!(error = &error as &dyn std::error::Error, "could not fold");
        }
    }

    /// Returns what live sessions listen to.
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    /// Returns the tickets that are out.
    pub(super) fn tickets(&self) -> &Tickets {
        &self.0.tickets
    }

    /// Returns the key that cursors are made under.
    ///
    /// Without a key file it is the process's own: cursors of another replica, or from before a restart, are
    /// refused then.
    pub(super) fn cursor_key(&self) -> &[u8; 32] {
        self.keys().cursor_key()
    }

    /// Returns the keys; without a key file, some that this process alone has.
    pub(super) fn keys(&self) -> &Keys {
        static OF_THIS_PROCESS: LazyLock<Keys> = LazyLock::new(Keys::ephemeral);
        self.recorder().keys().unwrap_or(&OF_THIS_PROCESS)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.recorder().clock().now()
    }

    pub(super) fn access(&self) -> &AnyAccess {
        &self.0.access
    }

    /// Returns what was last found out about the health of the log.
    pub(super) fn checked(&self) -> &Checked {
        &self.0.checked
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

    /// Returns the filter that everything a caller sees passes: his tenant, and the categories that he
    /// may read.
    #[allow(clippy::unused_self, reason = "the rule belongs to the API")]
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

/// Without keys nobody knows which pseudonyms to look for.
fn blind_index(pipeline: &Pipeline) -> Option<BlindIndex> {
    let recorder = pipeline.recorder();
    let blind = BlindIndex::new(pipeline.store()?.clone(), recorder.keys()?.clone());
    let hides = |one: &Category| recorder.address_policy(*one) == AddressPolicy::Hmac;
    Some(blind.addresses(Category::ALL.iter().any(hides)))
}

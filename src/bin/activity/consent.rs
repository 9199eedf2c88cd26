//! `activity consent`

use std::{process::ExitCode, time::Duration};

use serde_json::json;
use tower_activity::{
    Keys, Pipeline,
    pipeline::Admission,
    record::{Actor, Consent as Said, Record},
    store::{AnyStore, Append, Read as _},
};

use crate::{
    arguments::{Common, Consent},
    out,
    store::{self, Store},
    trouble::Trouble,
};

/// How long the pipeline of the command may take to store it.
const STORED_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(common: &Common, arguments: &Consent) -> Result<ExitCode, Trouble> {
    let record = record(arguments)?;
    let keys = store::keys_of_log(common).await?;
    match Store::existing(common).await? {
        Store::Sqlite(log) => recorded(common, log, keys, record).await,
        Store::Postgres(log) => recorded(common, log, keys, record).await,
    }
}

fn record(arguments: &Consent) -> Result<Record, Trouble> {
    for (name, text) in [("SUBJECT", &arguments.subject), ("PURPOSE", &arguments.purpose)] {
        if text.trim().is_empty() {
            return Err(Trouble::usage(format!("{name} is empty")));
        }
    }
    let by = match &arguments.by {
        Some(by) => Actor::user(by),
        None => Actor::user(&arguments.subject),
    };
    let mut said = match arguments.withdrawn {
        true => Said::withdrawn(by, &arguments.purpose),
        false => Said::given(by, &arguments.purpose),
    };
    said = said.of(&arguments.subject);
    if let Some(version) = &arguments.text_version {
        said = said.version(version);
    }
    if let Some(basis) = &arguments.basis {
        said = said.basis(basis);
    }
    if let Some(channel) = &arguments.channel {
        said = said.channel(channel);
    }
    if let Some(tenant) = &arguments.tenant {
        said = said.tenant(tenant);
    }
    Ok(said.into())
}

async fn recorded<S: Append>(
    common: &Common,
    log: S,
    keys: Option<Keys>,
    record: Record,
) -> Result<ExitCode, Trouble> {
    let mut builder = Pipeline::builder(log).service("activity");
    if let Some(keys) = keys {
        builder = builder.keys(keys);
    }
    let pipeline = builder.start().await.map_err(|error| Trouble::of(&error))?;
    let said = (record.action.as_str().to_owned(), record.entity_id.as_str().to_owned());
    let admission = pipeline.recorder().record(record);
    let reader: Option<AnyStore> = pipeline.store().cloned();
    pipeline.shutdown(STORED_WITHIN).await;
    let not_stored =
        || Trouble::new("the consent could not be stored; nothing of it is in the log");
    let Admission::Accepted(id) = admission else { return Err(not_stored()) };
    let reader = reader.ok_or_else(not_stored)?;
    if reader.record(id).await?.is_none() {
        return Err(not_stored());
    }
    if out::is_table(common) {
        out::line(&format!("{}: {} (record {id})", said.0, said.1))?;
    } else {
        out::json(&json!({ "id": id, "action": said.0, "purpose": said.1 }))?;
    }
    Ok(ExitCode::SUCCESS)
}

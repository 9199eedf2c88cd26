//! `activity key`

use std::process::ExitCode;

use serde_json::json;
use tower_activity::{
    access::Permission,
    record::visible,
    store::{AnyStore, ApiKey, Register as _},
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Common, Key, KeyCommand},
    key_file, out,
    records::Printer,
    secret::Shown,
    store::Store,
    trouble::Trouble,
};

/// As long as the name of a service may be.
const MOST_CHARS: usize = 128;

pub(crate) async fn run(common: &Common, arguments: &Key) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        KeyCommand::New { name, permissions, tenant } => {
            named("NAME", Some(name))?;
            named("--tenant", tenant.as_ref())?;
            // The first key is made before the first start.
            let store = Store::open(common).await?.reader();
            new(common, &store, name, permissions, tenant.clone()).await
        }
        KeyCommand::List { file: true } => key_file::list(common),
        KeyCommand::List { file: false } => {
            list(common, &Store::existing(common).await?.reader()).await
        }
        KeyCommand::Revoke { id } => {
            revoke(common, &Store::existing(common).await?.reader(), id).await
        }
        KeyCommand::Rotate { only } => key_file::rotate(common, only).await,
    }
}

/// Refuses a name that nobody could read later.
fn named(what: &str, name: Option<&String>) -> Result<(), Trouble> {
    match name.map(|name| (name.trim(), visible(name).to_string())) {
        Some(("", _)) => Err(Trouble::usage(format!("{what} is empty"))),
        Some((trimmed, shown)) if trimmed != shown => Err(Trouble::usage(format!(
            "{what} is `{shown}`: leave out control characters, and spaces at its ends"
        ))),
        Some((trimmed, _)) if trimmed.chars().count() > MOST_CHARS => {
            Err(Trouble::usage(format!("{what} is longer than {MOST_CHARS} characters")))
        }
        _ => Ok(()),
    }
}

async fn new(
    common: &Common,
    store: &AnyStore,
    name: &str,
    permissions: &[Permission],
    tenant: Option<String>,
) -> Result<ExitCode, Trouble> {
    let shown = Shown::generate();
    let key = ApiKey {
        id: shown.id().to_owned(),
        name: name.to_owned(),
        hash: shown.hash(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        tenant,
        created_at: SystemClock::default().now(),
        revoked_at: None,
    };
    store.add_api_key(&key).await?;
    if out::is_table(common) {
        out::line(&shown.to_string())?;
        out::note("this is the only time that it is shown; the store keeps its hash");
    } else {
        out::json(&json!({
            "id": key.id, "key": shown.to_string(), "name": key.name, "permissions": key.permissions,
            "tenant": key.tenant, "created_at": key.created_at,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(common: &Common, store: &AnyStore) -> Result<ExitCode, Trouble> {
    let keys = store.api_keys().await?;
    if out::is_table(common) {
        let printer = Printer::new(common);
        let mut rows =
            out::Rows::titled(&["id", "name", "permissions", "tenant", "made", "revoked"]);
        for key in &keys {
            rows.row([
                out::cell(&key.id),
                out::cell(&key.name),
                out::cell(&key.permissions.join(", ")),
                out::cell(key.tenant.as_deref().unwrap_or("(all)")),
                out::cell(&printer.clock(key.created_at)),
                out::cell(&key.revoked_at.map(|at| printer.clock(at)).unwrap_or_default()),
            ]);
        }
        rows.whole(&[0]);
        match keys.is_empty() {
            true => out::note("there is no key; `activity key new NAME` makes one"),
            false => rows.print()?,
        }
    } else {
        for key in &keys {
            out::json(&json!({
                "id": key.id, "name": key.name, "permissions": key.permissions, "tenant": key.tenant,
                "created_at": key.created_at, "revoked_at": key.revoked_at,
            }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(common: &Common, store: &AnyStore, id: &str) -> Result<ExitCode, Trouble> {
    // The whole key is what an operator has at hand when it has leaked.
    let shown = Shown::parse(id);
    let id = shown.as_ref().map_or(id, Shown::id);
    if store.revoke_api_key(id, SystemClock::default().now()).await? {
        if out::is_table(common) {
            out::line(&format!(
                "{id} is revoked; running services refuse it within 2 s, and end its live sessions within 5 min"
            ))?;
        } else {
            out::json(&json!({ "id": id, "revoked": true }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    Err(Trouble::new(format!(
        "no key {id:?} that is not revoked yet; `activity key list` shows the ids"
    )))
}

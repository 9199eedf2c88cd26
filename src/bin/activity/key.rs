//! `activity key`

use std::process::ExitCode;

use serde_json::json;
use tower_activity::{
    access::Permission,
    store::{AnyStore, ApiKey, Register as _},
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Common, Key, KeyCommand},
    out,
    secret::Shown,
    store::Store,
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Key) -> Result<ExitCode, Trouble> {
    let store = Store::open(common).await?.reader();
    match &arguments.command {
        KeyCommand::New { name, permissions, tenant } => {
            new(common, &store, name, permissions, tenant.clone()).await
        }
        KeyCommand::List => list(common, &store).await,
        KeyCommand::Revoke { id } => revoke(&store, id).await,
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
        eprintln!("This is the only time that it is shown; the store keeps its hash.");
    } else {
        out::json(&json!({ "id": shown.id(), "key": shown.to_string() }))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(common: &Common, store: &AnyStore) -> Result<ExitCode, Trouble> {
    let keys = store.api_keys().await?;
    if out::is_table(common) {
        let rows = keys.iter().map(|key| {
            vec![
                key.id.clone(),
                key.name.clone(),
                key.permissions.join(", "),
                key.tenant.clone().unwrap_or_else(|| "all".to_owned()),
                key.created_at.to_string(),
                key.revoked_at.map_or_else(String::new, |at| at.to_string()),
            ]
        });
        out::table(&["id", "name", "permissions", "tenant", "made", "revoked"], rows)?;
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

async fn revoke(store: &AnyStore, id: &str) -> Result<ExitCode, Trouble> {
    if store.revoke_api_key(id, SystemClock::default().now()).await? {
        out::line(&format!("{id} is revoked"))?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(Trouble::new(format!(
        "no key {id:?} that is not revoked yet; `activity key list` shows them"
    )))
}

//! `activity migrate`

use std::process::ExitCode;

use serde_json::json;
use tower_activity::store::{
    AnyStore, Index, Maintain as _, Outbox as _, postgres::PostgresOutbox, sqlite::SqliteOutbox,
};

use crate::{
    arguments::{Common, Migrate},
    out,
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Migrate) -> Result<ExitCode, Trouble> {
    let indexes = possible(common, arguments)?;
    if let Some(url) = arguments.outbox.as_deref() {
        make_outbox(url).await?;
        if out::is_table(common) {
            out::line("the outbox is there")?;
        }
    }
    let opened = Store::open(common).await?;
    if out::is_table(common) {
        out::line("the schema is up to date")?;
    }
    let store = match opened {
        Store::Sqlite(store) => AnyStore::new(store),
        Store::Postgres(store) => {
            if arguments.tenants {
                store.keep_tenants().await?;
            } else if arguments.roles {
                store.make_roles().await?;
            }
            AnyStore::new(store)
        }
    };
    let roles = arguments.roles || arguments.tenants;
    if roles && out::is_table(common) {
        out::line(
            "the roles are there; grant them to the logins that you make, as in: grant activity_writer to \
             shop; grant activity_reader to support",
        )?;
    }
    if arguments.tenants && out::is_table(common) {
        out::line(
            "tenants are kept apart: activity_reader sees the one that its transaction names, and \
             activity_auditor all; a service takes both, and activity_writer (docs/roles.md)",
        )?;
    }
    for index in indexes {
        if out::is_table(common) {
            out::note(format!("making the index {} over what is there …", index.as_str()));
        }
        store.make_index(index).await?;
        if out::is_table(common) {
            out::line(&format!("the index {} is there", index.as_str()))?;
        }
    }
    if !out::is_table(common) {
        let made: Vec<_> = store.indexes().await?.into_iter().map(Index::as_str).collect();
        out::json(&json!({
            "migrated": true,
            "roles": roles,
            "tenants": arguments.tenants,
            "indexes": made,
            "outbox": arguments.outbox.is_some(),
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the outbox in the application's database.
async fn make_outbox(url: &str) -> Result<(), Trouble> {
    if store::is_postgres(url) {
        return Ok(PostgresOutbox::at(url)?.migrate().await?);
    }
    Ok(SqliteOutbox::at(url)?.migrate().await?)
}

/// Refuses what cannot be had before anything is changed.
fn possible(common: &Common, arguments: &Migrate) -> Result<Vec<Index>, Trouble> {
    let postgres = store::is_postgres(common.store());
    if arguments.tenants && !postgres {
        return Err(Trouble::usage(
            "--tenants is a row-level policy of Postgres, and the store is in SQLite: there the API keeps \
             tenants apart (a key or an access part with a tenant), or a file for each tenant",
        ));
    }
    if arguments.roles && !postgres {
        return Err(Trouble::usage(
            "--roles makes roles in Postgres, and the store is in SQLite: there the rights are those of the \
             file (mode 0600 or 0640)",
        ));
    }
    let indexes: Vec<_> =
        arguments.index.iter().map(|name| index(name)).collect::<Result<_, _>>()?;
    if !postgres && indexes.contains(&Index::Metadata) {
        return Err(Trouble::usage(
            "--index metadata is an index of Postgres, and the store is in SQLite: there questions about \
             metadata read the records of the range, and `--index text` finds the words in them",
        ));
    }
    Ok(indexes)
}

fn index(name: &str) -> Result<Index, Trouble> {
    Index::ALL.into_iter().find(|index| index.as_str() == name).ok_or_else(|| {
        let names = Index::ALL.map(Index::as_str).join(", ");
        Trouble::usage(format!("--index {name:?} is unknown; there are {names}"))
    })
}

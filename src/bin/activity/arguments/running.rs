//! What sets a log up and looks after it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tower_activity::{access::Permission, privacy::KeyUse};

use crate::listen::Listen;

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Indexes that cost something with every record: `text`, `metadata`
    #[arg(long, value_delimiter = ',', value_name = "INDEX")]
    pub(crate) index: Vec<String>,
    /// Postgres: make the roles with the least that each needs (writer, reader, auditor, …)
    #[arg(long)]
    pub(crate) roles: bool,
    /// Make the outbox in the application's own database too, for records in its transactions
    #[arg(long, value_name = "URL")]
    pub(crate) outbox: Option<String>,
    /// Postgres: keep tenants apart in the database too, by row-level policies; makes the roles as well
    #[arg(long)]
    pub(crate) tenants: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Settings in TOML: listen, port, store, keys, rules, service and more; docs/command.md has them all
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen on, as in `[::]` or `0.0.0.0:8080`; any but loopback takes an API key [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<Listen>,
    /// The port; 0 takes a free one [env: PORT] [default: 3000]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The rules file, before the convention
    #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
    pub(crate) rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The rules file to look at as well
    #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
    pub(crate) rules: Option<PathBuf>,
    /// A running service to ask, as in http://localhost:3000/activity
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a key and shows it, once
    New {
        /// What to call it; the `service` of what is handed in with it
        name: String,
        /// What it may do: logs.ingest, logs.actions.view, logs.auth.view, logs.export, logs.delete, logs.configure
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "logs.ingest",
            value_name = "PERMISSION"
        )]
        permissions: Vec<Permission>,
        /// The only tenant that it may see and write for
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Lists the keys, without their secrets
    List {
        /// Those of the key file (--keys), which pseudonyms, cursors and checkpoints are made with
        #[arg(long)]
        file: bool,
    },
    /// Puts new keys into the key file (--keys) beside the old ones, for pseudonyms and checkpoints
    Rotate {
        /// For these uses alone: pseudonym, signing, cursor; a new cursor key ends lists and live sessions under way
        #[arg(
            long,
            value_delimiter = ',',
            default_value = "pseudonym,signing",
            value_name = "USE"
        )]
        only: Vec<KeyUse>,
    },
    /// Revokes a key, at once and for good
    Revoke {
        /// The key's id, as `key list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Rules {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Reads a rules file and says what is wrong with it
    Check {
        /// The file, TOML or JSON
        #[arg(env = "ACTIVITY_RULES", hide_env_values = true)]
        file: PathBuf,
    },
    /// Says what a request would mean, which rule says so, and why no other
    Explain {
        /// The method
        method: String,
        /// The route template or path
        route: String,
        /// The status of the answer
        #[arg(default_value_t = 200)]
        status: u16,
        /// The rules file, before the convention
        #[arg(long, value_name = "FILE", env = "ACTIVITY_RULES", hide_env_values = true)]
        rules: Option<PathBuf>,
    },
}

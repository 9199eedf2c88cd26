//! What the environment and the command line say, and how a start that fails is told.

use std::{env, fmt, io, net::Ipv4Addr, path::PathBuf};

use tokio::net::TcpListener;
use tower_activity::store::{Append, Maintain, Read};

/// What the quickstart was told.
pub(crate) struct Settings {
    /// `PORT`: 3000; 0 takes a free one.
    pub(crate) port: u16,
    /// `ACTIVITY_STORE`: `sqlite:activity.db`.
    pub(crate) store: String,
    /// `ACTIVITY_KEYS`: beside the SQLite file.
    pub(crate) keys: PathBuf,
    /// `ACTIVITY_RULES`: the file beside this one.
    pub(crate) rules: PathBuf,
    /// `--demo`: fill an empty store with a month of history.
    pub(crate) demo: bool,
}

impl Settings {
    /// Reads them; whatever is wrong is told with the way out.
    pub(crate) fn read() -> Result<Self, Trouble> {
        let mut demo = false;
        for argument in env::args().skip(1) {
            match argument.as_str() {
                "--demo" => demo = true,
                "--help" | "-h" => return Err(Trouble(HELP.to_owned())),
                other => {
                    return Err(Trouble(format!("`{other}` is unknown: there is only --demo")));
                }
            }
        }
        let store = variable("ACTIVITY_STORE").unwrap_or_else(|| "sqlite:activity.db".to_owned());
        if is_postgres(&store) && cfg!(not(feature = "postgres")) {
            return Err(Trouble(
                "this build has no Postgres: run it with --features postgres".to_owned(),
            ));
        }
        let keys = variable("ACTIVITY_KEYS").map(PathBuf::from).or_else(|| beside(&store));
        Ok(Self {
            port: port(variable("PORT").as_deref())?,
            keys: keys.ok_or_else(|| {
                Trouble("ACTIVITY_KEYS is not set: name a file for the keys, which a server has no place beside".to_owned())
            })?,
            store,
            rules: variable("ACTIVITY_RULES").map_or_else(|| PathBuf::from(RULES), PathBuf::from),
            demo,
        })
        .and_then(|settings| mode(variable("ACTIVITY_MODE").as_deref()).map(|()| settings))
    }

    /// Takes the port, on this machine's own address only.
    pub(crate) async fn listen(&self) -> Result<TcpListener, Trouble> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.map_err(|error| {
            let port = self.port;
            Trouble(match error.kind() {
                io::ErrorKind::AddrInUse => format!("port {port} is taken: end the program that has it, or set PORT (0 takes a free one)"),
                io::ErrorKind::PermissionDenied => format!("port {port} is not allowed: set PORT to one above 1023"),
                _ => format!("port {port} cannot be opened ({error}): set PORT to another one"),
            })
        })
    }

    /// Returns the store's address without the password that it may hold.
    pub(crate) fn store_shown(&self) -> String {
        match self.store.split_once("://") {
            Some((scheme, rest)) if rest.contains('@') => {
                format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
            }
            _ => self.store.clone(),
        }
    }

    /// Tells whether the store is in Postgres.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_postgres(&self) -> bool {
        is_postgres(&self.store)
    }
}

fn is_postgres(store: &str) -> bool {
    store.starts_with("postgres:") || store.starts_with("postgresql:")
}

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart/activity.toml");

const HELP: &str = "cargo run --example quickstart [-- --demo]
  --demo          fill an empty store with 30 days of history first
  PORT            3000; 0 takes a free one
  ACTIVITY_STORE  sqlite:activity.db, or postgres://… when built with --features postgres
  ACTIVITY_KEYS   file of the keys; beside the SQLite file
  ACTIVITY_RULES  rules file; examples/quickstart/activity.toml";

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn port(value: Option<&str>) -> Result<u16, Trouble> {
    value.unwrap_or("3000").parse().map_err(|_| {
        Trouble(format!(
            "PORT is `{}`: set it to a number up to 65535 (0 takes a free port)",
            value.unwrap_or_default()
        ))
    })
}

fn mode(value: Option<&str>) -> Result<(), Trouble> {
    match value {
        None | Some("best_effort") => Ok(()),
        Some(mode @ ("durable" | "strict")) => Err(Trouble(format!(
            "ACTIVITY_MODE={mode} is not there yet: this version has best_effort"
        ))),
        Some(mode) => {
            Err(Trouble(format!("ACTIVITY_MODE is `{mode}`: this version has best_effort")))
        }
    }
}

/// Returns the key file beside a SQLite file; a store in memory keeps its keys in the same folder.
fn beside(store: &str) -> Option<PathBuf> {
    let path = match store.split_once(':') {
        None => store,
        Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
        Some(_) => return None,
    };
    let path = path.split('?').next().unwrap_or(path);
    let file = if path.contains(":memory:") || path.is_empty() { "activity.db" } else { path };
    Some(PathBuf::from(file).with_extension("keys"))
}

/// A store that can do all that the quickstart asks for.
pub(crate) trait Store: Append + Read + Maintain + Clone {}

impl<S: Append + Read + Maintain + Clone> Store for S {}

/// Why the quickstart did not start, in a sentence with the way out.
pub(crate) struct Trouble(pub(crate) String);

impl<E: std::error::Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What a program that ends with an error prints, after the word "Error".
impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

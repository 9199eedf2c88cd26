//! What the environment and the command line say, and how a start that fails is told.

use std::{env, error::Error, fmt, io, net::Ipv4Addr, path::PathBuf};

use tokio::net::TcpListener;
use tower_activity::{
    pipeline::StartError,
    privacy::KeysError,
    rules::{Delivery, RulesError},
    store::{Append, Maintain, Read, StoreError},
};

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
    /// `ACTIVITY_MODE`: `durable` with a folder, else `best_effort`.
    pub(crate) mode: Option<Delivery>,
    /// `ACTIVITY_SPOOL`: none, so that records wait in memory.
    pub(crate) spool: Option<PathBuf>,
    /// `--demo`: fill an empty store with a month of history.
    pub(crate) demo: bool,
}

impl Settings {
    /// Reads them; whatever is wrong is told with the way out.
    pub(crate) fn read() -> Result<Self, Trouble> {
        let mut demo = false;
        for argument in env::args_os().skip(1) {
            demo = argument == "--demo";
            if !demo {
                return refuse(format!(
                    "{argument:?} is unknown: --demo fills an empty store with 30 days of history; \
                     the rest is in PORT, ACTIVITY_STORE, ACTIVITY_MODE, ACTIVITY_SPOOL, ACTIVITY_KEYS and \
                     ACTIVITY_RULES"
                ));
            }
        }
        let spool = variable("ACTIVITY_SPOOL").map(PathBuf::from);
        let mode = mode(spool.is_some())?;
        let store = variable("ACTIVITY_STORE").unwrap_or_else(|| "sqlite:activity.db".to_owned());
        let scheme = store.split_once("://").map_or("sqlite", |(scheme, _)| scheme);
        if scheme != "sqlite" && !is_postgres(&store) {
            return refuse(format!(
                "ACTIVITY_STORE begins with `{scheme}://`: name a store as in sqlite:activity.db or \
                 postgres://user:password@localhost/log"
            ));
        }
        if is_postgres(&store) && cfg!(not(feature = "postgres")) {
            return refuse("this build has no Postgres: run it with --features postgres");
        }
        let Some(keys) = variable("ACTIVITY_KEYS").map(PathBuf::from).or_else(|| beside(&store))
        else {
            return refuse(
                "ACTIVITY_KEYS is not set: name a file for the keys of a log in Postgres",
            );
        };
        let rules = variable("ACTIVITY_RULES").map_or_else(|| PathBuf::from(RULES), PathBuf::from);
        Ok(Self { port: port()?, store, keys, rules, mode, spool, demo })
    }

    /// Takes the port, on this machine's own address only.
    pub(crate) async fn listen(&self) -> Result<TcpListener, Trouble> {
        let port = self.port;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse => refuse(format!(
                "port {port} is taken: end the program that has it, or set PORT (0 takes a free one)"
            )),
            io::ErrorKind::PermissionDenied => {
                refuse(format!("port {port} is not allowed: set PORT to one above 1023"))
            }
            _ => refuse(format!("port {port} cannot be opened ({error}): set PORT to another one")),
        })
    }

    /// Returns the store's address without the password that it may hold.
    pub(crate) fn store_shown(&self) -> String {
        match self.store.split('?').next().unwrap_or_default().split_once("://") {
            Some((scheme, rest)) if is_postgres(&self.store) => {
                format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
            }
            _ => self.store.clone(),
        }
    }

    /// Returns the mode that the pipeline will have, with the folder of its spool.
    pub(crate) fn mode_shown(&self) -> String {
        let unsaid = if self.spool.is_some() { Delivery::Durable } else { Delivery::BestEffort };
        let mode = self.mode.unwrap_or(unsaid).as_str();
        match &self.spool {
            Some(folder) => format!("{mode} · spool {}", folder.display()),
            None => mode.to_owned(),
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

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn port() -> Result<u16, Trouble> {
    let Some(value) = variable("PORT") else { return Ok(3000) };
    value.parse().or_else(|_| {
        refuse(format!("PORT is `{value}`: set it to a number up to 65535 (0 takes a free port)"))
    })
}

/// What may happen to a record on its way; a promise needs a folder to keep it in.
fn mode(has_spool: bool) -> Result<Option<Delivery>, Trouble> {
    let Some(word) = variable("ACTIVITY_MODE") else { return Ok(None) };
    match word.parse() {
        Ok(mode) if has_spool || mode == Delivery::BestEffort => Ok(Some(mode)),
        Ok(_) => refuse(format!(
            "ACTIVITY_MODE is `{word}`, which keeps records in a folder until they are stored: name one in \
             ACTIVITY_SPOOL"
        )),
        Err(_) => {
            refuse(format!("ACTIVITY_MODE is `{word}`: set it to {}", Delivery::WORDS.join(", ")))
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

fn refuse<T>(why: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble(why.into()))
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let text = with_causes(&error);
        // Most say themselves what to do about it.
        let way_out = if text.contains("; ") { "" } else { "; ACTIVITY_STORE says where it is" };
        Self(text + way_out)
    }
}

macro_rules! troubles {
    ($($error:ty)*) => {$(
        impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self(with_causes(&error))
            }
        }
    )*};
}

troubles!(io::Error KeysError RulesError StartError);

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Where the sentence has its way out already, causes only hide it.
    while let Some(error) = cause.filter(|_| !text.contains("; ")) {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// What a program that ends with an error prints, after the word "Error".
impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

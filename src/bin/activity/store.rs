//! The store that `--store` names.

use std::path::PathBuf;

use tower_activity::{Keys, PostgresStore, SqliteStore, store::AnyStore};

use crate::{arguments::Common, trouble::Trouble};

/// A store by its scheme, for those that need more of it than reading.
pub(crate) enum Store {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Store {
    /// Opens the store and brings its schema up to date.
    pub(crate) async fn open(common: &Common) -> Result<Self, Trouble> {
        let url = common.store();
        if is_postgres(url) {
            return Ok(Self::Postgres(PostgresStore::open(url).await?));
        }
        match url.split_once("://") {
            Some((scheme, _)) if scheme != "sqlite" => Err(unknown(scheme)),
            _ => Ok(Self::Sqlite(SqliteStore::open(url).await?)),
        }
    }

    /// Opens a log that is there already, for reading: one that is merely misspelt is not made, and an older
    /// one is left to `activity migrate`.
    pub(crate) async fn existing(common: &Common) -> Result<Self, Trouble> {
        Self::existing_at(common.store()).await
    }

    /// As [`existing`](Self::existing), of another URL than that of the log.
    pub(crate) async fn existing_at(url: &str) -> Result<Self, Trouble> {
        if is_postgres(url) {
            return Ok(Self::Postgres(PostgresStore::open_existing(url).await?));
        }
        match url.split_once("://") {
            Some((scheme, _)) if scheme != "sqlite" => return Err(unknown(scheme)),
            _ => {}
        }
        if let Some(file) = file_of(url).filter(|file| !file.exists()) {
            return Err(Trouble::new(format!(
                "there is no log `{}`; --store or ACTIVITY_STORE says where it is, and `activity migrate` \
                 makes a new one",
                file.display()
            )));
        }
        Ok(Self::Sqlite(SqliteStore::open_existing(url).await?))
    }

    /// Returns it as one that can be read.
    pub(crate) fn reader(self) -> AnyStore {
        match self {
            Self::Sqlite(store) => AnyStore::new(store),
            Self::Postgres(store) => AnyStore::new(store),
        }
    }
}

fn unknown(scheme: &str) -> Trouble {
    // What is no scheme may be a password at the wrong place.
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let begins = match scheme.chars().all(is_scheme) {
        true => format!("begins with `{scheme}://`"),
        false => "is no URL of a store".to_owned(),
    };
    Trouble::usage(format!(
        "--store {begins}: name a store as in sqlite:activity.db or postgres://user:password@localhost/log"
    ))
}

/// Returns where the keys lie: where `--keys` says, or beside a SQLite file.
pub(crate) fn keys_path(common: &Common) -> Option<PathBuf> {
    common.keys.clone().or_else(|| Some(file(common)?.with_extension("keys")))
}

/// Returns the file of a SQLite store.
pub(crate) fn file(common: &Common) -> Option<PathBuf> {
    file_of(common.store())
}

fn file_of(url: &str) -> Option<PathBuf> {
    if is_postgres(url) || url.split_once("://").is_some_and(|(scheme, _)| scheme != "sqlite") {
        return None;
    }
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    let in_memory = path.is_empty() || path.contains(":memory:");
    (!in_memory).then(|| PathBuf::from(path))
}

/// Reads the keys, where there are any to be found.
pub(crate) fn keys(common: &Common) -> Result<Option<Keys>, Trouble> {
    Ok(keys_path(common).map(Keys::open).transpose()?)
}

/// Returns a store's URL without the password that it may hold.
pub(crate) fn shown(url: &str) -> String {
    match url.split('?').next().unwrap_or_default().split_once("://") {
        Some((scheme, rest)) if is_postgres(url) => {
            format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
        }
        _ => url.to_owned(),
    }
}

pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

//! The store that `--store` names.

use std::path::PathBuf;

use tower_activity::{
    Keys, PostgresStore, SqliteStore,
    archive::Archive,
    store::{AnyStore, Evidence as _},
};

use crate::{arguments::Common, out, trouble::Trouble};

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

    /// Opens what a service serves: a log, which is made where there is none, or a scratch copy of an archive.
    pub(crate) async fn to_serve(common: &Common) -> Result<Self, Trouble> {
        match Self::existing(common).await {
            Ok(Self::Sqlite(store)) if store.scratch().await?.is_some() => {
                Ok(Self::Sqlite(SqliteStore::open_or_scratch(common.store()).await?))
            }
            // What is wrong with it is told by whoever makes it.
            _ => Self::open(common).await,
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

/// Reads the keys, where the file is there: none are made. One that nobody named and that cannot be read is said to be so
/// and does without.
pub(crate) fn keys_at_hand(common: &Common) -> Result<Option<Keys>, Trouble> {
    let Some(path) = keys_path(common).filter(|path| path.exists()) else { return Ok(None) };
    match Keys::open(path) {
        Ok(keys) => Ok(Some(keys)),
        Err(error) if common.keys.is_none() => {
            out::note(format!("{error}; only what stands in plain text is found"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads the keys of a log that is there, and makes them only beside one that no key has signed: new ones beside a log that has
/// others find no pseudonym of it, do not know who was erased, and sign what nobody trusts.
pub(crate) async fn keys_of_log(common: &Common) -> Result<Option<Keys>, Trouble> {
    let Some(path) = keys_path(common) else { return Ok(None) };
    if !path.exists() && Store::existing(common).await?.reader().last_checkpoint().await?.is_some()
    {
        return Err(Trouble::new(format!(
            "there is no key file `{}`, and the log {} has checkpoints, which were signed with one: name the file that its \
             services have with --keys or ACTIVITY_KEYS",
            path.display(),
            shown(common.store())
        )));
    }
    Ok(Some(Keys::open(path)?))
}

/// Reads the keys, where there are any to be found.
pub(crate) fn keys(common: &Common) -> Result<Option<Keys>, Trouble> {
    Ok(keys_path(common).map(Keys::open).transpose()?)
}

/// Opens the archive that is named first, if any is.
pub(crate) fn archive(named: [Option<&str>; 2]) -> Result<Option<Archive>, Trouble> {
    let url = named.into_iter().flatten().find(|url| !url.is_empty());
    url.map(Archive::open).transpose().map_err(|error| Trouble::of(&error))
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

//! Where a database is, and how connections to it are set up.

use std::{
    path::Path,
    str::FromStr as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::error::{BUSY, CANTOPEN, READONLY, primary_code, store_error};
use crate::store::{StoreError, StoreErrorKind};

/// How long a connection waits for another one's lock. Longer than any append takes, shorter than a
/// writer's own deadline.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows that a connection reads ahead: each handover between threads costs more than a row.
const ROW_BUFFER: usize = 512;

/// Reads `activity.db`, `sqlite:activity.db`, `sqlite::memory:` or `:memory:`.
pub(super) fn parse(location: &str) -> Result<SqliteConnectOptions, StoreError> {
    let refused = |why: &str| {
        // Of another kind of database, it may hold a password.
        let (scheme, rest) = match (location.find("//"), location.rfind('@')) {
            (Some(slashes), Some(at)) if slashes < at => {
                (&location[..slashes + 2], &location[at + 1..])
            }
            _ => ("", location),
        };
        let (scheme, rest) = (scheme.escape_debug(), rest.escape_debug());
        let doing = format!("open the store `{scheme}{rest}`: {why}");
        StoreError::new(StoreErrorKind::Configuration, doing)
    };
    if location.is_empty() {
        return Err(refused("name a file, as in `sqlite:activity.db`"));
    }
    let options = match location.split_once(':') {
        Some(("" | "sqlite", ":memory:" | "memory:")) => in_memory(),
        Some(("sqlite", _)) => SqliteConnectOptions::from_str(location)
            .map_err(|error| refused("this is not a SQLite URL").with_source(error))?,
        Some((scheme, rest)) if rest.starts_with("//") => {
            let why = format!("`{scheme}` is not SQLite; name a file, as in `sqlite:activity.db`");
            return Err(refused(&why));
        }
        _ => SqliteConnectOptions::new().filename(location),
    };
    if options.get_filename().as_os_str().is_empty() {
        // To SQLite, a database that is gone with its connection.
        return Err(refused("name a file, as in `sqlite:activity.db`"));
    }
    Ok(options)
}

/// A new database in memory that several connections of this process share, as long as one is open.
///
/// Not SQLite's shared cache, which sqlx would take: that answers a second writer with an error at once
/// instead of letting it wait its turn.
fn in_memory() -> SqliteConnectOptions {
    static DATABASES: AtomicU64 = AtomicU64::new(1);
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    // The slash is what makes the name a shared one: https://sqlite.org/src/file/src/memdb.c
    SqliteConnectOptions::new().vfs("memdb").filename(format!("/activity-{number}"))
}

/// Opens the connection that creates the file, and waits for others that do so at the same time.
///
/// SQLite does not wait by itself here: of two connections that change the journal mode at once, one is
/// told at once that the database is locked, whatever its busy timeout.
pub(super) async fn create(
    options: &SqliteConnectOptions,
) -> Result<SqliteConnection, sqlx::Error> {
    const PAUSE: Duration = Duration::from_millis(10);
    let creating = creating(options);
    let mut left = BUSY_TIMEOUT;
    loop {
        match creating.connect().await {
            Err(sqlx::Error::Database(error))
                if primary_code(error.as_ref()) == BUSY && !left.is_zero() =>
            {
                left = left.saturating_sub(PAUSE);
                tokio::time::sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

fn creating(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    let options = options.clone().create_if_missing(true);
    // The mode is kept in the file, so that only its creation has to set it.
    writing(&options).journal_mode(SqliteJournalMode::Wal)
}

/// A connection that writes.
pub(super) fn writing(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .clone()
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Normal)
        // The permits of `activity_permits` depend on it.
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        // `INSERT OR REPLACE` is a deletion too.
        .pragma("recursive_triggers", "ON")
        .pragma("temp_store", "MEMORY")
        // 16 MiB, so that the inner pages of the indexes stay at hand.
        .pragma("cache_size", "-16384")
        .disable_statement_logging()
}

/// A connection that writes, and whose commits a power cut does not take.
pub(super) fn writing_through(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    writing(options).synchronous(SqliteSynchronous::Full)
}

/// A connection that reads and cannot write.
pub(super) fn reading(options: &SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .clone()
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROW_BUFFER)
        .pragma("query_only", "ON")
        .disable_statement_logging()
}

/// Says in one sentence why a database cannot be opened, and what to do about it.
pub(super) fn open_error(options: &SqliteConnectOptions, error: sqlx::Error) -> StoreError {
    let file = options.get_filename();
    let doing = format!("open the store `{}`", file.display());
    let refused = match &error {
        sqlx::Error::Database(error) => match primary_code(error.as_ref()) {
            CANTOPEN | READONLY => Some(why_not(file)),
            26 => Some("the file is not a SQLite database; name another file".to_owned()),
            _ => None,
        },
        _ => None,
    };
    match refused {
        Some(why) => StoreError::new(StoreErrorKind::Configuration, format!("{doing}: {why}"))
            .with_source(error),
        None => store_error(&doing, error),
    }
}

/// Says why a database that is there cannot be read.
pub(super) fn read_error(options: &SqliteConnectOptions, error: sqlx::Error) -> StoreError {
    let file = options.get_filename();
    let kept_out = matches!(&error, sqlx::Error::Database(error)
        if matches!(primary_code(error.as_ref()), CANTOPEN | READONLY));
    if !kept_out || file.is_dir() {
        return open_error(options, error);
    }
    let doing = format!(
        "read the store `{}`: no service has it open, and its folder cannot be written, where SQLite keeps \
         what readers share; read it as its owner, or, where nobody writes (a copy, a disk that is \
         read-only), name it with `?immutable=true` at the end",
        file.display()
    );
    StoreError::new(StoreErrorKind::Configuration, doing).with_source(error)
}

fn why_not(file: &Path) -> String {
    if file.is_dir() {
        return "this is a folder; name a file in it".to_owned();
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let shown = folder.display();
    if !folder.exists() {
        format!("the folder `{shown}` does not exist; create it, or name another file")
    } else if !folder.is_dir() {
        format!("`{shown}` is not a folder; name another file")
    } else {
        // SQLite needs the folder for the files beside the database.
        format!(
            "the folder `{shown}` or the file in it cannot be read or written; allow it, or name another file"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_url_name_the_same_file() {
        for location in ["activity.db", "sqlite:activity.db", "sqlite://activity.db"] {
            assert_eq!(parse(location).unwrap().get_filename(), Path::new("activity.db"));
        }
        assert_eq!(parse("/a b/c.db").unwrap().get_filename(), Path::new("/a b/c.db"));
    }

    #[test]
    fn another_database_is_refused_in_one_sentence() {
        let error = parse("postgres://localhost/log").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Configuration);
        assert_eq!(
            error.to_string(),
            "could not open the store `postgres://localhost/log`: `postgres` is not SQLite; name a \
             file, as in `sqlite:activity.db`"
        );
        for nothing in ["", "sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
            assert!(parse(nothing).is_err(), "{nothing}");
        }
    }

    #[tokio::test]
    async fn connections_are_set_up_as_the_promises_need() {
        let options = in_memory();
        let mut writer = creating(&options).connect().await.unwrap();
        let mut reader = reading(&options).connect().await.unwrap();
        for (pragma, value) in [
            ("secure_delete", 1),
            ("recursive_triggers", 1),
            ("foreign_keys", 1),
            ("synchronous", 1),
        ] {
            let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
            let set: i64 = sqlx::query_scalar(sql).fetch_one(&mut writer).await.unwrap();
            assert_eq!(set, value, "{pragma}");
        }
        let mut through = writing_through(&options).connect().await.unwrap();
        let set: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut through).await.unwrap();
        assert_eq!(set, 2, "FULL");
        sqlx::query("CREATE TABLE t (a)").execute(&mut writer).await.unwrap();
        sqlx::query("SELECT a FROM t").fetch_all(&mut reader).await.unwrap();
        assert!(sqlx::query("INSERT INTO t VALUES (1)").execute(&mut reader).await.is_err());
    }
}

//! The schema: files in `migrations/sqlite`, applied in order, each in one transaction.
//!
//! The files work by hand as well (`sqlite3 -bail activity.db < migrations/sqlite/…`), and leave the same
//! state: each one begins and commits its own transaction and ends by recording itself.

use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::error::store_error;
use crate::{
    record::hex,
    store::{StoreError, StoreErrorKind},
};

/// One file.
struct Migration {
    version: i64,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("../../../migrations/sqlite/0001_records.sql") },
    Migration { version: 2, sql: include_str!("../../../migrations/sqlite/0002_register.sql") },
    Migration { version: 3, sql: include_str!("../../../migrations/sqlite/0003_reading.sql") },
    Migration { version: 4, sql: include_str!("../../../migrations/sqlite/0004_epochs.sql") },
    Migration { version: 5, sql: include_str!("../../../migrations/sqlite/0005_checkpoints.sql") },
    Migration { version: 6, sql: include_str!("../../../migrations/sqlite/0006_erased.sql") },
    Migration { version: 7, sql: include_str!("../../../migrations/sqlite/0007_anchors.sql") },
    Migration { version: 8, sql: include_str!("../../../migrations/sqlite/0008_retention.sql") },
    Migration { version: 9, sql: include_str!("../../../migrations/sqlite/0009_folded.sql") },
    Migration { version: 10, sql: include_str!("../../../migrations/sqlite/0010_restricted.sql") },
];

/// Between these two stands what the runner executes inside a transaction of its own.
const BEGIN: &str = "\nBEGIN IMMEDIATE;\n";
const COMMIT: &str = "\nCOMMIT;\n";

/// What begins with this records the file, and is not part of what its checksum covers.
const RECORD: &str = "INSERT INTO activity_migrations ";

const DOING: &str = "migrate the store";

impl Migration {
    fn statements(&self) -> &'static str {
        let body = self.sql.split_once(BEGIN).map_or(self.sql, |(_, body)| body);
        body.rsplit_once(COMMIT).map_or(body, |(body, _)| body)
    }

    fn checksum(&self) -> String {
        use sha2::{Digest as _, Sha256};

        let covered = self.sql.rsplit_once(RECORD).map_or(self.sql, |(covered, _)| covered);
        hex(&Sha256::digest(covered))
    }
}

/// Brings the schema to this build's version.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<(), StoreError> {
    // Looking first keeps an ordinary start from waiting for the write lock.
    if applied(connection, name).await? == MIGRATIONS.len() {
        return Ok(());
    }
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(|error| store_error(DOING, error))?;
    // Under the lock, because another process may have been faster.
    let applied = applied(&mut transaction, name).await?;
    for migration in &MIGRATIONS[applied..] {
        sqlx::raw_sql(migration.statements())
            .execute(&mut *transaction)
            .await
            .map_err(|error| store_error(DOING, error))?;
    }
    transaction.commit().await.map_err(|error| store_error(DOING, error))
}

/// Refuses a database whose schema is not of this build's version, and changes nothing.
pub(super) async fn expect_current(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<(), StoreError> {
    let known = MIGRATIONS.len();
    match applied(connection, name).await? {
        applied if applied == known => Ok(()),
        0 => Err(refused(
            name,
            "it holds no log; `activity migrate` makes one, and so does the service that writes it"
                .to_owned(),
        )),
        applied => Err(refused(
            name,
            format!(
                "it has schema version {applied}, and this build reads version {known}; `activity \
                 migrate` brings it up to date, and so does a service of this version"
            ),
        )),
    }
}

/// Returns how many of the migrations the database has seen.
async fn applied(connection: &mut SqliteConnection, name: &str) -> Result<usize, StoreError> {
    let failed = |error| store_error("read the store's version", error);
    let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'activity_migrations'";
    let tables: i64 =
        sqlx::query_scalar(table).fetch_one(&mut *connection).await.map_err(failed)?;
    if tables == 0 {
        return Ok(0);
    }
    let rows = sqlx::query("SELECT version, checksum FROM activity_migrations ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let known = MIGRATIONS.len();
    for (index, row) in rows.iter().enumerate() {
        let version: i64 = row.try_get(0).map_err(failed)?;
        let checksum: String = row.try_get(1).map_err(failed)?;
        match MIGRATIONS.get(index) {
            Some(migration) if migration.version != version => {
                return Err(refused(
                    name,
                    format!("its migrations skip from {index} to {version}"),
                ));
            }
            Some(migration) if migration.checksum() != checksum => {
                let why = format!(
                    "its migration {version} is not the one of this build; use the build that made \
                     it, or another file"
                );
                return Err(refused(name, why));
            }
            Some(_) => {}
            None => {
                let why = format!(
                    "it has schema version {}, and this build knows versions up to {known}; use a \
                     newer build, or another file",
                    rows.len().max(usize::try_from(version).unwrap_or_default())
                );
                return Err(refused(name, why));
            }
        }
    }
    Ok(rows.len())
}

fn refused(name: &str, why: String) -> StoreError {
    StoreError::new(StoreErrorKind::Configuration, format!("open the store `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_records_its_own_checksum_and_holds_one_transaction() {
        for migration in MIGRATIONS {
            let checksum = migration.checksum();
            assert!(
                migration.sql.contains(&format!("VALUES ({}, '", migration.version))
                    && migration.sql.contains(&format!("'{checksum}'")),
                "migration {} must record the checksum {checksum}",
                migration.version
            );
            assert_eq!(migration.sql.matches(BEGIN).count(), 1);
            assert!(migration.sql.ends_with(COMMIT));
            assert!(!migration.statements().contains("COMMIT;"));
        }
    }

    #[test]
    fn versions_count_from_one() {
        assert!(
            MIGRATIONS.iter().zip(1..).all(|(migration, version)| migration.version == version)
        );
    }
}

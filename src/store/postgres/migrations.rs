//! The embedded migrations, and their runner.

use sqlx::{AssertSqlSafe, PgConnection, Row as _, raw_sql};

use super::store::Failure;
use crate::store::StoreErrorKind;

/// The files of `migrations/postgres/`, each of which writes its number into `activity.migrations`.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../../migrations/postgres/0001_records.sql")),
    (2, include_str!("../../../migrations/postgres/0002_ledger.sql")),
    (3, include_str!("../../../migrations/postgres/0003_leaves.sql")),
    (4, include_str!("../../../migrations/postgres/0004_views.sql")),
    (5, include_str!("../../../migrations/postgres/0005_register.sql")),
    (6, include_str!("../../../migrations/postgres/0006_indexes.sql")),
    (7, include_str!("../../../migrations/postgres/0007_rollups.sql")),
    (8, include_str!("../../../migrations/postgres/0008_roles.sql")),
    (9, include_str!("../../../migrations/postgres/0009_search.sql")),
    (10, include_str!("../../../migrations/postgres/0010_epochs.sql")),
    (11, include_str!("../../../migrations/postgres/0011_checkpoints.sql")),
    (12, include_str!("../../../migrations/postgres/0012_erased.sql")),
    (13, include_str!("../../../migrations/postgres/0013_tenants.sql")),
    (14, include_str!("../../../migrations/postgres/0014_anchors.sql")),
    (15, include_str!("../../../migrations/postgres/0015_retention.sql")),
    (16, include_str!("../../../migrations/postgres/0016_folded.sql")),
    (17, include_str!("../../../migrations/postgres/0017_expiry.sql")),
    (18, include_str!("../../../migrations/postgres/0018_restricted.sql")),
    (19, include_str!("../../../migrations/postgres/0019_told.sql")),
];

/// Runs what has not run yet, inside the caller's transaction.
pub(super) async fn run(connection: &mut PgConnection) -> Result<(), Failure> {
    // Of the transaction, not of the session: PgBouncer would give the session to somebody else.
    raw_sql("select pg_advisory_xact_lock(5860226710480315984)").execute(&mut *connection).await?;
    let encoding = encoding(connection).await?;
    if encoding != "UTF8" {
        // Found out now, and not record by record from the first letter that the encoding lacks.
        return Err(Failure::new(
            StoreErrorKind::Configuration,
            format!(
                "the database's encoding is {encoding}, and records take any text; name a database \
                 that was created with encoding UTF8"
            ),
        ));
    }
    let applied = applied(connection).await?;
    let newest = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if applied > newest {
        return Err(Failure::new(
            StoreErrorKind::Configuration,
            format!("the schema is of version {applied}, newer than this build's {newest}"),
        ));
    }
    for (version, sql) in MIGRATIONS {
        if *version > applied {
            raw_sql(*sql).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Refuses a log whose schema is not of this build's version, and changes nothing.
pub(super) async fn expect_current(connection: &mut PgConnection) -> Result<(), Failure> {
    let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    let applied = applied(connection).await?;
    let why = match applied {
        applied if applied == known => return Ok(()),
        0 => {
            "the database holds no log; `activity migrate` makes one, and so does the service that \
              writes it"
                .to_owned()
        }
        newer if newer > known => format!(
            "the schema is of version {newer}, and this build reads version {known}; use a newer build"
        ),
        older => format!(
            "the schema is of version {older}, and this build reads version {known}; `activity migrate` \
             brings it up to date, and so does a service of this version"
        ),
    };
    Err(Failure::new(StoreErrorKind::Configuration, why))
}

async fn encoding(connection: &mut PgConnection) -> Result<String, Failure> {
    let row = raw_sql("select current_setting('server_encoding')").fetch_one(connection).await?;
    Ok(row.try_get_unchecked(0)?)
}

async fn applied(connection: &mut PgConnection) -> Result<i64, Failure> {
    let exists = "select to_regclass('activity.migrations') is not null";
    let row = raw_sql(exists).fetch_one(&mut *connection).await?;
    if !row.try_get_unchecked::<bool, _>(0)? {
        return Ok(0);
    }
    let newest = "select coalesce(max(version), 0)::bigint from activity.migrations";
    let row = raw_sql(AssertSqlSafe(newest)).fetch_one(&mut *connection).await?;
    Ok(row.try_get_unchecked::<i64, _>(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_writes_down_its_own_number() {
        for (number, (version, sql)) in (1..).zip(MIGRATIONS) {
            assert_eq!(*version, number, "numbers go on by one");
            let line =
                format!("insert into activity.migrations (version, name) values ({version}, ");
            assert!(sql.contains(&line), "file {version}");
        }
    }
}

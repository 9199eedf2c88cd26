//! The schema: made once, by us or by hand, by an ordinary owner; and what it refuses.

use std::process::Command;

use sqlx::{AssertSqlSafe, Executor as _, Row as _, raw_sql};
use tower_activity::{
    query::Filter,
    record::{Canonical, Category, Group, Kind, Record, Seal, WriterId},
    store::{
        Append as _, Appender as _, Index, Maintain as _, Read as _, StoreErrorKind,
        postgres::PostgresStore,
    },
};

use super::{batch, filled, store};
use crate::{
    answers::{every_answer_is_that_of_memory, of_all_kinds},
    counts::Mutable as _,
    records::{erased, stream},
    server::{Database, execute, programs, run},
    suite::newest,
};

#[tokio::test]
async fn a_connection_is_closed_after_any_error() {
    let (_database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    let refused = appender.append(batch(&stream(5, 2..=3))).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Position { last_seq: 0 });
    let closed = appender.position(WriterId::new(5)).await.unwrap_err();
    assert_eq!(closed.kind(), StoreErrorKind::Transient);
}

#[tokio::test]
async fn the_columns_are_the_fields_and_the_seals() {
    let (database, _store) = store().await;
    let mut connection = database.connect().await;
    let sql = "select column_name::text, data_type::text from information_schema.columns \
               where table_schema = 'activity' and table_name = 'records' order by ordinal_position";
    let rows = connection.fetch_all(raw_sql(sql)).await.unwrap();
    let found: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut expected: Vec<(String, String)> = Record::FIELDS
        .iter()
        .map(|field| {
            let sql_type = match field.kind() {
                Kind::Id => "uuid",
                Kind::Time => "timestamp with time zone",
                Kind::Integer
                    if ["schema_version", "severity", "status", "grpc_status"]
                        .contains(&field.name()) =>
                {
                    "integer"
                }
                Kind::Integer | Kind::Stream => "bigint",
                Kind::Word | Kind::Text => "text",
                Kind::Json => "json",
                Kind::Address => "inet",
                kind => panic!("no column type for {kind:?}"),
            };
            (field.name().to_owned(), sql_type.to_owned())
        })
        .collect();
    for part in ["salt", "commitment"] {
        for group in Group::ERASABLE {
            expected.push((format!("{}_{part}", group.as_str()), "bytea".to_owned()));
        }
    }
    assert_eq!(found, expected);
}

#[tokio::test]
async fn records_and_ledger_are_append_only() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    appender.append(batch(&filled(5))).await.unwrap();
    let mut connection = database.connect().await;
    let mut statements: Vec<String> = [
        "delete from activity.records",
        "delete from activity.records_2026_05_activity",
        "truncate activity.records",
        "truncate activity.records_2026_05",
        "truncate activity.records_2026_05_activity",
        "delete from activity.ledger_entries",
        "truncate activity.ledger_entries",
        "update activity.ledger_entries set position = position + 1",
        "update activity.ledger_entries set position = null",
        "update activity.ledger_entries set batch_root = decode(repeat('00', 32), 'hex')",
        // Emptied without a commitment, half emptied, and emptied with the salt left behind.
        "update activity.records set actor_id = null where seq = 1",
        "update activity.records set ip = '10.0.0.1' where seq = 1",
        "update activity.records set identity_salt = null, actor_id = null, \
            identity_commitment = decode(repeat('00', 32), 'hex') where seq = 1",
        "update activity.records set metadata = '{\"a\":1.5,\"a\":1.5e0,\"b\":1e999999}' where seq = 1",
    ]
    .map(str::to_owned)
    .into();
    for field in Record::FIELDS {
        let name = field.name();
        let value = match field.kind() {
            Kind::Id => "gen_random_uuid()".to_owned(),
            Kind::Time => format!("{name} + interval '1 microsecond'"),
            Kind::Integer | Kind::Stream => format!("coalesce({name}, 0) - 1"),
            Kind::Word | Kind::Text => format!("{name} || 'x'"),
            Kind::Json => "'1'".to_owned(),
            Kind::Address => "'10.0.0.1'".to_owned(),
            kind => panic!("no change for {kind:?}"),
        };
        statements.push(format!("update activity.records set {name} = {value} where seq = 1"));
    }
    for group in Group::ERASABLE {
        let group = group.as_str();
        for part in ["salt", "commitment"] {
            statements.push(format!(
                "update activity.records set {group}_{part} = decode(repeat('00', 32), 'hex')"
            ));
        }
    }
    for role in ["origin", "replica"] {
        raw_sql(AssertSqlSafe(format!("set session_replication_role = {role}")))
            .execute(&mut connection)
            .await
            .unwrap();
        for statement in &statements {
            let done = raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut connection).await;
            let error = done.expect_err(statement);
            // A row that leaves its leaf is refused by the leaf's own constraint or as a DELETE.
            let code = error.as_database_error().unwrap().code().unwrap().into_owned();
            assert!(code == "AC002" || code == "23514", "{statement}: {error}");
        }
    }
    assert_eq!(store.entry_records(&store.entries(0, 1).await.unwrap()[0]).await.unwrap().len(), 4);
}

#[tokio::test]
async fn an_erased_group_leaves_its_commitment_and_the_canonical_bytes() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    let written = filled(5);
    appender.append(batch(&written)).await.unwrap();
    let mut canonical = Canonical::new();
    let mut connection = database.connect().await;
    for group in Group::ERASABLE {
        let name = group.as_str();
        let mut sets: Vec<_> = Record::FIELDS
            .iter()
            .filter(|field| field.group() == group)
            .map(|field| format!("{} = null", field.name()))
            .collect();
        let commitment = canonical.commitment(&written[0], group).unwrap();
        let hex: String = commitment.iter().map(|byte| format!("{byte:02x}")).collect();
        sets.push(format!("{name}_salt = null, {name}_commitment = '\\x{hex}'"));
        let sql = format!("update activity.records set {} where seq = 1", sets.join(", "));
        database.execute(&sql).await;
        let stored = store.record(written[0].id).await.unwrap().unwrap();
        assert_eq!(stored.seals.of(group), Seal::Erased(commitment));
        let before = canonical.encode(&written[0]).to_vec();
        assert_eq!(before, canonical.encode(&stored));
        // Once, and for good.
        let field = Record::FIELDS.iter().find(|field| field.group() == group).unwrap().name();
        for change in [
            format!("{name}_commitment = decode(repeat('00', 32), 'hex')"),
            format!("{name}_commitment = null"),
            format!("{name}_commitment = null, {name}_salt = decode(repeat('00', 16), 'hex')"),
            format!("{name}_salt = decode(repeat('00', 16), 'hex')"),
            format!("{field} = 'back'"),
        ] {
            let sql = format!("update activity.records set {change} where seq = 1");
            let done = raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut connection).await;
            let error = done.expect_err(&sql);
            assert_eq!(error.as_database_error().unwrap().code().unwrap(), "AC002", "{sql}");
        }
        assert_eq!(store.record(written[0].id).await.unwrap().unwrap(), stored);
    }
}

#[tokio::test]
async fn a_position_cannot_be_brought_along() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    appender.append(batch(&stream(5, 1..=2))).await.unwrap();
    let entry = "insert into activity.ledger_entries (position, epoch, committed_at, writer_id, \
        first_seq, last_seq, month, class, first_at, last_at, batch_root) \
        values (77, 9, 'infinity', 5, 3, 3, '2026-05', 'activity', now(), now(), \
        decode(repeat('00', 32), 'hex'))";
    database.execute(entry).await;
    let entries = store.entries(0, 10).await.unwrap();
    assert_eq!((entries[1].position, entries[1].epoch), (2, 1));
    let mut connection = database.connect().await;
    let repeatable = format!("begin isolation level repeatable read; {entry}; commit");
    raw_sql(AssertSqlSafe(repeatable)).execute(&mut connection).await.unwrap_err();
}

#[tokio::test]
async fn processes_that_start_at_once_migrate_once() {
    let database = Database::new().await;
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { PostgresStore::open(&url).await })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let mut connection = database.connect().await;
    let sql = "select count(*)::bigint from activity.migrations";
    let count: i64 = connection.fetch_one(raw_sql(sql)).await.unwrap().get(0);
    assert_eq!(count, migrations().len() as i64);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let (database, store) = store().await;
    database
        .execute("insert into activity.migrations (version, name) values (1000, 'later')")
        .await;
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("version 1000, newer than this build"), "{source}");
}

/// The files in `migrations/postgres`, in their order.
pub(super) fn migrations() -> Vec<std::path::PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_files_applied_by_hand_leave_the_same_state() {
    let (ours, _store) = store().await;
    let theirs = Database::new().await;
    let mut psql = Command::new(programs().join("psql"));
    psql.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", &theirs.url()]);
    let files = migrations();
    for file in &files {
        psql.arg("-f").arg(file);
    }
    run(&mut psql);
    PostgresStore::open(&theirs.url()).await.unwrap();

    let dump = |url: &str| {
        let mut command = Command::new(programs().join("pg_dump"));
        command.args(["--schema-only", "--schema=activity", "-d", url]);
        // Newer versions write a random key into these lines.
        let text = String::from_utf8(run(&mut command).stdout).unwrap();
        let kept = text.lines().filter(|line| !line.starts_with('\\'));
        kept.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(dump(&ours.url()), dump(&theirs.url()));
    let applied = async |database: &Database| {
        let sql = "select version || name from activity.migrations order by version";
        let rows = database.connect().await.fetch_all(raw_sql(sql)).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    assert_eq!(applied(&ours).await, applied(&theirs).await);
    assert_eq!(applied(&ours).await.len(), files.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_build_has_written_is_found_and_counted_like_new() {
    // As the first release left it: four files, applied by hand, and its rows.
    let database = Database::new().await;
    let mut connection = database.connect().await;
    for file in &migrations()[..4] {
        let sql = std::fs::read_to_string(file).unwrap();
        connection.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
    }
    let records = of_all_kinds();
    let old = PostgresStore::from_pool(sqlx::PgPool::connect_lazy(&database.url()).unwrap());
    let mut appender = old.connect().await.unwrap();
    for stream in records.chunk_by(|a, b| a.writer_id == b.writer_id) {
        // Beside the entry of a larger batch it kept no roots, and this build does.
        for batched in stream.chunks(64) {
            appender.append(batch(batched)).await.unwrap();
        }
    }
    // One person is erased already.
    let gone = records.iter().position(|record| record.actor_id == "bob").unwrap();
    let commitment = Canonical::new().commitment(&records[gone], Group::Identity).unwrap();
    database.erase(&records[gone], &commitment).await;
    let mut records = records;
    *records[gone] = erased(&records[gone], Group::Identity);

    let store = PostgresStore::open(&database.url()).await.unwrap();
    every_answer_is_that_of_memory(&store, &records).await;
    for index in Index::ALL {
        store.make_index(index).await.unwrap();
    }
    // Those whose leaves are older than the trigger that takes them out of the rollups.
    assert_eq!(store.fold(1_000).await.unwrap().behind(), 0);
    let gone = records.iter().rposition(|record| record.actor_id == "ana").unwrap();
    let commitment = Canonical::new().commitment(&records[gone], Group::Identity).unwrap();
    database.erase(&records[gone], &commitment).await;
    *records[gone] = erased(&records[gone], Group::Identity);
    every_answer_is_that_of_memory(&store, &records).await;
}

#[tokio::test]
async fn the_owner_of_an_ordinary_database_suffices() {
    let database = Database::new().await;
    let role = format!("{}_owner", database.name());
    database.execute(&format!("create role {role} login password 'p'")).await;
    database.execute(&format!("alter database {} owner to {role}", database.name())).await;
    let (head, tail) =
        database.url().split_once("//").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let host = tail.split_once('@').map_or(tail.as_str(), |(_, host)| host);
    let url = format!("{head}//{role}:p@{host}");
    {
        let store = PostgresStore::open(&url).await.unwrap();
        let mut appender = store.connect().await.unwrap();
        appender.append(batch(&stream(5, 1..=3))).await.unwrap();
        assert_eq!(store.records(&Filter::new(), &newest(10)).await.unwrap().records.len(), 3);
    }
    let admin = database.admin().to_owned();
    drop(database);
    execute(&admin, &format!("drop role {role}")).await;
}

#[tokio::test]
async fn the_views_show_what_their_names_say() {
    let (database, store) = store().await;
    let mut records = stream(5, 1..=6);
    records[1].category = Category::Authentication;
    records[2].category = Category::System;
    let mut appender = store.connect().await.unwrap();
    appender.append(batch(&records)).await.unwrap();
    let mut connection = database.connect().await;
    for (view, count) in
        [("authentication_logs", 1_i64), ("action_logs", 4), ("recent_activity", 6)]
    {
        let sql = format!("select count(*)::bigint from activity.{view}");
        let row = connection.fetch_one(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), count, "{view}");
    }
}

//! What the Postgres store promises.

use sqlx::{AssertSqlSafe, Executor as _, Row as _, raw_sql};
use tower_activity::{
    ledger::{leaf_hash, new_entries, root},
    query::{Filter, Keyset},
    record::{Canonical, Group, Json, Kind, Record, Seal, WriterId},
    store::{
        Append as _, Appender as _, Maintain as _, Read as _, StoreErrorKind,
        postgres::PostgresStore,
    },
    time::Month,
};

use crate::{
    records::{at, batch, record, records, seal},
    server::{Database, programs, run, unprivileged},
};

async fn store() -> (Database, PostgresStore) {
    let database = Database::new().await;
    let store = PostgresStore::open(&database.url()).await.expect("a store");
    (database, store)
}

/// Records whose text, JSON, numbers and addresses are as odd as capture lets through.
fn hostile(writer: i64) -> Vec<Box<Record>> {
    let texts = ["'; drop table x; --", "\\x00 \\\\ \"", "\u{1}\u{7f}\u{2028}\u{feff}", "😀 ä ñ 한"];
    let json = [
        "{\"a\":1.50,\"a\":1.5e0,\"b\":1e999999}",
        "[-0,0.10,123456789012345678901234567890]",
        "\"\\ud800 \\u0000\"",
        "{\"\":{\"k\":[null,true,\"\u{2028}\"]}}",
    ];
    let addresses = ["2001:db8::1", "2001:db8::/48", "192.0.2.0/24", "255.255.255.255"];
    let mut records = records(writer, 1, 4);
    for (index, record) in records.iter_mut().enumerate() {
        for field in Record::FIELDS {
            let value = match field.kind() {
                Kind::Text if field.name() != "retention_class" => {
                    tower_activity::record::Value::Text(texts[index])
                }
                Kind::Json => tower_activity::record::Value::Json(json[index]),
                _ => continue,
            };
            field.set(record, value).unwrap();
        }
        record.ip = Some(addresses[index].parse().unwrap());
        record.status = Some(u16::MAX);
        record.grpc_status = Some(u8::MAX);
        record.request_bytes = Some(i64::MAX >> 10);
        record.duration_us = Some(0);
        seal(record);
    }
    records
}

#[tokio::test]
async fn every_row_comes_back_to_the_same_canonical_bytes() {
    let (_database, store) = store().await;
    let mut records = records(5, 1, 3);
    for mut odd in hostile(5) {
        odd.seq += 3;
        records.push(odd);
    }
    records.push(record(5, 8));
    // Nothing but what a record must have.
    let last = records.last_mut().unwrap();
    let bare = std::mem::take(&mut **last);
    last.id = bare.id;
    last.occurred_at = bare.occurred_at;
    last.writer_id = bare.writer_id;
    last.seq = bare.seq;
    last.retention_class.set("activity");

    let mut appender = store.connect().await.unwrap();
    let appended = appender.append(batch(&records)).await.unwrap();
    let entries = store.entries(0, 10).await.unwrap();
    assert_eq!(entries, appended.entries);
    assert_eq!(entries[0].new, new_entries(&records, &mut Canonical::new())[0]);

    let stored = store.entry_records(&entries[0]).await.unwrap();
    let mut canonical = Canonical::new();
    for (written, read) in records.iter().zip(&stored) {
        assert_eq!(**written, *read);
        let bytes = canonical.encode(written).to_vec();
        assert_eq!(bytes, canonical.encode(read));
        assert_eq!(store.record(written.id).await.unwrap().as_ref(), Some(read));
    }
    let mut leaves: Vec<_> =
        stored.iter().map(|record| leaf_hash(canonical.encode(record))).collect();
    assert_eq!(root(&mut leaves), entries[0].new.batch_root);
}

#[tokio::test]
async fn a_batch_is_taken_once_and_only_where_its_stream_stands() {
    let (_database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    appender.append(batch(&records(5, 1, 10))).await.unwrap();
    appender.append(batch(&records(6, 1, 2))).await.unwrap();
    for (first, count) in [(1, 10), (5, 20), (12, 1)] {
        let error = appender.append(batch(&records(5, first, count))).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Position { last_seq: 10 }, "from {first}");
        let closed = appender.position(WriterId::new(5)).await.unwrap_err();
        assert_eq!(closed.kind(), StoreErrorKind::Transient, "a connection is closed after an error");
        appender = store.connect().await.unwrap();
    }
    assert_eq!(appender.position(WriterId::new(5)).await.unwrap(), 10);
    assert_eq!(appender.position(WriterId::new(7)).await.unwrap(), 0);
    let appended = appender.append(batch(&records(5, 11, 5))).await.unwrap();
    assert_eq!(appended.position(), 3);
    let storage = store.storage().await.unwrap();
    assert_eq!(storage.rows, 17);
    assert!(storage.bytes > 0);
    assert_eq!(storage.oldest, Some(record(5, 1).occurred_at));
    assert_eq!(storage.newest, Some(record(5, 15).occurred_at));
    let streams = store.streams().await.unwrap();
    let streams: Vec<_> = streams.iter().map(|s| (s.writer_id.get(), s.last_seq)).collect();
    assert_eq!(streams, [(5, 15), (6, 2)]);
}

#[tokio::test]
async fn one_id_twice_is_a_matter_of_the_record_and_not_of_the_stream() {
    let (_database, store) = store().await;
    let mut twice = records(5, 1, 3);
    twice[2].id = twice[1].id;
    twice[2].occurred_at = twice[1].occurred_at;
    let mut appender = store.connect().await.unwrap();
    let error = appender.append(batch(&twice)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Data);
}

#[tokio::test]
async fn a_batch_over_months_and_classes_gives_an_entry_per_leaf() {
    let (_database, store) = store().await;
    let mut batch_of = records(5, 1, 6);
    batch_of[2].retention_class.set("authentication");
    batch_of[3].retention_class.set("It's \"odd\" \\ ä");
    // A month that nobody made ahead: ten years back, where a skewed clock is clamped to.
    batch_of[4].occurred_at = at("2016-12-31T23:59:59.999999Z");
    let mut appender = store.connect().await.unwrap();
    let appended = appender.append(batch(&batch_of)).await.unwrap();
    let entries = store.entries(0, 100).await.unwrap();
    assert_eq!(appended.entries, entries);
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.position, entry.new.first_seq, entry.new.last_seq, &*entry.new.class))
        .collect();
    assert_eq!(
        seen,
        [
            (1, 1, 2, "activity"),
            (2, 3, 3, "authentication"),
            (3, 4, 4, "It's \"odd\" \\ ä"),
            (4, 5, 5, "activity"),
            (5, 6, 6, "activity"),
        ]
    );
    assert!(entries.windows(2).all(|pair| pair[0].committed_at < pair[1].committed_at));
    for entry in &entries {
        let records = store.entry_records(entry).await.unwrap();
        assert_eq!(records.len() as i64, entry.new.count());
    }
}

#[tokio::test]
async fn pages_by_keyset_reach_every_record_once() {
    let (_database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    let mut all = records(5, 1, 25);
    for record in &mut all[..10] {
        record.retention_class.set("authentication");
        record.action.set("Login");
    }
    appender.append(batch(&all)).await.unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.records(&Filter::new(), after, 4).await.unwrap();
        seen.extend(page.records.iter().map(|record| record.seq));
        after = page.next;
        if after.is_none() {
            break;
        }
        assert_eq!(after, page.records.last().map(Keyset::of));
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());

    let by = async |field, values: &[&str]| {
        let filter = Filter::new().any_of(field, values.iter().copied()).unwrap();
        store.records(&filter, None, 100).await.unwrap().records.len()
    };
    assert_eq!(by("action", &["LOGIN"]).await, 10);
    assert_eq!(by("action", &["login", "create"]).await, 25);
    assert_eq!(by("entity_id", &["o-1"]).await, 3);
    assert_eq!(by("entity_id", &["O-1"]).await, 0);
    assert_eq!(by("outcome", &["success\0", "unknown"]).await, by("outcome", &["unknown"]).await);
    assert_eq!(by("actor_id", &["' or true --"]).await, 0);
    let range = Filter::new().from(all[3].occurred_at).to(all[6].occurred_at);
    let page = store.records(&range, None, 100).await.unwrap();
    assert_eq!(page.records.iter().map(|r| r.seq).collect::<Vec<_>>(), [6, 5, 4]);
    assert!(page.next.is_none());
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
    appender.append(batch(&hostile(5))).await.unwrap();
    let mut connection = database.connect().await;
    let mut statements: Vec<String> = [
        "delete from activity.records",
        "delete from activity.records_2026_03_activity",
        "truncate activity.records",
        "truncate activity.records_2026_03",
        "truncate activity.records_2026_03_activity",
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
    let written = hostile(5);
    appender.append(batch(&written)).await.unwrap();
    let mut canonical = Canonical::new();
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
    }
}

#[tokio::test]
async fn a_position_cannot_be_brought_along() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    appender.append(batch(&records(5, 1, 2))).await.unwrap();
    let entry = "insert into activity.ledger_entries (position, epoch, committed_at, writer_id, \
        first_seq, last_seq, month, class, first_at, last_at, batch_root) \
        values (77, 9, 'infinity', 5, 3, 3, '2026-03', 'activity', now(), now(), \
        decode(repeat('00', 32), 'hex'))";
    database.execute(entry).await;
    let entries = store.entries(0, 10).await.unwrap();
    assert_eq!((entries[1].position, entries[1].epoch), (2, 1));
    let mut connection = database.connect().await;
    let repeatable = format!("begin isolation level repeatable read; {entry}; commit");
    raw_sql(AssertSqlSafe(repeatable)).execute(&mut connection).await.unwrap_err();
}

#[tokio::test]
async fn leaves_are_named_alike_here_and_there() {
    let (database, store) = store().await;
    let mut connection = database.connect().await;
    let month = Month::from_index(2031 * 12 + 10);
    for class in ["activity", "a_1", "A", "x_1", "x", "ä", "a b", "it's", "\"", "a\n", &"b".repeat(33)]
    {
        let mut record = record(i64::from(class.len() as u32) * 1000 + 1, 1);
        record.occurred_at = month.start();
        record.retention_class.set(class);
        let mut appender = store.connect().await.unwrap();
        appender.position(record.writer_id).await.unwrap();
        let done = appender.append(batch(std::slice::from_ref(&record))).await;
        // One stream per length of class: some classes share one.
        if let Err(error) = done {
            assert!(matches!(error.kind(), StoreErrorKind::Position { .. }), "{class:?}: {error:?}");
        }
    }
    // COPY went into the leaf that SQL named, or it would have failed: count them.
    let sql = "select count(*)::bigint from pg_inherits i join pg_class c on c.oid = i.inhrelid \
               where c.relname like 'records\\_2031\\_11\\_%'";
    let count: i64 = connection.fetch_one(raw_sql(sql)).await.unwrap().get(0);
    assert_eq!(count, 11);
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
    assert_eq!(count, 4);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let (database, store) = store().await;
    database.execute("insert into activity.migrations (version, name) values (1000, 'later')").await;
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Configuration);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("version 1000, newer than this build"), "{source}");
}

#[tokio::test]
async fn the_files_applied_by_hand_leave_the_same_state() {
    let (ours, _store) = store().await;
    let theirs = Database::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut psql = unprivileged(&programs().join("psql"), folder.path());
    psql.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", &theirs.url()]);
    let mut files: Vec<_> = std::fs::read_dir("migrations/postgres")
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    for file in &files {
        // Over stdin the files need not be readable to the user whom psql runs as.
        let name = file.file_name().unwrap();
        std::fs::copy(file, folder.path().join(name)).unwrap();
        psql.arg("-f").arg(folder.path().join(name));
    }
    run(std::process::Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()));
    run(&mut psql);
    PostgresStore::open(&theirs.url()).await.unwrap();

    let dump = |url: &str| {
        let mut command = std::process::Command::new(programs().join("pg_dump"));
        command.args(["--schema-only", "--schema=activity", "-d", url]);
        // Newer versions write a random key into these lines.
        let text = String::from_utf8(run(&mut command).stdout).unwrap();
        let kept = text.lines().filter(|line| !line.starts_with('\\'));
        kept.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(dump(&ours.url()), dump(&theirs.url()));
    let migrations = async |database: &Database| {
        let sql = "select version || name from activity.migrations order by version";
        let rows = database.connect().await.fetch_all(raw_sql(sql)).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    assert_eq!(migrations(&ours).await, migrations(&theirs).await);
    assert_eq!(migrations(&ours).await.len(), files.len());
}

#[tokio::test]
async fn the_owner_of_an_ordinary_database_suffices() {
    let database = Database::new().await;
    let role = format!("{}_owner", database.name());
    database.execute(&format!("create role {role} login password 'p'")).await;
    database.execute(&format!("alter database {} owner to {role}", database.name())).await;
    let (head, tail) = database.url().split_once("//").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let host = tail.split_once('@').map_or(tail.as_str(), |(_, host)| host);
    let url = format!("{head}//{role}:p@{host}");
    {
        let store = PostgresStore::open(&url).await.unwrap();
        let mut appender = store.connect().await.unwrap();
        appender.append(batch(&records(5, 1, 3))).await.unwrap();
        assert_eq!(store.records(&Filter::new(), None, 10).await.unwrap().records.len(), 3);
    }
    let admin = database.admin().to_owned();
    drop(database);
    crate::server::execute(&admin, &format!("drop role {role}")).await;
}

#[tokio::test]
async fn the_newest_page_reads_only_the_leaves_it_needs() {
    let (database, store) = store().await;
    let mut appender = store.connect().await.unwrap();
    let mut seq = 0;
    for month in 1..=6 {
        let mut records = records(5, seq + 1, 200);
        for (index, record) in records.iter_mut().enumerate() {
            let start = at(&format!("2026-0{month}-01T00:00:00Z"));
            let micros = start.as_micros() + index as i64;
            record.occurred_at = tower_activity::time::Timestamp::from_micros(micros);
        }
        appender.append(batch(&records)).await.unwrap();
        seq += 200;
    }
    database.execute("analyze activity.records").await;
    let explain = async |conditions: &str| {
        let sql = format!(
            "explain (analyze, costs off, timing off, summary off) select * from activity.records \
             where true {conditions} order by occurred_at desc, id desc limit 51"
        );
        let rows = database.connect().await.fetch_all(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        plan.join("\n")
    };
    // Made ahead and empty, then the newest month with rows; nothing older is touched.
    let plan = explain("").await;
    assert!(!plan.contains("->  Sort"), "{plan}");
    for month in 1..=5 {
        let scans: Vec<_> = plan.lines().filter(|l| l.contains(&format!("2026_0{month}_activity"))).collect();
        assert!(scans.iter().all(|line| line.contains("never executed")), "{plan}");
    }
    // A keyset in March leaves out the later months altogether.
    let at = "timestamptz '2026-03-01T00:00:00.000100Z'";
    let keyset = format!(
        "and occurred_at <= {at} and (occurred_at, id) < ({at}, \
         'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)"
    );
    let plan = explain(&keyset).await;
    for month in 4..=6 {
        assert!(!plan.contains(&format!("2026_0{month}")), "{plan}");
    }
    assert!(!plan.contains("->  Sort"), "{plan}");
}

//! What ending a month locks, and for whom nobody waits: told by the modes of the locks, not by time.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, raw_sql};
use tower_activity::{
    ledger::Removal,
    record::{Record, RecordId},
    store::{
        Append as _, Appender as _, Ending, Maintain as _, Retain as _, postgres::PostgresStore,
        removal_of,
    },
};

use super::{batch, store};
use crate::{
    records::salts,
    retention::{old, telling},
    server::Database,
    suite::{PATIENCE, append},
};

/// The modes that no append waits for: of a table it takes ROW EXCLUSIVE at the most.
const WEAK: &str =
    "'AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock'";

/// A January of logins, told of; and other leaves of it and of November.
struct Scene {
    database: Database,
    store: PostgresStore,
    removal: Removal,
    told_by: RecordId,
}

async fn scene() -> Scene {
    let (database, store) = store().await;
    for (seq, day, class) in [
        (1, "2026-01-10", "authentication"),
        (2, "2026-01-10", "activity"),
        (3, "2026-11-10", "activity"),
    ] {
        append(&store, &[old(7, seq, day, class)]).await.unwrap();
    }
    let units = store.units().await.unwrap();
    let facts = units.iter().find(|facts| facts.unit.class == "authentication").unwrap();
    let removal = removal_of(&store, facts).await.unwrap().unwrap();
    let told = telling(9, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    while store.fold(100).await.unwrap().behind() > 0 {}
    Scene { database, store, removal, told_by: told.id }
}

impl Scene {
    /// The statement with which the month of the class ends.
    fn end_unit(&self) -> String {
        let Removal { month, class, first, last, .. } = &self.removal;
        let (told_by, at) = (self.told_by, self.told_by.at());
        format!(
            "select activity.end_unit('{month}', '{class}', {first}, {last}, '{told_by}', '{at}', 0)"
        )
    }

    /// The tables of the log on which somebody holds, or waits for, a lock that an append would wait for.
    async fn barred(&self, by: &str) -> BTreeSet<String> {
        let sql = format!(
            "select distinct c.relname::text from pg_locks l join pg_class c on c.oid = l.relation \
             where l.database = (select oid from pg_database where datname = current_database()) \
                and c.relnamespace = 'activity'::regnamespace and c.relkind in ('r', 'p') \
                and l.mode not in ({WEAK}) {by}"
        );
        let rows = self.database.connect().await.fetch_all(raw_sql(AssertSqlSafe(sql))).await;
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

async fn pid(connection: &mut PgConnection) -> i32 {
    connection.fetch_one(raw_sql("select pg_backend_pid()")).await.unwrap().get(0)
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A client whose connection is new, so that nothing about the tables is known to it.
async fn appends(store: &PostgresStore, record: Box<Record>) {
    let records = [record];
    let work = async {
        let mut appender = store.connect().await.unwrap();
        appender.append(batch(&records)).await.unwrap();
    };
    tokio::time::timeout(PATIENCE, work).await.expect("it waits for nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_a_month_bars_its_own_tables_and_no_append_to_another() {
    let scene = scene().await;
    let mut ending = scene.database.connect().await;
    let by = format!("and l.pid = {}", pid(&mut ending).await);
    let sql = format!("begin; set local lock_timeout = 100; {}", scene.end_unit());
    ending.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
    let own = names(&["records_2026_01", "records_2026_01_authentication"]);
    assert_eq!(scene.barred(&by).await, own);
    // As long as it takes: the transaction stays open, and nobody but the month waits for it.
    appends(&scene.store, old(7, 4, "2026-11-11", "activity")).await;
    let mut system = old(9, 2, "2026-11-22", "system");
    system.seal(salts(2));
    appends(&scene.store, system).await;
    ending.execute(raw_sql("rollback")).await.unwrap();
    let Scene { store, removal, told_by, .. } = &scene;
    while store.fold(100).await.unwrap().behind() > 0 {}
    assert_eq!(store.end_unit(removal, *told_by, 0).await.unwrap(), Ending::Done);
    assert!(scene.barred("").await.is_empty());
}

/// The last class of a month takes the month's own table along, for which the whole log is barred: never while anybody
/// asks it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_log_is_barred_only_for_the_table_of_an_empty_month_that_nobody_asks() {
    let scene = scene().await;
    let Scene { database, store, removal, told_by } = &scene;
    let mut ending = database.connect().await;
    let by = format!("and l.pid = {}", pid(&mut ending).await);
    let end_month = "begin; set local lock_timeout = 100; select activity.end_month('2026-01')";
    ending.execute(raw_sql(end_month)).await.unwrap();
    assert!(scene.barred(&by).await.is_empty(), "it has leaves");
    ending.execute(raw_sql("rollback")).await.unwrap();
    database.execute("drop table activity.records_2026_01_activity").await;

    let mut reading = database.connect().await;
    reading.execute(raw_sql("begin; select count(*) from activity.records_2026_11")).await.unwrap();
    reading
        .execute(raw_sql("lock table only activity.records in access share mode"))
        .await
        .unwrap();
    assert_eq!(store.end_unit(removal, *told_by, 0).await.unwrap(), Ending::Done);
    assert!(scene.barred("").await.is_empty(), "whoever was in the way is not waited for");
    let is_there = async || {
        let sql = "select to_regclass('activity.records_2026_01') is not null";
        database.connect().await.fetch_one(raw_sql(sql)).await.unwrap().get::<bool, _>(0)
    };
    assert!(is_there().await, "empty, and in nobody's way");
    reading.execute(raw_sql("rollback")).await.unwrap();
    ending.execute(raw_sql(end_month)).await.unwrap();
    assert_eq!(scene.barred(&by).await, names(&["records", "records_2026_01"]));
    ending.execute(raw_sql("commit")).await.unwrap();
    assert!(!is_there().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_a_month_that_is_to_end_is_not_waited_for() {
    let scene = scene().await;
    let Scene { database, store, removal, told_by } = &scene;
    let mut reading = database.connect().await;
    let read = "begin; select count(*) from activity.records_2026_01_authentication";
    reading.execute(raw_sql(read)).await.unwrap();
    assert_eq!(store.end_unit(removal, *told_by, 0).await.unwrap(), Ending::Busy);
    assert!(scene.barred("").await.is_empty(), "nothing is held, and nothing waited for");
    reading.close().await.unwrap();
    assert_eq!(store.end_unit(removal, *told_by, 0).await.unwrap(), Ending::Done);
}

/// A client that stalls between two messages would keep the locks for as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_a_month_by_itself() {
    let scene = scene().await;
    let Scene { database, store, removal, told_by } = &scene;
    database
        .execute(
            "create table public.seen (message text); \
             create function public.see() returns trigger language plpgsql as $$ begin \
                 insert into public.seen values (current_query()); return null; end $$; \
             create constraint trigger see after insert or update on activity.ended \
                 deferrable initially deferred for each row execute function public.see()",
        )
        .await;
    assert_eq!(store.end_unit(removal, *told_by, 0).await.unwrap(), Ending::Done);
    let seen = database.connect().await.fetch_one(raw_sql("select message from public.seen")).await;
    let message: String = seen.unwrap().get(0);
    // Run at the COMMIT: the message that brought it is the one that asked.
    assert!(message.contains("activity.end_unit("), "{message}");
}

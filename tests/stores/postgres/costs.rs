//! What questions cost: how many rows of which months the reader's statements really touch.

use sqlx::{
    Executor as _, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    raw_sql,
};
use tower_activity::{
    query::{Aggregate, Count, Expr, Filter, Keyset, ParseContext, Phrase, Place, Test},
    record::{Field, Kind, Record},
    store::{
        CompletenessRequest, Maintain as _, Read as _, make_checkpoint, postgres::PostgresStore,
        prove,
    },
    time::Timestamp,
};

use super::{store, time};
use crate::{
    proxy::{Proxy, Trick},
    records::{id, stream},
    server::Database,
    suite::{PATIENCE, append, newest, oldest},
};

/// Half a year: every field that may be asked for holds something, and each month has so many records.
const A_MONTH: i64 = 600;

fn half_a_year() -> Vec<Box<Record>> {
    let mut records = stream(5, 1..=6 * A_MONTH);
    for record in &mut records {
        let n = record.seq;
        let month = (n - 1) / A_MONTH;
        let start = time(&format!("2026-0{}-02T00:00:00Z", month + 1)).as_micros();
        record.occurred_at = Timestamp::from_micros(start + n % A_MONTH * 3_600_000_000);
        record.id = id(record.occurred_at, 5, n);
        for field in Record::FIELDS.iter().filter(|field| field.kind() == Kind::Text) {
            if field.name() != "retention_class" {
                let value = format!("{} {}", field.name(), n % 3);
                field.set(record, tower_activity::record::Value::Text(&value)).unwrap();
            }
        }
        record.retention_class.set(["activity", "authentication"][n as usize / 100 % 2]);
        record.status = Some(200);
        record.ip = Some(format!("10.0.0.{}", n % 3).parse().unwrap());
        record.seal(crate::records::salts(n));
    }
    records
}

/// What the reader's statements read since the last time: rows by month, of tables and not of indexes.
struct Meter {
    database: Database,
    before: Vec<(String, i64)>,
}

impl Meter {
    /// Asks as the reader, on connections of its own: only what a connection did that has ended is certain
    /// to be counted.
    async fn rows<T>(&mut self, ask: impl AsyncFnOnce(PostgresStore) -> T) -> Vec<(String, i64)> {
        let options: PgConnectOptions = self.database.url().parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(2).after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(raw_sql("set role activity_reader")).await.map(drop)
            })
        });
        let pool = pool.connect_with(options).await.unwrap();
        ask(PostgresStore::from_pool(pool.clone())).await;
        pool.close().await;
        let mut connection = self.database.connect().await;
        // Whoever filled the log counts too, as long as he is there.
        let there = "select count(*)::bigint from pg_stat_activity where pid <> pg_backend_pid() \
             and datname = current_database() and backend_type = 'client backend'";
        let alone = async {
            while connection.fetch_one(raw_sql(there)).await.unwrap().get::<i64, _>(0) > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, alone).await.expect("connections end");
        let counted = "select substring(relname from 9 for 7), \
             sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_user_tables \
             where relname ~ '^records_2026_0[1-6]_' group by 1 order by 1";
        let rows = connection.fetch_all(raw_sql(counted)).await.unwrap();
        let now: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let before = std::mem::replace(&mut self.before, now.clone());
        now.into_iter()
            .map(|(month, rows)| {
                let of_it = before.iter().find(|(other, _)| *other == month);
                let since = rows - of_it.map_or(0, |(_, rows)| *rows);
                (month, since)
            })
            .filter(|(_, rows)| *rows > 0)
            .collect()
    }
}

fn sum(rows: &[(String, i64)]) -> i64 {
    rows.iter().map(|(_, rows)| rows).sum()
}

async fn metered() -> (Meter, Vec<Box<Record>>) {
    let (database, store) = store().await;
    let records = half_a_year();
    append(&store, &records).await.unwrap();
    store.make_roles().await.unwrap();
    while store.fold(100).await.unwrap().behind() > 0 {}
    database.execute("vacuum analyze activity.records").await;
    drop(store);
    let mut meter = Meter { database, before: Vec::new() };
    meter.rows(async |_| ()).await;
    (meter, records)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_by_any_parameter_reads_the_months_of_its_page_alone() {
    let (mut meter, records) = metered().await;
    let of = &records[records.len() - 10];
    let mut questions = vec![
        Filter::new(),
        Filter::new().from(time("2026-02-03T00:00:00Z")).to(time("2026-06-20T00:00:00Z")),
        Filter::new()
            .and(Expr::Not(Box::new(Filter::new().any_of("action", ["action 1"]).unwrap().into()))),
    ];
    let context = ParseContext::new(time("2026-06-30T00:00:00Z"));
    for field in Record::FIELDS.iter().filter(|field| field.kind() == Kind::Text) {
        let tower_activity::record::Value::Text(value) = field.value(of) else { continue };
        questions.push(Filter::new().any_of(field.name(), [value]).unwrap());
    }
    for asked in [
        "event:\"entity_type 0\".*",
        "operation:update OR outcome:success",
        "category:activity",
        "status:>=200",
        "ip:10.0.0.0/8",
        "actor_type:user",
        "\"description 1\"",
        "origin:request OR origin:manual OR -origin:ingest",
    ] {
        questions.push(Filter::parse(asked, &context).unwrap_or_else(|e| panic!("{asked}: {e}")));
    }
    let middle = Place::Occurred(Keyset::of(&records[3 * A_MONTH as usize]));
    for filter in questions {
        let rows = meter
            .rows(async |store| {
                for first in [newest(50), oldest(50)] {
                    let page = store.records(&filter, &first.after(middle)).await.unwrap();
                    assert!(!page.records.is_empty(), "{filter:?}");
                }
            })
            .await;
        // Each page lies in one month, and begins in it or in the one beside it.
        assert!(rows.len() <= 2 && sum(&rows) <= 4 * A_MONTH, "{filter:?}: {rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_beside_lists_reads_the_log_through() {
    let (mut meter, records) = metered().await;
    let field = |name: &str| Field::named(name).unwrap();
    let ask = |names: &[&str]| Aggregate {
        dimensions: names.iter().map(|name| field(name)).collect(),
        top: 10,
        edges: vec![time("2026-01-01T00:00:00Z"), time("2026-04-01T00:00:00Z")],
        patience: PATIENCE,
    };
    let one = |name: &str, value: &str| Filter::new().any_of(name, [value]).unwrap();
    let day = || Filter::new().from(time("2026-03-05T00:00:00Z")).to(time("2026-03-06T00:00:00Z"));
    let is_small = |question: &str, rows: &[(String, i64)], most: i64| {
        assert!(sum(rows) <= most, "{question}: {rows:?}");
    };
    // Stats and facets, of the whole log: from rollups alone.
    let stats = ["action", "entity_type", "actor_id", "outcome", "category"];
    for filter in [Filter::new(), one("tenant_id", "tenant_id 1"), one("category", "activity")] {
        let rows = meter
            .rows(async |store| {
                let counted = store.aggregate(&filter, &ask(&stats)).await.unwrap();
                assert!(counted.exact && counted.total > 0);
                store.count(&filter, Count::Estimate).await.unwrap();
                store.count(&filter, Count::UpTo(Count::CAP)).await.unwrap();
            })
            .await;
        is_small("stats", &rows, 0);
    }
    // Beyond the rollups: the range and nothing else.
    for filter in [day(), one("method", "method 1").from(time("2026-03-05T00:00:00Z"))] {
        let filter = filter.to(time("2026-03-06T00:00:00Z"));
        let rows = meter
            .rows(async |store| {
                store.aggregate(&filter, &ask(&["method", "actor_id"])).await.unwrap();
                store.count(&filter, Count::UpTo(10)).await.unwrap();
            })
            .await;
        assert!(rows.iter().all(|(month, _)| month == "2026_03"), "{rows:?}");
        is_small("a day", &rows, 400);
    }
    // An exact count that is cut at its cap stops there; an estimate reads nothing.
    let by_method = one("method", "method 1");
    let rows = meter
        .rows(async |store| {
            let total = store.count(&by_method, Count::UpTo(10)).await.unwrap();
            assert_eq!(total.value, 10);
        })
        .await;
    is_small("a capped count", &rows, A_MONTH);
    let rows = meter.rows(async |store| store.count(&by_method, Count::Estimate).await).await;
    is_small("an estimate", &rows, 0);
    // Where the log stands, what live sessions and exports go on from, and one record.
    let rows = meter
        .rows(async |store| {
            store.head().await.unwrap();
            store.snapshot().await.unwrap();
            store.streams().await.unwrap();
            store.entries(3, 5).await.unwrap();
        })
        .await;
    is_small("where the log stands", &rows, 0);
    let rows = meter
        .rows(async |store| {
            let record = &records[700];
            assert_eq!(store.record(record.id).await.unwrap().unwrap(), **record);
        })
        .await;
    is_small("one record", &rows, 2);
    let rows = meter
        .rows(async |store| {
            let entry = store.entries(0, 1).await.unwrap().remove(0);
            store.entry_records(&entry).await.unwrap();
        })
        .await;
    is_small("an entry", &rows, A_MONTH / 2);
    // A trail, and a rare thing in its range.
    let order = one("entity_id", "entity_id 1").any_of("entity_type", ["entity_type 1"]).unwrap();
    let phrase = Expr::Test(Test::Text(Phrase::new("nothing").unwrap()));
    for (filter, months) in [(order, 1), (day().and(phrase), 1)] {
        let rows =
            meter.rows(async |store| store.records(&filter, &newest(50)).await.unwrap()).await;
        assert!(rows.len() <= months, "{filter:?}: {rows:?}");
    }
    let rows = meter.rows(async |store| store.storage().await.unwrap()).await;
    is_small("storage", &rows, 60);
}

/// What proves a record lies in one leaf, and is asked for in three messages: what covers it, and then, at the same time, what
/// lies beside it and what lies beside its entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_takes_three_messages_and_reads_the_rows_beside_its_record() {
    let (mut meter, records) = metered().await;
    let owner = PostgresStore::open(&meter.database.url()).await.unwrap();
    make_checkpoint(&owner, &[[9; 32]], time("2026-07-01T00:00:00Z")).await.unwrap().unwrap();
    drop(owner);
    meter.rows(async |_| ()).await;
    let record = &records[3 * A_MONTH as usize - 10];
    let proved = async |store| prove(&store, record).await.unwrap().unwrap();
    let rows = meter.rows(async |store| drop(proved(store).await)).await;
    // A hundred in each entry, of which the last 36 share a root.
    assert_eq!(rows, [("2026_03".to_owned(), 36)]);
    // Each transaction begins with its limits.
    let proxy = Proxy::before(&meter.database, "set local statement_timeout").await;
    proxy.play([Trick::Pass; 10]);
    let pool = PgPoolOptions::new().connect_lazy(&proxy.url(&meter.database)).unwrap();
    let proof = proved(PostgresStore::from_pool(pool)).await;
    assert_eq!(10 - proxy.left(), 3);
    assert_eq!(proof.record_path.len(), 7);
}

/// Numbers come from an index over the ledger, and what pipelines say of themselves from that of the actions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completeness_reads_no_records_but_those_of_the_pipelines() {
    let (mut meter, records) = metered().await;
    // As the server does by itself from time to time: then the index alone answers.
    meter.database.execute("vacuum analyze activity.ledger_entries").await;
    let rows = meter
        .rows(async |store| {
            let found = store.completeness(&CompletenessRequest::newest(10)).await.unwrap();
            assert_eq!((found.streams[0].count, found.streams[0].stubs), (6 * A_MONTH, 0));
            let plan = store.explain_completeness(records[0].writer_id).await.unwrap();
            let by_index = "Index Only Scan using ledger_entries_stream on ledger_entries";
            assert!(
                plan.contains(by_index) && !plan.contains("Seq Scan on ledger_entries"),
                "{plan}"
            );
            assert!(!plan.contains("Seq Scan on records"), "{plan}");
        })
        .await;
    assert_eq!(sum(&rows), 0, "{rows:?}");
}

/// Below a policy the server uses an index only for what cannot leak: what it would not is asked in a way of its
/// own, so that a rare thing of a tenant costs no more than without a policy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rare_thing_of_a_tenant_is_not_looked_for_through_all_of_it() {
    let (database, store) = store().await;
    let mut records = stream(5, 1..=9_000);
    let start = time("2026-01-02T00:00:00Z").as_micros();
    for record in &mut records {
        let n = record.seq;
        record.occurred_at = Timestamp::from_micros(start + n * 85 * 86_400_000_000 / 9_000);
        record.id = id(record.occurred_at, 5, n);
        record.retention_class.set("activity");
        record.tenant_id.set(["acme", "globex"][n as usize % 2]);
        record.action.set(if n % 997 == 0 { "Restore" } else { "create" });
        record.description.set(if n % 991 == 0 { "a needle here" } else { "plain hay" });
        let rare = if n % 983 == 0 { "yes" } else { "no" };
        let metadata = format!("{{\"rare\":\"{rare}\"}}");
        let field = Field::named("metadata").unwrap();
        field.set(record, tower_activity::record::Value::Json(&metadata)).unwrap();
        let net = if n % 977 == 0 { "192.0.2" } else { "10.0.0" };
        record.ip = Some(format!("{net}.{}", n % 5).parse().unwrap());
        record.actor_id.set(if n % 971 == 0 { "eve" } else { "ana" });
        record.seal(crate::records::salts(n));
    }
    append(&store, &records).await.unwrap();
    for index in tower_activity::store::Index::ALL {
        store.make_index(index).await.unwrap();
    }
    store.keep_tenants().await.unwrap();
    while store.fold(100).await.unwrap().behind() > 0 {}
    database.execute("vacuum analyze activity.records").await;
    drop(store);
    let mut meter = Meter { database, before: Vec::new() };
    meter.rows(async |_| ()).await;
    let one = records[6_001].clone();
    let rows = meter
        .rows(async |store| {
            let store = store.held_to("acme");
            // From the tenant's own counts.
            let ask = Aggregate {
                dimensions: ["action", "actor_id"].iter().filter_map(|f| Field::named(f)).collect(),
                top: 10,
                edges: Vec::new(),
                patience: PATIENCE,
            };
            let counted = store.aggregate(&Filter::new(), &ask).await.unwrap();
            assert_eq!((counted.total, counted.exact), (4_500, true));
            store.count(&Filter::new(), Count::Estimate).await.unwrap();
            assert!(store.head().await.unwrap() > 0);
            assert_eq!(store.record(one.id).await.unwrap().unwrap(), *one);
        })
        .await;
    assert!(sum(&rows) <= 2, "{rows:?}");
    let context = ParseContext::new(time("2026-06-30T00:00:00Z"));
    for asked in [
        "",
        "action:restore",
        "\"needle\"",
        "metadata.rare:yes",
        "ip:192.0.2.0/24",
        "actor_id:eve",
        "action:restore -actor_id:eve",
        "tenant_id:acme \"needle here\"",
    ] {
        let filter = Filter::parse(asked, &context).unwrap_or_else(|e| panic!("{asked}: {e}"));
        let expected =
            records.iter().filter(|r| r.tenant_id == *"acme" && filter.matches(r)).count().min(50);
        assert!(expected > 0, "{asked}");
        for request in [newest(50), oldest(50)] {
            let rows = meter
                .rows(async |store| {
                    let store = store.held_to("acme");
                    let page = store.records(&filter, &request).await.unwrap();
                    assert_eq!(page.records.len(), expected, "{asked}");
                })
                .await;
            // Of both tenants' places, and once more the rows.
            assert!(sum(&rows) <= 250, "{asked}: {rows:?}");
        }
    }
}

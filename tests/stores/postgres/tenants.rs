//! Tenants that the database keeps apart: fault 52, by every way in.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    raw_sql,
};
use tower_activity::{
    ledger::verify::Verdict,
    query::{Aggregate, Count, Expr, Filter, Phrase, Test, Wanted},
    record::{Canonical, Field, Group, Groups, Record, Value},
    store::{
        Audit, Erase as _, ErasedGroups, Evidence as _, Index, Maintain as _, Read as _,
        Restricted, StoreErrorKind, make_checkpoint, postgres::PostgresStore, prove,
    },
    time::Timestamp,
};

use super::{store, time};
use crate::{
    records::{id, stream},
    server::{Bouncer, Database, Server, execute},
    suite::{PATIENCE, append, newest, oldest},
};

const OTHER: &str = "globex";
const OWN: &str = "acme";

/// Every third record is of one tenant, every third of another, every third of none.
fn mixed(writer: i64, numbers: std::ops::RangeInclusive<i64>) -> Vec<Box<Record>> {
    let mut records = stream(writer, numbers);
    for record in &mut records {
        record.tenant_id.set([OWN, OTHER, ""][record.seq as usize % 3]);
        record.actor_id.set(&format!("actor of {}", record.tenant_id.as_str()));
        record.seal(crate::records::salts(record.seq));
    }
    records
}

/// A database that keeps tenants apart, with a login of its own that has these roles.
struct Apart {
    database: Database,
    owner: PostgresStore,
    login: String,
}

impl Apart {
    async fn new(roles: &[&str]) -> Self {
        let (database, owner) = store().await;
        append(&owner, &mixed(5, 1..=90)).await.unwrap();
        owner.keep_tenants().await.unwrap();
        while owner.fold(100).await.unwrap().behind() > 0 {}
        let login = format!("{}_app", database.name());
        database.execute(&format!("create role {login} login")).await;
        for role in roles {
            database.execute(&format!("grant activity_{role} to {login}")).await;
        }
        Self { database, owner, login }
    }

    fn options(&self) -> PgConnectOptions {
        let options: PgConnectOptions = self.database.url().parse().unwrap();
        options.username(&self.login)
    }

    /// One connection, so that each transaction comes after another's.
    fn app(&self) -> PostgresStore {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(self.options());
        PostgresStore::from_pool(pool)
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.unwrap()
    }

    async fn end(self) {
        let Self { database, owner, login } = self;
        let admin = database.admin().to_owned();
        drop(owner);
        drop(database);
        execute(&admin, &format!("drop role {login}")).await;
    }
}

/// Returns whose records come out by every question there is.
async fn seen(store: &PostgresStore) -> Vec<String> {
    let all = Filter::new();
    let mut seen = Vec::new();
    let mut see = |record: &Record| seen.push(record.tenant_id.as_str().to_owned());
    for request in [newest(200), oldest(200)] {
        store.records(&all, &request).await.unwrap().records.iter().for_each(&mut see);
    }
    for record in mixed(5, 1..=6) {
        store.record(record.id).await.unwrap().iter().for_each(&mut see);
    }
    for entry in store.entries(0, 100).await.unwrap() {
        store.entry_records(&entry).await.unwrap().iter().for_each(&mut see);
    }
    let names = ["tenant_id", "actor_id", "action"];
    let ask = |names: &[&str]| Aggregate {
        dimensions: names.iter().filter_map(|name| Field::named(name)).collect(),
        top: 100,
        edges: Vec::new(),
        patience: PATIENCE,
    };
    let counted = store.aggregate(&all, &ask(&names)).await.unwrap();
    let records = counted.total;
    seen.extend(counted.by[0].iter().map(|(tenant, _)| tenant.clone()));
    for (actor, _) in &counted.by[1] {
        let (_, tenant) = actor.split_once("actor of").unwrap();
        let tenant = tenant.trim();
        seen.push(tenant.to_owned());
    }
    // From rows, where no rollup answers.
    let by_route = store.aggregate(&all, &ask(&["route"])).await.unwrap();
    assert_eq!(by_route.total, records);
    let exact = store.count(&all, Count::UpTo(10_000)).await.unwrap();
    assert_eq!(exact.value, records);
    assert_eq!(store.storage().await.unwrap().newest.is_some(), records > 0);
    let all: u64 = mixed(5, 1..=90).len() as u64;
    assert!([0, all / 3, all].contains(&records), "{records}");
    seen.sort();
    seen.dedup();
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_with_the_rows_of_its_tenant_and_without_one_with_none() {
    let apart = Apart::new(&["reader"]).await;
    let app = apart.app();
    // One after another on the same connection, named and unnamed in turn.
    for tenant in [OWN, OTHER, OWN] {
        assert_eq!(seen(&app).await, [""; 0]);
        assert_eq!(seen(&app.clone().held_to(tenant)).await, [tenant]);
        assert_eq!(seen(&app).await, [""; 0]);
    }
    for nobody in ["", "nobody", "*", "'", "a\0b", "acme'; set role postgres; --", "\\", "$1"] {
        assert_eq!(seen(&app.clone().held_to(nobody)).await, [""; 0], "{nobody:?}");
    }
    // Whatever a question says of another tenant.
    let other = Filter::new().any_of("tenant_id", [OTHER]).unwrap();
    let held = app.clone().held_to(OWN);
    assert_eq!(held.records(&other, &newest(9)).await.unwrap().records, []);
    assert_eq!(held.count(&other, Count::UpTo(99)).await.unwrap().value, 0);
    drop((app, held));
    apart.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_may_see_all_is_held_to_the_tenant_of_each_question() {
    let apart = Apart::new(&["writer", "reader", "auditor"]).await;
    let app = apart.app();
    for _ in 0..2 {
        assert_eq!(seen(&app).await, ["", OWN, OTHER]);
        assert_eq!(seen(&app.clone().held_to(OWN)).await, [OWN]);
        assert_eq!(seen(&app.clone().held_to("")).await, [""; 0]);
    }
    // What it writes in between is nobody's question.
    append(&app, &mixed(6, 1..=3)).await.unwrap();
    app.clone().held_to(OWN).fold(9).await.unwrap();
    let held = app.clone().held_to(OWN);
    let page = held.records(&Filter::new(), &newest(100)).await.unwrap();
    assert_eq!(page.records.len(), 31);
    drop((app, held));
    apart.end().await;

    // Without the right to be a reader no question can be held, and none is answered.
    let apart = Apart::new(&["auditor"]).await;
    let app = apart.app();
    assert_eq!(seen(&app).await, ["", OWN, OTHER]);
    let held = app.clone().held_to(OWN);
    let refused = held.records(&Filter::new(), &newest(9)).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration);
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("grant activity_reader to it"), "{source}");
    drop((app, held));
    apart.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_owner_keeps_tenants_apart_sees_all_and_is_held_like_anybody() {
    let database = Database::new().await;
    let login = format!("{}_owner", database.name());
    database.execute(&format!("create role {login} login createrole")).await;
    database.execute(&format!("alter database {} owner to {login}", database.name())).await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.username(&login));
    let owner = PostgresStore::from_pool(pool);
    owner.migrate().await.unwrap();
    append(&owner, &mixed(5, 1..=90)).await.unwrap();
    owner.keep_tenants().await.unwrap();
    // Through the policies, which are forced on him too.
    while owner.fold(100).await.unwrap().behind() > 0 {}
    assert_eq!(seen(&owner).await, ["", OWN, OTHER]);
    assert_eq!(seen(&owner.clone().held_to(OWN)).await, [OWN]);
    let facts = owner.facts().await.unwrap();
    assert!(facts.keeps_tenants && facts.can_be_held && facts.sees_all_tenants, "{facts:?}");
    assert_eq!(facts.open_to_tenants, [""; 0]);
    let admin = database.admin().to_owned();
    drop((owner, database));
    execute(&admin, &format!("drop role {login}")).await;
}

/// What the last transaction named, and what a session was set to by hand, is over with the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reused_connection_keeps_no_tenant() {
    let apart = Apart::new(&["reader", "auditor"]).await;
    let pool = PgPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute(raw_sql("set activity.tenant = 'globex'")).await.map(drop)
        })
    });
    let pool = pool.connect_with(apart.options()).await.unwrap();
    // As a mere reader.
    apart.database.execute(&format!("revoke activity_auditor from {}", apart.login)).await;
    let app = PostgresStore::from_pool(pool.clone());
    assert_eq!(seen(&app).await, [""; 0]);
    assert_eq!(seen(&app.clone().held_to(OWN)).await, [OWN]);
    // A question that ends in the middle leaves nothing behind either.
    let held = app.clone().held_to(OWN);
    for _ in 0..20 {
        let cut = tokio::time::timeout(Duration::from_micros(300), seen(&held)).await;
        drop(cut);
        assert_eq!(seen(&app).await, [""; 0]);
    }
    let row = sqlx::query("select current_setting('activity.tenant'), current_setting('role')");
    let row = row.fetch_one(&pool).await.unwrap();
    let left: (String, String) = (row.get(0), row.get(1));
    assert_eq!(left, (OTHER.to_owned(), "none".to_owned()));
    drop((app, held));
    pool.close().await;
    apart.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_shared_by_pgbouncer_keep_no_tenant() {
    let apart = Apart::new(&["reader"]).await;
    let bouncer = Bouncer::as_user(&apart.database, &apart.login).await;
    let mut asking = Vec::new();
    for tenant in [Some(OWN), None, Some(OTHER), None, Some(OWN), Some(OTHER)] {
        let options: PgConnectOptions = bouncer.url().parse().unwrap();
        let options = options.extra_float_digits(None).statement_cache_capacity(0);
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy_with(options);
        let app = PostgresStore::from_pool(pool);
        asking.push(tokio::spawn(async move {
            let app = match tenant {
                Some(tenant) => app.held_to(tenant),
                None => app,
            };
            for _ in 0..4 {
                assert_eq!(seen(&app).await, Vec::from_iter(tenant), "{tenant:?}");
            }
        }));
    }
    for one in asking {
        one.await.unwrap();
    }
    drop(bouncer);
    apart.end().await;
}

/// By hand, past all of our code: with SQL, on the log, its months, its leaves and its rollups.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_a_part_of_the_log_past_the_policy() {
    let apart = Apart::new(&["reader", "writer"]).await;
    // As an administrator may have it who means well: new tables are for everybody.
    apart
        .database
        .execute("alter default privileges in schema activity grant select on tables to public")
        .await;
    let mut late = mixed(7, 1..=3);
    for record in &mut late {
        record.occurred_at = "2027-02-03T04:05:06Z".parse::<Timestamp>().unwrap();
        record.id = id(record.occurred_at, 7, record.seq);
        record.seal(crate::records::salts(record.seq));
    }
    append(&apart.app(), &late).await.unwrap();
    let mut connection = apart.connect().await;
    let parts = "select t.relid::regclass::text, t.level from \
                 pg_partition_tree('activity.records') t where t.level > 0";
    let parts = connection.fetch_all(raw_sql(parts)).await.unwrap();
    assert!(parts.iter().any(|row| row.get::<String, _>(0).contains("2027_02_activity")));
    for row in &parts {
        let part: String = row.get(0);
        let sql = format!("select count(*)::bigint from {part}");
        let error = connection.fetch_one(raw_sql(AssertSqlSafe(sql))).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{part}");
    }
    let mut count = async |sql: &str| {
        let row = connection.fetch_one(raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
        row.get::<i64, _>(0)
    };
    for table in [
        "records",
        "rollups",
        "person_rollups",
        "authentication_logs",
        "action_logs",
        "recent_activity",
    ] {
        let all = format!("select count(*)::bigint from activity.{table}");
        assert_eq!(count(&all).await, 0, "{table}: unset");
        let foreign = format!(
            "begin; set local activity.tenant = 'acme'; select (select count(*) from activity.{table} \
             where tenant_id is distinct from 'acme')::bigint"
        );
        assert_eq!(count(&foreign).await, 0, "{table}");
        let own = format!("select count(*)::bigint from activity.{table}");
        assert_eq!(count(&own).await > 0, table != "authentication_logs", "{table}");
        count("rollback; select 0::bigint").await;
    }
    let find = |tenant: &str| {
        format!(
            "begin; set local activity.tenant = '{tenant}'; \
             select count(*)::bigint from activity.find(null, null, null, null, null, null, true, null, \
             null, null, null, 100)"
        )
    };
    for (tenant, is_somebody) in [("", false), ("nobody", false), ("acme", true)] {
        assert_eq!(count(&find(tenant)).await > 0, is_somebody, "{tenant}");
        count("rollback; select 0::bigint").await;
    }
    drop(connection);
    apart.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_a_part_of_the_log_does_not_verify_it_and_proves_nothing() {
    let apart = Apart::new(&["reader"]).await;
    let now = time("2026-11-22T12:00:00Z");
    let state = Audit::new(&apart.owner).run_on(now, |_progress| {}).await.unwrap().1.unwrap();
    make_checkpoint(&apart.owner, &[[9; 32]], now).await.unwrap().unwrap();
    let own = mixed(5, 3..=3).remove(0);
    let app = apart.app();
    for store in [app.clone(), app.clone().held_to(OWN)] {
        let refused = [
            store.expect_all().await.unwrap_err(),
            Audit::new(&store).run(|_progress| {}).await.unwrap_err(),
            Audit::new(&store).since(state.clone()).run(|_progress| {}).await.unwrap_err(),
            prove(&store, &own).await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), StoreErrorKind::Configuration, "{error:?}");
        }
    }
    drop(app);
    apart.database.execute(&format!("grant activity_auditor to {}", apart.login)).await;
    let app = apart.app();
    let report = Audit::new(&app).since(state).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered);
    // What holds one question to a tenant is over with it, on whichever connection it was.
    for _ in 0..3 {
        assert!(prove(&app, &own).await.unwrap().is_some());
        let held = prove(&app.clone().held_to(OWN), &own).await.unwrap_err();
        assert_eq!(held.kind(), StoreErrorKind::Configuration, "{held:?}");
    }
    drop(app);
    apart.end().await;
}

#[cfg(feature = "api")]
pub(super) fn everything() -> tower_activity::bundle::Ask {
    tower_activity::bundle::Ask {
        filter: Filter::new(),
        direction: tower_activity::query::Direction::Older,
        asked: "everything".to_owned(),
        now: time("2026-11-22T12:00:00Z"),
    }
}

/// Records that are not seen would be missing in it, and nothing in it would say so.
#[cfg(feature = "api")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_a_part_of_the_log_makes_no_bundle() {
    use tower_activity::{bundle::Bundle, store::AnyStore};
    let apart = Apart::new(&["writer", "reader"]).await;
    let now = time("2026-11-22T12:00:00Z");
    make_checkpoint(&apart.owner, &[[9; 32]], now).await.unwrap().unwrap();
    let app = AnyStore::new(apart.app());
    for seeds in [&[][..], &[[9; 32]]] {
        let refused = Bundle::begin(app.clone(), everything(), seeds).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Configuration, "{refused:?}");
        let refused = Bundle::would_cover(&app, !seeds.is_empty()).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Configuration, "{refused:?}");
    }
    drop(app);
    apart.end().await;
}

/// Its proofs need the whole of a batch, and its records are those of the tenant whatever the filter says.
#[cfg(feature = "api")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_has_the_records_of_its_tenant_alone() {
    let apart = Apart::new(&["writer", "reader", "auditor"]).await;
    let app = tower_activity::store::AnyStore::new(apart.app());
    let bundle = tower_activity::bundle::Bundle::begin(app.clone(), everything(), &[[9; 32]]).await;
    let mut bundle = bundle.unwrap().unwrap().of_tenant(Some(OWN));
    while bundle.next().await.unwrap().is_some() {}
    assert_eq!((bundle.counts().records, bundle.counts().unproved), (30, 0));
    drop((app, bundle));
    apart.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_are_kept_apart_again_whatever_somebody_has_undone() {
    let apart = Apart::new(&["reader"]).await;
    for undoing in [
        "alter table activity.records disable row level security",
        "alter table activity.rollups no force row level security",
        "drop policy one_tenant on activity.person_rollups",
        "alter policy one_tenant on activity.records using (true)",
        "alter policy one_tenant on activity.records to public",
        "alter policy all_tenants on activity.rollups to public",
        "alter view activity.recent_activity reset (security_invoker)",
        "grant select on activity.records_2026_05 to public",
        "grant select (actor_id) on activity.records_2026_05_activity to activity_reader",
    ] {
        apart.database.execute(undoing).await;
        let facts = apart.owner.facts().await.unwrap();
        let found = !facts.keeps_tenants || !facts.open_to_tenants.is_empty();
        assert!(found, "{undoing}: {facts:?}");
        apart.owner.keep_tenants().await.unwrap();
        let facts = apart.owner.facts().await.unwrap();
        assert!(facts.keeps_tenants && facts.open_to_tenants.is_empty(), "{undoing}: {facts:?}");
    }
    // What is not ours stays, and is told.
    apart.database.execute("create policy mine on activity.records using (true)").await;
    let open = apart.owner.facts().await.unwrap().open_to_tenants;
    assert_eq!(open, ["records: the policy mine lets others see all"]);
    apart.end().await;
}

/// What a role is given for the whole server reaches past policies and grants of every log on it: hence a server of its own,
/// beside which others find nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_reads_everything_is_told_where_it_should_be_held_to_a_tenant() {
    let server = Server::start();
    server.ready().await;
    let owner = PostgresStore::open(&server.url()).await.unwrap();
    owner.keep_tenants().await.unwrap();
    let admin = server.url();
    let open = async || owner.facts().await.unwrap().open_to_tenants;
    execute(&admin, "create role app login; grant activity_reader to app").await;
    assert_eq!(open().await, [""; 0]);
    for (change, why, back) in [
        (
            "grant pg_read_all_data to app",
            "it is in pg_read_all_data",
            "revoke pg_read_all_data from app",
        ),
        ("alter role app bypassrls", "it has BYPASSRLS", "alter role app nobypassrls"),
    ] {
        execute(&admin, change).await;
        let expected = format!("app can be held to a tenant, and reads all of them: {why}");
        assert_eq!(open().await, [expected]);
        execute(&admin, back).await;
        assert_eq!(open().await, [""; 0]);
    }
    // Whoever may see all may have it anyhow.
    execute(&admin, "grant pg_read_all_data, activity_auditor to app").await;
    assert_eq!(open().await, [""; 0]);
}

/// Words, networks, metadata and actions in any case, which no leakproof operator finds: the same records as
/// by the filter alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_leakproof_operator_finds_is_found_for_the_tenant() {
    let (database, store) = store().await;
    let mut records = mixed(5, 1..=900);
    let start = "2026-02-01T00:00:00Z".parse::<Timestamp>().unwrap().as_micros();
    for record in &mut records {
        let n = record.seq;
        record.occurred_at = Timestamp::from_micros(start + n / 3 * 8 * 3_600_000_000);
        record.id = id(record.occurred_at, 5, n);
        record.retention_class.set(["activity", "authentication"][n as usize / 7 % 2]);
        record.action.set(["Create", "update", "CREATE", "cancel"][n as usize / 3 % 4]);
        record.description.set(["big red order", "small order", "nothing"][n as usize / 5 % 3]);
        record.ip = Some(format!("10.0.{}.{}", n / 3 % 3, n % 5).parse().unwrap());
        let metadata =
            format!("{{\"color\":\"{}\",\"n\":{}}}", ["red", "blue"][n as usize / 3 % 2], n % 4);
        Field::named("metadata").unwrap().set(record, Value::Json(&metadata)).unwrap();
        record.seal(crate::records::salts(n));
    }
    append(&store, &records).await.unwrap();
    for index in Index::ALL {
        store.make_index(index).await.unwrap();
    }
    store.keep_tenants().await.unwrap();
    let ip = Field::named("ip").unwrap();
    let metadata = Field::named("metadata").unwrap();
    let any = |name: &str, values: &[&str]| Filter::new().any_of(name, values.to_vec()).unwrap();
    let network = |text: &str| Expr::Test(Test::Network(ip, text.parse().unwrap()));
    let words = |text: &str| Expr::Test(Test::Text(Phrase::new(text).unwrap()));
    let json = |key: &str, value: &str| {
        Expr::Test(Test::Json(
            metadata,
            vec![key.to_owned()],
            Wanted::OneOf(vec![value.to_owned()]),
        ))
    };
    let march: Timestamp = "2026-03-05T00:00:00Z".parse().unwrap();
    let questions = [
        any("action", &["create"]),
        any("action", &["CREATE", "cancel"]),
        any("action", &["create"]).any_of("action", ["CREATE"]).unwrap(),
        any("action", &["none", ""]),
        Filter::new().and(network("10.0.1.0/24")),
        Filter::new().and(network("10.0.1.3")),
        Filter::new().and(network("0.0.0.0/0")).and(network("10.0.2.0/24")),
        Filter::new().and(words("red order")),
        Filter::new().and(words("order")).and(words("small")),
        Filter::new().and(json("color", "red")),
        Filter::new().and(json("n", "3")).from(march),
        Filter::new().and(words("big")).and(json("color", "blue")).and(network("10.0.0.0/23")),
        any("action", &["cancel"]).and(words("nothing")).to(march),
        any("action", &["create"]).and(Expr::Not(Box::new(words("big")))),
        any("tenant_id", &[OWN]).and(words("red")),
    ];
    let reader = store.clone().held_to(OWN);
    let in_windows = reader.clone().in_windows(23);
    for (n, filter) in questions.iter().enumerate() {
        for backwards in [false, true] {
            let mut expected: Vec<_> = records
                .iter()
                .filter(|record| record.tenant_id == *OWN && filter.matches(record))
                .map(|record| (record.occurred_at, record.id))
                .collect();
            expected.sort();
            if !backwards {
                expected.reverse();
            }
            assert_eq!(expected.is_empty(), n == 3, "{filter:?}");
            for (limit, reader) in [(7, &reader), (200, &reader), (50, &in_windows)] {
                let first = match backwards {
                    true => oldest(limit),
                    false => newest(limit),
                };
                let (mut request, mut found) = (first, Vec::new());
                loop {
                    let page = reader.records(filter, &request).await.unwrap();
                    assert!(page.complete && page.records.len() <= limit, "{filter:?}");
                    found.extend(page.records.iter().map(|r| (r.occurred_at, r.id)));
                    match page.next {
                        Some(next) => request = request.after(next),
                        None => break,
                    }
                }
                assert_eq!(found, expected, "{filter:?}");
            }
        }
    }
    drop((reader, in_windows, store, database));
}

/// That something of a record is kept aside is told to whoever sees the record, and to nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_aside_is_told_to_the_tenant_whose_it_is() {
    for roles in [&["reader"][..], &["writer", "reader", "auditor"]] {
        let apart = Apart::new(roles).await;
        let of = |tenant: &str| {
            let records = mixed(5, 1..=90).into_iter();
            records.filter(|record| record.tenant_id == tenant).nth(1).unwrap()
        };
        let (own, other, nobodys) = (of(OWN), of(OTHER), of(""));
        let identity = Groups::of(Group::Identity);
        for record in [&own, &other, &nobodys] {
            let gone = ErasedGroups::of(record, identity, &mut Canonical::new()).unwrap();
            let kept = Restricted::of(record, identity).unwrap();
            assert_eq!(apart.owner.restrict(&[gone], &[kept], 0).await.unwrap(), Some(1));
        }
        let ids = [own.id, other.id, nobodys.id];
        let app = apart.app();
        // One after another on the same connection.
        for (tenant, seen) in [(OWN, own.id), (OTHER, other.id), (OWN, own.id)] {
            let held = app.clone().held_to(tenant);
            assert_eq!(held.restricted_marks(&ids).await.unwrap(), [(seen, identity)]);
            for id in ids {
                let shown = held.record(id).await.unwrap();
                let marks = shown.map(|record| record.seals.restricted());
                assert_eq!(marks, (id == seen).then_some(identity), "{tenant}");
            }
            // What it is, no reader of a tenant sees.
            assert!(held.restricted(0, 9).await.is_err());
            assert!(held.restricted_of(seen).await.is_err());
        }
        let nobody = app.clone().held_to("nobody");
        assert_eq!(nobody.restricted_marks(&ids).await.unwrap(), []);
        drop((app, nobody));
        apart.end().await;
    }
}

//! Roles with the least that each needs, and what the reader's questions cost.

use serde_json::json;
use sqlx::{
    AssertSqlSafe, Executor as _, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
    raw_sql,
};
use tower_activity::{
    Keys, Pipeline,
    ledger::verify::Verdict,
    pipeline::{Eraser, ErasureRequest, HoldRequest},
    query::{Aggregate, Count, Expr, Filter, Keyset, PageRequest, Place, Test},
    record::{Actor, Canonical, Category, Field, Group, Groups, Json, Origin, Record},
    rules::RetentionPolicy,
    store::{
        AnyStore, Append as _, Audit, Erase as _, ErasedGroups, ErasedSubject, Evidence as _,
        Maintain as _, Read as _, Retain as _, StoreErrorKind, postgres::PostgresStore, removal_of,
    },
    time::{Clock as _, ManualClock, SystemClock, Timestamp},
};

use super::{schema::migrations, store, time};
use crate::{
    expiry::from_somewhere,
    records::{id, stream},
    retention::{old, telling},
    server::Database,
    suite::{PATIENCE, append, newest, oldest},
};

/// Opens the store as one of its roles.
async fn as_role(database: &Database, role: &'static str) -> PostgresStore {
    let options = PgPoolOptions::new().max_connections(2).after_connect(move |connection, _| {
        Box::pin(async move {
            let sql = format!("set role activity_{role}");
            connection.execute(raw_sql(AssertSqlSafe(sql))).await.map(drop)
        })
    });
    PostgresStore::from_pool(options.connect(&database.url()).await.unwrap())
}

/// Makes a login with these roles alone, and opens the store as it.
async fn as_login(database: &Database, roles: &[&str]) -> (PostgresStore, String) {
    let login = format!("{}_{}", database.name(), roles.concat());
    database.execute(&format!("create role {login} login")).await;
    for role in roles {
        database.execute(&format!("grant activity_{role} to {login}")).await;
    }
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(options.username(&login));
    (PostgresStore::from_pool(pool), login)
}

/// Three months of three classes.
fn months() -> Vec<Box<Record>> {
    let start = time("2026-03-01T00:00:00Z").as_micros();
    let mut records = stream(5, 1..=9_000);
    for record in &mut records {
        let n = record.seq;
        record.occurred_at = Timestamp::from_micros(start + n * 90 * 86_400_000_000 / 9_001);
        record.id = id(record.occurred_at, 5, n);
        record.retention_class.set(["activity", "authentication", "system"][n as usize / 700 % 3]);
        record.entity_id.set(&(n % 97).to_string());
        record.actor_id.set(&format!("actor {}", n % 89));
        record.tenant_id.set(&format!("tenant {}", n % 83));
        record.session_id.set(&format!("session {}", n % 1_009));
        record.request_id.set(&format!("request {n}"));
        record.ip = Some(format!("10.0.{}.{}", n % 50, n % 11).parse().unwrap());
        if n % 503 == 0 {
            record.action.set("Restore");
        }
        record.seal(crate::records::salts(n));
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_question_of_the_reader_scans_all_leaves_or_sorts_the_whole() {
    let (database, store) = store().await;
    append(&store, &months()).await.unwrap();
    store.make_roles().await.unwrap();
    database.execute("analyze activity.records").await;
    let reader = as_role(&database, "reader").await;
    let any = |field: &str, value: &str| Filter::new().any_of(field, [value]).unwrap();
    let ip = Field::named("ip").unwrap();
    let april = (time("2026-04-01T00:00:00Z"), time("2026-05-01T00:00:00Z"));
    let bot = Expr::Not(Box::new(any("actor_id", "actor 7").into()));
    let questions = [
        Filter::new(),
        Filter::new().and(bot),
        any("actor_id", "actor 7"),
        any("entity_id", "7").any_of("entity_type", ["order"]).unwrap(),
        any("tenant_id", "tenant 7"),
        any("session_id", "session 7"),
        any("request_id", "request 4007"),
        any("action", "restore"),
        any("action", "create"),
        any("action", "restore").from(april.0).to(april.1),
        Filter::new().and(Expr::Test(Test::Network(ip, "10.0.7.7".parse().unwrap()))),
        Filter::new().any_of("action", ["create", "update"]).unwrap(),
        Filter::new().any_of("tenant_id", ["tenant 7", "tenant 8"]).unwrap(),
    ];
    let middle = months()[4_500].clone();
    let places = [None, Some(Place::Occurred(Keyset::of(&middle)))];
    for filter in &questions {
        for place in places {
            for request in [newest(50), oldest(50)] {
                let request = PageRequest { after: place, ..request };
                let plan = reader.explain(filter, &request).await.unwrap();
                let context = format!("{filter:?} {request:?}\n{plan}");
                // Read in the order of an index, and no further than the page goes, or all of
                // the few that there are. The months that were
                // made ahead are empty, and any plan is as good there.
                let mut read = 0;
                for line in plan.lines().filter(|line| line.contains(" on records_2026_0")) {
                    assert!(!line.contains("Seq Scan") || line.contains("rows=0 "), "{context}");
                    let rows = line.split("rows=").last().and_then(|rest| rest.split(' ').next());
                    read += rows.and_then(|rows| rows.parse::<u64>().ok()).unwrap_or(0);
                }
                assert!(read <= 120, "{read} rows: {context}");
                for line in plan.lines().filter(|line| line.contains("->  Sort (")) {
                    let few = line.split("rows=").nth(1).and_then(|r| r.split(' ').next());
                    let few = few.and_then(|rows| rows.parse::<u64>().ok()).unwrap_or(u64::MAX);
                    assert!(few <= 120 || line.contains("never executed"), "{context}");
                }
            }
        }
    }
    // Behind the middle of April only March and April are planned for.
    let request = newest(50).after(places[1].unwrap());
    let plan = reader.explain(&Filter::new(), &request).await.unwrap();
    assert!(!plan.contains("2026_05"), "{plan}");
    let plan = reader.explain(&questions[9], &newest(50)).await.unwrap();
    assert!(!plan.contains("2026_03") && !plan.contains("2026_05"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_can_do_its_own_and_no_more() {
    let (database, store) = store().await;
    store.make_roles().await.unwrap();
    store.make_roles().await.unwrap();
    let reader = as_role(&database, "reader").await;
    let records = stream(5, 1..=20);
    append(&store, &records).await.unwrap();
    // Of a leaf that was made just now.
    let ask = Aggregate {
        dimensions: vec![Field::named("action").unwrap(), Field::named("actor_id").unwrap()],
        top: 5,
        edges: Vec::new(),
        patience: PATIENCE,
    };
    assert_eq!(reader.aggregate(&Filter::new(), &ask).await.unwrap().total, 20);
    store.fold(10).await.unwrap();
    assert_eq!(reader.aggregate(&Filter::new(), &ask).await.unwrap().total, 20);
    assert_eq!(reader.count(&Filter::new(), Count::Estimate).await.unwrap().value, 20);
    assert!(reader.record(records[3].id).await.unwrap().is_some());
    assert_eq!(reader.snapshot().await.unwrap().position, 1);
    let entry = reader.entries(0, 9).await.unwrap().remove(0);
    assert_eq!(reader.entry_records(&entry).await.unwrap().len(), 20);
    assert_eq!(reader.storage().await.unwrap().rows, 20);
    assert_eq!(reader.indexes().await.unwrap(), []);
    assert_eq!(reader.fold(1).await.unwrap_err().kind(), StoreErrorKind::Configuration);

    let mut connection = database.connect().await;
    let mut refused = async |role: &str, sql: &str| {
        let begin = format!("begin; set local role activity_{role}; {sql}");
        let done = connection.execute(raw_sql(AssertSqlSafe(begin))).await;
        connection.execute(raw_sql("rollback")).await.unwrap();
        done.err().and_then(|error| Some(error.as_database_error()?.code()?.into_owned()))
    };
    let denied = Some("42501".to_owned());
    let leaf = "activity.records_2026_05_activity";
    for (role, sql) in [
        ("reader", format!("select from {leaf}")),
        ("auditor", format!("select from {leaf}")),
        ("reader", "delete from activity.records".to_owned()),
        ("reader", "insert into activity.rollups select * from activity.rollups".to_owned()),
        ("reader", "select from activity.api_keys".to_owned()),
        ("reader", "select from activity.ingest_keys".to_owned()),
        ("writer", "select from activity.records".to_owned()),
        ("writer", format!("select from {leaf}")),
        ("writer", format!("update {leaf} set actor_id = null")),
        ("writer", "update activity.ledger_entries set position = 1".to_owned()),
        ("writer", "insert into activity.ledger_entries (position) values (1)".to_owned()),
        ("writer", "insert into activity.api_keys select * from activity.api_keys".to_owned()),
        ("privacy", "update activity.records set action = 'x'".to_owned()),
        ("privacy", format!("update {leaf} set actor_id = null")),
        ("retention", "update activity.records set actor_id = null".to_owned()),
        ("retention", format!("drop table {leaf}")),
    ] {
        assert_eq!(refused(role, &sql).await, denied, "{role}: {sql}");
    }
    // Its own: the trigger has the last word, not the grants.
    let code = refused("privacy", "update activity.records set actor_id = null").await;
    assert_eq!(code.as_deref(), Some("AC002"));
    assert_eq!(refused("privacy", "delete from activity.person_rollups").await, None);
    let code = refused("retention", "update activity.records set ip = '10.0.0.1'").await;
    assert_eq!(code.as_deref(), Some("AC002"), "addresses are its own");
    for role in ["privacy", "retention"] {
        for (told, expected) in [("0", None), ("1", Some("AC006")), ("null", Some("AC006"))] {
            let code = refused(role, &format!("select activity.expect_holds({told})")).await;
            assert_eq!(code.as_deref(), expected, "{role} {told}");
        }
    }
    assert_eq!(refused("writer", "select activity.expect_holds(0)").await, denied);

    let sql = "select count(*)::bigint from pg_class c, aclexplode(c.relacl) a \
        join pg_roles r on r.oid = a.grantee where c.relispartition and c.relkind = 'r' \
        and c.relnamespace = 'activity'::regnamespace and r.rolname like 'activity\\_%' \
        and (r.rolname <> 'activity_writer' or a.privilege_type <> 'INSERT')";
    let row = connection.fetch_one(raw_sql(sql)).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_with_the_writers_role_alone_appends() {
    let (database, store) = store().await;
    store.make_roles().await.unwrap();
    let (writer, login) = as_login(&database, &["writer"]).await;
    assert!(writer.connect().await.is_ok());
    // Into a leaf that it has to have made first.
    append(&writer, &stream(5, 1..=5)).await.unwrap();
    assert!(writer.fold(9).await.unwrap().led);
    drop(writer);
    assert_eq!(store.storage().await.unwrap().rows, 5);
    let admin = database.admin().to_owned();
    drop((store, database));
    crate::server::execute(&admin, &format!("drop role {login}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_with_the_roles_for_it_take_out_what_has_expired_and_erase_people() {
    let (database, store) = store().await;
    store.make_roles().await.unwrap();
    let expired: Vec<_> = (1..=3).map(|seq| old(7, seq, "2026-01-10", "authentication")).collect();
    append(&store, &expired).await.unwrap();
    append(&store, &[from_somewhere(7, 4, "2026-01-10", "activity")]).await.unwrap();
    let clock = || ManualClock::at(time("2026-11-22T12:00:00Z"));

    let (keeper, keeps) = as_login(&database, &["writer", "retention"]).await;
    let pipeline = Pipeline::builder(keeper.clone()).clock(clock());
    let pipeline = pipeline.retention_policy(RetentionPolicy::default()).start().await.unwrap();
    assert_eq!(pipeline.plan_retention().await.unwrap().expired().count(), 1);
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {})).await;
    let run = run.expect("it ends").unwrap();
    assert_eq!((run.ended.len(), run.addresses.len(), run.addresses[0].records), (1, 1, 1));
    pipeline.shutdown(PATIENCE).await;

    let (privacy, erases) = as_login(&database, &["writer", "privacy"]).await;
    let pipeline = Pipeline::builder(privacy.clone()).clock(clock()).keys(Keys::ephemeral());
    let pipeline = pipeline.start().await.unwrap();
    pipeline.recorder().record(Record::by(Actor::user("ana")).verb("update").on("order", "55"));
    pipeline.flush().await;
    let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
    let certificate = pipeline.eraser().unwrap().erase(&request, |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 2);
    pipeline.shutdown(PATIENCE).await;

    // Looking at the plan takes no more than reading does.
    let reader = as_role(&database, "reader").await;
    assert!(!tower_activity::store::Retain::units(&reader).await.unwrap().is_empty());
    let admin = database.admin().to_owned();
    drop((keeper, privacy, reader, store, database));
    for login in [keeps, erases] {
        crate::server::execute(&admin, &format!("drop role {login}")).await;
    }
}

/// A record that the log itself makes, which tells of this.
fn telling_of(seq: i64, action: &str, facts: &serde_json::Value) -> Box<Record> {
    let mut record = from_somewhere(9, seq, "2026-05-10", "system");
    (record.category, record.origin) = (Category::System, Origin::System);
    record.action.set(action);
    record.metadata = Json::of(facts).unwrap();
    record.seal(crate::records::salts(seq));
    record
}

fn code(error: &dyn std::error::Error) -> String {
    let source = error.source().unwrap().downcast_ref::<sqlx::Error>().unwrap();
    source.as_database_error().unwrap().code().unwrap().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hold_keeps_is_seen_by_whoever_may_and_put_aside_by_a_writer_who_may_not() {
    let (database, store) = store().await;
    store.make_roles().await.unwrap();
    let keys = Keys::ephemeral();
    let (privacy, erases) = as_login(&database, &["writer", "privacy"]).await;
    let pipeline = Pipeline::builder(privacy.clone()).keys(keys.clone()).start().await.unwrap();
    let deed = || Record::by(Actor::user("ana")).verb("update").on("order", "55");
    pipeline.recorder().record(deed());
    pipeline.flush().await;
    let custodian = pipeline.custodian().unwrap();
    let hold = HoldRequest::new("actor_id:ana", "a lawsuit");
    let hold = custodian.place(&hold).await.unwrap().hold.id;
    let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
    let certificate = pipeline.eraser().unwrap().erase(&request, |_step| {}).await.unwrap();
    assert_eq!((certificate.records, certificate.held), (0, 1));

    // Who only writes does not know the holds, and keeps what arrives late for whoever does.
    let (writer, writes) = as_login(&database, &["writer"]).await;
    let late = Pipeline::builder(writer.clone()).keys(keys.clone()).start().await.unwrap();
    let now = SystemClock::default().now();
    let earlier = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
    late.recorder().record(deed().occurred_at(earlier));
    late.flush().await;
    late.shutdown(PATIENCE).await;
    assert_eq!(store.restricted(0, 9).await.unwrap().len(), 2);

    let reader = as_role(&database, "reader").await;
    for (role, seen) in [("auditor", 2), ("privacy", 2), ("retention", 2)] {
        let role = as_role(&database, role).await;
        assert_eq!(role.restricted(0, 9).await.unwrap().len(), seen);
    }
    for refused in [reader.restricted(0, 9).await, writer.restricted(0, 9).await] {
        assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Configuration);
    }
    // What he is shown says that it is there, and nothing of what it is.
    let any = Filter::new().any_of("action", ["update"]).unwrap();
    let shown = reader.records(&any, &newest(9)).await.unwrap().records;
    assert_eq!(shown.len(), 2);
    for record in shown {
        assert!(record.actor_id.is_absent() && !record.seals.restricted().is_empty(), "{record:?}");
    }
    let auditor = as_role(&database, "auditor").await;
    let report = Audit::new(&auditor).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    // Not green to whom it cannot be shown.
    assert!(Audit::new(&reader).run(|_progress| {}).await.is_err());

    custodian.lift(hold, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert!(store.restricted(0, 9).await.unwrap().is_empty());
    pipeline.shutdown(PATIENCE).await;
    let report = Audit::new(&reader).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    let admin = database.admin().to_owned();
    drop((privacy, writer, reader, auditor, store, database));
    for login in [erases, writes] {
        crate::server::execute(&admin, &format!("drop role {login}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_with_the_privacy_role_alone_empties_what_the_log_tells_of_and_nothing_else() {
    let (database, store) = store().await;
    store.make_roles().await.unwrap();
    append(&store, &stream(5, 1..=3)).await.unwrap();
    let (privacy, login) = as_login(&database, &["privacy"]).await;
    let keys = Keys::ephemeral();
    let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
    let plan =
        Eraser::plan_of(&AnyStore::new(privacy.clone()), &keys, None, &request).await.unwrap();
    assert_eq!((plan.records, plan.held), (1, 0));

    let record = privacy.records(&Filter::new(), &newest(1)).await.unwrap().records.remove(0);
    let erased = ErasedGroups::of(&record, Groups::ALL, &mut Canonical::new()).unwrap();
    let letters = erased.groups().to_string();
    let groups = letters.len() as u64;
    assert!(groups > 1);
    let erased = [erased];
    // In silence, or of another record, or of fewer groups, or of something that is no list: refused.
    let (stream, seq) = (record.writer_id.to_string(), record.seq);
    let mut told = 0;
    let mut tell = async |action: &str, facts: serde_json::Value| {
        told += 1;
        append(&store, &[telling_of(told, action, &facts)]).await.unwrap();
    };
    let untold = async || {
        let refused = privacy.erase(&erased, 0).await.unwrap_err();
        assert_eq!(
            (code(&refused).as_str(), refused.kind()),
            ("AC005", StoreErrorKind::Configuration)
        );
        assert!(store.record(record.id).await.unwrap().unwrap().erased().next().is_none());
    };
    untold().await;
    for records in [
        json!({ stream.as_str(): format!("{}:{letters}", seq + 1) }),
        json!({ "77": format!("1-9:{letters}") }),
        json!({ stream.as_str(): format!("1-9:{}", &letters[1..]) }),
        json!({ stream.as_str(): "nonsense,1:x,:i,-:inct,99999999999999999999:i" }),
        json!([]),
        json!(null),
    ] {
        tell("erased", json!({ "records": records })).await;
        untold().await;
    }
    tell("cancel", json!({ "records": { stream.as_str(): format!("1-9:{letters}") } })).await;
    untold().await;
    // Of two that tell, each a part.
    tell("erased", json!({ "records": { stream.as_str(): format!("1-9:{}", &letters[..1]) } }))
        .await;
    assert_eq!(privacy.erase(&erased, 0).await.unwrap(), Some(groups));
    assert_eq!(privacy.erase(&erased, 0).await.unwrap(), Some(0), "it is gone");
    let subject = ErasedSubject {
        digest: keys.pseudonym("erased", None, "ana"),
        erasure: "e".to_owned(),
        before: record.occurred_at,
        types: vec!["user".to_owned()],
        groups: String::new(),
    };
    privacy.add_erased_subjects(std::slice::from_ref(&subject)).await.unwrap();
    let listed = privacy.erased_subjects(0, 9).await.unwrap();
    assert_eq!(listed.into_iter().map(|(_, one)| one).collect::<Vec<_>>(), [subject]);
    privacy.scrub().await.unwrap();
    // The record that tells of it is the writer's.
    assert!(append(&privacy, &crate::records::stream(6, 1..=1)).await.is_err());
    let emptied = store.record(record.id).await.unwrap().unwrap();
    assert_eq!(emptied.erased().count() as u64, groups);
    assert!(emptied.actor_id.is_absent());

    let admin = database.admin().to_owned();
    drop((privacy, store, database));
    crate::server::execute(&admin, &format!("drop role {login}")).await;
}

/// As of people: the role that looks after leaves empties the addresses that the log tells of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_go_as_far_as_the_log_tells() {
    let (database, store) = store().await;
    store.make_roles().await.unwrap();
    append(&store, &[from_somewhere(7, 1, "2026-01-10", "activity")]).await.unwrap();
    append(&store, &[from_somewhere(7, 2, "2026-01-11", "activity")]).await.unwrap();
    let retention = as_role(&database, "retention").await;
    let records = store.records(&Filter::new(), &oldest(9)).await.unwrap().records;
    let addresses = |record: &Record| {
        let groups = Groups::of(Group::Network);
        [ErasedGroups::of(record, groups, &mut Canonical::new()).unwrap()]
    };
    let (first, second) = (addresses(&records[0]), addresses(&records[1]));
    let facts = |month: &str, last: i64| json!({ "month": month, "class": "activity", "groups": "n", "first": 1, "last": last, "days": 30 });
    let refused = async |which: &[ErasedGroups]| {
        let refused = retention.erase(which, 0).await.unwrap_err();
        assert_eq!(code(&refused), "AC005");
    };
    refused(&first).await;
    append(&store, &[telling_of(1, "addresses_expired", &facts("2026-02", 9))]).await.unwrap();
    refused(&first).await;
    append(&store, &[telling_of(2, "addresses_expired", &facts("2026-01", 1))]).await.unwrap();
    refused(&second).await;
    let both = [first[0].clone(), second[0].clone()];
    refused(&both).await;
    assert_eq!(retention.erase(&first, 0).await.unwrap(), Some(1));
    append(&store, &[telling_of(3, "addresses_expired", &facts("2026-01", 2))]).await.unwrap();
    assert_eq!(retention.erase(&both, 0).await.unwrap(), Some(1));
    assert_eq!(store.facts().await.unwrap().unguarded, [""; 0]);
    database.execute("alter table activity.records disable trigger guard_told").await;
    assert_eq!(store.facts().await.unwrap().unguarded, ["records"]);
    database.execute("alter table activity.restricted disable trigger guard").await;
    database.execute("alter table activity.ledger_entries disable trigger seal").await;
    let off = ["ledger_entries", "records", "restricted"];
    assert_eq!(store.facts().await.unwrap().unguarded, off);
}

/// Whoever says nothing of the holds that he has seen has seen none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_out_without_a_word_about_holds() {
    let (database, store) = store().await;
    append(&store, &[old(7, 1, "2026-01-10", "authentication")]).await.unwrap();
    let facts = store.units().await.unwrap().remove(0);
    let removal = removal_of(&store, &facts).await.unwrap().unwrap();
    let told = telling(9, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    while store.fold(100).await.unwrap().behind() > 0 {}
    let mut connection = database.connect().await;
    for holds in ["null", "1"] {
        let sql = format!(
            "select activity.end_unit('2026-01', 'authentication', 1, 1, '{}', '{}', {holds})",
            told.id,
            told.id.at()
        );
        let refused = connection.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap_err();
        let code = refused.as_database_error().unwrap().code().unwrap().into_owned();
        assert_eq!(code, "AC006", "{holds}");
    }
    assert_eq!(store.storage().await.unwrap().rows, 2);
    assert!(store.record(old(7, 1, "2026-01-10", "authentication").id).await.unwrap().is_some());
}

#[tokio::test]
async fn the_list_of_who_was_erased_is_committed_in_the_order_of_its_numbers() {
    let (database, store) = store().await;
    let insert = "insert into activity.erased_subjects (digest, subject) values ('x', '{}')";
    let mut first = database.connect().await;
    first.execute("begin").await.unwrap();
    first.execute(insert).await.unwrap();
    let mut second = database.connect().await;
    second.execute("set lock_timeout = 100").await.unwrap();
    let error = second.execute(insert).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "55P03");
    first.execute("commit").await.unwrap();
    second.execute("set lock_timeout = 0").await.unwrap();
    second.execute(insert).await.unwrap();

    assert_eq!(store.facts().await.unwrap().unguarded, [""; 0]);
    database.execute("alter table activity.anchors disable trigger guard").await;
    database.execute("drop trigger refuse_truncate on activity.erased_subjects").await;
    assert_eq!(store.facts().await.unwrap().unguarded, ["anchors", "erased_subjects"]);
}

/// Who may do what in the schema: a line for each grant. Leaves of other months are alike.
const RIGHTS: &str = "\
    with given (what, acl) as ( \
        select 'schema', nspacl from pg_namespace where nspname = 'activity' \
        union all select regexp_replace(c.relname, '[0-9]{4}_[0-9]{2}', 'MONTH'), c.relacl \
            from pg_class c where c.relnamespace = 'activity'::regnamespace \
        union all select c.relname || '.' || a.attname, a.attacl \
            from pg_class c join pg_attribute a on a.attrelid = c.oid \
            where c.relnamespace = 'activity'::regnamespace \
        union all select p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)) \
            from pg_proc p where p.pronamespace = 'activity'::regnamespace \
    ) \
    select distinct concat_ws(' ', what, coalesce(r.rolname, 'public'), a.privilege_type) as line \
    from given, lateral aclexplode(acl) a left join pg_roles r on r.oid = a.grantee order by 1";

async fn rights(database: &Database) -> Vec<String> {
    let rows = database.connect().await.fetch_all(raw_sql(RIGHTS)).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn roles_have_the_same_rights_whichever_version_they_were_made_at() {
    let (new, store) = store().await;
    store.make_roles().await.unwrap();
    let expected = rights(&new).await;
    for line in [
        "erased_subjects activity_writer SELECT",
        "anchors activity_writer INSERT",
        "ended activity_reader SELECT",
    ] {
        assert!(expected.iter().any(|found| found == line), "{line}: {expected:#?}");
    }
    // Whoever may connect may call these, and no other function of the schema.
    let open = expected.iter().filter(|line| line.ends_with(" public EXECUTE"));
    let open: Vec<_> = open.filter_map(|line| line.split('(').next()).collect();
    let known = ["bind", "json_lexemes", "search_words", "text_lexemes"];
    assert_eq!(open, known.map(|name| format!("activity.{name}")));

    // Roles came with the eighth, which later ones add to.
    for made_at in 8..migrations().len() {
        let old = Database::new().await;
        let mut connection = old.connect().await;
        for file in &migrations()[..made_at] {
            let sql = std::fs::read_to_string(file).unwrap();
            connection.execute(raw_sql(AssertSqlSafe(sql))).await.unwrap();
        }
        connection.execute("select activity.make_roles()").await.unwrap();
        let store = PostgresStore::open(&old.url()).await.unwrap();
        assert_eq!(rights(&old).await, expected, "made at {made_at}");
        store.make_roles().await.unwrap();
        assert_eq!(rights(&old).await, expected, "made at {made_at}, and again");
    }
}

#[tokio::test]
async fn a_function_of_another_is_not_run_when_roles_are_made() {
    let (database, store) = store().await;
    let role = format!("{}_guest", database.name());
    database
        .execute(&format!(
            "create role {role}; grant create, usage on schema activity to {role}; set role {role}; \
             create function activity.grants_9999() returns void language sql \
                 as 'create table public.mine (a integer)'"
        ))
        .await;
    let error = store.make_roles().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("activity.grants_9999()"), "{source}");
    database.execute("drop function activity.grants_9999()").await;
    store.make_roles().await.unwrap();
    database.execute("create table public.mine (a integer)").await;
    let admin = database.admin().to_owned();
    drop((store, database));
    crate::server::execute(&admin, &format!("drop role {role}")).await;
}

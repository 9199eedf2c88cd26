//! What is held stays, whoever places the hold and whenever; what is set of the retention holds everywhere.

use std::{sync::Arc, time::Duration};

use tower_activity::{
    Pipeline, Record,
    ledger::verify::{Report, Verdict},
    pipeline::{Custodian, HoldRequest, PolicySource, RetentionRun},
    record::{Actor, Category, Json, Origin},
    rules::RetentionPolicy,
    store::{Audit, Ending, Retain as _, holds, removal_of},
    time::{ManualClock, Timestamp},
};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use tower_activity::store::{Read as _, StoreErrorKind};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::tampering::Owned;
use crate::{
    records::salts,
    retention::{old, telling},
    suite::{Fixture, all, append},
};

/// Far longer than anything here takes on a busy machine: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(120);

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Two months of logins that are over, three records each, in two entries.
async fn expired<F: Fixture>(store: &F::Store) {
    for (first, day) in [(1, "2026-01-10"), (4, "2026-02-10")] {
        let records: Vec<_> =
            (first..first + 2).map(|seq| old(7, seq, day, "authentication")).collect();
        append(store, &records).await.unwrap();
        append(store, &[old(7, first + 2, day, "authentication")]).await.unwrap();
    }
}

async fn pipeline<F: Fixture>(store: &F::Store) -> (Pipeline, Custodian) {
    let clock = Arc::new(ManualClock::at(now()));
    let pipeline = Pipeline::builder(store.clone()).clock(clock).start().await.unwrap();
    let custodian = pipeline.custodian().unwrap();
    (pipeline, custodian)
}

async fn run(pipeline: &Pipeline) -> RetentionRun {
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    run.await.expect("it ends").unwrap()
}

/// The numbers of the logins that are there, the first of them first.
async fn logins<F: Fixture>(store: &F::Store) -> Vec<i64> {
    let all = all(store).await.into_iter();
    let logins = all.filter(|record| record.category == Category::Authentication);
    let mut numbers: Vec<_> = logins.map(|record| record.seq).collect();
    numbers.sort_unstable();
    numbers
}

async fn sound<F: Fixture>(store: &F::Store, expired: u64) -> Report {
    let report = Audit::new(store).run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, expired), "{report:#?}");
    report
}

fn gone(run: &RetentionRun) -> Vec<String> {
    run.ended.iter().map(|ended| ended.removal.month.to_string()).collect()
}

pub(crate) async fn what_is_held_stays_until_the_hold_is_lifted<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    expired::<F>(&store).await;
    let (pipeline, custodian) = pipeline::<F>(&store).await;
    // One record of January.
    let request = HoldRequest::new("category:authentication at:<2026-01-10T12:00:02Z", "a lawsuit");
    let placed = custodian.place(&request.name("case 7").by(Actor::user("dpo"))).await.unwrap();
    assert_eq!(placed.records.map(|total| total.value), Some(1));
    let plan = pipeline.plan_retention().await.unwrap();
    let held: Vec<_> =
        plan.units.iter().map(|unit| unit.held.as_ref().map(|hold| &*hold.name)).collect();
    assert_eq!(held[..2], [Some("case 7"), None]);

    let first = run(&pipeline).await;
    assert_eq!(gone(&first), ["2026-02"]);
    assert_eq!(
        (first.held[0].unit.month.to_string(), first.held[0].by.id),
        ("2026-01".to_owned(), placed.hold.id)
    );
    // The whole month: its entries could not be verified without all of their records.
    assert_eq!(logins::<F>(&store).await, [1, 2, 3]);
    sound::<F>(&store, 3).await;

    let of_another = custodian.lift(placed.hold.id, &Actor::user("eve"), "", Some("acme")).await;
    assert!(of_another.unwrap_err().is_unknown(), "it is no hold of that tenant");
    let told = holds(&store).await.unwrap();
    assert_eq!(all(&store).await.iter().filter(|record| told.held(record).is_some()).count(), 1);
    let lifted =
        custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    let reason = lifted.hold.lifted.as_ref().map(|lifted| &*lifted.reason);
    assert_eq!((reason, lifted.erased, lifted.archive.is_none()), (Some("settled"), Some(0), true));
    assert!(lifted.left.is_empty(), "{lifted:?}");
    let again = custodian.lift(placed.hold.id, &Actor::user("eve"), "", None).await.unwrap();
    assert_eq!(again, lifted, "it was lifted once");
    assert_eq!(gone(&run(&pipeline).await), ["2026-01"]);
    assert_eq!(logins::<F>(&store).await, [0_i64; 0]);
    pipeline.shutdown(PATIENCE).await;
    sound::<F>(&store, 6).await;
    let own: Vec<_> =
        all(&store).await.into_iter().filter(|r| r.category == Category::System).collect();
    let by = |action: &str| {
        let of = own.iter().find(|record| record.action == action).unwrap();
        (of.actor_id.as_str().to_owned(), of.reason.as_str().to_owned(), of.origin)
    };
    assert_eq!(by("held"), ("dpo".to_owned(), "a lawsuit".to_owned(), Origin::System));
    assert_eq!(by("released"), ("dpo".to_owned(), "settled".to_owned(), Origin::System));
}

pub(crate) async fn a_hold_that_came_after_the_look_wins<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    expired::<F>(&store).await;
    let facts = store.units().await.unwrap().remove(0);
    let removal = removal_of(&store, &facts).await.unwrap().unwrap();
    let told = telling(9, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    while tower_activity::store::Maintain::fold(&store, 100).await.unwrap().behind() > 0 {}
    let hold = |seq: i64, origin: Origin| {
        let mut record = old(9, seq, "2026-11-22", "system");
        record.origin = origin;
        record.action.set("held");
        record.metadata = Json::from_stored("{\"query\":\"*\"}".to_owned());
        record.seal(salts(seq));
        record
    };
    // What somebody else writes is no hold.
    append(&store, &[hold(2, Origin::Manual)]).await.unwrap();
    append(&store, &[hold(3, Origin::System)]).await.unwrap();
    while tower_activity::store::Maintain::fold(&store, 100).await.unwrap().behind() > 0 {}
    let known = holds(&store).await.unwrap();
    assert_eq!((known.told(), known.standing().count()), (1, 1));
    assert_eq!(store.end_unit(&removal, told.id, 0).await.unwrap(), Ending::Held);
    assert_eq!(logins::<F>(&store).await, [1, 2, 3, 4, 5, 6], "nothing has changed");
    // Whoever has looked at it decides.
    assert_eq!(store.end_unit(&removal, told.id, 1).await.unwrap(), Ending::Done);
    assert_eq!(logins::<F>(&store).await, [4, 5, 6]);
    sound::<F>(&store, 3).await;
}

/// A row that nobody can read may be what a hold is about; and where a hold itself cannot be read, nobody knows of what.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn what_cannot_be_read_may_be_held<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    expired::<F>(&store).await;
    let spoil = async |stream: i64, seq: i64| {
        let records = F::RECORDS;
        let sql = format!(
            "UPDATE {records} SET outcome = 'odd' WHERE writer_id = {stream} AND seq = {seq}"
        );
        fixture.force(&sql).await;
        fixture.mend().await;
    };
    spoil(7, 1).await;
    let (pipeline, custodian) = pipeline::<F>(&store).await;
    // The first record of January alone.
    let query = "category:authentication at:<2026-01-10T12:00:02Z";
    let placed = custodian.place(&HoldRequest::new(query, "a lawsuit")).await.unwrap();
    // It fails for the addresses of that month, behind what it takes out.
    let fails = async || {
        let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
        assert_eq!(run.await.expect("it ends").unwrap_err().kind(), StoreErrorKind::Data);
        let units = store.units().await.unwrap().into_iter().map(|facts| facts.unit);
        let logins = units.filter(|unit| unit.class == "authentication");
        logins.map(|unit| unit.month.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(fails().await, ["2026-01"], "it may be the one that is held");
    let hold = store.record(placed.hold.id).await.unwrap().unwrap();
    spoil(hold.writer_id.get(), hold.seq).await;
    assert_eq!(fails().await, ["2026-01"], "nobody knows what is held");
    pipeline.shutdown(PATIENCE).await;
}

pub(crate) async fn so_many_holds_stand_at_a_time_and_no_more<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut held: Vec<_> = (1..=1_000).map(|seq| old(9, seq, "2026-11-20", "system")).collect();
    for record in &mut held {
        record.origin = Origin::System;
        record.action.set("held");
        record.metadata = Json::from_stored("{\"query\":\"at:2020\"}".to_owned());
        record.seal(salts(record.seq));
    }
    append(&store, &held).await.unwrap();
    let (pipeline, custodian) = pipeline::<F>(&store).await;
    let request = HoldRequest::new("at:2021", "one more");
    let refused = custodian.place(&request).await.unwrap_err();
    assert!(refused.is_request() && refused.to_string().contains("1000"), "{refused}");
    custodian.lift(held[0].id, &Actor::user("dpo"), "settled", None).await.unwrap();
    custodian.place(&request).await.unwrap();
    pipeline.shutdown(PATIENCE).await;
}

/// Whoever places a hold while a run is under way is told of just what it holds, and that stays.
pub(crate) async fn of_a_hold_and_a_run_at_once_both_tell_the_truth<F: Fixture>() {
    for round in 0..4 {
        let fixture = F::new().await;
        let store = fixture.open().await;
        expired::<F>(&store).await;
        let (one, runs) = (pipeline::<F>(&store).await, pipeline::<F>(&store).await);
        let request = HoldRequest::new("category:authentication", format!("round {round}"));
        let (placed, ended) = tokio::join!(one.1.place(&request), run(&runs.0));
        let placed = placed.unwrap();
        let held = placed.records.expect("it is counted").value;
        let left = logins::<F>(&store).await;
        assert_eq!(held, left.len() as u64, "{placed:?} {ended:?}");
        assert_eq!(gone(&run(&runs.0).await), [""; 0], "what is left is held");
        assert_eq!(logins::<F>(&store).await, left);
        one.0.shutdown(PATIENCE).await;
        runs.0.shutdown(PATIENCE).await;
        sound::<F>(&store, 6 - held).await;
    }
}

pub(crate) async fn what_is_set_in_one_process_holds_in_the_others<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    expired::<F>(&store).await;
    let (one, other) = (pipeline::<F>(&store).await, pipeline::<F>(&store).await);
    let by = Actor::user("dpo");
    let policy = serde_json::json!({ "preset": "hipaa", "administration": 400 });
    let set = one.1.set_policy(&policy, None, &by).await.unwrap();
    assert!(set.is_set());
    let own = serde_json::json!({ "activity": "30d" });
    one.1.set_policy(&own, Some("acme"), &by).await.unwrap();
    let (here, source) = one.0.retention_policy();
    assert_eq!(source, PolicySource::Api);
    let there = async {
        while other.0.retention_policy() != (here.clone(), PolicySource::Api) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, there).await.expect("it is taken up");
    assert_eq!(gone(&run(&other.0).await), [""; 0], "six years");

    for tenant in ["acme", "globex"] {
        let record = Record::by(Actor::user("ana")).verb("ship").on("order", "1").tenant(tenant);
        other.0.recorder().record(record);
    }
    other.0.flush().await;
    let records = all(&store).await;
    let class = |tenant: &str| {
        let is = |record: &&Record| record.tenant_id == tenant && record.action == "ship";
        records.iter().find(is).unwrap().retention_class.as_str().to_owned()
    };
    assert_eq!(class("globex"), "activity");
    assert!(here.is_of_one_tenant(&class("acme")), "{}", class("acme"));
    assert_eq!(here.keeps(&class("acme")).unwrap().to_string(), "30d");

    // Taken back, the file's or the default holds again, and the tenant's class is still known.
    let null = serde_json::Value::Null;
    one.1.set_policy(&null, None, &by).await.unwrap();
    one.1.set_policy(&null, Some("acme"), &by).await.unwrap();
    let (back, source) = one.0.retention_policy();
    assert_eq!(
        (source, back.keeps("authentication")),
        (PolicySource::Default, RetentionPolicy::default().keeps("authentication"))
    );
    assert_eq!(back.keeps(&class("acme")), back.keeps("activity"));
    assert_eq!(gone(&run(&other.0).await), ["2026-01", "2026-02"], "at once, in every process");
    for pipeline in [one.0, other.0] {
        pipeline.shutdown(PATIENCE).await;
    }
    let told: Vec<_> =
        all(&store).await.into_iter().filter(|r| r.action == "retention_changed").collect();
    assert_eq!(told.len(), 4);
    let facts = |tenant: &str| {
        let of =
            told.iter().filter(|record| record.tenant_id == tenant && record.actor_id == "dpo");
        let of = of.map(|record| {
            serde_json::from_str::<serde_json::Value>(record.metadata.as_str()).unwrap()
        });
        of.map(|facts| (facts["old"].clone(), facts["new"].clone())).collect::<Vec<_>>()
    };
    let (general, of_acme) = (facts(""), facts("acme"));
    // One says what the other takes back.
    for changes in [&general, &of_acme] {
        let [(old, new), other] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((old.clone(), new.clone()), (other.1.clone(), other.0.clone()), "{changes:?}");
    }
    assert!(general.iter().any(|(old, _)| old["administration"] == "400d"), "{general:?}");
    sound::<F>(&store, 6).await;
}

//! What expires goes, whole months of a class at a time, told of before; all else stays, and what is left can be
//! verified. (Fault 49.)

use std::{sync::Arc, time::Duration};

use tower_activity::{
    Pipeline,
    ledger::{
        Removal, RemovalCount, root_by_inclusion,
        verify::{Report, Verdict},
    },
    pipeline::RetentionRun,
    query::{Aggregate, Filter},
    record::{Category, Field, Json, Origin, Record, RecordId},
    rules::{Keep, RetentionPolicy, TenantGroup},
    store::{
        Addresses, AnyStore, Audit, Ending, Evidence as _, Fate, Maintain as _, Read as _,
        Retain as _, RetentionPlan, StoreErrorKind, Unit, UnitFacts, make_checkpoint, prove,
        removal_of,
    },
    time::{ManualClock, Timestamp},
};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::tampering::Owned;
use crate::{
    answers::counted_as_asked,
    records::{id, ordinary, salts},
    suite::{Fixture, all, append},
};

const SEED: [u8; 32] = [9; 32];
/// Far longer than anything here takes on a busy machine: only a defect meets it.
const PATIENCE: Duration = Duration::from_secs(120);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

/// A record of a class, a second later than the one before it in the stream.
pub(crate) fn old(stream: i64, seq: i64, day: &str, class: &str) -> Box<Record> {
    let mut record = ordinary(stream, seq);
    let since = Duration::from_secs(u64::try_from(seq).unwrap());
    record.occurred_at = at(&format!("{day}T12:00:00Z")).saturating_add(since);
    record.id = id(record.occurred_at, stream, seq);
    record.category =
        class.split('.').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    record.retention_class.set(class);
    record.seal(salts(seq));
    record
}

/// The record that tells of a removal, as the pipeline writes it.
pub(crate) fn telling(stream: i64, seq: i64, removal: &Removal) -> Box<Record> {
    let mut record = old(stream, seq, "2026-11-22", "system");
    record.origin = Origin::System;
    record.action.set("retention_run");
    record.metadata = Json::from_stored(removal.to_json().to_string());
    record.seal(salts(seq));
    record
}

async fn run<F: Fixture>(store: &F::Store, policy: &RetentionPolicy) -> RetentionRun {
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    let pipeline = builder.retention_policy(policy.clone()).start().await.unwrap();
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    let run = run.await.expect("it ends").unwrap();
    pipeline.shutdown(PATIENCE).await;
    run
}

async fn verify<F: Fixture>(store: &F::Store) -> Report {
    Audit::new(store).run(|_progress| {}).await.unwrap()
}

async fn of_class<F: Fixture>(store: &F::Store, class: &str) -> usize {
    all(store).await.iter().filter(|record| record.retention_class == class).count()
}

fn gone(run: &RetentionRun) -> Vec<(String, &str, i64)> {
    let gone = run.ended.iter().map(|ended| &ended.removal);
    gone.map(|removal| (removal.month.to_string(), &*removal.class, removal.records)).collect()
}

/// Two entries of an authentication month that is over, with one of activity between, and what is kept.
async fn half_expired<F: Fixture>(store: &F::Store) {
    let mut seq = 0;
    for (day, class, count) in [
        ("2026-01-10", "authentication", 3),
        ("2026-01-10", "activity", 2),
        ("2026-01-20", "authentication", 4),
        ("2026-01-31", "somebody's own", 1),
        ("2025-10-31", "activity.health", 1),
        ("2026-11-20", "authentication", 2),
        ("2020-05-05", "consent", 1),
    ] {
        let records: Vec<_> = (seq + 1..=seq + count).map(|seq| old(7, seq, day, class)).collect();
        append(store, &records).await.unwrap();
        seq += count;
    }
}

fn policy() -> RetentionPolicy {
    let health = TenantGroup::new("health", ["clinic"]).keep(Category::Activity, Keep::Forever);
    RetentionPolicy::default().group(health).unwrap()
}

pub(crate) async fn a_run_whose_pipeline_has_ended_says_so_and_takes_nothing_out<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    let pipeline = builder.retention_policy(policy()).start().await.unwrap();
    pipeline.shutdown(PATIENCE).await;
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {})).await;
    let error = run.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Transient, "{error}");
    assert_eq!(of_class::<F>(&store, "authentication").await, 9);
}

pub(crate) async fn what_has_expired_goes_is_told_of_and_verifies<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    let plan = tower_activity::store::retention_plan(&store, &policy(), now()).await.unwrap();
    let fates: Vec<_> = plan
        .units
        .iter()
        .map(|unit| (unit.unit().to_string(), unit.facts.records, unit.facts.entries, unit.fate))
        .collect();
    let months = |month: &str, class: &str| format!("{month} {class}");
    let until = |text| Fate::Until(at(text));
    assert_eq!(
        fates,
        [
            (months("2020-05", "consent"), 1, 1, Fate::Forever),
            (months("2025-10", "activity.health"), 1, 1, Fate::Forever),
            (months("2026-01", "activity"), 2, 1, until("2027-02-01T00:00:00Z")),
            (months("2026-01", "authentication"), 7, 2, Fate::Expired(at("2026-05-02T00:00:00Z"))),
            (months("2026-01", "somebody\\'s own"), 1, 1, Fate::Unknown),
            (months("2026-11", "authentication"), 2, 1, until("2027-03-01T00:00:00Z")),
        ]
    );
    let ended = run::<F>(&store, &policy()).await;
    assert_eq!(gone(&ended), [("2026-01".to_owned(), "authentication", 7)]);
    assert!(ended.busy.is_empty());
    assert_eq!(of_class::<F>(&store, "authentication").await, 2, "those of November");
    assert_eq!(of_class::<F>(&store, "activity").await, 2);
    let told = store.record(ended.ended[0].told_by).await.unwrap().unwrap();
    assert_eq!(Removal::told(&told).as_ref(), Some(&ended.ended[0].removal));
    assert_eq!((&*told.retention_class, told.category), ("system", Category::System));
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 7), "{report:#?}");
    let units = store.units().await.unwrap();
    assert!(units.iter().all(|facts| facts.unit.class != "authentication" || facts.first > 3));
    assert_eq!(gone(&run::<F>(&store, &policy()).await), [], "there is nothing more");
    assert_eq!(verify::<F>(&store).await.expired, 7);
}

pub(crate) async fn other_months_of_the_class_stay_wherever_they_stand<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    for (seq, day) in (1..).zip(["2026-01-10", "2026-11-20", "2026-01-11", "2026-11-21"]) {
        append(&store, &[old(7, seq, day, "authentication")]).await.unwrap();
    }
    let ended = run::<F>(&store, &policy()).await;
    assert_eq!(gone(&ended), [("2026-01".to_owned(), "authentication", 2)]);
    assert_eq!(of_class::<F>(&store, "authentication").await, 2);
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 2), "{report:#?}");
}

pub(crate) async fn what_comes_late_to_a_month_that_ended_is_a_unit_again<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    run::<F>(&store, &policy()).await;
    append(&store, &[old(8, 1, "2026-01-15", "authentication")]).await.unwrap();
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 7));
    let again = run::<F>(&store, &policy()).await;
    assert_eq!(gone(&again), [("2026-01".to_owned(), "authentication", 1)]);
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 8), "{report:#?}");
}

pub(crate) async fn a_run_that_was_stopped_is_gone_on_with<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    // More than goes in one step.
    for first in [1, 401, 801] {
        let records: Vec<_> =
            (first..first + 400).map(|seq| old(7, seq, "2026-01-10", "authentication")).collect();
        append(&store, &records).await.unwrap();
    }
    let facts = store.units().await.unwrap().remove(0);
    let removal = removal_of(&store, &facts).await.unwrap().unwrap();
    let told = telling(9, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    // Told of, and nothing is gone.
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired, report.records), (Verdict::Unaltered, 0, 1_201));
    let fold = async { while store.fold(100).await.unwrap().behind() > 0 {} };
    tokio::time::timeout(PATIENCE, fold).await.unwrap();
    // One step, whatever it comes to: what is gone is gone whole entry by whole entry.
    let step = store.end_unit(&removal, told.id, 0).await.unwrap();
    assert!(matches!(step, Ending::Done | Ending::Partly), "{step:?}");
    let report = verify::<F>(&store).await;
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    assert!(report.expired > 0 && report.expired % 400 == 0, "{}", report.expired);
    let rest = run::<F>(&store, &policy()).await;
    if step == Ending::Partly {
        assert_eq!(rest.ended.len(), 1);
        assert_eq!(rest.ended[0].told_by, told.id, "it was told of once");
    }
    assert_eq!(of_class::<F>(&store, "authentication").await, 0);
    assert_eq!(verify::<F>(&store).await.expired, 1_200);
    assert_eq!(store.end_unit(&removal, told.id, 0).await.unwrap(), Ending::Done, "safe to repeat");
}

pub(crate) async fn nothing_goes_that_no_record_tells_of<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    let units = store.units().await.unwrap();
    let facts = units.iter().find(|facts| facts.unit.class == "activity").unwrap();
    let removal = removal_of(&store, facts).await.unwrap().unwrap();
    // Nobody, a record that says something else, and one that only looks like it.
    let mut other = telling(9, 1, &Removal { last: removal.last + 1, ..removal.clone() });
    let mut by_hand = telling(9, 2, &removal);
    by_hand.origin = Origin::Manual;
    by_hand.seal(salts(2));
    other.seal(salts(1));
    let mut deed = telling(9, 3, &removal);
    deed.category = Category::Activity;
    deed.seal(salts(3));
    append(&store, &[other.clone(), by_hand.clone(), deed.clone()]).await.unwrap();
    let nobody = RecordId::new(now(), [3; 10]);
    for told_by in [nobody, other.id, by_hand.id, deed.id, all(&store).await[0].id] {
        let refused = store.end_unit(&removal, told_by, 0).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Data);
    }
    assert_eq!(of_class::<F>(&store, "activity").await, 2);
}

pub(crate) async fn a_unit_that_grew_after_it_was_told_of_keeps_what_came_later<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &[old(7, 1, "2026-01-10", "activity")]).await.unwrap();
    let facts = store.units().await.unwrap().remove(0);
    let removal = removal_of(&store, &facts).await.unwrap().unwrap();
    let told = telling(9, 1, &removal);
    append(&store, std::slice::from_ref(&told)).await.unwrap();
    append(&store, &[old(7, 2, "2026-01-10", "activity")]).await.unwrap();
    append(&store, &[old(8, 1, "2026-01-11", "activity")]).await.unwrap();
    while store.fold(100).await.unwrap().behind() > 0 {}
    let ending = store.end_unit(&removal, told.id, 0).await.unwrap();
    let left = of_class::<F>(&store, "activity").await;
    assert!(matches!((ending, left), (Ending::Done, 2) | (Ending::Grown, 3)), "{ending:?} {left}");
    assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Unaltered);
    let policy = RetentionPolicy::default().keep(Category::Activity, Keep::Days(30)).unwrap();
    run::<F>(&store, &policy).await;
    assert_eq!(of_class::<F>(&store, "activity").await, 0);
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 3), "{report:#?}");
}

pub(crate) async fn two_that_run_at_once_do_what_one_does<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    let policy = policy();
    let (one, other) = tokio::join!(run::<F>(&store, &policy), run::<F>(&store, &policy));
    assert!(!one.ended.is_empty() || !other.ended.is_empty());
    assert_eq!(of_class::<F>(&store, "authentication").await, 2);
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 7), "{report:#?}");
}

pub(crate) async fn counts_follow_what_was_taken_out<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    // A class that holds several categories, and a category that lies in several classes.
    let mut mixed: Vec<_> =
        (1..=90).map(|seq| old(8, seq, "2026-02-10", "authentication")).collect();
    for record in &mut mixed[..20] {
        record.category = Category::Activity;
        record.seal(salts(record.seq));
    }
    for record in mixed.iter_mut().filter(|record| record.seq % 3 == 0) {
        record.tenant_id.set("acme");
        record.actor_id.set(&format!("one of many {}", record.seq));
        record.seal(salts(record.seq));
    }
    let fold = async || {
        while tokio::time::timeout(PATIENCE, store.fold(100)).await.unwrap().unwrap().behind() > 0 {
        }
    };
    append(&store, &mixed[..60]).await.unwrap();
    fold().await;
    // These may not be counted yet when they go.
    append(&store, &mixed[60..]).await.unwrap();
    append(&store, &[old(8, 91, "2026-02-11", "activity")]).await.unwrap();
    assert_eq!(run::<F>(&store, &policy()).await.ended.len(), 2);
    append(&store, &[old(8, 92, "2026-02-12", "activity")]).await.unwrap();
    fold().await;
    let left: Vec<_> = all(&store).await.into_iter().map(Box::new).collect();
    let (from, to) = (at("2020-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    for name in ["category", "actor_id", "action"] {
        let dimensions = vec![Field::named(name).unwrap()];
        let ask = Aggregate { dimensions, top: 100, edges: vec![from, to], patience: PATIENCE };
        counted_as_asked(&store, &left, &Filter::new().from(from).to(to), &ask).await;
    }
}

pub(crate) async fn a_proof_of_what_was_taken_out_still_holds<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    make_checkpoint(&store, &[SEED], now()).await.unwrap().unwrap();
    let record = all(&store).await.into_iter().find(|record| record.seq == 7).unwrap();
    let before = prove(&store, &record).await.unwrap().unwrap();
    assert_eq!(run::<F>(&store, &policy()).await.ended.len(), 1);
    assert!(store.record(record.id).await.unwrap().is_none());
    make_checkpoint(&store, &[SEED], Timestamp::from_micros(now().as_micros() + 1)).await.unwrap();
    // The entry is where it was, and so are all before it: the old head is one of the ledger as it is.
    let entry = store.entry_of(record.writer_id, record.seq).await.unwrap().unwrap();
    let root = root_by_inclusion(
        &before.record_leaf,
        before.record_index,
        u64::try_from(entry.new.count()).unwrap(),
        &before.record_path,
    );
    assert_eq!(root, Some(entry.new.batch_root));
    let trust = tower_activity::ledger::NoteSigner::new(
        &tower_activity::ledger::origin_of(&store.entries(0, 1).await.unwrap()[0]),
        &SEED,
    );
    let trust = tower_activity::ledger::Trust::in_key(trust.unwrap().key().clone());
    let report = Audit::new(&store).trust(trust).run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.heads), (Verdict::Unaltered, 2), "{report:#?}");
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn a_removal_counts_only_by_its_own_record<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    // Deleted by hand, and nothing tells of it.
    let records = F::RECORDS;
    fixture.force(&format!("DELETE FROM {records} WHERE seq = 13")).await;
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Altered, 0));
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    let ended = run::<F>(&store, &policy()).await;
    assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Unaltered);
    // The record that tells of it says something else, or is gone.
    let told = store.record(ended.ended[0].told_by).await.unwrap().unwrap();
    let place = format!("writer_id = {} AND seq = {}", told.writer_id, told.seq);
    let wider = told.metadata.as_str().replace("\"first\":1,", "\"first\":2,");
    assert_ne!(wider, told.metadata.as_str());
    for sql in [
        format!("UPDATE {records} SET metadata = '{wider}' WHERE {place}"),
        format!("DELETE FROM {records} WHERE {place}"),
    ] {
        fixture.force(&sql).await;
        let report = verify::<F>(&store).await;
        assert_eq!(report.verdict(), Verdict::Altered, "{sql}");
    }
}

/// Behind an earlier verification, the row that tells must still be one that the ledger accounts for, and the ledger
/// must have just what it tells.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn a_removal_that_the_ledger_does_not_bear_out_is_none<F: Owned>() {
    let (records, ledger) = (F::RECORDS, F::LEDGER);
    for is_accounted_for in [true, false] {
        let fixture = F::new().await;
        let store = fixture.open().await;
        append(&store, &[old(7, 1, "2026-01-09", "activity")]).await.unwrap();
        let (_, state) = Audit::new(&store).run_on(now(), |_progress| {}).await.unwrap();
        let since = async || {
            let audit = Audit::new(&store).since(state.clone().unwrap());
            audit.run(|_progress| {}).await.unwrap().verdict()
        };
        append(&store, &[old(7, 2, "2026-01-10", "authentication")]).await.unwrap();
        let units = store.units().await.unwrap();
        let facts = units.iter().find(|facts| facts.unit.class == "authentication").unwrap();
        let mut removal = removal_of(&store, facts).await.unwrap().unwrap();
        if is_accounted_for {
            removal.root = [7; 32];
        }
        append(&store, &[telling(9, 1, &removal)]).await.unwrap();
        assert_eq!(since().await, Verdict::Unaltered);
        if !is_accounted_for {
            fixture.force(&format!("DELETE FROM {ledger} WHERE position = 3")).await;
        }
        fixture.force(&format!("DELETE FROM {records} WHERE writer_id = 7 AND seq = 2")).await;
        assert_eq!(since().await, Verdict::Altered, "{is_accounted_for}");
        assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Altered);
    }
}

pub(crate) async fn a_schedule_runs_once_for_all_processes<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    half_expired::<F>(&store).await;
    let clock = Arc::new(ManualClock::at(now()));
    let mut pipelines = Vec::new();
    for _ in 0..2 {
        let builder = Pipeline::builder(store.clone()).clock(Arc::clone(&clock));
        let builder = builder.retention_schedule("daily@12:30".parse().unwrap());
        let builder = builder.retention_policy(policy());
        pipelines.push(builder.start().await.unwrap());
    }
    assert_eq!(of_class::<F>(&store, "authentication").await, 9, "it is not yet time");
    clock.advance(Duration::from_secs(31 * 60));
    let goes = async {
        while of_class::<F>(&store, "authentication").await > 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, goes).await.expect("it runs");
    for pipeline in pipelines {
        pipeline.shutdown(PATIENCE).await;
    }
    let told = all(&store).await;
    let told = told.iter().filter(|record| record.action == "retention_run").count();
    assert_eq!(told, 1);
    assert_eq!(verify::<F>(&store).await.expired, 7);
}

/// To the microsecond, for records and for addresses.
#[test]
fn a_month_ends_when_its_time_is_over_and_not_before() {
    let unit = Unit { month: at("2026-01-10T00:00:00Z").month(), class: "activity".to_owned() };
    let facts = UnitFacts {
        unit,
        records: 1,
        entries: 1,
        first: 1,
        last: 1,
        first_at: at("2026-01-10T00:00:00Z"),
        last_at: at("2026-01-10T00:00:00Z"),
        bytes: None,
    };
    let fates = |text: &str, before: u64| {
        let now = at(text).saturating_sub(Duration::from_micros(before));
        let plan = RetentionPlan::new([facts.clone()], &RetentionPolicy::default(), now);
        (plan.expired().count(), matches!(plan.units[0].addresses, Addresses::Expired(_)))
    };
    assert_eq!(fates("2026-03-03T00:00:00Z", 1), (0, false));
    assert_eq!(fates("2026-03-03T00:00:00Z", 0), (0, true), "30 days after the last of January");
    assert_eq!(fates("2027-02-01T00:00:00Z", 1), (0, true));
    assert_eq!(fates("2027-02-01T00:00:00Z", 0), (1, true), "365 days");
}

/// Units are counted from the ledger, whatever lies there.
pub(crate) async fn a_store_without_its_type_retains_as_well<F: Fixture>() {
    let fixture = F::new().await;
    let store = AnyStore::new(fixture.open().await);
    assert!(store.units().await.unwrap().is_empty());
    let unit = Unit { month: now().month(), class: "activity".to_owned() };
    assert!(store.unit_entries(&unit, 0, 10).await.unwrap().is_empty());
    assert_eq!(RemovalCount::default().of(unit.month, &unit.class), None);
}

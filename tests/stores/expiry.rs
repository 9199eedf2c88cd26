//! Addresses end before their records, and a log that is too large gets smaller: both told of before, and never what is
//! held.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tower_activity::{
    Pipeline,
    ledger::{
        AddressExpiry,
        verify::{Report, Verdict},
    },
    pipeline::{HoldRequest, RetentionRun},
    query::{Filter, ParseContext},
    record::{Actor, Canonical, Category, Group, Groups, Json, Origin, Record, Seal},
    rules::{RetentionPolicy, SizeLimit},
    store::{
        Addresses, Audit, Erase as _, ErasedGroups, Maintain as _, Read as _, Retain as _, holds,
        retention_plan,
    },
    time::{ManualClock, Timestamp},
};

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use tower_activity::store::StoreErrorKind;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::{counts::hex, tampering::Owned};
use crate::{
    records::salts,
    retention::old,
    suite::{Fixture, PATIENCE, all, append},
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2024-11-22T12:00:00Z")
}

/// A record that says whence.
pub(crate) fn from_somewhere(stream: i64, seq: i64, day: &str, class: &str) -> Box<Record> {
    let mut record = old(stream, seq, day, class);
    record.ip = Some(format!("192.0.2.{seq}").parse().unwrap());
    record.path.set(&format!("/orders/{seq}"));
    record.user_agent.set("curl/8");
    record.seal(salts(seq));
    record
}

async fn pipeline<F: Fixture>(store: &F::Store, policy: &RetentionPolicy) -> Pipeline {
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    builder.retention_policy(policy.clone()).start().await.unwrap()
}

async fn run_of(pipeline: &Pipeline) -> RetentionRun {
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    run.await.expect("it ends").unwrap()
}

async fn run<F: Fixture>(store: &F::Store, policy: &RetentionPolicy) -> RetentionRun {
    let pipeline = pipeline::<F>(store, policy).await;
    let run = run_of(&pipeline).await;
    pipeline.shutdown(PATIENCE).await;
    run
}

async fn verify<F: Fixture>(store: &F::Store) -> Report {
    Audit::new(store).run(|_progress| {}).await.unwrap()
}

/// The numbers of those in stream 7 that still have an address.
async fn with_address<F: Fixture>(store: &F::Store) -> Vec<i64> {
    let all = all(store).await.into_iter();
    let mut numbers: Vec<_> = all
        .filter(|record| record.writer_id.get() == 7 && record.ip.is_some())
        .map(|record| record.seq)
        .collect();
    numbers.sort_unstable();
    numbers
}

async fn told<F: Fixture>(store: &F::Store, action: &str) -> Vec<Record> {
    all(store).await.into_iter().filter(|record| record.action == action).collect()
}

/// Two entries of a month whose addresses are over, one of a month in which they are not, and one of the log itself.
async fn with_addresses<F: Fixture>(store: &F::Store) {
    let some = |from: i64, to: i64, day: &'static str, class: &'static str| {
        (from..=to).map(|seq| from_somewhere(7, seq, day, class)).collect::<Vec<_>>()
    };
    append(store, &some(1, 3, "2024-09-10", "activity")).await.unwrap();
    append(store, &some(4, 4, "2024-09-30", "activity")).await.unwrap();
    append(store, &some(5, 6, "2024-10-31", "activity")).await.unwrap();
    append(store, &some(7, 7, "2024-09-10", "system")).await.unwrap();
    append(store, &some(8, 8, "2024-09-10", "somebody's own")).await.unwrap();
}

pub(crate) async fn addresses_end_before_their_records<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    with_addresses::<F>(&store).await;
    while store.fold(100).await.unwrap().behind() > 0 {}
    let policy = RetentionPolicy::default();
    let fates = async || {
        let plan = retention_plan(&store, &policy, now()).await.unwrap();
        let units = plan.units.iter().filter(|unit| unit.unit().month < now().month());
        units.map(|unit| (unit.unit().to_string(), unit.addresses)).collect::<Vec<_>>()
    };
    let over = Addresses::Expired(at("2024-10-31T00:00:00Z"));
    let names = ["2024-09 activity", "2024-09 somebody\\'s own", "2024-09 system"];
    let of = |fate| (names[0].to_owned(), fate);
    let later = ("2024-10 activity".to_owned(), Addresses::Until(at("2024-12-01T00:00:00Z")));
    assert_eq!(
        fates().await,
        [
            of(over),
            (names[1].to_owned(), Addresses::WithRecords),
            (names[2].to_owned(), over),
            later.clone(),
        ]
    );
    let before: Vec<_> = all(&store).await;
    let ended = run::<F>(&store, &policy).await;
    assert!(ended.ended.is_empty(), "no record goes: {ended:?}");
    let emptied: Vec<_> =
        ended.addresses.iter().map(|ended| (&*ended.unit.class, ended.records)).collect();
    assert_eq!(emptied, [("activity", 4), ("system", 1)]);
    assert_eq!(with_address::<F>(&store).await, [5, 6, 8]);
    for record in before.iter().filter(|record| [1, 2, 3, 4, 7].contains(&record.seq)) {
        let left = store.record(record.id).await.unwrap().unwrap();
        let kept = Canonical::new().commitment(record, Group::Network).unwrap();
        for group in Group::ERASABLE {
            match group {
                Group::Network => assert_eq!(left.seals.of(group), Seal::Erased(kept)),
                _ => assert_eq!(left.seals.of(group), record.seals.of(group)),
            }
        }
        for field in Record::FIELDS {
            match field.group() {
                Group::Network => assert!(field.value(&left).is_null(), "{field:?}"),
                _ => assert_eq!(field.value(&left), field.value(record), "{field:?}"),
            }
        }
    }
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.erased), (Verdict::Unaltered, 5), "{report:#?}");
    for (query, count) in [("ip:192.0.2.2", 0), ("path:/orders/5", 1), ("ip:192.0.2.0/24", 3)] {
        let filter = Filter::parse(query, &ParseContext::new(now())).unwrap();
        let found = store.records(&filter, &crate::suite::newest(50)).await.unwrap().records;
        assert_eq!(found.len(), count, "{query}");
    }
    let announced = told::<F>(&store, "addresses_expired").await;
    assert_eq!(announced.len(), 2);
    assert!(announced.iter().all(|record| AddressExpiry::told(record).is_some()));
    let gone = Addresses::Ended;
    assert_eq!(
        fates().await,
        [
            of(gone),
            (names[1].to_owned(), Addresses::WithRecords),
            (names[2].to_owned(), gone),
            later
        ]
    );

    // What was looked at is not looked at again; what came since is.
    assert!(run::<F>(&store, &policy).await.addresses.is_empty());
    assert_eq!(told::<F>(&store, "addresses_ended").await.len(), 2);
    append(&store, &[from_somewhere(8, 1, "2024-09-12", "activity")]).await.unwrap();
    assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Unaltered);
    let late = run::<F>(&store, &policy).await;
    assert_eq!((late.addresses.len(), late.addresses[0].records), (1, 1));
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.erased), (Verdict::Unaltered, 6), "{report:#?}");
}

pub(crate) async fn a_record_under_a_hold_keeps_its_address<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    with_addresses::<F>(&store).await;
    let policy = RetentionPolicy::default();
    let pipeline = pipeline::<F>(&store, &policy).await;
    let custodian = pipeline.custodian().unwrap();
    let request = HoldRequest::new("path:/orders/2", "a lawsuit");
    let placed = custodian.place(&request).await.unwrap();
    let ended = run_of(&pipeline).await;
    assert_eq!((ended.addresses[0].records, ended.addresses[0].held), (3, 1));
    assert_eq!(with_address::<F>(&store).await, [2, 5, 6, 8]);
    assert!(run_of(&pipeline).await.addresses.is_empty(), "nothing has changed");
    // A run that goes through what came since alone forgets nothing of what was held before.
    append(&store, &[from_somewhere(8, 1, "2024-09-12", "activity")]).await.unwrap();
    let late = run_of(&pipeline).await.addresses;
    assert_eq!((late.len(), late[0].records, late[0].held), (1, 1, 1));
    custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    let ended = run_of(&pipeline).await;
    assert_eq!(ended.addresses.iter().map(|ended| ended.records).sum::<u64>(), 1);
    assert_eq!(with_address::<F>(&store).await, [5, 6, 8]);
    pipeline.shutdown(PATIENCE).await;
    assert_eq!(told::<F>(&store, "addresses_expired").await.len(), 3, "each was told of once");
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.erased), (Verdict::Unaltered, 6), "{report:#?}");
}

pub(crate) async fn a_run_that_broke_off_amid_addresses_is_gone_on_with<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    with_addresses::<F>(&store).await;
    let units = store.units().await.unwrap();
    let facts = units.iter().find(|facts| facts.unit.to_string() == "2024-09 activity").unwrap();
    let expiry = AddressExpiry {
        month: facts.unit.month,
        class: facts.unit.class.clone(),
        first: facts.first,
        last: facts.last,
        days: 30,
    };
    append(&store, &[telling(9, 1, &expiry)]).await.unwrap();
    assert_eq!(empty::<F>(&store, 1, 0).await, Some(1));
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.erased), (Verdict::Unaltered, 1), "{report:#?}");
    let ended = run::<F>(&store, &RetentionPolicy::default()).await;
    assert_eq!(ended.addresses[0].records, 3, "those that were left");
    assert_eq!(with_address::<F>(&store).await, [5, 6, 8]);
    let of_activity = told::<F>(&store, "addresses_expired").await.into_iter();
    let of_activity = of_activity.filter_map(|record| AddressExpiry::told(&record));
    assert_eq!(of_activity.filter(|expiry| expiry.class == "activity").count(), 1);
    assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Unaltered);
}

/// The record that tells of addresses, as the pipeline writes it.
fn telling(stream: i64, seq: i64, expiry: &AddressExpiry) -> Box<Record> {
    let mut record = old(stream, seq, "2024-11-22", "system");
    record.origin = Origin::System;
    record.action.set("addresses_expired");
    record.metadata = Json::from_stored(expiry.to_json().to_string());
    record.seal(salts(seq));
    record
}

/// Empties the address of one record in stream 7, under so many records of holds.
async fn empty<F: Fixture>(store: &F::Store, seq: i64, told: u64) -> Option<u64> {
    let records = all(store).await;
    let is = |record: &&Record| record.writer_id.get() == 7 && record.seq == seq;
    let record = records.iter().find(is).unwrap();
    let network = Groups::of(Group::Network);
    let groups = ErasedGroups::of(record, network, &mut Canonical::new()).unwrap();
    store.erase(&[groups], told).await.unwrap()
}

pub(crate) async fn nothing_is_emptied_under_other_holds_than_were_looked_at<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    with_addresses::<F>(&store).await;
    let seen = holds(&store).await.unwrap().told();
    let pipeline = pipeline::<F>(&store, &RetentionPolicy::default()).await;
    let custodian = pipeline.custodian().unwrap();
    let placed = custodian.place(&HoldRequest::new("path:/orders/2", "a lawsuit")).await.unwrap();
    assert_eq!(empty::<F>(&store, 2, seen).await, None);
    assert_eq!(empty::<F>(&store, 1, seen).await, None, "whoever looked knows nothing of any");
    assert_eq!(with_address::<F>(&store).await, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(empty::<F>(&store, 1, seen + 1).await, Some(1));
    custodian.lift(placed.hold.id, &Actor::user("dpo"), "", None).await.unwrap();
    assert_eq!(empty::<F>(&store, 2, seen + 1).await, None, "lifting counts too");
    assert_eq!(empty::<F>(&store, 2, seen + 2).await, Some(1));
    assert_eq!(with_address::<F>(&store).await, [3, 4, 5, 6, 7, 8]);
    pipeline.shutdown(PATIENCE).await;
}

/// A unit in which something cannot be read keeps no other from losing its addresses.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn what_cannot_be_read_keeps_no_other_address<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    with_addresses::<F>(&store).await;
    let nonsense = "UPDATE TABLE SET outcome = 'odd' WHERE writer_id = 7 AND seq = 1";
    fixture.force(&nonsense.replace("TABLE", F::RECORDS)).await;
    fixture.mend().await;
    let pipeline = pipeline::<F>(&store, &RetentionPolicy::default()).await;
    let failed = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    let failed = failed.await.expect("it ends").unwrap_err();
    // Not that the run could not be told of: that no row can be made of it.
    assert_eq!(failed.kind(), StoreErrorKind::Data, "{failed}");
    pipeline.shutdown(PATIENCE).await;
    let of_system = fixture.open().await;
    assert_eq!(told::<F>(&of_system, "addresses_ended").await.len(), 1);
}

/// Addresses that are emptied without a word, too early, of other records than were told of, or told of by somebody
/// else, are found.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) async fn an_address_that_no_run_names_is_missed<F: Owned>() {
    let of = |month: &str, class: &str, first, last, days| AddressExpiry {
        month: month.parse().unwrap(),
        class: class.to_owned(),
        first,
        last,
        days,
    };
    let right = of("2024-09", "activity", 1, 1, 30);
    let early = Verdict::Altered;
    for (expiry, origin, expected) in [
        (Some(right.clone()), Origin::System, Verdict::Unaltered),
        (None, Origin::System, Verdict::Altered),
        (Some(right.clone()), Origin::Manual, Verdict::Altered),
        (Some(of("2024-09", "activity", 2, 9, 30)), Origin::System, Verdict::Altered),
        (Some(of("2024-08", "activity", 1, 9, 30)), Origin::System, Verdict::Altered),
        (Some(of("2024-09", "system", 1, 9, 30)), Origin::System, Verdict::Altered),
        (Some(of("2024-09", "activity", 1, 1, 90)), Origin::System, early),
        (Some(of("2024-11", "activity", 1, 9, 1)), Origin::System, early),
        // What nobody can have seen when it was written.
        (Some(of("2024-09", "activity", 1, i64::MAX, 30)), Origin::System, Verdict::Altered),
        // In 2124 it will be over.
        (Some(of("2024-09", "activity", 1, 1, 36_500)), Origin::System, early),
    ] {
        let fixture = F::new().await;
        let store = fixture.open().await;
        with_addresses::<F>(&store).await;
        if let Some(expiry) = &expiry {
            let mut told = telling(9, 1, expiry);
            told.origin = origin;
            if expiry.days > 1_000 {
                told.occurred_at = expiry.due();
                told.id = tower_activity::record::RecordId::new(told.occurred_at, [9; 10]);
            }
            told.seal(salts(1));
            append(&store, &[told]).await.unwrap();
        }
        let all = all(&store).await;
        let record = all.iter().find(|record| record.seq == 1 && record.writer_id.get() == 7);
        let commitment = Canonical::new().commitment(record.unwrap(), Group::Network).unwrap();
        let nulled = format!(
            "UPDATE {} SET ip = NULL, path = NULL, user_agent = NULL, network_salt = NULL, \
             network_commitment = {} WHERE writer_id = 7 AND seq = 1",
            F::RECORDS,
            F::bytes(&hex(&commitment))
        );
        fixture.force(&nulled).await;
        let report = verify::<F>(&store).await;
        assert_eq!(report.verdict(), expected, "{expiry:?} {origin:?}: {report:#?}");
    }
    // What tells of addresses tells of nothing else.
    let fixture = F::new().await;
    let store = fixture.open().await;
    with_addresses::<F>(&store).await;
    append(&store, &[telling(9, 1, &right)]).await.unwrap();
    let record = all(&store).await.into_iter().find(|record| record.seq == 1).unwrap();
    let commitment = Canonical::new().commitment(&record, Group::Identity).unwrap();
    let nulled = format!(
        "UPDATE {} SET actor_id = NULL, identity_salt = NULL, identity_commitment = {} \
         WHERE writer_id = 7 AND seq = 1",
        F::RECORDS,
        F::bytes(&hex(&commitment))
    );
    fixture.force(&nulled).await;
    assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Altered);
}

/// Text of which nothing can be saved by compressing it.
pub(crate) fn noise(seed: i64) -> String {
    let mut state = seed.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < 12_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write!(text, "{state:x}").unwrap();
    }
    text
}

/// Months of about a megabyte each, none of which has expired.
async fn large<F: Fixture>(store: &F::Store) {
    let mut seq = 0;
    for (day, class) in [
        ("2024-09-10", "activity"),
        ("2024-09-10", "authentication"),
        ("2024-10-10", "authentication"),
        ("2024-09-10", "consent"),
        ("2024-09-10", "somebody's own"),
        ("2024-11-10", "authentication"),
    ] {
        let mut records: Vec<_> = (seq + 1..=seq + 80).map(|seq| old(7, seq, day, class)).collect();
        for record in &mut records {
            record.metadata = Json::of(&serde_json::json!({ "x": noise(record.seq) })).unwrap();
            record.seal(salts(record.seq));
        }
        append(store, &records).await.unwrap();
        seq += 80;
    }
    while store.fold(100).await.unwrap().behind() > 0 {}
}

fn limited(bytes: i64, force: bool) -> RetentionPolicy {
    let limit = SizeLimit::new(bytes.unsigned_abs()).unwrap();
    RetentionPolicy::default().max_size(Some(limit.force(force)))
}

fn gone(run: &RetentionRun) -> Vec<String> {
    let gone = run.ended.iter().map(|ended| &ended.removal);
    gone.map(|removal| format!("{} {}", removal.month, removal.class)).collect()
}

pub(crate) async fn a_log_that_is_too_large_loses_its_oldest_months_if_that_is_said<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    large::<F>(&store).await;
    let used = store.storage().await.unwrap().used;
    // Half a megabyte too much, and nothing that has expired.
    let limit = used - 500_000;
    let kept = run::<F>(&store, &limited(limit, false)).await;
    assert_eq!(gone(&kept), [""; 0], "nobody said that it may");
    assert!(kept.size.is_some_and(|full| full.is_over()));
    let roomy = run::<F>(&store, &limited(used * 2, true)).await;
    assert_eq!(gone(&roomy), [""; 0], "it is not too large");
    assert!(roomy.size.is_some_and(|full| !full.is_over()));

    let pipeline = pipeline::<F>(&store, &limited(limit, true)).await;
    let custodian = pipeline.custodian().unwrap();
    let request = HoldRequest::new("category:authentication at:2024-09", "a lawsuit");
    let placed = custodian.place(&request).await.unwrap();
    let run_now = run_of(&pipeline).await;
    // September is older, and held.
    assert_eq!(gone(&run_now), ["2024-10 authentication"]);
    assert_eq!(run_now.held[0].unit.to_string(), "2024-09 authentication");
    assert!(run_now.size.is_some_and(|full| !full.is_over()), "{run_now:?}");
    assert!(run_now.ended[0].forced);
    let told = store.record(run_now.ended[0].told_by).await.unwrap().unwrap();
    let facts: serde_json::Value = serde_json::from_str(told.metadata.as_str()).unwrap();
    assert_eq!((&facts["why"], &facts["policy"]), (&"max_size".into(), &"90d".into()));
    assert!(facts["bytes"].as_i64() >= Some(limit), "{facts}");
    assert!(run_of(&pipeline).await.ended.is_empty(), "it is small enough");

    custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    pipeline.shutdown(PATIENCE).await;
    // Whatever is taken out, it is too large.
    let pipeline = crate::expiry::pipeline::<F>(&store, &limited(1_000_000, false)).await;
    let forced = tokio::time::timeout(PATIENCE, pipeline.force_retention(|_| {}));
    let forced = forced.await.expect("it ends").unwrap();
    pipeline.shutdown(PATIENCE).await;
    assert_eq!(gone(&forced), ["2024-09 authentication", "2024-09 activity"]);
    assert!(forced.size.is_some_and(|full| full.is_over()));
    let left = all(&store).await.into_iter();
    let mut left: Vec<_> = left.map(|record| record.retention_class.as_str().to_owned()).collect();
    left.sort_unstable();
    left.dedup();
    assert_eq!(left, ["authentication", "consent", "somebody's own", "system"]);
    let report = verify::<F>(&store).await;
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 240), "{report:#?}");
}

pub(crate) async fn a_log_at_its_limit_does_not_wait_for_its_time<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    large::<F>(&store).await;
    let clock = Arc::new(ManualClock::at(now()));
    let limit = store.storage().await.unwrap().used - 500_000;
    let mut pipelines = Vec::new();
    for _ in 0..2 {
        let builder = Pipeline::builder(store.clone()).clock(Arc::clone(&clock));
        let builder = builder.retention_schedule("daily@03:00".parse().unwrap());
        pipelines.push(builder.retention_policy(limited(limit, true)).start().await.unwrap());
    }
    let goes = async {
        while told::<F>(&store, "retention_run").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while store.storage().await.unwrap().used >= limit {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, goes).await.expect("it runs");
    for pipeline in pipelines {
        pipeline.shutdown(PATIENCE).await;
    }
    let told = told::<F>(&store, "retention_run").await;
    assert_eq!(told.len(), 1, "one of them ran");
    let left = all(&store).await.into_iter();
    let logins = left.filter(|record| record.category == Category::Authentication);
    assert!(logins.into_iter().all(|record| record.occurred_at >= at("2024-10-01T00:00:00Z")));
    assert_eq!(verify::<F>(&store).await.verdict(), Verdict::Unaltered);
}

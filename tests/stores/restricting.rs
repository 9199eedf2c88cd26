//! What a legal hold keeps of somebody who is erased: hidden from every question, whole for the hold, gone when it is lifted.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tower_activity::{
    Keys, Pipeline,
    ledger::verify::Verdict,
    pipeline::{Custodian, HoldRequest},
    query::{Aggregate, Count, Filter},
    record::{Actor, Field, Group, Groups, Record, RecordId, Seal},
    rules::RetentionPolicy,
    store::{Audit, Erase as _, Evidence as _, Maintain as _, Read as _},
    time::{Clock as _, ManualClock, SystemClock, Timestamp},
};

#[cfg(feature = "sqlite")]
use crate::tampering::Owned;
use crate::{
    erasing::{NAME, pipeline, request},
    records::salts,
    retention::old,
    suite::{Fixture, PATIENCE, all, append, newest},
};

fn shipped(n: usize) -> Record {
    let ana = Actor::user("ana").named(NAME);
    Record::by(ana).verb("ship").on("order", &n.to_string()).describe(&format!("{NAME} shipped"))
}

/// Three deeds of hers, of which a hold is on the first two.
async fn three<F: Fixture>(store: &F::Store, keys: &Keys) -> (Pipeline, Custodian, RecordId) {
    let pipeline = pipeline::<F>(store, keys).await;
    for n in 1..=3 {
        pipeline.recorder().record(shipped(n));
    }
    pipeline.flush().await;
    let custodian = pipeline.custodian().unwrap();
    let hold = HoldRequest::new("actor_id:ana entity_id:(1 OR 2)", "a lawsuit");
    let hold = custodian.place(&hold).await.unwrap().hold.id;
    (pipeline, custodian, hold)
}

/// The record of the hold says whom it is about, in its query.
fn names_her(record: &Record) -> bool {
    let text = serde_json::to_string(record).unwrap();
    record.action != "held"
        && record.action != "released"
        && (text.contains("\"ana\"") || text.contains(NAME))
}

fn of(field: &str, value: &str) -> Filter {
    Filter::new().any_of(field, [value]).unwrap()
}

async fn verdict<F: Fixture>(store: &F::Store) -> Verdict {
    Audit::new(store).run(|_progress| {}).await.unwrap().verdict()
}

/// Nothing that asks the log finds her.
async fn is_hidden<F: Fixture>(store: &F::Store) {
    while store.fold(1_000).await.unwrap().behind() > 0 {}
    for filter in [of("actor_id", "ana"), of("actor_name", NAME)] {
        assert_eq!(store.count(&filter, Count::UpTo(99)).await.unwrap().value, 0, "{filter:?}");
        assert!(store.records(&filter, &newest(9)).await.unwrap().records.is_empty());
    }
    let words = Filter::parse(
        "Featherstonehaugh",
        &tower_activity::query::ParseContext::new(SystemClock::default().now()),
    );
    assert!(store.records(&words.unwrap(), &newest(9)).await.unwrap().records.is_empty());
    let ask = Aggregate {
        dimensions: vec![Field::named("actor_id").unwrap()],
        top: 99,
        edges: Vec::new(),
        patience: PATIENCE,
    };
    let counted = store.aggregate(&Filter::new(), &ask).await.unwrap();
    assert!(!format!("{counted:?}").contains("\"ana\""), "{counted:?}");
    for record in all(store).await {
        let alone = store.record(record.id).await.unwrap().unwrap();
        assert!(!names_her(&record) && !names_her(&alone), "{record:?}");
        assert_eq!(record.seals.restricted(), alone.seals.restricted());
    }
    for entry in store.entries(0, 999).await.unwrap() {
        assert!(!store.entry_records(&entry).await.unwrap().iter().any(names_her));
    }
}

pub(crate) async fn what_a_hold_keeps_is_hidden_whole_and_gone_when_it_is_lifted<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (pipeline, custodian, hold) = three::<F>(&store, &Keys::ephemeral()).await;
    let eraser = pipeline.eraser().unwrap();
    let before = store.records(&of("action", "ship"), &newest(9)).await.unwrap().records;
    while store.fold(1_000).await.unwrap().behind() > 0 {}
    let plan = eraser.plan(&request()).await.unwrap();
    let by_hold = BTreeMap::from([(hold.to_string(), 2)]);
    assert_eq!((plan.records, plan.held, &plan.held_by), (1, 2, &by_hold));
    let certificate = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert_eq!((certificate.records, certificate.held), (1, 2));
    assert_eq!(certificate.held_by, by_hold);
    is_hidden::<F>(&store).await;
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
    let shown = store.records(&of("action", "ship"), &newest(9)).await.unwrap().records;
    let marks: Vec<_> = shown.iter().map(|record| record.seals.restricted().to_string()).collect();
    assert_eq!(marks, ["", "ic", "ic"]);
    let json = serde_json::to_value(&shown[1]).unwrap();
    assert_eq!(json["restricted"], serde_json::json!(["identity", "content"]));
    // The log says so.
    let told = store.records(&of("action", "restricted"), &newest(9)).await.unwrap().records;
    let facts: serde_json::Value = serde_json::from_str(told[0].metadata.as_str()).unwrap();
    assert_eq!((facts["count"].as_u64(), &facts["holds"][0]), (Some(2), &hold.to_string().into()));
    assert_eq!(told[0].actor_id, "dpo");

    // Whole, for whoever may see what holds keep.
    let kept = custodian.restricted(&of("actor_id", "ana"), 0, 1).await.unwrap();
    let rest = custodian.restricted(&Filter::new(), kept.next.unwrap(), 9).await.unwrap();
    assert_eq!((kept.records.len(), rest.records.len(), rest.next), (1, 1, None));
    for mut record in kept.records.into_iter().chain(rest.records) {
        record.seals.restrict(Groups::NONE);
        assert!(before.contains(&record), "{record:?}");
    }
    let none = custodian.restricted(&of("actor_id", "bob"), 0, 9).await.unwrap();
    assert!(none.records.is_empty());

    // Nothing is found twice.
    let again = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert_eq!((again.records, again.held), (0, 2));
    // Another hold is on one of them, found by what only the hidden part says.
    let other = HoldRequest::new("actor_id:ana entity_id:2", "another lawsuit");
    let other = custodian.place(&other).await.unwrap();
    let seen = other.records.as_ref().map(|total| total.value);
    assert_eq!((seen, other.restricted), (Some(0), Some(1)), "of her nothing is seen");
    let other = other.hold.id;
    let lifted = custodian.lift(hold, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert_eq!((lifted.erased, lifted.left), (Some(1), vec![]));
    let left = custodian.restricted(&Filter::new(), 0, 9).await.unwrap().records;
    assert_eq!(left.iter().map(|record| &*record.entity_id).collect::<Vec<_>>(), ["2"]);
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
    custodian.lift(other, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert!(store.restricted(0, 9).await.unwrap().is_empty());
    is_hidden::<F>(&store).await;
    let shown = store.records(&of("action", "ship"), &newest(9)).await.unwrap().records;
    assert!(shown.iter().all(|record| record.seals.restricted().is_empty()));
    assert!(shown.iter().all(|record| matches!(record.seals.of(Group::Identity), Seal::Erased(_))));
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

pub(crate) async fn what_arrives_late_of_somebody_erased_is_kept_where_a_hold_is_on_it<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let (here, custodian, hold) = three::<F>(&store, &keys).await;
    here.eraser().unwrap().erase(&request(), |_step| {}).await.unwrap();
    let there = pipeline::<F>(&store, &keys).await;
    let now = SystemClock::default().now();
    let earlier = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
    for pipeline in [&here, &there] {
        for n in 1..=3 {
            pipeline.recorder().record(shipped(n).occurred_at(earlier));
        }
        pipeline.flush().await;
    }
    is_hidden::<F>(&store).await;
    let late = |records: Vec<Record>| {
        records.into_iter().filter(|record| record.occurred_at == earlier).collect::<Vec<_>>()
    };
    for record in late(all(&store).await) {
        let is_held = record.entity_id != "3";
        let identity = record.seals.of(Group::Identity);
        assert_eq!(matches!(identity, Seal::Erased(_)), is_held, "{record:?}");
        assert_eq!(record.seals.restricted().has(Group::Identity), is_held);
        assert_eq!(record.redactions.as_str().contains("\"erased\""), !is_held);
    }
    let kept = custodian.restricted(&of("actor_id", "ana"), 0, 99).await.unwrap().records;
    assert_eq!(kept.len(), 6);
    let kept = late(kept);
    assert_eq!(kept.len(), 4);
    assert!(kept.iter().all(|record| record.actor_name == NAME && !record.description.is_absent()));
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
    custodian.lift(hold, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert!(store.restricted(0, 9).await.unwrap().is_empty());
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
    here.shutdown(PATIENCE).await;
    there.shutdown(PATIENCE).await;
}

/// What goes at two times is kept in two parts, and shown as the one record that it is.
pub(crate) async fn what_was_restricted_in_parts_is_shown_once_and_whole<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (pipeline, custodian, _) = three::<F>(&store, &Keys::ephemeral()).await;
    let eraser = pipeline.eraser().unwrap();
    let before = store.records(&of("action", "ship"), &newest(9)).await.unwrap().records;
    // By what is left of him he would not be found the second time the other way round.
    for group in [Group::Content, Group::Identity] {
        let part = request().groups(Groups::of(group));
        assert_eq!(eraser.erase(&part, |_step| {}).await.unwrap().held, 2);
    }
    assert_eq!(store.restricted(0, 9).await.unwrap().len(), 4);
    let other = HoldRequest::new("actor_id:ana", "another lawsuit");
    assert_eq!(custodian.place(&other).await.unwrap().restricted, Some(2));
    let (mut after, mut shown) = (0, Vec::new());
    loop {
        let page = custodian.restricted(&of("actor_id", "ana"), after, 1).await.unwrap();
        shown.extend(page.records);
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(shown.len(), 2);
    for mut record in shown {
        assert_eq!(record.seals.restricted().to_string(), "ic");
        record.seals.restrict(Groups::NONE);
        assert!(before.contains(&record), "{record:?}");
    }
    pipeline.shutdown(PATIENCE).await;
}

/// A month of which a hold keeps something that no question finds stays; and what no hold keeps any more goes with a run,
/// also where whoever lifted it could not see to it.
pub(crate) async fn a_run_keeps_what_is_restricted_and_ends_what_no_hold_keeps<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut records: Vec<_> =
        (1..=2).map(|seq| old(7, seq, "2026-01-10", "authentication")).collect();
    for record in &mut records {
        record.actor_id.set("ana");
        record.ip = Some("192.0.2.7".parse().unwrap());
        record.seal(salts(record.seq));
    }
    append(&store, &records).await.unwrap();
    let clock = Arc::new(ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap()));
    let builder = Pipeline::builder(store.clone()).clock(clock).keys(Keys::ephemeral());
    let builder = builder.retention_policy(RetentionPolicy::default());
    let pipeline = builder.start().await.unwrap();
    let custodian = pipeline.custodian().unwrap();
    let hold = custodian.place(&HoldRequest::new("actor_id:ana", "a lawsuit")).await.unwrap();
    // Who is recognised by the hidden group alone; the address stays where it is.
    let erased = request().groups(Groups::of(Group::Identity));
    let certificate = pipeline.eraser().unwrap().erase(&erased, |_step| {}).await.unwrap();
    assert_eq!((certificate.records, certificate.held), (0, 2));
    let run = async || {
        tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}))
            .await
            .expect("it ends")
            .unwrap()
    };
    let plan = pipeline.plan_retention().await.unwrap();
    assert_eq!(plan.units[0].held.as_ref().map(|by| by.id), Some(hold.hold.id));
    let first = run().await;
    assert_eq!(
        (first.ended.len(), first.held.len(), first.addresses.len()),
        (0, 1, 0),
        "{first:?}"
    );
    assert_eq!(store.restricted(0, 9).await.unwrap().len(), 2);

    // Lifted by a record that somebody else has written.
    let mut lifted = old(9, 1, "2026-11-22", "system");
    lifted.origin = tower_activity::record::Origin::System;
    lifted.category = tower_activity::record::Category::System;
    lifted.action.set("released");
    let facts = format!("{{\"hold\":\"{}\"}}", hold.hold.id);
    lifted.metadata = tower_activity::record::Json::from_stored(facts);
    lifted.seal(salts(1));
    append(&store, &[lifted]).await.unwrap();
    assert_eq!(store.restricted(0, 9).await.unwrap().len(), 2);
    let second = run().await;
    assert_eq!((second.ended.len(), second.held.len()), (1, 0), "{second:?}");
    assert!(store.restricted(0, 9).await.unwrap().is_empty());
    pipeline.shutdown(Duration::from_secs(60)).await;
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
}

/// Whoever changes, or takes away, what a hold keeps is found, and a run destroys no trace of it.
#[cfg(feature = "sqlite")]
pub(crate) async fn what_is_kept_aside_is_proved_by_the_record<F: Owned>(table: &str) {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (pipeline, custodian, hold) = three::<F>(&store, &Keys::ephemeral()).await;
    pipeline.eraser().unwrap().erase(&request(), |_step| {}).await.unwrap();
    let kept = store.restricted(0, 9).await.unwrap();
    assert_eq!(verdict::<F>(&store).await, Verdict::Unaltered);
    let altered = async || {
        let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
        report.altered.kept().iter().map(|found| found.place.first_seq).collect::<Vec<_>>()
    };
    // Another record's, which is as readable.
    let (first, other) = (kept[0].0, kept[1].0);
    let swapped = format!(
        "UPDATE {table} SET kept = (SELECT kept FROM {table} WHERE number = {other}) WHERE number = {first}"
    );
    fixture.force(&swapped).await;
    let found = altered().await;
    assert!(!found.is_empty() && found.iter().all(|seq| *seq == Some(kept[0].1.seq)), "{found:?}");
    let broken = format!("UPDATE {table} SET kept = {} WHERE number = {first}", F::bytes("00"));
    fixture.force(&broken).await;
    assert!(!altered().await.is_empty());
    // It is of nobody now, hence under no hold: and yet it stays, to be found.
    fixture.mend().await;
    assert_eq!(custodian.end_dues(&Actor::user("dpo")).await.unwrap(), 0);
    assert_eq!(store.restricted(0, 9).await.unwrap().len(), 2);
    let gone = format!("DELETE FROM {table} WHERE number = {first}");
    fixture.force(&gone).await;
    assert!(!altered().await.is_empty());
    fixture.mend().await;
    let _lifted = custodian.lift(hold, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert!(!altered().await.is_empty(), "no record tells that it was erased");
    pipeline.shutdown(PATIENCE).await;
}

/// A store refuses where other holds are told of than were looked at, and changes nothing.
pub(crate) async fn nothing_is_restricted_or_let_go_under_other_holds<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (pipeline, custodian, _) = three::<F>(&store, &Keys::ephemeral()).await;
    pipeline.eraser().unwrap().erase(&request(), |_step| {}).await.unwrap();
    let kept = store.restricted(0, 9).await.unwrap();
    let numbers: Vec<_> = kept.iter().map(|(number, _)| *number).collect();
    assert_eq!(store.end_restricted(&numbers, 0).await.unwrap(), None);
    assert_eq!(store.restrict(&[], &[], 2).await.unwrap(), None);
    assert_eq!(store.restricted(0, 9).await.unwrap(), kept);
    assert_eq!(custodian.end_dues(&Actor::user("dpo")).await.unwrap(), 0, "they are held");
    assert_eq!(store.end_restricted(&numbers, 1).await.unwrap(), Some(2));
    assert_eq!(store.end_restricted(&numbers, 1).await.unwrap(), Some(0));
    // Without a record that says so it is found.
    assert_eq!(verdict::<F>(&store).await, Verdict::Altered);
    pipeline.shutdown(PATIENCE).await;
}

//! People are erased, and every proof stays valid.

use std::time::Duration;

use tower_activity::{
    Keys, Pipeline,
    ledger::verify::{Report, Verdict},
    pipeline::{Eraser, ErasureRequest},
    query::{Filter, PageRequest},
    record::{Actor, Category, Group, Json, Record, Seal},
    store::{Audit, Erase, Evidence, Read, prove},
    time::{Clock as _, SystemClock, Timestamp},
};

use crate::suite::Fixture;

pub(crate) const NAME: &str = "Annabel Featherstonehaugh";

/// A record in which Ana has some part, and her name stands wherever it can.
fn about_ana(part: usize) -> Record {
    let told = |record: Record| {
        record.metadata(&serde_json::json!({ "note": NAME })).describe(&format!("{NAME} was here"))
    };
    let bob = || Actor::user("bob").named("Bob");
    match part % 5 {
        0 => told(Record::by(Actor::user("ana").named(NAME)).verb("update").on("order", "55")),
        1 => {
            let mut record = told(Record::by(bob()).verb("update").on("user", "ana"));
            record.entity_name.set(NAME);
            record
        }
        2 => {
            let mut record = told(Record::by(bob()).verb("read").on("file", "7"));
            record.subject_ids = Json::of(&["ana", "eve"]).unwrap();
            record
        }
        3 => {
            let mut record = told(Record::by(bob()).verb("update").on("team", "3"));
            record.targets =
                Json::of(&serde_json::json!([{ "type": "user", "id": "ana", "name": NAME }]))
                    .unwrap();
            record
        }
        _ => {
            let mut record = told(Record::by(bob()).verb("update").on("order", "56"));
            record.impersonator_id.set("ana");
            record.impersonator_name.set(NAME);
            record.ip = Some("192.0.2.7".parse().unwrap());
            record
        }
    }
}

fn consent() -> Record {
    let mut record = Record::by(Actor::user("ana")).verb("grant").on("consent", "newsletter");
    record.category = Category::Consent;
    record
}

pub(crate) async fn pipeline<F: Fixture>(store: &F::Store, keys: &Keys) -> Pipeline {
    Pipeline::builder(store.clone()).keys(keys.clone()).start().await.unwrap()
}

pub(crate) fn request() -> ErasureRequest {
    ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").by(Actor::user("dpo")).alone()
}

async fn verify<S: Evidence + Read>(store: &S) -> Report {
    Audit::new(store).run(|_progress| {}).await.unwrap()
}

async fn all<F: Fixture>(store: &F::Store) -> Vec<Record> {
    let mut all = Vec::new();
    let mut ask = PageRequest::oldest(500);
    loop {
        let page = store.records(&Filter::new(), &ask).await.unwrap();
        all.extend(page.records);
        match page.next {
            Some(place) => ask = PageRequest::oldest(500).after(place),
            None => return all,
        }
    }
}

fn names_her(record: &Record) -> bool {
    let text = serde_json::to_string(record).unwrap();
    record.category != Category::Consent && (text.contains("\"ana\"") || text.contains(NAME))
}

pub(crate) async fn somebody_is_erased_and_every_proof_stays_valid<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let pipeline = pipeline::<F>(&store, &keys).await;
    for part in 0..10 {
        pipeline.recorder().record(about_ana(part));
    }
    pipeline.recorder().record(consent());
    let bob = Record::by(Actor::user("bob"))
        .verb("update")
        .on("order", "57")
        .metadata(&serde_json::json!({ "x": 1 }));
    pipeline.recorder().record(bob);
    pipeline.flush().await;
    let eraser = pipeline.eraser().unwrap();
    let before: Vec<_> = all::<F>(&store).await;

    let plan = eraser.plan(&request()).await.unwrap();
    assert_eq!(plan.records, 10);
    let groups = |name| plan.groups.get(name).copied();
    assert_eq!((groups("identity"), groups("network")), (Some(6), Some(2)));
    assert_eq!((groups("target"), groups("content")), (Some(4), Some(10)));
    assert_eq!(all::<F>(&store).await, before, "a dry run changes nothing");

    let mut told = Vec::new();
    let certificate = eraser.erase(&request(), |step| told.push(step.records)).await.unwrap();
    assert_eq!((certificate.records, &certificate.groups), (10, &plan.groups));
    assert_eq!(told.last(), Some(&10));
    let (first, last) =
        (certificate.checkpoint_before.unwrap(), certificate.checkpoint_after.unwrap());
    assert!(last.size > first.size && last.note.starts_with("activity/"));
    assert!(certificate.subjects.iter().all(|subject| !subject.digest.contains("ana")));

    let after = all::<F>(&store).await;
    assert!(!after.iter().any(names_her), "{after:#?}");
    assert!(
        after.iter().any(|record| record.category == Category::Consent && record.actor_id == "ana")
    );
    assert!(after.iter().any(|record| record.actor_id == "bob" && record.entity_id == "57"));
    let erasure = after.iter().find(|record| record.id == certificate.told_by[0]).unwrap();
    assert_eq!((erasure.action.as_str(), erasure.actor_id.as_str()), ("erased", "dpo"));
    let facts: serde_json::Value = serde_json::from_str(erasure.metadata.as_str()).unwrap();
    assert_eq!(facts["basis"], "GDPR Art. 17(1)(b)");

    let report = verify(&store).await;
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    assert_eq!(report.erased, 22);
    for record in after.iter().filter(|record| record.category == Category::Activity) {
        assert!(prove(&store, record).await.unwrap().is_some(), "{record:#?}");
    }

    // Again, and there is nothing left to be done.
    let again = eraser.erase(&request(), |_step| panic!("nothing is erased")).await.unwrap();
    assert_eq!((again.records, again.groups.len(), again.told_by.len()), (0, 0, 1));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(Duration::from_secs(60)).await;
}

pub(crate) async fn an_erasure_that_broke_off_is_taken_up_again<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = pipeline::<F>(&store, &Keys::ephemeral()).await;
    for part in 0..500 {
        pipeline.recorder().record(about_ana(part));
    }
    pipeline.flush().await;
    let eraser: Eraser = pipeline.eraser().unwrap();
    // As when the process dies: nothing runs after the first step, and nobody says anything.
    let dying = eraser.clone();
    let died = tokio::spawn(async move {
        let wanted = request();
        dying.erase(&wanted, |_step| std::panic::resume_unwind(Box::new("killed"))).await
    });
    assert!(died.await.unwrap_err().is_panic());
    let left = eraser.plan(&request()).await.unwrap().records;
    assert!((1..500).contains(&left), "{left}");
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    let certificate = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert_eq!(certificate.records, left);
    assert!(!all::<F>(&store).await.iter().any(names_her));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(Duration::from_secs(60)).await;
}

pub(crate) async fn what_arrives_late_of_somebody_who_was_erased_is_erased_on_arrival<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let here = pipeline::<F>(&store, &keys).await;
    here.eraser().unwrap().erase(&request(), |_step| {}).await.unwrap();
    // Another process, which learns of it from the store.
    let there = pipeline::<F>(&store, &keys).await;
    let now = SystemClock::default().now();
    let later = Timestamp::from_micros(now.as_micros() + 60_000_000);
    let earlier = Timestamp::from_micros(now.as_micros() - 3_600_000_000);
    for pipeline in [&here, &there] {
        for part in 0..5 {
            pipeline.recorder().record(about_ana(part).occurred_at(earlier));
        }
        pipeline.recorder().record(about_ana(0).occurred_at(later));
        pipeline.flush().await;
    }
    let records = all::<F>(&store).await;
    let late: Vec<_> = records.iter().filter(|record| record.occurred_at == earlier).collect();
    assert_eq!(late.len(), 10);
    assert!(!late.iter().any(|record| names_her(record)), "{late:#?}");
    assert!(late.iter().all(|record| record.redactions.as_str().contains("\"erased\"")));
    assert!(late.iter().all(|record| record.seals.of(Group::Content) == Seal::Empty));
    // He may come back.
    assert_eq!(records.iter().filter(|record| names_her(record)).count(), 2);
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    here.shutdown(Duration::from_secs(60)).await;
    there.shutdown(Duration::from_secs(60)).await;
}

pub(crate) async fn a_restored_backup_is_brought_up_to_date_with_the_certificates<F: Fixture>() {
    let keys = Keys::ephemeral();
    let erased = F::new().await;
    let store = erased.open().await;
    let pipeline_of_then = pipeline::<F>(&store, &keys).await;
    let eraser = pipeline_of_then.eraser().unwrap();
    let certificate = eraser.erase(&request().person_type("member"), |_step| {}).await.unwrap();
    pipeline_of_then.shutdown(Duration::from_secs(60)).await;

    // The backup is of before: it knows nothing of the erasure.
    let backup = F::new().await;
    let store = backup.open().await;
    let pipeline = pipeline::<F>(&store, &keys).await;
    let before = Timestamp::from_micros(certificate.at.as_micros() - 1_000_000);
    for part in 0..10 {
        pipeline.recorder().record(about_ana(part).occurred_at(before));
    }
    pipeline.flush().await;
    let replay = ErasureRequest::new("everybody", "erased before");
    let eraser = pipeline.eraser().unwrap();
    let done = eraser.replay(&replay, &certificate.subjects, |_step| {}).await.unwrap();
    assert_eq!(done.records, 10);
    assert!(!all::<F>(&store).await.iter().any(names_her));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    // The list is in the log now.
    let again = eraser.replay(&replay, &[], |_step| {}).await.unwrap();
    assert_eq!(again.records, 0);
    assert_eq!(store.erased_subjects(0, 100).await.unwrap().len(), certificate.subjects.len());
    pipeline.shutdown(Duration::from_secs(60)).await;
}

//! People are erased, and every proof stays valid.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use tokio::{runtime::Handle, task::block_in_place};
use tower_activity::{
    Keys, Pipeline,
    ledger::verify::{Report, Verdict},
    pipeline::{Eraser, Erasing, ErasureRequest, HoldRequest},
    query::Filter,
    record::{Actor, ActorType, Category, Group, Groups, Json, Origin, Record, Seal},
    store::{Append, Audit, Erase, ErasurePlace, Evidence, Read, prove},
    time::{Clock as _, IdSource, ManualClock, RandomIds, SystemClock, Timestamp},
};

#[cfg(feature = "sqlite")]
use crate::tampering::Owned;
use crate::{
    records::{id, ordinary, salts},
    suite::{Fixture, PATIENCE, append, oldest},
};

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

/// More records about Ana than one step of an erasure takes.
async fn with_500<F: Fixture>(store: &F::Store) -> Pipeline {
    let pipeline = pipeline::<F>(store, &Keys::ephemeral()).await;
    for part in 0..500 {
        pipeline.recorder().record(about_ana(part));
    }
    pipeline.flush().await;
    pipeline
}

pub(crate) fn request() -> ErasureRequest {
    ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").by(Actor::user("dpo")).alone()
}

async fn verify<S: Evidence + Read>(store: &S) -> Report {
    Audit::new(store).run(|_progress| {}).await.unwrap()
}

async fn all<F: Fixture>(store: &F::Store) -> Vec<Record> {
    let mut all = Vec::new();
    let mut ask = oldest(500);
    loop {
        let page = store.records(&Filter::new(), &ask).await.unwrap();
        all.extend(page.records);
        match page.next {
            Some(place) => ask = oldest(500).after(place),
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
    // Who erased somebody is evidence.
    let officer = ErasureRequest::new("dpo", "GDPR Art. 17(1)(b)").alone();
    assert_eq!(eraser.plan(&officer).await.unwrap().records, 0);
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

pub(crate) async fn an_erasure_that_broke_off_is_taken_up_again<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = with_500::<F>(&store).await;
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
    pipeline.shutdown(PATIENCE).await;
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
    here.shutdown(PATIENCE).await;
    there.shutdown(PATIENCE).await;
}

pub(crate) async fn a_restored_backup_is_brought_up_to_date_with_the_certificates<F: Fixture>() {
    let keys = Keys::ephemeral();
    let erased = F::new().await;
    let store = erased.open().await;
    let pipeline_of_then = pipeline::<F>(&store, &keys).await;
    let eraser = pipeline_of_then.eraser().unwrap();
    let certificate = eraser.erase(&request().person_type("member"), |_step| {}).await.unwrap();
    pipeline_of_then.shutdown(PATIENCE).await;

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
    // The list is in the log now: once, however often it is brought. What comes here is erased on arrival, and what came
    // past us is found without the certificates.
    let again = eraser.replay(&replay, &certificate.subjects, |_step| {}).await.unwrap();
    assert_eq!(again.records, 0);
    assert_eq!(store.erased_subjects(0, 100).await.unwrap().len(), certificate.subjects.len());
    pipeline.recorder().record(about_ana(0).occurred_at(before));
    pipeline.flush().await;
    assert!(!all::<F>(&store).await.iter().any(names_her));
    past_the_pipeline::<F>(&store, 1, before).await;
    let again = eraser.replay(&replay, &[], |_step| {}).await.unwrap();
    assert_eq!(again.records, 1);
    assert!(!all::<F>(&store).await.iter().any(names_her));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

/// Appends a record about her as a process does that has not heard of her erasure.
async fn past_the_pipeline<F: Fixture>(store: &F::Store, seq: i64, at: Timestamp) {
    append(store, &[from_elsewhere(seq, at)]).await.unwrap();
}

fn from_elsewhere(seq: i64, at: Timestamp) -> Box<Record> {
    let mut record = ordinary(77, seq);
    record.actor_id.set("ana");
    record.occurred_at = at;
    record.id = id(at, 77, seq);
    record.seal(salts(seq));
    record
}

pub(crate) async fn what_comes_while_somebody_is_erased_is_erased_too<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = pipeline::<F>(&store, &Keys::ephemeral()).await;
    pipeline.recorder().record(about_ana(0));
    pipeline.flush().await;
    // Older than what is looked at already, by somebody who does not know the list yet.
    let early = Timestamp::from_micros(SystemClock::default().now().as_micros() - 3_600_000_000);
    let handle = Handle::current();
    let mut steps = 0;
    let step = |_step| {
        steps += 1;
        if steps <= 2 {
            block_in_place(|| handle.block_on(past_the_pipeline::<F>(&store, steps, early)));
        }
    };
    let certificate = pipeline.eraser().unwrap().erase(&request(), step).await.unwrap();
    assert_eq!(certificate.records, 3);
    assert!(!all::<F>(&store).await.iter().any(names_her));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

pub(crate) async fn what_cannot_be_told_of_is_not_erased<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = with_500::<F>(&store).await;
    let eraser = pipeline.eraser().unwrap();
    // After the first step no record can be written any more.
    let mut pipeline = Some(pipeline);
    let handle = Handle::current();
    let mut emptied = 0;
    let step = |step: Erasing| {
        emptied = step.records;
        if let Some(pipeline) = pipeline.take() {
            block_in_place(|| handle.block_on(pipeline.shutdown(PATIENCE)));
        }
    };
    let refused = eraser.erase(&request(), step).await.unwrap_err();
    assert!(refused.to_string().contains("nothing more was erased"), "{refused}");
    let left = all::<F>(&store).await.into_iter().filter(names_her).count();
    assert!(emptied > 0 && left as u64 == 500 - emptied, "{emptied} {left}");
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
}

/// A hold keeps what it finds, also one that is placed while somebody is erased; when it is lifted the rest can go.
pub(crate) async fn what_is_held_is_not_erased_until_the_hold_is_lifted<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = with_500::<F>(&store).await;
    let (eraser, custodian) = (pipeline.eraser().unwrap(), pipeline.custodian().unwrap());
    let place = async |query: &str| {
        custodian.place(&HoldRequest::new(query, "a lawsuit")).await.unwrap().hold.id
    };
    let teams = place("entity_type:team").await;
    let handle = Handle::current();
    let mut files = None;
    // What was emptied before it was placed is gone.
    let step = |_: Erasing| {
        if files.is_none() {
            files = Some(block_in_place(|| handle.block_on(place("entity_type:file"))));
        }
    };
    let certificate = eraser.erase(&request(), step).await.unwrap();
    assert!(!all::<F>(&store).await.iter().any(names_her), "what is held is restricted");
    let left = custodian.restricted(&Filter::new(), 0, 1_000).await.unwrap().records;
    assert!(left.iter().all(names_her));
    let of = |kind: &str| left.iter().filter(|record| record.entity_type == *kind).count();
    assert_eq!((of("team"), left.len()), (100, of("team") + of("file")));
    assert!((1..100).contains(&of("file")), "{}", of("file"));
    assert_eq!(
        (certificate.held, certificate.records),
        (left.len() as u64, 500 - left.len() as u64)
    );
    let plan = eraser.plan(&request()).await.unwrap();
    assert_eq!((plan.held, plan.records), (certificate.held, 0));
    let replayed = eraser.replay(&request(), &certificate.subjects, |_step| {}).await.unwrap();
    assert_eq!((replayed.held, replayed.records), (certificate.held, 0));
    for hold in [teams, files.unwrap()] {
        custodian.lift(hold, &Actor::user("dpo"), "settled", None).await.unwrap();
    }
    assert!(store.restricted(0, 9).await.unwrap().is_empty());
    let rest = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert_eq!((rest.held, rest.records), (0, 0), "with its hold it was erased");
    assert!(!all::<F>(&store).await.iter().any(names_her));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
}

/// A replay looks at the holds again before each step: what it has announced by then is not emptied.
pub(crate) async fn a_hold_that_comes_amid_a_replay_keeps_what_is_left<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = pipeline::<F>(&store, &Keys::ephemeral()).await;
    let (eraser, custodian) = (pipeline.eraser().unwrap(), pipeline.custodian().unwrap());
    eraser.erase(&request(), |_step| panic!("there is nothing of her")).await.unwrap();
    // As a backup of before has it: two steps, and one record more.
    let early = Timestamp::from_micros(SystemClock::default().now().as_micros() - 3_600_000_000);
    let records: Vec<_> = (1..=401).map(|seq| from_elsewhere(seq, early)).collect();
    append(&store, &records).await.unwrap();
    let handle = Handle::current();
    let mut hold = None;
    let step = |_step| {
        hold.get_or_insert_with(|| {
            let request = HoldRequest::new("actor_id:ana", "a lawsuit");
            block_in_place(|| handle.block_on(custodian.place(&request))).unwrap().hold.id
        });
    };
    let certificate = eraser.replay(&request(), &[], step).await.unwrap();
    assert_eq!((certificate.records, certificate.held), (200, 201));
    // The record of the hold says whom it is about, in its query.
    let left = |record: &Record| record.action.as_str() != "held" && names_her(record);
    assert!(!all::<F>(&store).await.iter().any(left));
    assert_eq!(store.restricted(0, 999).await.unwrap().len(), 201);
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    custodian.lift(hold.unwrap(), &Actor::user("dpo"), "settled", None).await.unwrap();
    let rest = eraser.replay(&request(), &[], |_step| {}).await.unwrap();
    assert_eq!((rest.records, rest.held), (0, 0));
    assert!(store.restricted(0, 9).await.unwrap().is_empty());
    assert!(!all::<F>(&store).await.iter().any(left));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
}

/// With other keys nobody on a list is found, and it would look done.
pub(crate) async fn a_replay_under_other_keys_is_refused<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (hers, others) = (Keys::ephemeral(), Keys::ephemeral());
    let mut certificates: Vec<Vec<_>> = Vec::new();
    for keys in [&hers, &others] {
        let pipeline = pipeline::<F>(&store, keys).await;
        let eraser = pipeline.eraser().unwrap();
        if !certificates.is_empty() {
            let told = async || {
                let all = all::<F>(&store).await;
                all.iter().filter(|record| record.action == "erased").count()
            };
            let before = told().await;
            for kept in [&[][..], &certificates[0]] {
                let refused = eraser.replay(&request(), kept, |_step| {}).await.unwrap_err();
                assert!(refused.is_configuration(), "{refused}");
                assert!(
                    refused.to_string().contains("has 1 erasures under keys that are not"),
                    "{refused}"
                );
            }
            assert_eq!(told().await, before, "nothing was begun");
        }
        let certificate = eraser.erase(&request(), |_step| {}).await.unwrap();
        assert_eq!(certificate.other_keys, None);
        certificates.push(certificate.subjects);
        pipeline.shutdown(PATIENCE).await;
    }
    // Once there are erasures of both, each does what it can, and says what it cannot.
    for (keys, kept, strange) in [(&hers, 0, 1), (&others, 1, 0)] {
        let pipeline = pipeline::<F>(&store, keys).await;
        let eraser = pipeline.eraser().unwrap();
        for kept in [&[][..], &certificates[kept]] {
            let done = eraser.replay(&request(), kept, |_step| {}).await.unwrap();
            assert_eq!(done.other_keys, Some(1));
        }
        eraser.replay(&request(), &certificates[strange], |_step| {}).await.unwrap_err();
        pipeline.shutdown(PATIENCE).await;
    }
}

/// Of what the log says of itself, only who acted goes, and from where.
pub(crate) async fn what_the_log_says_of_itself_keeps_its_content<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = pipeline::<F>(&store, &Keys::ephemeral()).await;
    let mut own = ordinary(77, 1);
    (own.category, own.origin) = (Category::System, Origin::System);
    own.actor_id.set("ana");
    own.metadata = Json::from_stored(r#"{"endpoint":"records"}"#.to_owned());
    own.seal(salts(1));
    append(&store, &[own]).await.unwrap();
    let certificate = pipeline.eraser().unwrap().erase(&request(), |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 1);
    let all = all::<F>(&store).await;
    let own = all.iter().find(|record| record.writer_id.get() == 77).unwrap();
    assert!(own.actor_id.is_absent() && own.metadata.as_str().contains("endpoint"), "{own:#?}");
    pipeline.shutdown(PATIENCE).await;
}

/// Every entry of the ledger is looked at, however many there are.
pub(crate) async fn a_replay_reads_all_of_the_log<F: Fixture>(entries: i64) {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let pipeline = pipeline::<F>(&store, &keys).await;
    let eraser = pipeline.eraser().unwrap();
    let at = SystemClock::default().now();
    let certificate = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 0);
    for seq in 1..=entries {
        past_the_pipeline::<F>(&store, seq, at).await;
    }
    let replay = ErasureRequest::new("everybody", "erased before");
    let done = eraser.replay(&replay, &[], |_step| {}).await.unwrap();
    assert_eq!(done.records, entries.unsigned_abs());
    assert!(!all::<F>(&store).await.iter().any(names_her));
    pipeline.shutdown(PATIENCE).await;
}

pub(crate) async fn an_erasure_keeps_to_its_tenant_and_knows_which_accounts_were_tried<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let pipeline = pipeline::<F>(&store, &keys).await;
    let before = Timestamp::from_micros(SystemClock::default().now().as_micros() - 3_600_000_000);
    let tenants = ["acme", "globex"];
    for tenant in tenants {
        for part in 0..5 {
            pipeline.recorder().record(about_ana(part).tenant(tenant));
        }
        // Somebody tried her account, before and after it was known whose it is.
        for of in [Some(tenant), None] {
            let account = keys.pseudonym(Keys::ACCOUNT, of, "ana");
            let tried = Record::by(Actor::anonymous()).verb("try").on("user", &account);
            pipeline.recorder().record(tried.describe(NAME).tenant(tenant));
        }
    }
    pipeline.flush().await;
    let of_acme = request().tenant(Some("acme".to_owned()));
    let eraser = pipeline.eraser().unwrap();
    assert_eq!(eraser.plan(&of_acme).await.unwrap().records, 7);
    let certificate = eraser.erase(&of_acme, |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 7);
    for tenant in tenants {
        pipeline.recorder().record(about_ana(0).tenant(tenant).occurred_at(before));
    }
    pipeline.flush().await;
    let all = all::<F>(&store).await;
    let naming = |tenant: &str| {
        all.iter().filter(|record| record.tenant_id == tenant && names_her(record)).count()
    };
    assert_eq!(tenants.map(naming), [0, 8], "{all:#?}");
    // The tenant that it was done for sees that it was done, and no other.
    let told = all.iter().find(|record| record.id == certificate.told_by[0]).unwrap();
    assert_eq!(told.tenant_id, "acme");
    // Some groups alone, in what is there and in what comes.
    let network = Groups::of(Group::Network);
    let few = request().tenant(Some("globex".to_owned())).groups(network);
    let certificate = eraser.erase(&few, |_step| {}).await.unwrap();
    assert_eq!(certificate.groups, BTreeMap::from([("network", 1)]));
    pipeline.recorder().record(about_ana(4).tenant("globex").occurred_at(before));
    pipeline.flush().await;
    let last = self::all::<F>(&store).await;
    let last = last.iter().filter(|record| record.occurred_at == before);
    let last: Vec<_> = last.filter(|record| record.impersonator_id == "ana").collect();
    assert_eq!((last.len(), last[0].ip, last[0].actor_id.as_str()), (1, None, "bob"));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

/// A key of the same id as hers is a program, in what is there as in what comes; unless somebody says that it is hers.
pub(crate) async fn a_program_of_the_same_id_is_not_erased_with_a_person<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = pipeline::<F>(&store, &Keys::ephemeral()).await;
    let early = Timestamp::from_micros(SystemClock::default().now().as_micros() - 3_600_000_000);
    let kinds = [
        ActorType::User,
        ActorType::Agent,
        ActorType::ApiKey,
        ActorType::Service,
        ActorType::System,
    ];
    let record = || {
        for kind in kinds {
            let record = Record::by(Actor::new(kind, "ana")).verb("update").on("order", "55");
            pipeline.recorder().record(record.occurred_at(early));
        }
    };
    record();
    pipeline.flush().await;
    let eraser = pipeline.eraser().unwrap();
    assert_eq!(eraser.plan(&request()).await.unwrap().records, 2);
    assert_eq!(eraser.erase(&request(), |_step| {}).await.unwrap().records, 2);
    record();
    pipeline.flush().await;
    let left = async || {
        let all = all::<F>(&store).await;
        let hers = all.iter().filter(|record| record.actor_id == "ana");
        let mut kinds: Vec<_> = hers.map(|record| record.actor_type.as_str()).collect();
        kinds.sort_unstable();
        kinds
    };
    assert_eq!(left().await, ["api_key", "api_key", "service", "service", "system", "system"]);
    let key = request().person_type("api_key");
    assert_eq!(eraser.erase(&key, |_step| {}).await.unwrap().records, 2);
    record();
    pipeline.flush().await;
    assert_eq!(left().await, [["service"; 3], ["system"; 3]].concat());
    pipeline.shutdown(PATIENCE).await;
}

/// Nobody knows whether a row that was edited until it is no record any more is about her.
#[cfg(feature = "sqlite")]
pub(crate) async fn an_erasure_passes_over_no_row_that_cannot_be_read<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let pipeline = pipeline::<F>(&store, &Keys::ephemeral()).await;
    for part in 0..10 {
        pipeline.recorder().record(about_ana(part));
    }
    pipeline.flush().await;
    let (eraser, records) = (pipeline.eraser().unwrap(), F::RECORDS);
    let first = all::<F>(&store).await.into_iter().find(|record| record.actor_id == "ana").unwrap();
    let place = format!("writer_id = {} AND seq = {}", first.writer_id, first.seq);
    let broken = format!("UPDATE {records} SET outcome = 'no such word' WHERE {place}");
    fixture.force(&broken).await;
    for refused in [
        eraser.plan(&request()).await.map(drop).unwrap_err(),
        eraser.erase(&request(), |_step| {}).await.map(drop).unwrap_err(),
    ] {
        assert!(refused.to_string().starts_with("1 rows cannot be read"), "{refused}");
    }
    let mended =
        format!("UPDATE {records} SET outcome = '{}' WHERE {place}", first.outcome.as_str());
    fixture.force(&mended).await;
    assert_eq!(eraser.erase(&request(), |_step| {}).await.unwrap().records, 1);
    assert!(!all::<F>(&store).await.iter().any(names_her));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

/// Files of the spool whose records are stored are usually kept for a while.
pub(crate) async fn nothing_of_somebody_who_was_erased_stays_in_a_spool<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let keys = Keys::ephemeral();
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let with_spool = async |folder: &tempfile::TempDir| {
        let builder = Pipeline::builder(store.clone()).keys(keys.clone()).spool(folder.path());
        builder.start().await.unwrap()
    };
    let (first, second) = (with_spool(&here).await, with_spool(&there).await);
    for pipeline in [&first, &second] {
        pipeline.recorder().record(about_ana(0));
        pipeline.flush().await;
    }
    assert!(names_her_in(here.path()) && names_her_in(there.path()));
    let certificate = first.eraser().unwrap().erase(&request(), |_step| {}).await.unwrap();
    assert_eq!(certificate.records, 2);
    let spool = certificate.places.iter().find(|place| place.place == "spool").unwrap();
    assert!(spool.reached && !names_her_in(here.path()));
    let place = |name: &str| certificate.places.iter().find(|place| place.place == name).unwrap();
    assert!(!place("spool_quarantine").reached);
    // Whoever has no spool of his own has reached none.
    let without = pipeline::<F>(&store, &keys).await;
    let other = ErasureRequest::new("eve", "GDPR Art. 17").alone();
    let eraser = without.eraser().unwrap();
    let plan = eraser.plan(&other).await.unwrap();
    let certificate = eraser.erase(&other, |_step| {}).await.unwrap();
    for places in [&plan.places, &certificate.places] {
        let spool = places.iter().find(|place| place.place == "spool").unwrap();
        assert!(!spool.reached && spool.how.contains("none of his own"), "{spool:?}");
    }
    without.shutdown(PATIENCE).await;
    // Another process learns of it with what it stores next, and what it goes on with is whole.
    let bob = Record::by(Actor::user("bob")).verb("update").on("order", "57");
    let begun = std::time::Instant::now();
    loop {
        second.recorder().record(bob.clone());
        second.flush().await;
        if !names_her_in(there.path()) {
            break;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "the other spool still names her");
    }
    let stored = all::<F>(&store).await;
    assert!(stored.iter().any(|record| record.actor_id == "bob"));
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    first.shutdown(PATIENCE).await;
    second.shutdown(PATIENCE).await;
}

/// Who was erased before a process was started takes nothing of what that keeps for a store that loses its end.
pub(crate) async fn a_process_that_starts_lets_go_of_nothing_for_who_was_erased_before<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    let then = Timestamp::from_micros(SystemClock::default().now().as_micros() - 3_600_000_000);
    let before = Pipeline::builder(store.clone()).keys(keys.clone());
    let before = before.clock(ManualClock::at(then)).start().await.unwrap();
    let eve = ErasureRequest::new("eve", "GDPR Art. 17").alone();
    let certificate = before.eraser().unwrap().erase(&eve, |_step| {}).await.unwrap();
    assert_eq!(certificate.at, then);
    before.shutdown(PATIENCE).await;

    let builder = Pipeline::builder(store.clone()).keys(keys).spool(folder.path());
    let pipeline = builder.start().await.unwrap();
    pipeline.recorder().record(about_ana(0));
    pipeline.flush().await;
    // Each batch that is stored would be the one after which it goes.
    for _ in 0..20 {
        pipeline.recorder().record(Record::by(Actor::user("bob")).verb("read").on("file", "7"));
        pipeline.flush().await;
    }
    assert!(names_her_in(folder.path()));
    pipeline.shutdown(PATIENCE).await;
    assert!(names_her_in(folder.path()), "a next process may have to send it again");
}

/// A folder stands where a file of the spool should be: it cannot be removed as one.
pub(crate) async fn a_spool_whose_files_do_not_go_is_not_said_to_be_reached<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    let builder = Pipeline::builder(store.clone()).keys(keys).spool(folder.path());
    let pipeline = builder.start().await.unwrap();
    pipeline.recorder().record(about_ana(0));
    pipeline.flush().await;
    let first = segments(folder.path()).into_iter().min().expect("there is one");
    std::fs::remove_file(&first).unwrap();
    std::fs::create_dir(&first).unwrap();
    let eraser = pipeline.eraser().unwrap();
    let spool = |places: &[ErasurePlace]| {
        places.iter().find(|place| place.place == "spool").unwrap().reached
    };
    assert!(spool(&eraser.plan(&request()).await.unwrap().places), "it would be looked at");
    let certificate = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert!(!spool(&certificate.places), "{:?}", certificate.places);
    std::fs::remove_dir(&first).unwrap();
    let again = eraser.erase(&request(), |_step| {}).await.unwrap();
    assert!(spool(&again.places), "{:?}", again.places);
    pipeline.shutdown(PATIENCE).await;
}

/// The segments in the folders of a spool.
fn segments(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let below = |folder: &std::path::Path| {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let streams = below(folder).into_iter().filter(|path| path.is_dir());
    let files = streams.flat_map(|stream| below(&stream));
    files.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect()
}

/// Looks for her name in every file below a folder.
fn names_her_in(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return names_her_in(&path);
        }
        // Removed since it was listed.
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(NAME.len()).any(|part| part == NAME.as_bytes())
    })
}

/// Draws ids, and while it is armed tells of another hold with each: between the look at what is held and the step.
struct Restless<S> {
    store: S,
    handle: Handle,
    holds: Arc<AtomicI64>,
    is_armed: Arc<AtomicBool>,
}

impl<S: Append + Clone> IdSource for Restless<S> {
    fn id(&self, at: Timestamp) -> [u8; 16] {
        if self.is_armed.load(Ordering::SeqCst) {
            let seq = self.holds.fetch_add(1, Ordering::SeqCst) + 1;
            let mut held = ordinary(77, seq);
            (held.category, held.origin) = (Category::System, Origin::System);
            held.action.set("held");
            held.actor_id.set("dpo");
            held.metadata =
                Json::from_stored(r#"{"name":"x","query":"action:nothing"}"#.to_owned());
            held.seal(salts(seq));
            block_in_place(|| self.handle.block_on(append(&self.store, &[held]))).unwrap();
        }
        RandomIds.id(at)
    }
}

pub(crate) async fn an_erasure_amid_holds_that_never_rest_gives_up_and_says_so<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (holds, is_armed) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let restless = Restless {
        store: store.clone(),
        handle: Handle::current(),
        holds: Arc::clone(&holds),
        is_armed: Arc::clone(&is_armed),
    };
    let builder = Pipeline::builder(store.clone()).keys(Keys::ephemeral()).ids(restless);
    let pipeline = builder.start().await.unwrap();
    pipeline.recorder().record(about_ana(0));
    pipeline.flush().await;
    let eraser = pipeline.eraser().unwrap();
    is_armed.store(true, Ordering::SeqCst);
    let refused = eraser.erase(&request(), |_step| panic!("nothing is erased")).await.unwrap_err();
    let replayed = eraser.replay(&request(), &[], |_step| panic!("nothing is erased")).await;
    is_armed.store(false, Ordering::SeqCst);
    for error in [refused, replayed.unwrap_err()] {
        assert!(error.to_string().starts_with("holds were placed or lifted"), "{error}");
        assert!(!error.is_request() && !error.is_configuration());
    }
    assert!(holds.load(Ordering::SeqCst) > 2);
    assert_eq!(all::<F>(&store).await.iter().filter(|record| names_her(record)).count(), 1);
    assert_eq!(eraser.erase(&request(), |_step| {}).await.unwrap().records, 1);
    assert_eq!(verify(&store).await.verdict(), Verdict::Unaltered);
    pipeline.shutdown(PATIENCE).await;
}

//! People are erased from what lies outside of the store: spools of processes that are down, and quarantine files.

use std::{fs, path::Path};

use tower_activity::{
    Keys, Pipeline,
    ledger::verify::Verdict,
    pipeline::{ErasureRequest, FileErasure, HoldRequest},
    record::{Actor, Json, Record, Seal},
    store::{Audit, ErasurePlace, Read as _},
};

use crate::{
    away::Away,
    erasing::{NAME, pipeline, request},
    suite::{Fixture, PATIENCE, oldest},
};

fn of_ana(thing: &str) -> Record {
    let ana = Record::by(Actor::user("ana").named(NAME)).verb("update").on("order", thing);
    ana.describe(&format!("{NAME} was here"))
}

fn of_bob(thing: &str) -> Record {
    Record::by(Actor::user("bob").named("Bob")).verb("update").on("order", thing)
}

/// Leaves six records in a spool, four of them about her, as a process does whose store is away.
async fn left(folder: &Path, keys: &Keys) {
    let pipeline = Pipeline::builder(Away).keys(keys.clone()).spool(folder).start().await.unwrap();
    for thing in 0..6 {
        let thing = thing.to_string();
        let mut of_hers = of_bob(&thing);
        of_hers.subject_ids = Json::of(&["ana"]).unwrap();
        of_hers.description.set(NAME);
        pipeline.recorder().record(match thing.as_str() {
            "1" | "4" => of_bob(&thing),
            "2" => of_hers,
            _ => of_ana(&thing),
        });
    }
    let report = pipeline.shutdown(std::time::Duration::ZERO).await;
    assert!(report.stored == 0 && report.spooled >= 6, "{report:?}");
    given_back(folder);
}

/// The folder is given back by a thread that syncs first.
fn given_back(folder: &Path) {
    let lock = fs::File::open(folder.join("lock")).unwrap();
    let (held, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let got = lock.lock();
        // Before it is said: whoever is told takes it.
        drop(lock);
        held.send(got)
    });
    waits.recv_timeout(PATIENCE).expect("the folder is given back").unwrap();
}

/// Tells whether her name is in any file below a folder.
fn names_her_in(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return names_her_in(&path);
        }
        let bytes = fs::read(&path).unwrap();
        bytes.windows(NAME.len()).any(|part| part == NAME.as_bytes())
    })
}

fn place<'c>(places: &'c [ErasurePlace], name: &str) -> &'c ErasurePlace {
    places.iter().find(|place| place.place == name).unwrap()
}

fn counts(file: &FileErasure) -> (u64, u64, u64, u64) {
    (file.files, file.records, file.held, file.unreadable)
}

async fn all<F: Fixture>(store: &F::Store) -> Vec<Record> {
    store.records(&Default::default(), &oldest(500)).await.unwrap().records
}

pub(crate) async fn a_spool_at_rest_is_emptied_where_it_lies_and_sent_as_emptied<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    left(folder.path(), &keys).await;
    assert!(names_her_in(folder.path()));
    let here = pipeline::<F>(&store, &keys).await;
    let eraser = here.eraser().unwrap();
    let wanted = || request().spool(folder.path());

    let plan = eraser.plan(&wanted()).await.unwrap();
    assert_eq!((plan.records, counts(&plan.spools[0])), (0, (1, 4, 0, 0)));
    assert!(names_her_in(folder.path()), "a dry run changes nothing");

    let certificate = eraser.erase(&wanted(), |_step| panic!("the log has nothing")).await.unwrap();
    assert_eq!(counts(&certificate.spools[0]), (1, 4, 0, 0));
    assert_eq!(certificate.spools[0].groups, plan.spools[0].groups);
    assert_eq!(certificate.spools[0].groups["identity"], 4);
    assert!(place(&certificate.places, "spool").reached);
    assert!(place(&certificate.places, "spool_quarantine").reached);
    assert!(!place(&certificate.places, "quarantine").reached);
    assert!(!names_her_in(folder.path()));
    // What somebody leaves who is killed before his copy is whole goes, too.
    let mut copy = segment(folder.path()).into_os_string();
    copy.push(".new");
    fs::write(&copy, NAME).unwrap();
    let again = eraser.erase(&wanted(), |_step| {}).await.unwrap();
    assert_eq!(counts(&again.spools[0]), (0, 0, 0, 0));
    assert!(!names_her_in(folder.path()));
    here.shutdown(PATIENCE).await;

    // By somebody else, who knows nothing of the list: what is sent was emptied before.
    let there = Pipeline::builder(store.clone()).keys(Keys::ephemeral()).spool(folder.path());
    let there = there.start().await.unwrap();
    let begun = std::time::Instant::now();
    let stored = loop {
        there.flush().await;
        let all = all::<F>(&store).await;
        let orders: Vec<_> =
            all.into_iter().filter(|record| record.entity_type == "order").collect();
        if orders.len() == 6 {
            break orders;
        }
        assert!(begun.elapsed() < PATIENCE, "{orders:#?}");
        tokio::task::yield_now().await;
    };
    for record in &stored {
        let text = serde_json::to_string(record).unwrap();
        assert!(!text.contains("\"ana\"") && !text.contains(NAME), "{text}");
        let is_bobs = ["1", "4"].contains(&record.entity_id.as_str());
        assert_eq!(record.redactions.as_str().contains("\"erased\""), !is_bobs, "{text}");
        assert_eq!(record.actor_id == "bob", is_bobs, "{text}");
        assert_eq!(record.erased().count(), 0, "it was never there: {text}");
        let identity = record.seals.of(tower_activity::record::Group::Identity);
        assert_eq!(identity == Seal::Empty, !is_bobs);
    }
    there.shutdown(PATIENCE).await;
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    assert_eq!(report.erased, 0);
}

/// Of each process that ever used the folder, and each file on the way.
pub(crate) async fn every_file_of_a_spool_and_each_quarantine_file_is_reached_and_counted<
    F: Fixture,
>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    let (spool, other) = (folder.path().join("spool"), folder.path().join("other"));
    for folder in [&spool, &other] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    left(&spool, &keys).await;
    left(&spool, &keys).await;
    left(&other, &keys).await;
    // A damaged segment of another stream, as it is kept for whoever looks into it.
    let copy = spool.join("quarantine");
    let stream = segment(&other).parent().unwrap().file_name().unwrap().to_owned();
    let name = format!("{}-{}", stream.display(), segment(&other).file_name().unwrap().display());
    fs::create_dir_all(&copy).unwrap();
    fs::copy(segment(&other), copy.join(name)).unwrap();
    let quarantines = [1, 2].map(|n| folder.path().join(format!("quarantine{n}.jsonl")));
    for (n, file) in quarantines.iter().enumerate() {
        let mut record = *crate::records::ordinary(7, n as i64 + 1);
        record.actor_id.set("ana");
        record.actor_name.set(NAME);
        let line = serde_json::json!({ "record": record });
        fs::write(file, format!("{line}\n{line}\n")).unwrap();
    }
    let here = pipeline::<F>(&store, &keys).await;
    let mut wanted = request().spool(&spool).spool(&other);
    for file in &quarantines {
        wanted = wanted.quarantine(file);
    }
    let certificate = here.eraser().unwrap().erase(&wanted, |_step| {}).await.unwrap();
    let of_spools: Vec<_> = certificate.spools.iter().map(counts).collect();
    assert_eq!(of_spools, [(3, 12, 0, 0), (1, 4, 0, 0)]);
    assert_eq!(certificate.spools[0].groups["identity"], 12);
    let of_quarantines: Vec<_> = certificate.quarantines.iter().map(counts).collect();
    assert_eq!(of_quarantines, [(1, 2, 0, 0), (1, 2, 0, 0)]);
    for name in ["spool", "spool_quarantine", "quarantine"] {
        assert!(place(&certificate.places, name).reached, "{name}");
    }
    assert!(!names_her_in(folder.path()));
    here.shutdown(PATIENCE).await;
}

/// What a restored backup is brought up to date with reaches there, too.
pub(crate) async fn a_spool_in_use_is_refused_before_anybody_is_erased<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    let here = pipeline::<F>(&store, &keys).await;
    here.recorder().record(of_ana("7"));
    here.flush().await;
    let running = Pipeline::builder(Away).keys(keys.clone()).spool(folder.path());
    let running = running.start().await.unwrap();
    let eraser = here.eraser().unwrap();
    let refused = eraser.erase(&request().spool(folder.path()), |_step| {}).await.unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("a process uses it; stop that one first"), "{why}");
    assert!(refused.to_string().contains("nobody was erased"), "{refused}");
    let missing = request().quarantine(folder.path().join("nothing"));
    let refused = eraser.erase(&missing, |_step| {}).await.unwrap_err();
    assert!(refused.to_string().contains("nobody was erased"), "{refused}");
    assert!(all::<F>(&store).await.iter().any(|record| record.actor_id == "ana"));
    assert!(store_has_no_list(&store).await);
    running.shutdown(std::time::Duration::ZERO).await;
    given_back(folder.path());

    let certificate = eraser.erase(&request().spool(folder.path()), |_step| {}).await.unwrap();
    // While it is down somebody records under her name; a replay finds that.
    left(folder.path(), &keys).await;
    let before = ErasureRequest::new("everybody", "erased before").alone().spool(folder.path());
    let mut subjects = certificate.subjects.clone();
    for subject in &mut subjects {
        subject.before = subject.before.saturating_add(PATIENCE * 10);
    }
    let replayed = eraser.replay(&before, &subjects, |_step| {}).await.unwrap();
    assert_eq!(replayed.spools[0].records, 4);
    assert!(!names_her_in(folder.path()));
    here.shutdown(PATIENCE).await;
}

async fn store_has_no_list<S: tower_activity::store::Erase>(store: &S) -> bool {
    store.erased_subjects(0, 9).await.unwrap().is_empty()
}

/// Under a hold nothing of it goes; once it is lifted, what is left does.
pub(crate) async fn what_is_held_stays_in_a_spool_at_rest<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    left(folder.path(), &keys).await;
    let here = pipeline::<F>(&store, &keys).await;
    let (eraser, custodian) = (here.eraser().unwrap(), here.custodian().unwrap());
    let hold = HoldRequest::new("entity_id:3 retention_class:activity", "a lawsuit");
    let hold = custodian.place(&hold).await.unwrap().hold.id;
    let wanted = || request().spool(folder.path());
    let certificate = eraser.erase(&wanted(), |_step| {}).await.unwrap();
    assert_eq!(counts(&certificate.spools[0]), (1, 3, 1, 0));
    assert!(names_her_in(folder.path()));
    custodian.lift(hold, &Actor::user("dpo"), "settled", None).await.unwrap();
    let certificate = eraser.erase(&wanted(), |_step| {}).await.unwrap();
    assert_eq!(counts(&certificate.spools[0]), (1, 1, 0, 0));
    assert!(!names_her_in(folder.path()));
    here.shutdown(PATIENCE).await;
}

/// Returns the only segment in the spool.
fn segment(folder: &Path) -> std::path::PathBuf {
    let below = |folder: &Path| {
        let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.collect::<Vec<_>>()
    };
    let streams = below(folder).into_iter().filter(|path| path.is_dir());
    let mut files = streams.flat_map(|stream| below(&stream));
    files.find(|path| path.extension().is_some_and(|ending| ending == "seg")).unwrap()
}

/// What cannot be read may hold anything: the file is named, with what to do, and is not among what was reached.
pub(crate) async fn what_is_damaged_is_named_and_not_called_reached<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let (keys, folder) = (Keys::ephemeral(), tempfile::tempdir().unwrap());
    left(folder.path(), &keys).await;
    let file = segment(folder.path());
    let bytes = fs::read(&file).unwrap();
    // A bit in the first frame about her, and the last one torn in the middle of her name.
    let mut places =
        (0..bytes.len() - NAME.len()).filter(|at| bytes[*at..].starts_with(NAME.as_bytes()));
    let (first, last) = (places.next().unwrap(), places.next_back().unwrap());
    let mut damaged = bytes[..last + NAME.len()].to_vec();
    damaged[first - 1] ^= 1;
    fs::write(&file, &damaged).unwrap();

    let here = pipeline::<F>(&store, &keys).await;
    let eraser = here.eraser().unwrap();
    let wanted = || request().spool(folder.path());
    let plan = eraser.plan(&wanted()).await.unwrap();
    let certificate = eraser.erase(&wanted(), |_step| {}).await.unwrap();
    let spool = &certificate.spools[0];
    assert_eq!(counts(spool), (1, 2, 0, 2), "two of her four records can be read: {spool:?}");
    assert_eq!(plan.spools[0].unreached, spool.unreached);
    let unreached = &spool.unreached[0];
    assert_eq!((spool.unreached.len(), unreached.unreadable), (1, 2));
    assert_eq!(unreached.file, file.display().to_string());
    assert!(unreached.how.contains("start its process"), "{unreached:?}");
    for name in ["spool", "spool_quarantine"] {
        assert!(!place(&certificate.places, name).reached, "{:?}", certificate.places);
    }
    let left = fs::read(&file).unwrap();
    let named =
        |bytes: &[u8]| bytes.windows(NAME.len()).filter(|it| *it == NAME.as_bytes()).count();
    assert_eq!((named(&bytes), named(&left)), (7, 4), "in the damage alone");

    // Its process does as it was told to: what can be read is sent, and the copy is what remains.
    let there = Pipeline::builder(store.clone()).keys(keys.clone()).spool(folder.path());
    let there = there.start().await.unwrap();
    let sent = async {
        loop {
            there.flush().await;
            let all = all::<F>(&store).await;
            let orders = all.iter().filter(|record| record.entity_type == "order").count();
            if orders == 4 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.expect("four can be read");
    there.shutdown(PATIENCE).await;
    given_back(folder.path());
    let certificate = eraser.erase(&wanted(), |_step| {}).await.unwrap();
    let copies: Vec<_> = certificate.spools[0].unreached.iter().collect();
    let copy = copies.iter().find(|file| file.file.contains("/quarantine/")).expect("a copy");
    assert!(copy.how.contains("remove the file by hand"), "{copy:?}");
    for unreached in copies {
        fs::remove_file(&unreached.file).unwrap();
    }
    let certificate = eraser.erase(&wanted(), |_step| {}).await.unwrap();
    assert!(certificate.spools[0].unreached.is_empty());
    assert!(place(&certificate.places, "spool").reached && !names_her_in(folder.path()));
    here.shutdown(PATIENCE).await;
}

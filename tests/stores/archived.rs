//! What retention, erasure and restoring make of a real archive: in a directory, and in a bucket of the S3 server that
//! `TEST_S3_URL` names.

use std::{env, fs, ops::RangeInclusive, path::Path, sync::Arc};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_activity::{
    Keys, Pipeline,
    archive::{
        Archive, ArchiveAudit, ArchiveErrorKind, RestoreAsk,
        object_store::{RetryConfig, aws::AmazonS3Builder, path::Path as Key},
    },
    ledger::verify::Verdict,
    pipeline::{Certificate, ErasedPeople, ErasureRequest, HoldRequest, RetentionRun},
    query::Filter,
    record::{Actor, Groups, Json, Record},
    rules::RetentionPolicy,
    store::{
        Append as _, Archival as _, Audit, Evidence as _, Retain as _, StoreErrorKind,
        sqlite::SqliteStore, told_erasures,
    },
    time::{ManualClock, Timestamp},
};

use crate::{
    erasing::NAME,
    expiry::from_somewhere,
    records::salts,
    retention::old,
    suite::{Fixture, PATIENCE, all, append},
    table::times,
};

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// A record of a month that is over, about Ana where its number is even.
pub(crate) fn record(seq: i64) -> Box<Record> {
    let mut record = old(7, seq, "2026-01-10", "authentication");
    if seq % 2 == 0 {
        record.actor_id.set("ana");
        record.actor_name.set(NAME);
        record.metadata = Json::of(&serde_json::json!({ "note": NAME })).unwrap();
    }
    record.seal(salts(seq));
    record
}

/// Two entries with forty records.
pub(crate) async fn over<F: Fixture>(store: &F::Store) {
    for seqs in [1..=25, 26..=40] {
        append(store, &seqs.map(record).collect::<Vec<_>>()).await.unwrap();
    }
}

pub(crate) async fn run<F: Fixture>(
    store: &F::Store,
    keys: &Keys,
    archive: &Archive,
) -> RetentionRun {
    let builder = Pipeline::builder(store.clone()).clock(ManualClock::at(now())).keys(keys.clone());
    let builder = builder.retention_policy(RetentionPolicy::default()).archive(archive.clone());
    let pipeline = builder.start().await.unwrap();
    let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {}));
    let run = run.await.expect("it ends").unwrap();
    pipeline.shutdown(PATIENCE).await;
    run
}

async fn erased<F: Fixture>(
    store: &F::Store,
    keys: &Keys,
    archive: Option<&Archive>,
) -> Certificate {
    let mut builder = Pipeline::builder(store.clone()).keys(keys.clone());
    if let Some(archive) = archive {
        builder = builder.archive(archive.clone());
    }
    let pipeline = builder.start().await.unwrap();
    let request = ErasureRequest::new("ana", "GDPR Art. 17(1)(b)").alone();
    let done = pipeline.eraser().unwrap().erase(&request, |_| {}).await.unwrap();
    pipeline.shutdown(PATIENCE).await;
    done
}

pub(crate) async fn is_sound(archive: &Archive) -> u64 {
    let report = archive.verify(&ArchiveAudit::new(), |_| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
    report.records
}

/// Every value that a reader of Parquet finds, as text.
async fn contents(archive: &Archive) -> String {
    let mut text = String::new();
    for part in archive.parts().await.unwrap() {
        let mut reader = archive.reader(&part).await.unwrap();
        while let Some(rows) = reader.next().await.unwrap() {
            text.extend(rows.iter().map(|row| format!("{:?}\n", row.record)));
        }
    }
    text
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

pub(crate) fn in_folder() -> (TempDir, Archive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(folder.path().join("archive").to_str().unwrap()).unwrap();
    (folder, archive)
}

fn ask() -> RestoreAsk {
    RestoreAsk { units: Vec::new(), filter: Filter::new(), asked: None, now: now() }
}

/// A log of which a month is over, and an archive for it in a folder.
struct Scene<F: Fixture> {
    store: F::Store,
    folder: TempDir,
    archive: Archive,
    keys: Keys,
    _fixture: F,
}

impl<F: Fixture> Scene<F> {
    async fn new() -> Self {
        let fixture = F::new().await;
        let store = fixture.open().await;
        over::<F>(&store).await;
        let (folder, archive) = in_folder();
        Self { store, folder, archive, keys: Keys::ephemeral(), _fixture: fixture }
    }

    /// The month went from the log into the archive.
    async fn archived() -> Self {
        let scene = Self::new().await;
        let ended = run::<F>(&scene.store, &scene.keys, &scene.archive).await;
        assert_eq!((ended.ended.len(), ended.unarchived.len()), (1, 0), "{ended:?}");
        scene
    }
}

pub(crate) async fn who_is_erased_is_in_no_file_of_the_archive<F: Fixture>() {
    let Scene { store, folder, archive, keys, _fixture } = Scene::<F>::new().await;
    let ended = run::<F>(&store, &keys, &archive).await;
    assert_eq!(ended.ended.len(), 1, "{ended:?}");
    let part = &ended.ended[0].archived.as_ref().unwrap().parts[0];
    assert!(contents(&archive).await.contains(NAME));
    assert_eq!(is_sound(&archive).await, 40);
    assert!(all(&store).await.iter().all(|record| record.retention_class != "authentication"));

    let certificate = erased::<F>(&store, &keys, Some(&archive)).await;
    let reached = certificate.archive.unwrap();
    assert_eq!((reached.parts, reached.records), (1, 20));
    let parts = archive.parts().await.unwrap();
    assert_eq!(parts[0].manifest.generation, 2);
    assert_ne!(parts[0].digest, part.manifest, "it is another manifest");
    assert!(!contents(&archive).await.contains(NAME));
    for file in files(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        let has = bytes.windows(NAME.len()).any(|window| window == NAME.as_bytes());
        assert!(!has, "{}", file.display());
    }
    assert_eq!(files(&folder.path().join("archive/personal")).len(), 1, "the old one is gone");
    assert_eq!(is_sound(&archive).await, 40);
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 40), "{report:#?}");
}

pub(crate) async fn a_part_of_which_a_rewriting_left_a_file_over_is_tidied<F: Fixture>() {
    let Scene { store, folder, archive, keys, _fixture } = Scene::<F>::archived().await;
    let old = files(&folder.path().join("archive/personal")).remove(0);
    let copy = fs::read(&old).unwrap();
    erased::<F>(&store, &keys, Some(&archive)).await;
    // As if it had ended before its last step.
    fs::write(&old, copy).unwrap();
    let again = erased::<F>(&store, &keys, Some(&archive)).await;
    assert_eq!(again.archive.unwrap().records, 0);
    assert!(!old.exists());
    is_sound(&archive).await;
}

pub(crate) async fn what_is_archived_is_restored_asked_and_verified<F: Fixture>() {
    let Scene { folder, archive, .. } = Scene::<F>::archived().await;
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let scratch = archive.restore(&path("all.db"), &ask(), |_| Groups::NONE, |_| {}).await.unwrap();
    assert_eq!((scratch.records, scratch.entries, scratch.left_out), (40, 2, 0));
    let copy = SqliteStore::open_existing(&path("all.db")).await.unwrap();
    assert!(copy.scratch().await.unwrap().unwrap().whole);
    let found = all(&copy).await;
    assert_eq!(found.len(), 40);
    assert!(found.iter().any(|record| record.actor_name == NAME));
    let report = Audit::new(&copy).of_scratch().run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.records), (Verdict::Unaltered, 40), "{report:#?}");
    assert!(report.signed.is_some(), "it lies under a signed head");
    // Never taken for the log itself.
    let refused = SqliteStore::open(&path("all.db")).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Configuration);
    assert!(refused.to_string().contains("scratch copy"), "{refused}");
    let again =
        archive.restore(&path("all.db"), &ask(), |_| Groups::NONE, |_| {}).await.unwrap_err();
    assert_eq!(again.kind(), ArchiveErrorKind::Copy);

    // Some of it: the hashes of the others stand in their place.
    let filter = Filter::new().any_of("actor_id", ["ana"]).unwrap();
    let some = RestoreAsk { filter, asked: Some("actor_id:ana".to_owned()), ..ask() };
    let scratch = archive.restore(&path("some.db"), &some, |_| Groups::NONE, |_| {}).await.unwrap();
    assert_eq!((scratch.records, scratch.left_out), (20, 20));
    let copy = SqliteStore::open_existing(&path("some.db")).await.unwrap();
    let report = Audit::new(&copy).of_scratch().run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.left_out), (Verdict::Unaltered, 20), "{report:#?}");
    let as_log = Audit::new(&copy).run(|_progress| {}).await.unwrap();
    assert_eq!(as_log.verdict(), Verdict::Altered, "of a log nothing may be left out");
    for (number, sql) in (1..).zip([
        "DROP TRIGGER activity_records_sealed; DROP TRIGGER activity_records_groups; \
         UPDATE activity_records SET action = 'another' WHERE seq = 2",
        "UPDATE activity_scratch_leaves SET hash = zeroblob(32) WHERE seq = 1",
        "UPDATE activity_scratch_paths SET path = zeroblob(length(path))",
        "DELETE FROM activity_scratch_leaves WHERE seq = 1",
    ]) {
        let altered = path(&format!("altered-{number}.db"));
        fs::copy(path("some.db"), &altered).unwrap();
        rusqlite::Connection::open(&altered).unwrap().execute_batch(sql).unwrap();
        let altered = SqliteStore::open_existing(&altered).await.unwrap();
        let report = Audit::new(&altered).of_scratch().run(|_progress| {}).await.unwrap();
        assert_eq!(report.verdict(), Verdict::Altered, "{sql}");
    }
}

pub(crate) async fn who_was_erased_since_does_not_come_back<F: Fixture>() {
    let Scene { store, folder, archive, keys, _fixture } = Scene::<F>::archived().await;
    // Without the archive: it has her still, and the log knows that she was erased.
    erased::<F>(&store, &keys, None).await;
    assert!(contents(&archive).await.contains(NAME));
    let log = store.reader().unwrap();
    let people = ErasedPeople::of(&log, keys.clone()).await.unwrap();
    let told = told_erasures(&log).await.unwrap();
    let path = folder.path().join("copy.db").to_str().unwrap().to_owned();
    let gone = |record: &Record| people.groups(record).and(told.groups(record));
    let scratch = archive.restore(&path, &ask(), gone, |_| {}).await.unwrap();
    assert!(scratch.erased >= 20);
    let copy = SqliteStore::open_existing(&path).await.unwrap();
    assert!(all(&copy).await.iter().all(|record| record.actor_name != NAME));
    let report = Audit::new(&copy).of_scratch().run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
}

pub(crate) async fn a_late_record_makes_a_further_part<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    // Gone before there was an archive: cannot be archived, and holds up nothing.
    append(&store, &[record(1)]).await.unwrap();
    let before = Pipeline::builder(store.clone()).clock(ManualClock::at(now()));
    let before = before.retention_policy(RetentionPolicy::default()).start().await.unwrap();
    assert_eq!(before.run_retention(|_| {}).await.unwrap().ended.len(), 1);
    before.shutdown(PATIENCE).await;
    let (_folder, archive) = in_folder();
    let keys = Keys::ephemeral();
    for seq in [2, 3] {
        append(&store, &[record(seq)]).await.unwrap();
        let ended = run::<F>(&store, &keys, &archive).await;
        assert_eq!((ended.ended.len(), ended.unarchived.len()), (1, 0), "{ended:?}");
    }
    assert_eq!(archive.parts().await.unwrap().len(), 2);
    assert_eq!(is_sound(&archive).await, 2);
}

pub(crate) async fn nothing_goes_whose_part_was_altered_since<F: Fixture>() {
    let Scene { store, folder, archive, keys, _fixture } = Scene::<F>::new().await;
    let log = store.reader().unwrap();
    let session = archive.begin(&log, &[], now()).await.unwrap().unwrap();
    let unit = log.units().await.unwrap().remove(0).unit;
    session.unit(&unit, |_part| {}).await.unwrap();
    for kind in ["records", "personal", "ledger", "manifests"] {
        let file = files(&folder.path().join("archive").join(kind)).remove(0);
        let whole = fs::read(&file).unwrap();
        let mut altered = whole.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs::write(&file, altered).unwrap();
        let ended = run::<F>(&store, &keys, &archive).await;
        assert_eq!((ended.ended.len(), ended.unarchived.len()), (0, 1), "{kind}: {ended:?}");
        fs::write(&file, whole).unwrap();
    }
    let left = all(&store).await;
    assert_eq!(left.iter().filter(|one| one.retention_class == "authentication").count(), 40);
    assert_eq!(run::<F>(&store, &keys, &archive).await.ended.len(), 1);
    assert_eq!(archive.parts().await.unwrap().len(), 1, "it was there already");
}

/// Those in the archive that say whence, by number.
async fn with_address(archive: &Archive) -> Vec<i64> {
    let mut found = Vec::new();
    for part in archive.parts().await.unwrap() {
        let mut reader = archive.reader(&part).await.unwrap();
        while let Some(rows) = reader.next().await.unwrap() {
            let records = rows.iter().map(|row| &row.record);
            found.extend(records.filter(|one| one.ip.is_some()).map(|one| one.seq));
        }
    }
    found.sort_unstable();
    found
}

/// What was archived while addresses were kept has none either once their time is over, whether the log still has the
/// records or not.
pub(crate) async fn addresses_end_in_the_archive_too<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let from = |seqs: RangeInclusive<i64>, day: &'static str| {
        seqs.map(|seq| from_somewhere(7, seq, day, "activity")).collect::<Vec<_>>()
    };
    append(&store, &from(1..=3, "2026-09-10")).await.unwrap();
    append(&store, &from(4..=5, "2025-01-10")).await.unwrap();
    // Kept until December.
    append(&store, &from(6..=6, "2026-10-10")).await.unwrap();
    let (folder, archive) = in_folder();
    let (log, keys) = (store.reader().unwrap(), Keys::ephemeral());
    let session = archive.begin(&log, &[[9; 32]], now()).await.unwrap().unwrap();
    for facts in log.units().await.unwrap() {
        session.unit(&facts.unit, |_part| {}).await.unwrap();
    }
    assert_eq!(with_address(&archive).await, [1, 2, 3, 4, 5, 6]);
    let holder = Pipeline::builder(store.clone()).clock(ManualClock::at(now())).start().await;
    let holder = holder.unwrap();
    let custodian = holder.custodian().unwrap();
    let request = HoldRequest::new("path:/orders/2", "a lawsuit").by(Actor::user("dpo"));
    let placed = custodian.place(&request).await.unwrap();
    let emptied = |run: &RetentionRun| {
        assert!(run.unemptied.is_empty() && run.busy.is_empty(), "{run:?}");
        let parts = run.archived_addresses.iter();
        parts.map(|one| (one.unit.to_string(), one.records, one.held)).collect::<Vec<_>>()
    };
    let first = run::<F>(&store, &keys, &archive).await;
    assert_eq!(first.ended.len(), 1, "January of 2025 is gone from the log");
    let (gone, there) = ("2025-01 activity".to_owned(), "2026-09 activity".to_owned());
    assert_eq!(emptied(&first), [(gone, 2, 0), (there.clone(), 2, 1)]);
    assert_eq!(with_address(&archive).await, [2, 6]);
    assert_eq!(files(&folder.path().join("archive/personal")).len(), 3, "the old ones are gone");
    assert_eq!(is_sound(&archive).await, 6);
    // The others have all that they had.
    assert!(contents(&archive).await.contains("\"ana\""));

    let told = async || {
        let all = all(&store).await.into_iter();
        let of_addresses = all.filter(|one| one.action.as_str().starts_with("addresses_"));
        of_addresses.filter(|one| one.metadata.as_str().contains("\"archive\":")).count()
    };
    let before = told().await;
    assert_eq!(before, 4, "of both that it is about to happen, and that it has");
    assert!(emptied(&run::<F>(&store, &keys, &archive).await).is_empty(), "nothing has changed");
    assert_eq!(told().await, before, "what was looked at is not looked at again");
    custodian.lift(placed.hold.id, &Actor::user("dpo"), "settled", None).await.unwrap();
    assert_eq!(emptied(&run::<F>(&store, &keys, &archive).await), [(there, 1, 0)]);
    assert_eq!(with_address(&archive).await, [6]);
    assert_eq!(is_sound(&archive).await, 6);
    holder.shutdown(PATIENCE).await;
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 2), "{report:#?}");
    let path = folder.path().join("copy.db").to_str().unwrap().to_owned();
    archive.restore(&path, &ask(), |_| Groups::NONE, |_| {}).await.unwrap();
    let copy = SqliteStore::open_existing(&path).await.unwrap();
    let report = Audit::new(&copy).of_scratch().run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
}

/// An archive in a bucket of its own.
async fn in_bucket(make: bool) -> Archive {
    let (url, bucket) = bucket(make).await;
    at(&url, &bucket)
}

/// Returns the address of the S3 server, and the name of a bucket that is made or is not there.
pub(crate) async fn bucket(make: bool) -> (String, String) {
    let url = env::var("TEST_S3_URL").expect(
        "TEST_S3_URL names no server: run scripts/test, which starts one, or set it to that of a throw-away S3 server",
    );
    let bucket = format!("log-{:016x}", rand::random::<u64>());
    if make {
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let mut server = tokio::net::TcpStream::connect(host).await.unwrap();
        let head = format!(
            "PUT /{bucket} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\
             authorization: AWS4-HMAC-SHA256 Credential=key/20261122/us-east-1/s3/aws4_request\r\n\r\n"
        );
        server.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        server.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    (url, bucket)
}

fn at(url: &str, bucket: &str) -> Archive {
    let never = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    over_s3(builder(url, bucket).with_retry(never))
}

/// Everything that a client of the server needs, as far as it asks whom it has before it.
pub(crate) fn builder(url: &str, bucket: &str) -> AmazonS3Builder {
    // Brings the provider of TLS along.
    Archive::open("s3://nothing-is-read/of-it").unwrap();
    AmazonS3Builder::new()
        .with_endpoint(url)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("key")
        .with_secret_access_key("secret")
        .with_bucket_name(bucket)
}

pub(crate) fn over_s3(builder: AmazonS3Builder) -> Archive {
    Archive::over(Arc::new(builder.build().unwrap()), Key::from("of/the/log"))
}

pub(crate) async fn a_bucket_keeps_erases_and_restores<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    over::<F>(&store).await;
    let (keys, archive) = (Keys::ephemeral(), in_bucket(true).await);
    let ended = run::<F>(&store, &keys, &archive).await;
    assert_eq!((ended.ended.len(), ended.unarchived.len()), (1, 0), "{ended:?}");
    assert_eq!(is_sound(&archive).await, 40);
    let reached = erased::<F>(&store, &keys, Some(&archive)).await.archive.unwrap();
    assert_eq!((reached.parts, reached.records), (1, 20));
    assert!(!contents(&archive).await.contains(NAME));
    assert_eq!(is_sound(&archive).await, 40);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.db").to_str().unwrap().to_owned();
    let scratch = archive.restore(&path, &ask(), |_| Groups::NONE, |_| {}).await.unwrap();
    assert_eq!(scratch.records, 40);
}

/// Twenty records that make more than one piece of an upload.
pub(crate) fn large() -> Vec<Box<Record>> {
    (1..=20)
        .map(|seq| {
            let mut record = record(seq);
            // Nothing that could be compressed much.
            let text = (0..64 * 1_024).flat_map(|_| rand::random::<u64>().to_le_bytes());
            let text: String = text.map(|byte| char::from(b' ' + byte % 95)).collect();
            record.metadata = Json::of(&serde_json::json!({ "note": text })).unwrap();
            record.seal(salts(seq));
            record
        })
        .collect()
}

pub(crate) async fn a_bucket_takes_what_is_larger_than_one_piece<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    append(&store, &large()).await.unwrap();
    let (log, archive) = (store.reader().unwrap(), in_bucket(true).await);
    let session = archive.begin(&log, &[], now()).await.unwrap().unwrap();
    let unit = log.units().await.unwrap().remove(0).unit;
    // It reads back what it has written.
    let parts = session.unit(&unit, |_part| {}).await.unwrap();
    assert!(parts[0].manifest.files.personal.bytes > 8 * 1024 * 1024, "{parts:?}");
    assert_eq!(archive.parts().await.unwrap(), parts);
}

pub(crate) async fn a_bucket_that_is_not_there_keeps_the_log_whole<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    over::<F>(&store).await;
    let keys = Keys::ephemeral();
    // Nobody listens on the other: the port is given back at once.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (archive, why) in [
        (in_bucket(false).await, "NoSuchBucket"),
        (at(&format!("http://{free}"), "log"), "error sending request"),
    ] {
        let ended = run::<F>(&store, &keys, &archive).await;
        assert_eq!((ended.ended.len(), ended.unarchived.len()), (0, 1), "{ended:?}");
        assert!(ended.unarchived[0].why.contains(why), "{ended:?}");
        assert_eq!(
            all(&store).await.iter().filter(|one| one.retention_class == "authentication").count(),
            40
        );
        assert!(archive.find("manifests/none", &mut |_| Groups::NONE).await.is_err());
    }
}

/// What the statement that `docs/archive.md` shows for an engine finds in an archive, in the engine itself: a program for
/// the Python that `variable` names gets it and prints rows as JSON.
async fn found_by(engine: &str, variable: &str, program: &str) -> Vec<u8> {
    let python = env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} names no Python that has {engine}: run scripts/test, which makes one, or set it to the path of one"
        )
    });
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    append(&store, &(1..=40).map(record).collect::<Vec<_>>()).await.unwrap();
    let (folder, archive) = in_folder();
    let log = store.reader().unwrap();
    let session = archive.begin(&log, &[], now()).await.unwrap().unwrap();
    session.unit(&log.units().await.unwrap()[0].unit, |_part| {}).await.unwrap();
    let document = include_str!("../../docs/archive.md");
    let (_, shown) = document.split_once(&format!("<!-- {engine} -->\n```sql\n")).unwrap();
    let (sql, _) = shown.split_once("```").unwrap();
    let run = tokio::process::Command::new(python)
        .args(["-c", program, sql.trim_end().trim_end_matches(';')])
        .current_dir(folder.path())
        .output();
    let run = tokio::time::timeout(PATIENCE, run).await.expect("it ends").unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_reads_what_is_archived() {
    let program = "import duckdb, json, sys\nprint(json.dumps(duckdb.sql(sys.argv[1]).fetchall()))";
    let found = found_by("duckdb", "TEST_DUCKDB", program).await;
    let rows: Vec<(String, String, String, i64)> = serde_json::from_slice(&found).unwrap();
    assert!(rows.iter().all(|row| row.0 == "2026-01"), "{rows:?}");
    let of_ana = rows.iter().filter(|row| row.2 == "ana").map(|row| row.3);
    assert_eq!(of_ana.sum::<i64>(), 20, "{rows:?}");
    assert_eq!(rows.iter().map(|row| row.3).sum::<i64>(), 40);
}

/// Once in `scripts/torture`, which makes the Python that `TEST_CLICKHOUSE` names, and never elsewhere: it is too large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clickhouse_reads_what_is_archived() {
    if times(0, 1) == 0 {
        return;
    }
    let program = "import chdb, json, sys\n\
                   rows = str(chdb.query(sys.argv[1], 'JSONCompactEachRow')).splitlines()\n\
                   print(json.dumps([json.loads(row) for row in rows if row]))";
    let found = found_by("clickhouse", "TEST_CLICKHOUSE", program).await;
    let rows: Vec<(String, String, i64)> = serde_json::from_slice(&found).unwrap();
    let of_ana = rows.iter().filter(|row| row.1 == "ana").map(|row| row.2);
    assert_eq!(of_ana.sum::<i64>(), 20, "{rows:?}");
    assert_eq!(rows.iter().map(|row| row.2).sum::<i64>(), 40);
}

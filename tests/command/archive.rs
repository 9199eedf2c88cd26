//! Months go into an archive by command, once; it is verified without the log, and what was changed in it is told.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::run::{Log, activity, ended, record};

on_both!(
    months_that_are_over_are_archived_once_and_told_of,
    what_was_changed_in_an_archive_is_told_with_its_file,
    an_archive_that_is_not_there_is_not_verified,
    what_expires_is_archived_first_or_stays,
    what_is_archived_comes_back_as_a_copy_without_those_who_were_erased,
    addresses_end_in_the_archive_by_the_run_that_ends_them_in_the_log,
    what_a_hold_kept_in_the_archive_goes_when_it_is_lifted,
);

impl Log {
    /// Returns a log with five records of a month that is long over, and one of later.
    async fn with_two_months(self) -> Self {
        self.run(&["migrate"]).await.with(0);
        let old = |seq| record(seq, &format!("2024-02-10T12:00:0{seq}Z"), |_| {});
        self.append(&[old(1), old(2), old(3)]).await;
        self.append(&[old(4), old(5)]).await;
        self.append(&[record(6, "2024-03-10T12:00:00Z", |_| {})]).await;
        self
    }

    fn archive(&self) -> String {
        self.path("archive").display().to_string()
    }

    /// Returns the only file of the archive whose path begins so.
    fn archived(&self, folder: &str) -> PathBuf {
        let mut path = self.path("archive").join(folder);
        while path.is_dir() {
            let mut inside = fs::read_dir(&path).unwrap();
            path = inside.next().expect("a folder with one file").unwrap().path();
        }
        path
    }
}

async fn months_that_are_over_are_archived_once_and_told_of(log: Log) {
    let log = log.with_two_months().await;
    let to = log.archive();
    log.run(&["archive", "run", "--to", &to]).await.with(2);
    let run = ["archive", "run", "--to", &to, "--all-closed"];
    let before = [&run[..], &["--before", "2024-03"]].concat();
    let first = log.run(&before).await.with(0).json();
    let counts = |lines: &[Value]| -> Vec<(Value, Value)> {
        lines.iter().map(|line| (line["month"].clone(), line["records"].clone())).collect()
    };
    assert_eq!(counts(&first), [("2024-02".into(), 5.into())]);
    let expired = ["archive", "run", "--to", &to, "--preset", "default"];
    assert_eq!(counts(&log.run(&expired).await.with(0).json()), [("2024-03".into(), 1.into())]);
    assert!(log.run(&run).await.with(0).json().is_empty(), "nothing is archived twice");

    let listed = log.run(&["archive", "list", "--from", &to]).await.with(0).json();
    assert_eq!(listed[0]["digest"], first[0]["digest"]);
    assert_eq!(counts(&listed), [("2024-02".into(), 5.into()), ("2024-03".into(), 1.into())]);
    let told = log.run(&["query", "action:archived", "--oldest"]).await.with(0).json();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["id"], first[0]["told_by"]);
    assert_eq!(told[0]["metadata"]["digest"], first[0]["digest"]);

    let verified = log.run(&["archive", "verify", "--from", &to]).await.json();
    assert_eq!(
        (&verified[0]["records"], &verified[0]["total"]),
        (&6.into(), &verified[0]["parts"])
    );
    // The log itself is as it was, and says so.
    log.run(&["verify"]).await.with(0);
}

async fn what_was_changed_in_an_archive_is_told_with_its_file(log: Log) {
    let log = log.with_two_months().await;
    let (to, keys) = (log.archive(), log.path("archive.keys").display().to_string());
    log.run(&["checkpoint", "--keys", &keys]).await.with(0);
    let run =
        ["archive", "run", "--to", &to, "--all-closed", "--before", "2024-03", "--keys", &keys];
    log.run(&run).await.with(0);
    let verify = ["archive", "verify", "--from", &to];
    let verified = log.run(&verify).await.with(0).json().remove(0);
    assert_eq!((&verified["result"], &verified["proved"]), (&"unaltered".into(), &2.into()));

    let trust = log.run(&["checkpoint", "--trust-line", "--keys", &keys]).await.with(0).stdout;
    fs::write(log.path("trust.txt"), trust).unwrap();
    let trusted = [&verify[..], &["--trust", "trust.txt"]].concat();
    assert_eq!(log.run(&trusted).await.with(0).json()[0]["trust"], "self-signed");

    for folder in ["records", "personal", "ledger"] {
        let file = log.archived(folder);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&file, bad).unwrap();
        let told = log.run(&verify).await.with(1).json().remove(0);
        let name = file.strip_prefix(log.path("archive")).unwrap().display().to_string();
        let files: Vec<_> = told["faults"].as_array().unwrap().iter().map(|f| &f["file"]).collect();
        assert!(files.contains(&&name.into()), "{told}");
        fs::remove_file(&file).unwrap();
        let people = log.run(&[&verify[..], &["--output", "table"]].concat()).await.with(1).stdout;
        assert!(people.contains("ALTERED") && people.contains("missing"), "{people}");
        fs::write(&file, good).unwrap();
    }
    fs::write(log.path("archive/records/notes.txt"), "of somebody").unwrap();
    let told = log.run(&verify).await.with(2).json().remove(0);
    assert_eq!(
        (&told["result"], &told["faults"][0]["kind"]),
        (&"incomplete".into(), &"foreign".into())
    );
}

async fn an_archive_that_is_not_there_is_not_verified(log: Log) {
    let to = log.archive();
    log.run(&["archive", "run", "--to", &to, "--all-closed"]).await.with(3);
    for what in ["list", "verify"] {
        let said = log.run(&["archive", what, "--from", &to]).await.with(3).stderr;
        let why = format!("open the archive in the directory {to}: No such file or directory");
        assert!(said.contains(&why), "{said}");
    }
    assert!(!log.path("archive").exists(), "what is merely misspelt is not made");
    fs::create_dir(log.path("archive")).unwrap();
    log.run(&["archive", "verify", "--from", &to]).await.with(3);
    for wrong in ["ftp://somewhere", "s3://", "s3://key@bucket"] {
        log.run(&["archive", "verify", "--from", wrong]).await.with(3);
    }
}

async fn what_expires_is_archived_first_or_stays(log: Log) {
    let log = log.with_two_months().await;
    let to = log.archive();
    fs::write(log.path("archive"), "a file, and no folder").unwrap();
    let run = ["retention", "run", "--preset", "default", "--archive", &to];
    let failed = log.run(&run).await.with(3);
    assert!(failed.stdout.is_empty(), "{failed:?}");
    assert!(failed.stderr.contains("archive"), "{failed:?}");
    assert!(log.run(&["query", "action:retention_run"]).await.with(0).json().is_empty());
    assert_eq!(log.run(&["query", "entity_type:order"]).await.with(0).json().len(), 6);

    fs::remove_file(log.path("archive")).unwrap();
    let gone = log.run(&run).await.with(0).json();
    let listed = log.run(&["archive", "list", "--from", &to]).await.with(0).json();
    let of = |line: &Value| (line["month"].clone(), line["archive"]["parts"].clone());
    let listed_as = |part: &Value| (part["month"].clone(), Value::from([part["manifest"].clone()]));
    assert_eq!(
        gone.iter().map(of).collect::<Vec<_>>(),
        listed.iter().map(listed_as).collect::<Vec<_>>()
    );
    assert_eq!(gone.len(), 2);
    let told = log.run(&["query", "action:retention_run", "--oldest"]).await.with(0).json();
    let part = &told[0]["metadata"]["archive"]["parts"][0];
    assert_eq!((&part["part"], &part["manifest"]), (&listed[0]["manifest"], &listed[0]["digest"]));
    assert!(log.run(&["query", "entity_type:order"]).await.with(0).json().is_empty());
    let verified = log.run(&["verify"]).await.with(0).json().remove(0);
    assert_eq!(verified["expired"], 6);
}

async fn what_is_archived_comes_back_as_a_copy_without_those_who_were_erased(log: Log) {
    let log = log.with_two_months().await;
    let to = log.archive();
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let run = ["retention", "run", "--preset", "default", "--archive", &to, "--keys", "log.keys"];
    assert_eq!(log.run(&run).await.with(0).json().len(), 2);
    let of_ana = async |copy: &str| {
        let asked = ["query", "actor_id:ana", "--store", copy];
        log.run(&asked).await.with(0).json().len()
    };
    let restore = ["archive", "restore", "--from", &to, "--keys", "log.keys", "--to"];
    let february = [&restore[..], &["sqlite:february.db", "--month", "2024-02"]].concat();
    let made = log.run(&february).await.with(0).json().remove(0);
    assert_eq!((&made["records"], &made["entries"]), (&5.into(), &2.into()));
    assert_eq!(of_ana("sqlite:february.db").await, 5);
    log.run(&february).await.with(3);
    // No log, and never verified as one.
    let verify = ["verify", "--store", "sqlite:february.db"];
    let refused = log.run(&verify).await.with(3);
    assert!(refused.stderr.contains("--scratch"), "{refused:?}");
    let verified = log.run(&[&verify[..], &["--scratch"]].concat()).await.with(0).json().remove(0);
    assert_eq!((&verified["records"], &verified["scratch"]["whole"]), (&5.into(), &true.into()));
    assert!(verified["not_excluded"].as_str().unwrap().contains("it is not the log"));
    log.run(&["verify", "--scratch"]).await.with(3);
    // An anchor that no trusted key signed is told of, whatever the copy has of what it covers.
    let line = log.run(&["checkpoint", "--keys", "log.keys", "--trust-line"]).await.with(0).stdout;
    fs::write(log.path("trust"), line).unwrap();
    let trusted = [&verify[..], &["--scratch", "--trust", "trust"]].concat();
    log.run(&trusted).await.with(0);
    let other = Log::sqlite().with_six().await;
    let anchor = format!("file:{}", log.path("anchor").display());
    other.run(&["checkpoint", "--keys", "other.keys", "--anchor", &anchor]).await.with(0);
    let found = log.run(&[&trusted[..], &["--anchor", &anchor]].concat()).await.with(1).json();
    assert_eq!(found[0]["altered"][0]["kind"], "head_forged", "{found:#?}");

    // Erased from the log alone: the log says whom the copy is not to have.
    let erase =
        ["subject", "erase", "ana", "--keys", "log.keys", "--basis", "GDPR Art. 17", "--alone"];
    let erased = log.run(&erase).await.with(0).json().remove(0);
    let places = erased["places"].as_array().unwrap();
    let place = places.iter().find(|place| place["place"] == "archive").unwrap();
    assert_eq!(place["reached"], false, "nobody named it");
    let made = log.run(&[&restore[..], &["sqlite:known.db"]].concat()).await.with(0).json();
    assert!(made[0]["erased"].as_u64().unwrap() >= 6, "{made:?}");
    assert_eq!(of_ana("sqlite:known.db").await, 0);
    let alone = async |name: &str| {
        let copy = format!("sqlite:{name}.db");
        let asked = ["archive", "restore", "--from", &to, "--to", &copy];
        let ended = ended(&mut activity(log.folder.path(), &asked)).await.with(0);
        assert!(ended.stderr.contains("no log is named"), "{ended:?}");
        of_ana(&copy).await
    };
    assert_eq!(alone("before").await, 6, "the archive has her still");
    let erased = log.run(&[&erase[..], &["--archive", &to]].concat()).await.with(0).json();
    assert_eq!(erased[0]["archive"]["records"], 6, "{erased:?}");
    assert_eq!(alone("after").await, 0);
    let verified = log.run(&["archive", "verify", "--from", &to]).await.with(0).json();
    assert_eq!(verified[0]["records"], 6);
}

async fn addresses_end_in_the_archive_by_the_run_that_ends_them_in_the_log(log: Log) {
    log.run(&["migrate"]).await.with(0);
    let from = record(1, "2024-02-10T12:00:00Z", |record| {
        record.retention_class.set("consent");
        record.ip = Some("192.0.2.7".parse().unwrap());
    });
    log.append(&[from]).await;
    let to = log.archive();
    let listed = log.run(&["archive", "run", "--to", &to, "--all-closed"]).await.with(0).json();
    let run = ["retention", "run", "--preset", "default", "--archive", &to];
    let gone = log.run(&run).await.with(0).json();
    let of: Vec<_> = gone.iter().map(|line| (&line["class"], &line["addresses"])).collect();
    assert_eq!(of, [(&"consent".into(), &1.into()); 2], "{gone:?}");
    assert!(gone[0]["archive"].is_null());
    assert_eq!(gone[1]["archive"]["part"], listed[0]["manifest"]);
    let again = log.run(&[&run[..], &["--output", "table"]].concat()).await.with(0);
    assert_eq!(again.stdout, "nothing has expired\n");
    // Without keys there was no head to prove it by, and that is all that is wrong with it.
    let verified = log.run(&["archive", "verify", "--from", &to]).await.with(2).json();
    assert_eq!((&verified[0]["records"], &verified[0]["erased"]), (&1.into(), &1.into()));
    assert!(
        verified[0]["faults"].as_array().unwrap().iter().all(|fault| fault["kind"] == "unproved")
    );
    log.run(&["verify"]).await.with(0);
}

/// Whoever lifts a hold is told which archive still has somebody, and what to run; and where he names it, it goes at once.
async fn what_a_hold_kept_in_the_archive_goes_when_it_is_lifted(log: Log) {
    let log = log.with_two_months().await;
    let to = log.archive();
    log.run(&["archive", "run", "--to", &to, "--all-closed"]).await.with(0);
    let place = ["hold", "place", "entity_id:(1 OR 2)", "--reason", "a lawsuit"];
    let hold = log.run(&place).await.with(0).json().remove(0);
    let erase = ["subject", "erase", "ana", "--keys", "log.keys", "--basis", "x", "--alone"];
    let erase = [&erase[..], &["--archive", &to, "--output", "table"]].concat();
    let said = log.run(&erase).await.with(0).stdout;
    assert!(said.contains("2 records more under a legal hold: nothing of them goes"), "{said}");
    assert!(said.contains("activity hold lift --archive"), "{said}");

    let lift = ["hold", "lift", hold["id"].as_str().unwrap(), "--reason", "settled"];
    let done = log.run(&lift).await.with(0);
    let lifted = done.json().remove(0);
    assert_eq!((&lifted["erased"], &lifted["archive"]), (&2.into(), &Value::Null), "{lifted}");
    let left = &lifted["left"][0];
    let run = left["how"].as_str().unwrap().split('`').nth(1).unwrap();
    assert!(run.starts_with("activity subject erase --replay --archive "), "{left}");
    assert!(done.stderr.contains("may still hold people who were erased"), "{done:?}");
    let with = [&lift[..], &["--archive", &to]].concat();
    let wrong = log.run(&[&with[..], &["--keys", "others.keys"]].concat()).await;
    assert_eq!(wrong.code, Some(0), "{wrong:?}");
    assert_eq!(wrong.json()[0]["left"].as_array().map(Vec::len), Some(1), "{wrong:?}");
    let done = log.run(&[&with[..], &["--keys", "log.keys"]].concat()).await.with(0);
    let again = done.json().remove(0);
    assert_eq!((&again["archive"]["records"], &again["archive"]["held"]), (&2.into(), &0.into()));
    assert_eq!((&again["left"], &again["lifted"]), (&serde_json::json!([]), &lifted["lifted"]));
    let copy = ["archive", "restore", "--from", &to, "--to", "sqlite:copy.db"];
    ended(&mut activity(log.folder.path(), &copy)).await.with(0);
    let copied = ["query", "actor_id:ana", "--store", "sqlite:copy.db"];
    assert!(log.run(&copied).await.with(0).json().is_empty());
    let quiet = log.run(&lift).await.with(0);
    assert!(!quiet.stderr.contains("may still hold"), "{quiet:?}");
    log.run(&["verify"]).await.with(0);
}

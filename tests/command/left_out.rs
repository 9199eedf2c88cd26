//! What whoever keeps an archive leaves out of it does not show in the archive, and shows against the log.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::run::{Ended, Log, activity, ended, record};

on_both!(
    what_was_left_out_of_an_archive_shows_against_the_log,
    what_was_taken_out_of_the_log_has_to_be_in_the_archive,
    an_archive_that_was_moved_or_erased_from_has_all_that_the_log_tells_of,
    an_archive_of_which_the_log_does_not_tell_is_not_passed_over,
);

/// A log, and its archive of two months of which one has two parts. A second archive has the first entry alone of its three.
struct Kept {
    log: Log,
    archive: String,
    early: String,
}

const KEYS: [&str; 2] = ["--keys", "log.keys"];

async fn kept(log: Log, run: &[&str]) -> Kept {
    log.run(&["migrate"]).await.with(0);
    let old = |seq| record(seq, &format!("2024-02-10T12:00:0{seq}Z"), |_| {});
    log.append(&[old(1), old(2), old(3)]).await;
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let (archive, early) =
        (log.path("archive").display().to_string(), log.path("early").display().to_string());
    let all = ["archive", "run", "--all-closed", "--keys", "log.keys", "--to"];
    log.run(&[&all[..], &[&early]].concat()).await.with(0);
    log.append(&[old(4), old(5)]).await;
    log.append(&[record(6, "2024-03-10T12:00:00Z", |_| {})]).await;
    let run = [run, &[&archive], &KEYS].concat();
    if run[0] == "archive" {
        log.run(&run).await.with(0);
        log.append(&[old(7)]).await;
    }
    log.run(&run).await.with(0);
    Kept { log, archive, early }
}

const ARCHIVE: [&str; 4] = ["archive", "run", "--all-closed", "--to"];

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        match from.is_dir() {
            true => copy(&from, &to),
            false => drop(fs::copy(&from, &to).unwrap()),
        }
    }
}

const FOLDERS: [&str; 4] = ["records", "personal", "ledger", "manifests"];

impl Kept {
    /// Verifies the archive alone, and compared with the log.
    async fn verified(&self, alone: i32, compared: i32) -> Value {
        let verify = ["archive", "verify", "--from", &self.archive];
        let by_itself = ended(&mut activity(self.log.folder.path(), &verify)).await.with(alone);
        assert!(by_itself.json().iter().all(|told| told["told"].is_null()));
        self.compared(&verify).await.with(compared).json().remove(0)
    }

    async fn compared(&self, verify: &[&str]) -> Ended {
        self.log.run(verify).await
    }

    /// Removes the files of the parts of a month that begin so.
    fn remove(&self, month: &str, part: &str) {
        for folder in FOLDERS {
            let folder = Path::new(&self.archive).join(folder).join("class=activity").join(month);
            let mut gone = 0;
            for file in fs::read_dir(&folder).unwrap() {
                let file = file.unwrap().path();
                if file.file_name().unwrap().to_str().unwrap().starts_with(part) {
                    fs::remove_file(file).unwrap();
                    gone += 1;
                }
            }
            assert!(gone > 0, "{}", folder.display());
        }
    }

    /// Puts the month of the early archive in the place of that of the archive: entries are left out with their records,
    /// and the manifest says that somebody was erased, so that it need not be the one of which the log tells.
    fn leave_entries_out(&self) {
        let month = "class=activity/month=2024-02";
        for folder in FOLDERS {
            let to = Path::new(&self.archive).join(folder).join(month);
            fs::remove_dir_all(&to).unwrap();
            copy(&Path::new(&self.early).join(folder).join(month), &to);
        }
        let manifest = Path::new(&self.archive).join("manifests").join(month).join("00001.json");
        let text = fs::read_to_string(&manifest).unwrap();
        let anew = text.replace("\"generation\": 1", "\"generation\": 2");
        assert_ne!(text, anew);
        fs::write(manifest, anew).unwrap();
    }
}

fn faults(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let faults = report["faults"].as_array().unwrap().iter();
    faults.map(|fault| (text(&fault["kind"]), text(&fault["file"]))).collect()
}

fn manifest(month: &str, part: u32) -> String {
    format!("manifests/class=activity/month={month}/{part:05}.json")
}

fn fault(kind: &str, file: String) -> (String, String) {
    (kind.to_owned(), file)
}

async fn what_was_left_out_of_an_archive_shows_against_the_log(log: Log) {
    let mut kept = kept(log, &ARCHIVE).await;
    let sound = kept.log.path("sound");
    let archive = PathBuf::from(&kept.archive);
    copy(&archive, &sound);
    let again = || {
        fs::remove_dir_all(&archive).unwrap();
        copy(&sound, &archive);
    };
    let found = kept.verified(0, 0).await;
    assert_eq!(
        (&found["result"], &found["told"], &found["told_elsewhere"]),
        (&json!("unaltered"), &json!(3), &json!(1)),
        "{found:#}"
    );
    let people = ["archive", "verify", "--from", &kept.archive, "--output", "table"];
    let said = kept.compared(&people).await.with(0).stdout;
    let second = said.lines().nth(1).unwrap();
    assert!(second.contains("tells of 3 parts and of 1 in other archives"), "{second}");
    let said = ended(&mut activity(kept.log.folder.path(), &people)).await.with(0).stdout;
    let second = said.lines().nth(1).unwrap();
    assert!(second.contains("something was left out whole (no log was named"), "{second}");

    // The last part of a month, and a month.
    kept.remove("month=2024-02", "00002");
    let found = kept.verified(0, 1).await;
    assert_eq!(faults(&found), [fault("missing", manifest("2024-02", 2))], "{found:#}");
    again();
    kept.remove("month=2024-03", "0");
    let found = kept.verified(0, 1).await;
    assert_eq!(faults(&found), [fault("missing", manifest("2024-03", 1))], "{found:#}");
    again();
    // An entry with its records, and the manifest written anew.
    kept.leave_entries_out();
    let found = kept.verified(0, 1).await;
    let expected =
        [fault("altered", manifest("2024-02", 1)), fault("missing", manifest("2024-02", 2))];
    assert_eq!(faults(&found), expected, "{found:#}");
    again();
    // A manifest that says nothing else, and is not the one that was written.
    let file = archive.join(manifest("2024-03", 1));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"written_by\": \"", "\"written_by\": \"not ")).unwrap();
    let found = kept.verified(0, 1).await;
    assert_eq!(faults(&found), [fault("altered", manifest("2024-03", 1))], "{found:#}");
    again();
    // Everything.
    for folder in FOLDERS {
        fs::remove_dir_all(archive.join(folder)).unwrap();
    }
    let found = kept.verified(3, 1).await;
    assert_eq!(faults(&found).len(), 3, "{found:#}");
    // And the place is none that the log names: it may be where the archive was moved to.
    let nowhere = kept.log.path("nowhere");
    fs::create_dir(&nowhere).unwrap();
    kept.archive = nowhere.display().to_string();
    let found = kept.verified(3, 1).await;
    assert_eq!(faults(&found).len(), 3, "{found:#}");
}

async fn what_was_taken_out_of_the_log_has_to_be_in_the_archive(log: Log) {
    let run = ["retention", "run", "--preset", "default", "--archive"];
    let kept = kept(log, &run).await;
    let sound = kept.log.path("sound");
    let archive = Path::new(&kept.archive);
    copy(archive, &sound);
    let found = kept.verified(0, 0).await;
    assert_eq!((&found["told"], &found["records"]), (&json!(2), &json!(6)), "{found:#}");
    kept.remove("month=2024-03", "0");
    let found = kept.verified(0, 1).await;
    assert_eq!(faults(&found), [fault("missing", manifest("2024-03", 1))], "{found:#}");
    fs::remove_dir_all(archive).unwrap();
    copy(&sound, archive);
    kept.leave_entries_out();
    let found = kept.verified(0, 1).await;
    let month = "manifests/class=activity/month=2024-02".to_owned();
    assert_eq!(faults(&found), [fault("missing", month)], "{found:#}");
    assert!(found["faults"][0]["position"].is_i64(), "{found:#}");
}

async fn an_archive_that_was_moved_or_erased_from_has_all_that_the_log_tells_of(log: Log) {
    let mut kept = kept(log, &ARCHIVE).await;
    let erase = ["subject", "erase", "ana", "--basis", "GDPR Art. 17", "--archive", &kept.archive];
    kept.log.run(&[&erase[..], &KEYS].concat()).await.with(0);
    let found = kept.verified(0, 0).await;
    assert_eq!((&found["told"], &found["total"]), (&json!(3), &json!(0)), "{found:#}");
    assert_ne!(found["erased"], 0);
    let moved = kept.log.path("moved");
    fs::rename(&kept.archive, &moved).unwrap();
    kept.archive = moved.display().to_string();
    kept.log.append(&[record(8, "2024-03-11T12:00:00Z", |_| {})]).await;
    kept.log.run(&[&ARCHIVE[..], &[&kept.archive], &KEYS].concat()).await.with(0);
    // What was written to where it was before belongs to it too.
    kept.log.append(&[record(9, "2024-04-11T12:00:00Z", |_| {})]).await;
    kept.log.run(&[&ARCHIVE[..], &[&kept.archive], &KEYS].concat()).await.with(0);
    let found = kept.verified(0, 0).await;
    assert_eq!(found["total"], 0, "{found:#}");
}

async fn an_archive_of_which_the_log_does_not_tell_is_not_passed_over(log: Log) {
    let kept = kept(log, &ARCHIVE).await;
    // Its ledger has another entry than the archive.
    kept.log
        .by_force("UPDATE activity_ledger SET epoch = 2 WHERE writer_id = 7 AND first_seq = 7")
        .await;
    let found = kept.verified(0, 1).await;
    assert_eq!(faults(&found), [fault("altered", manifest("2024-02", 2))], "{found:#}");
    assert!(found["faults"][0]["detail"].as_str().unwrap().contains("`root`"), "{found:#}");
    kept.log
        .by_force("UPDATE activity_ledger SET epoch = 1 WHERE writer_id = 7 AND first_seq = 7")
        .await;
    kept.log.by_force("DELETE FROM activity_records WHERE action = 'archived'").await;
    let found = kept.verified(0, 2).await;
    let untold: Vec<_> = faults(&found).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(untold, ["untold"; 3], "{found:#}");
    // Of another log.
    let other = Log::sqlite();
    other.append(&[record(1, "2026-11-20T12:00:00Z", |_| {})]).await;
    let verify = ["archive", "verify", "--from", &kept.archive];
    let found = other.run(&verify).await.with(1).json().remove(0);
    assert!(found["faults"].to_string().contains("it is of another log"), "{found:#}");
    // A copy is no log, and what is merely misspelt is none either.
    let restore = ["archive", "restore", "--from", &kept.archive, "--to", "sqlite:copy.db"];
    kept.log.run(&restore).await.with(0);
    for (store, why) in [("sqlite:copy.db", "is no log"), ("sqlite:none.db", "there is no log")] {
        let refused = kept.log.run(&[&verify[..], &["--store", store]].concat()).await.with(3);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
}

//! What was changed in the database by whoever owns it is found, with its place and kind.

use serde_json::Value;
use tower_activity::record::{Category, Origin, Record};

use crate::run::{Ended, Log, gap, record, set_metadata};

on_both!(
    a_sound_log_is_unaltered,
    an_edited_column_is_found,
    rows_that_are_gone_added_or_swapped_are_found,
    an_edited_ledger_is_found,
    what_is_missing_is_listed_and_is_no_alteration,
    a_row_that_is_no_record_is_an_alteration,
    erased_groups_are_counted_and_are_no_alteration,
    checkpoints_vouch_for_the_history_and_anchors_for_its_end,
    what_was_verified_before_is_not_read_again,
    gaps_that_were_told_of_are_counted_afterwards,
    a_history_that_was_rewritten_behind_a_verification_is_found,
    another_database_anchors_the_end,
    every_anchor_gets_the_head_and_every_head_of_it_is_read,
);

impl Log {
    /// Removes everything behind the second entry, and the checkpoints that cover it.
    async fn cut_off_the_end(&self) {
        let checkpoints = match self.database {
            Some(_) => "activity.checkpoints",
            None => "activity_checkpoints",
        };
        self.by_force(&format!(
            "DELETE FROM activity_records WHERE seq > 4; DELETE FROM activity_ledger WHERE position > 2; \
             DELETE FROM {checkpoints}"
        ))
        .await;
    }

    /// Changes the database as its owner can: triggers and checks do not hold him up.
    pub(crate) async fn by_force(&self, sql: &str) {
        let Some(database) = &self.database else {
            let connection = rusqlite::Connection::open(self.path("activity.db")).unwrap();
            connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
            let mut triggers = connection
                .prepare("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'")
                .unwrap();
            let names: Vec<String> =
                triggers.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            for name in names {
                connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
            }
            return connection.execute_batch(sql).unwrap();
        };
        let sql = sql
            .replace("activity_records", "activity.records")
            .replace("activity_ledger", "activity.ledger_entries");
        let off = "do $$ declare t regclass; begin \
             for t in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = 'activity' and c.relkind in ('r', 'p') loop \
                 execute format('alter table %s disable trigger all', t); \
             end loop; end $$;";
        database.execute(&format!("{off} {sql}")).await;
    }

    /// Returns a log of six records in four entries.
    pub(crate) async fn with_six(self) -> Self {
        let at = |seq: i64| format!("2026-11-20T12:00:0{seq}Z");
        let ordinary = |seq| record(seq, &at(seq), |_| {});
        self.append(&[ordinary(1), ordinary(2), ordinary(3)]).await;
        for seq in 4..=6 {
            self.append(&[ordinary(seq)]).await;
        }
        self
    }

    async fn verify(&self, code: i32) -> Value {
        let ended = self.run(&["verify"]).await.with(code);
        ended.json().remove(0)
    }
}

/// Returns the kind and the place of the only alteration.
#[track_caller]
fn altered(found: &Value) -> (&str, Option<i64>, Option<i64>, Option<i64>) {
    assert_eq!(found["result"], "altered");
    assert_eq!(found["altered_total"], 1, "{found:#}");
    let one = &found["altered"][0];
    let number = |name: &str| one[name].as_i64();
    (one["kind"].as_str().unwrap(), number("position"), number("first_seq"), number("last_seq"))
}

async fn a_sound_log_is_unaltered(log: Log) {
    log.run(&["verify"]).await.with(3);
    log.run(&["migrate"]).await.with(0);
    assert_eq!(log.verify(0).await["records"], 0);
    let log = log.with_six().await;
    let found = log.verify(0).await;
    assert_eq!(found["result"], "unaltered");
    assert_eq!((&found["entries"], &found["records"]), (&4.into(), &6.into()));
    assert_eq!(found["root"].as_str().unwrap().len(), 64);
    let people = log.run(&["verify", "--output", "table"]).await.with(0);
    let mut lines = people.stdout.lines();
    assert!(lines.next().unwrap().starts_with("Not excluded: whoever holds"), "{people:?}");
    assert!(lines.next().unwrap().starts_with("Unaltered: 6 records in 4 entries"), "{people:?}");
}

async fn an_edited_column_is_found(log: Log) {
    let log = log.with_six().await;
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq = 5").await;
    assert_eq!(altered(&log.verify(1).await), ("record_edited", Some(3), Some(5), Some(5)));
    let people = log.run(&["verify", "--output", "table"]).await.with(1).stdout;
    assert!(people.contains("record edited at entry 3, record 5 of stream 7"), "{people}");
    log.by_force("UPDATE activity_records SET action = 'update' WHERE seq = 5").await;
    log.verify(0).await;
    // Absent, and an empty text, mean the same; only one of them was ever written.
    log.by_force("UPDATE activity_records SET tenant_id = '' WHERE seq = 2").await;
    assert_eq!(altered(&log.verify(1).await), ("record_edited", Some(1), Some(2), Some(2)));
    log.by_force("UPDATE activity_records SET tenant_id = NULL WHERE seq = 2").await;
    // A personal field, and a group that was emptied without its commitment in its place.
    log.by_force("UPDATE activity_records SET actor_id = NULL WHERE seq = 2").await;
    assert_eq!(altered(&log.verify(1).await), ("record_edited", Some(1), Some(2), Some(2)));
}

async fn rows_that_are_gone_added_or_swapped_are_found(log: Log) {
    let log = log.with_six().await;
    let swap =
        "UPDATE activity_records SET seq = CASE seq WHEN 99 THEN 3 ELSE seq END WHERE seq = 99";
    let one = "UPDATE activity_records SET seq = 99 WHERE seq = 1";
    let three = "UPDATE activity_records SET seq = 1 WHERE seq = 3";
    log.by_force(&format!("{one}; {three}; {swap}")).await;
    assert_eq!(altered(&log.verify(1).await), ("rows_swapped", Some(1), Some(1), Some(3)));
    log.by_force(&format!("{one}; {three}; {swap}")).await;
    log.verify(0).await;

    log.by_force("UPDATE activity_records SET seq = 7 WHERE seq = 6").await;
    let found = log.verify(1).await;
    let kinds: Vec<_> =
        found["altered"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["row_missing", "row_extra"], "{found:#}");
    log.by_force("UPDATE activity_records SET seq = 6 WHERE seq = 7").await;

    log.by_force("DELETE FROM activity_records WHERE seq = 2").await;
    assert_eq!(altered(&log.verify(1).await), ("row_missing", Some(1), Some(2), Some(2)));
    log.by_force("UPDATE activity_records SET writer_id = 8 WHERE seq = 4").await;
    let found = log.verify(1).await;
    assert_eq!(found["altered_total"], 3, "{found:#}");
    assert_eq!(found["altered"][2]["kind"], "row_extra");
    assert_eq!(found["altered"][2]["writer_id"], "8");
}

async fn an_edited_ledger_is_found(log: Log) {
    let log = log.with_six().await;
    for (change, back, kind, position) in [
        ("month = '2026-10'", "month = '2026-11'", "entry_edited", 3),
        ("class = 'other'", "class = 'activity'", "entry_edited", 3),
        ("epoch = 0", "epoch = 1", "entry_edited", 3),
        ("last_at = first_at, first_at = last_at", "epoch = 1", "", 0),
    ] {
        log.by_force(&format!("UPDATE activity_ledger SET {change} WHERE position = 3")).await;
        if kind.is_empty() {
            // Of one record, both are the same.
            log.verify(0).await;
            continue;
        }
        let found = log.verify(1).await;
        assert_eq!((altered(&found).0, altered(&found).1), (kind, Some(position)), "{change}");
        log.by_force(&format!("UPDATE activity_ledger SET {back} WHERE position = 3")).await;
    }
    log.verify(0).await;
    log.by_force("UPDATE activity_ledger SET position = 9 WHERE position = 4").await;
    assert_eq!(altered(&log.verify(1).await), ("entry_missing", Some(4), None, None));
    log.by_force("UPDATE activity_ledger SET position = 4 WHERE position = 9").await;
    log.by_force("DELETE FROM activity_ledger WHERE position = 2").await;
    let found = log.verify(1).await;
    let missing = found["altered"].as_array().unwrap();
    assert_eq!(missing.len(), 2, "{found:#}");
    assert!(missing.iter().all(|one| one["kind"] == "entry_missing"), "{found:#}");
    assert_eq!((&missing[0]["position"], &missing[1]["first_seq"]), (&2.into(), &4.into()));
}

/// A record that a pipeline makes about itself.
fn own(seq: i64, action: &str, metadata: &str) -> Box<Record> {
    record(seq, "2026-11-20T12:00:00Z", |record| {
        record.origin = Origin::System;
        record.category = Category::System;
        record.action.set(action);
        set_metadata(record, metadata);
    })
}

async fn what_is_missing_is_listed_and_is_no_alteration(log: Log) {
    let mut gap = gap(1, "2026-11-20T12:00:00Z", 41);
    gap.origin = Origin::System;
    let stub = record(2, "2026-11-20T12:00:00Z", |record| {
        record.outcome_reason.set("quarantined");
        set_metadata(record, r#"{"quarantined":true}"#);
    });
    let mut unclean = own(3, "gap", r#"{"count":null,"writer_id":"7","last_seq":9}"#);
    unclean.outcome_reason.set("unclean_end");
    log.append(&[gap, stub, unclean]).await;
    let found = log.verify(2).await;
    assert_eq!(found["result"], "incomplete");
    let listed = found["incomplete"].as_array().unwrap();
    let kinds: Vec<_> = listed.iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["gap", "stub", "unclean_end"], "{found:#}");
    assert_eq!((&listed[0]["count"], &listed[0]["reason"]), (&41.into(), &"queue_full".into()));
    let people = log.run(&["verify", "--output", "table"]).await.with(2).stdout;
    assert!(people.contains("Unaltered, but incomplete in 3 places"), "{people}");
}

async fn a_row_that_is_no_record_is_an_alteration(log: Log) {
    let log = log.with_six().await;
    log.by_force("UPDATE activity_records SET outcome = 'no such word' WHERE seq = 4").await;
    assert_eq!(altered(&log.verify(1).await), ("record_edited", Some(2), Some(4), Some(4)));
    log.by_force("UPDATE activity_records SET outcome = 'success' WHERE seq = 4").await;
    log.by_force("UPDATE activity_ledger SET month = 'never' WHERE position = 4").await;
    assert_eq!(altered(&log.verify(1).await).0, "entry_edited");
}

async fn erased_groups_are_counted_and_are_no_alteration(log: Log) {
    let log = log.with_six().await;
    let keys = log.path("log.keys");
    let keys = ["--keys", keys.to_str().unwrap()];
    let certificate = log.path("certificate.json");
    let erase = ["subject", "erase", "ana", "--basis", "GDPR Art. 17(1)(b)", "--alone"];
    let erase = [&erase[..], &keys].concat();

    let plan = log.run(&[&erase[..], &["--dry-run"]].concat()).await.with(0).json().remove(0);
    assert_eq!((&plan["records"], &plan["groups"]["identity"]), (&6.into(), &6.into()), "{plan}");
    assert_eq!(log.verify(0).await["erased"], 0, "nothing was changed");
    let to_file = ["--certificate", certificate.to_str().unwrap(), "--by", "dpo"];
    let done = log.run(&[&erase[..], &to_file].concat()).await.with(0).json().remove(0);
    assert_eq!((&done["records"], &done["by"]), (&6.into(), &"user:dpo".into()), "{done}");
    assert!(done["checkpoint_after"]["note"].as_str().unwrap().starts_with("activity/"));
    let kept = std::fs::read_to_string(&certificate).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), done);
    assert!(!kept.contains("\"ana\""), "{kept}");
    let found = log.verify(0).await;
    assert_eq!((&found["result"], &found["erased"]), (&"unaltered".into(), &6.into()));
    assert!(log.run(&["query", "actor_id:ana"]).await.with(0).stdout.is_empty());
    let again = log.run(&erase).await.with(0).json().remove(0);
    assert_eq!(again["records"], 0);
    let replay = ["subject", "erase", "--replay", certificate.to_str().unwrap()];
    let replayed = log.run(&[&replay[..], &keys].concat()).await.with(0).json().remove(0);
    assert_eq!(replayed["records"], 0, "{replayed}");

    // Erased by hand, and no record says so.
    log.by_force("UPDATE activity_records SET metadata = NULL WHERE action = 'erased'").await;
    let found = log.verify(1).await;
    let kinds = found["altered"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|one| one["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"erased_unrecorded"), "{found:#}");
    // A name beside the commitment is no erasure.
    log.by_force("UPDATE activity_records SET actor_id = 'bob' WHERE actor_id IS NULL AND seq = 2")
        .await;
    let found = log.verify(1).await;
    assert!(found["altered"].to_string().contains("record_edited"), "{found:#}");
}

#[tokio::test]
async fn a_consent_is_recorded_and_outlives_an_erasure() {
    let log = Log::sqlite().with_six().await;
    let facts = ["--text-version", "2026-03", "--basis", "GDPR Art. 6(1)(a)", "--channel", "web"];
    let given = [&["consent", "ana", "newsletter"], &facts[..]].concat();
    assert_eq!(log.run(&given).await.with(0).json()[0]["action"], "consent_given");
    log.run(&["consent", "ana", "newsletter", "--withdrawn", "--by", "desk"]).await.with(0);
    log.run(&["consent", " ", "newsletter"]).await.with(2);
    log.run(&["subject", "erase", "ana", "--basis", "x", "--alone"]).await.with(0);
    let found = log.run(&["query", "category:consent subject_id:ana"]).await.with(0).json();
    let actions: Vec<_> = found.iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["consent_withdrawn", "consent_given"]);
    assert_eq!(
        (&found[1]["metadata"]["version"], &found[1]["channel"]),
        (&"2026-03".into(), &"web".into())
    );
}

#[tokio::test]
async fn an_erasure_reaches_as_far_as_it_is_said() {
    let log = Log::sqlite();
    log.run(&["migrate"]).await.with(0);
    let at = "2026-11-20T12:00:00Z";
    let of = |seq,
              actor: &'static str,
              tenant: &'static str,
              (kind, id): (&'static str, &'static str)| {
        record(seq, at, move |record| {
            record.actor_id.set(actor);
            record.tenant_id.set(tenant);
            record.entity_type.set(kind);
            record.entity_id.set(id);
        })
    };
    let records = [
        of(1, "ana", "north", ("order", "1")),
        of(2, "ana", "south", ("order", "2")),
        of(3, "ana@example.com", "north", ("order", "3")),
        of(4, "bob", "north", ("member", "ana")),
    ];
    log.append(&records).await;
    let plan = async |more: &[&str]| {
        let plan = ["subject", "erase", "ana", "--basis", "x", "--keys", "log.keys", "--dry-run"];
        let plan = log.run(&[&plan[..], more].concat()).await.with(0).json().remove(0);
        (plan["records"].as_i64().unwrap(), plan["groups"].clone())
    };
    let all = |groups: &[(&str, i64)]| -> Value { groups.iter().copied().collect() };
    assert_eq!(plan(&[]).await, (2, all(&[("identity", 2)])));
    let north = ["--tenant", "north"];
    assert_eq!(plan(&north).await, (1, all(&[("identity", 1)])));
    let also = ["--tenant", "north", "--also", "ana@example.com"];
    assert_eq!(plan(&also).await.0, 2);
    let member = ["--tenant", "north", "--person-type", "member"];
    assert_eq!(plan(&member).await, (2, all(&[("identity", 1), ("target", 1)])));
    let target = ["--groups", "target"];
    assert_eq!(plan(&target).await, (2, all(&[("target", 2)])));
}

/// The certificate is of a log whose backup is put back: nothing in it says who was erased.
#[tokio::test]
async fn a_backup_is_brought_up_to_date_with_a_certificate() {
    let log = Log::sqlite().with_six().await;
    let file = log.path("activity.db");
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute("VACUUM INTO ?1", [log.path("backup.db").to_str().unwrap()])
        .unwrap();
    let keys = ["--keys", "log.keys"];
    let erase =
        ["subject", "erase", "ana", "--basis", "x", "--alone", "--certificate", "kept.json"];
    log.run(&[&erase[..], &keys].concat()).await.with(0);
    for part in ["-wal", "-shm", ""] {
        let gone = std::fs::remove_file(format!("{}{part}", file.display()));
        assert!(gone.is_ok() || !part.is_empty());
    }
    std::fs::rename(log.path("backup.db"), &file).unwrap();
    let names_her = async || !log.run(&["query", "actor_id:ana"]).await.with(0).stdout.is_empty();
    assert!(names_her().await);
    let replay = ["subject", "erase", "--replay", "kept.json"];
    let done = log.run(&[&replay[..], &keys].concat()).await.with(0).json().remove(0);
    assert_eq!(done["records"], 6, "{done}");
    assert!(!names_her().await);
    assert_eq!(log.verify(0).await["erased"], 6);
}

#[tokio::test]
async fn an_erasure_says_what_it_lacks() {
    let log = Log::sqlite().with_six().await;
    for (arguments, why) in [
        (&["subject", "erase"][..], "name the subject"),
        (&["subject", "erase", "ana"], "name the legal basis"),
        (&["subject", "erase", "ana", "--replay"], "name no subject"),
        (&["subject", "erase", "ana", "--basis", "x", "--groups", "name"], "there is no group"),
        (&["subject", "erase", "--replay", "no-such-file"], "cannot be read"),
    ] {
        let ended = log.run(arguments).await.with(2);
        assert!(ended.stderr.contains(why), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(log.verify(0).await["erased"], 0);
}

async fn checkpoints_vouch_for_the_history_and_anchors_for_its_end(log: Log) {
    let log = log.with_six().await;
    let keys = log.path("log.keys");
    let keys = ["--keys", keys.to_str().unwrap()];
    let anchor = format!("file:{}", log.path("anchor").display());
    let made = log.run(&[&["checkpoint", "--anchor", &anchor], &keys[..]].concat()).await.with(0);
    let made = made.json().remove(0);
    assert_eq!(made["size"], 4);
    assert!(made["note"].as_str().unwrap().starts_with("activity/"), "{made}");
    let line = log.run(&[&["checkpoint", "--trust-line"], &keys[..]].concat()).await.with(0).stdout;
    let trust = log.path("trust");
    std::fs::write(&trust, format!("# who may sign\n{line}")).unwrap();
    let trust = trust.to_str().unwrap().to_owned();
    let verify = async |arguments: &[&str], code| {
        let all = [&["verify", "--trust", &trust], arguments].concat();
        log.run(&all).await.with(code).json().remove(0)
    };
    assert_eq!(log.verify(0).await["trust"], "none");
    let found = verify(&[], 0).await;
    assert_eq!((&found["trust"], &found["signed"]["position"]), (&"self-signed".into(), &4.into()));
    let found = verify(&["--anchor", &anchor], 0).await;
    assert_eq!((&found["trust"], &found["anchored"]["position"]), (&"anchored".into(), &4.into()));
    let all = ["verify", "--trust", &trust, "--anchor", &anchor, "--output", "table"];
    let people = log.run(&all).await.with(0).stdout;
    assert!(people.starts_with("Anchored up to entry 4, "), "{people}");

    // Nothing but the signed head knows when an entry was committed.
    let later = match log.database {
        Some(_) => "committed_at + interval '1 microsecond'",
        None => "committed_at + 1",
    };
    let earlier = later.replace('+', "-");
    log.by_force(&format!("UPDATE activity_ledger SET committed_at = {later} WHERE position = 2"))
        .await;
    assert_eq!(altered(&verify(&[], 1).await).0, "history_rewritten");
    log.by_force(&format!(
        "UPDATE activity_ledger SET committed_at = {earlier} WHERE position = 2"
    ))
    .await;
    verify(&[], 0).await;

    // The end is cut off, with the checkpoint that covers it.
    log.cut_off_the_end().await;
    assert_eq!(verify(&[], 2).await["trust"], "none");
    let found = verify(&["--anchor", &anchor], 1).await;
    assert_eq!((altered(&found).0, altered(&found).1), ("entry_missing", Some(3)));
    // What cannot be read is not passed over.
    log.run(&["verify", "--trust", "no-such-file"]).await.with(3);
    log.run(&["verify", "--anchor", "file:no-such-file"]).await.with(3);
    log.run(&["verify", "--anchor", "s3:bucket"]).await.with(3);
}

async fn what_was_verified_before_is_not_read_again(log: Log) {
    let log = log.with_six().await;
    let verify = async |code| {
        let ended = log.run(&["verify", "--state", "state"]).await.with(code);
        ended.json().remove(0)
    };
    let first = verify(0).await;
    assert_eq!((&first["records"], &first["since"]), (&6.into(), &Value::Null));
    let again = verify(0).await;
    assert_eq!((&again["records"], &again["since"]["position"]), (&0.into(), &4.into()));
    assert_eq!((&again["root"], &again["position"]), (&first["root"], &4.into()));

    // What comes is read in full, and what lies behind it is left alone.
    let late = |seq: i64| record(seq, &format!("2026-11-20T12:00:0{seq}Z"), |_| {});
    log.append(&[late(7), late(8)]).await;
    let found = verify(0).await;
    assert_eq!((&found["records"], &found["entries"]), (&2.into(), &1.into()));
    let state = std::fs::read_to_string(log.path("state")).unwrap();
    log.append(&[late(9)]).await;
    log.by_force("UPDATE activity_records SET action = 'read' WHERE seq IN (5, 9)").await;
    assert_eq!(altered(&verify(1).await), ("record_edited", Some(6), Some(9), Some(9)));
    assert_eq!(altered(&verify(1).await).0, "record_edited", "it does not go on behind it");
    assert_eq!(std::fs::read_to_string(log.path("state")).unwrap(), state);
    log.by_force("UPDATE activity_records SET action = 'update' WHERE seq = 9").await;
    assert_eq!(altered(&log.verify(1).await), ("record_edited", Some(3), Some(5), Some(5)));
    log.by_force("UPDATE activity_records SET seq = 10 WHERE seq = 9").await;
    assert_eq!(verify(1).await["altered_total"], 2, "one that is missing and one too many");
    log.by_force("UPDATE activity_records SET seq = 9 WHERE seq = 10").await;
    let people = log.run(&["verify", "--state", "state", "--output", "table"]).await.with(0).stdout;
    assert!(people.contains("Unaltered: 1 record in 1 entry since entry 5, which was"), "{people}");

    for broken in ["", "{}", "null", &state.replace("\"version\":1", "\"version\":9")] {
        std::fs::write(log.path("state"), broken).unwrap();
        let ended = log.run(&["verify", "--state", "state"]).await.with(3);
        assert!(ended.stderr.contains("the state state cannot be read"), "{}", ended.stderr);
    }
}

async fn gaps_that_were_told_of_are_counted_afterwards(log: Log) {
    let mut gap = gap(1, "2026-11-20T12:00:10Z", 3);
    gap.origin = Origin::System;
    log.append(&[gap]).await;
    log.run(&["verify", "--state", "state"]).await.with(2);
    let after = log.run(&["verify", "--state", "state"]).await.with(0).json().remove(0);
    assert_eq!((&after["incomplete_total"], &after["incomplete_before"]), (&0.into(), &1.into()));
}

async fn a_history_that_was_rewritten_behind_a_verification_is_found(log: Log) {
    let log = log.with_six().await;
    log.run(&["verify", "--state", "state"]).await.with(0);
    let state = std::fs::read_to_string(log.path("state")).unwrap();
    let later = match log.database {
        Some(_) => "committed_at + interval '1 microsecond'",
        None => "committed_at + 1",
    };
    // The last entry is another one: all of it is read, and is not what was verified.
    log.by_force(&format!("UPDATE activity_ledger SET committed_at = {later} WHERE position = 4"))
        .await;
    let found = log.run(&["verify", "--state", "state"]).await.with(1).json().remove(0);
    assert_eq!((altered(&found).0, &found["since"]), ("history_rewritten", &Value::Null));
    assert!(found["altered"][0]["detail"].as_str().unwrap().contains("that were verified at"));
    // The end is gone, and nothing in the database tells.
    log.by_force("DELETE FROM activity_records WHERE seq > 4; DELETE FROM activity_ledger WHERE position > 2")
        .await;
    log.verify(0).await;
    let found = log.run(&["verify", "--state", "state"]).await.with(1).json().remove(0);
    assert_eq!((altered(&found).0, altered(&found).1), ("entry_missing", Some(3)));
    assert_eq!(std::fs::read_to_string(log.path("state")).unwrap(), state);
}

async fn another_database_anchors_the_end(log: Log) {
    let log = log.with_six().await;
    let other = match log.database {
        Some(_) => Log::postgres().await,
        None => Log::sqlite(),
    };
    let anchor = other.url.as_str();
    let checkpoint = ["checkpoint", "--keys", "log.keys", "--anchor", anchor];
    let refused = log.run(&checkpoint).await.with(3);
    assert!(refused.stderr.contains("activity migrate"), "{}", refused.stderr);
    other.run(&["migrate"]).await.with(0);
    log.run(&["verify", "--anchor", anchor]).await.with(3);
    log.run(&checkpoint).await.with(0);
    let line = log.run(&["checkpoint", "--keys", "log.keys", "--trust-line"]).await.with(0).stdout;
    std::fs::write(log.path("trust"), line).unwrap();
    let all = ["verify", "--trust", "trust", "--anchor", anchor];
    let found = log.run(&all).await.with(0).json().remove(0);
    assert_eq!((&found["trust"], &found["anchored"]["position"]), (&"anchored".into(), &4.into()));
    log.cut_off_the_end().await;
    let found = log.run(&all).await.with(1).json().remove(0);
    assert_eq!((altered(&found).0, altered(&found).1), ("entry_missing", Some(3)));
}

async fn every_anchor_gets_the_head_and_every_head_of_it_is_read(log: Log) {
    let log = log.with_six().await;
    let other = match log.database {
        Some(_) => Log::postgres().await,
        None => Log::sqlite(),
    };
    other.run(&["migrate"]).await.with(0);
    let [one, two] = ["one", "two"].map(|name| format!("file:{}", log.path(name).display()));
    let anchors = ["--anchor", &one, "--anchor", &two, "--anchor", &other.url];
    let checkpoint = [&["checkpoint", "--keys", "log.keys"][..], &anchors].concat();
    let note = log.run(&checkpoint).await.with(0).json().remove(0)["note"].clone();
    for name in ["one", "two"] {
        let there = std::fs::read_to_string(log.path(name)).unwrap();
        assert_eq!(there, format!("{}\n", note.as_str().unwrap()), "{name}");
    }
    // More heads than are read at once, and the last of them is the only one that covers the end.
    let (anchors, numbers) = match other.database {
        Some(_) => ("activity.anchors", "generate_series(1, 100) n (i)"),
        None => (
            "activity_anchors",
            "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) \
             SELECT i FROM n) n",
        ),
    };
    other
        .by_force(&format!(
            "INSERT INTO {anchors} (note, kept_at) SELECT note, kept_at FROM {anchors}, {numbers}"
        ))
        .await;
    log.append(&[record(7, "2026-11-20T12:00:07Z", |_| {})]).await;
    log.run(&checkpoint).await.with(0);
    let line = log.run(&["checkpoint", "--keys", "log.keys", "--trust-line"]).await.with(0).stdout;
    std::fs::write(log.path("trust"), line).unwrap();
    for anchor in [&one, &two, &other.url] {
        let all = ["verify", "--trust", "trust", "--anchor", anchor];
        let found = log.run(&all).await.with(0).json().remove(0);
        assert_eq!(found["anchored"]["position"], 5, "{anchor}: {found:#}");
    }
}

#[tokio::test]
async fn what_cannot_run_says_so_with_a_code_of_its_own() {
    let log = Log::sqlite();
    let ended: Ended = log.run(&["verify"]).await.with(3);
    assert!(ended.stderr.contains("there is no log"), "{}", ended.stderr);
}

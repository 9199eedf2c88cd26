//! Keys are made, listed and revoked, and their secrets shown once.

use std::fs;

use crate::run::{Log, record};

on_both!(
    a_key_is_shown_once_and_kept_as_a_hash,
    a_key_is_revoked_by_its_id_or_by_the_key_itself,
    a_signing_key_is_changed_and_every_head_is_trusted,
    what_stands_as_a_pseudonym_is_found_by_whoever_has_the_keys,
);

async fn a_key_is_shown_once_and_kept_as_a_hash(log: Log) {
    let made = log
        .run(&[
            "key",
            "new",
            "billing",
            "--permissions",
            "logs.ingest,logs.actions.view",
            "--tenant",
            "north",
        ])
        .await
        .with(0)
        .json();
    let key = made[0]["key"].as_str().unwrap();
    assert!(key.starts_with(&format!("ak_{}_", made[0]["id"].as_str().unwrap())), "{key}");
    let secret = key.rsplit('_').next().unwrap();

    let listed = log.run(&["key", "list"]).await.with(0);
    let row = &listed.json()[0];
    assert_eq!((row["name"].as_str(), row["tenant"].as_str()), (Some("billing"), Some("north")));
    assert_eq!(row["permissions"], serde_json::json!(["logs.ingest", "logs.actions.view"]));
    assert!(row["revoked_at"].is_null() && !listed.stdout.contains(secret));
    let table = log.run(&["key", "list", "--output", "table"]).await.with(0).stdout;
    assert!(table.contains("billing") && table.contains("north") && !table.contains(secret));
    let stored: String = match &log.database {
        Some(database) => {
            sqlx::query_scalar("select string_agg(k::text, '') from activity.api_keys k")
                .fetch_one(&mut database.connect().await)
                .await
                .unwrap()
        }
        None => {
            let mut bytes = Vec::new();
            for file in fs::read_dir(log.folder.path()).unwrap() {
                bytes.extend(fs::read(file.unwrap().path()).unwrap());
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    assert!(stored.contains("billing") && !stored.contains(secret), "the secret is nowhere");
}

async fn a_key_is_revoked_by_its_id_or_by_the_key_itself(log: Log) {
    for by in ["id", "key"] {
        let made = log.run(&["key", "new", "billing"]).await.with(0).json();
        let name = made[0][by].as_str().unwrap().to_owned();
        let revoked = log.run(&["key", "revoke", &name]).await.with(0);
        assert_eq!(revoked.json()[0]["revoked"], true);
        let again = log.run(&["key", "revoke", &name]).await.with(3);
        assert!(again.stderr.contains("`activity key list` shows the ids"), "{}", again.stderr);
    }
    let listed = log.run(&["key", "list"]).await.with(0).json();
    assert!(listed.len() == 2 && listed.iter().all(|key| key["revoked_at"].is_string()));
}

/// Fault 48.
async fn a_signing_key_is_changed_and_every_head_is_trusted(log: Log) {
    let log = log.with_six().await;
    let trust = async |name: &str| {
        let line = log.run(&["checkpoint", "--trust-line", "--keys", "log.keys"]).await.with(0);
        fs::write(log.path(name), &line.stdout).unwrap();
        line.stdout.lines().count()
    };
    let verified = async |trust: &str, code: i32| {
        log.run(&["verify", "--trust", trust]).await.with(code);
    };
    let signed = async |seq: i64| {
        log.append(&[record(seq, &format!("2026-11-20T12:01:0{}Z", seq % 10), |_| {})]).await;
        log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    };
    assert_eq!(trust("old").await, 1);
    signed(7).await;
    verified("old", 0).await;

    let before = fs::read_to_string(log.path("log.keys")).unwrap();
    let rotated = log.run(&["key", "rotate", "--keys", "log.keys"]).await.with(0);
    let told = &rotated.json()[0];
    let new = told["trust_line"].as_str().unwrap().to_owned() + "\n";
    assert!(rotated.stderr.contains("start each process again"), "{}", rotated.stderr);
    let after = fs::read_to_string(log.path("log.keys")).unwrap();
    assert_eq!(after.lines().count(), before.lines().count() + 2);
    assert!(before.lines().all(|line| after.contains(line)), "the old ones stay");
    let listed = log.run(&["key", "list", "--file", "--keys", "log.keys"]).await.with(0);
    assert_eq!(listed.json(), *told["keys"].as_array().unwrap());
    let secrets =
        after.lines().filter_map(|line| line.split(' ').nth(2)).filter(|key| key.len() == 64);
    for secret in secrets {
        assert!(!rotated.stdout.contains(secret) && !listed.stdout.contains(secret));
    }

    // While they overlap either key will do for the new heads, and the old one alone for those of before.
    let old = fs::read_to_string(log.path("old")).unwrap();
    fs::write(log.path("new"), &new).unwrap();
    fs::write(log.path("both"), format!("{new}{old}")).unwrap();
    assert_eq!(trust("lines").await, 2);
    signed(8).await;
    verified("old", 0).await;
    verified("both", 0).await;
    verified("lines", 0).await;
    verified("new", 1).await;

    // Then the old one goes out of the file.
    let old_key = before.lines().find(|line| line.starts_with("signing")).unwrap();
    fs::write(log.path("log.keys"), after.replace(&format!("{old_key}\n"), "")).unwrap();
    signed(9).await;
    verified("both", 0).await;
    verified("old", 1).await;
}

async fn what_stands_as_a_pseudonym_is_found_by_whoever_has_the_keys(log: Log) {
    let path = log.path("log.keys");
    let keys = tower_activity::Keys::open(&path).unwrap();
    let session = |keys: &tower_activity::Keys, tenant: &str| {
        keys.pseudonym(tower_activity::Keys::SESSION, Some(tenant), "s-1")
    };
    let rotated =
        tower_activity::Keys::rotate(&path, &[tower_activity::privacy::KeyUse::Pseudonym]);
    let newer = rotated.unwrap();
    let records: Vec<_> = [(1, &keys), (2, &newer)]
        .map(|(seq, keys)| {
            record(seq, &format!("2026-11-20T12:00:0{seq}Z"), |record| {
                record.tenant_id.set("north");
                record.session_id.set(&session(keys, "north"));
            })
        })
        .into();
    log.append(&records).await;
    for (arguments, found) in [
        (&["query", "session_id:s-1", "--keys", "log.keys"][..], 2),
        (&["query", "session_id:s-1", "--tenant", "north", "--keys", "log.keys"], 2),
        (&["query", "session_id:s-1", "--tenant", "south", "--keys", "log.keys"], 0),
        (&["query", "session_id:s-1", "--keys", "none.keys"], 0),
        (&["export", "session_id:s-1", "--format", "jsonl", "--keys", "log.keys"], 2),
        (&["tail", "--no-follow", "session_id:s-1", "--keys", "log.keys"], 2),
    ] {
        let answer = log.run(arguments).await.with(0);
        assert_eq!(answer.stdout.lines().count(), found, "{arguments:?}: {}", answer.stdout);
    }
    let stats = log.run(&["stats", "session_id:s-1", "--keys", "log.keys"]).await.with(0);
    assert_eq!(stats.json()[0]["total"], 2);
    assert!(!log.path("none.keys").exists(), "none are made for a question");

    // Keys are read only for a question that has need of them; whoever names a file is told when it is none.
    fs::write(log.path("no.keys"), "nothing").unwrap();
    fs::set_permissions(log.path("no.keys"), fs::metadata(&path).unwrap().permissions()).unwrap();
    log.run(&["query", "action:update", "--keys", "no.keys"]).await.with(0);
    let refused = log.run(&["query", "session_id:s-1", "--keys", "no.keys"]).await.with(3);
    assert!(refused.stderr.contains("no.keys"), "{refused:?}");
    if log.database.is_none() {
        // The one beside the log is somebody else's business.
        fs::copy(log.path("no.keys"), log.path("activity.keys")).unwrap();
        let asked = log.run(&["query", "session_id:s-1"]).await.with(0);
        assert!(asked.stdout.is_empty() && asked.stderr.contains("in plain text"), "{asked:?}");
        fs::remove_file(log.path("activity.keys")).unwrap();
    }

    let place = ["hold", "place", "session_id:s-1", "--reason", "a lawsuit", "--keys"];
    for (keys, held, pseudonyms) in [("log.keys", 2, "whole"), ("none.keys", 0, "none")] {
        let placed = log.run(&[&place[..], &[keys]].concat()).await.with(0);
        let hold = &placed.json()[0];
        assert_eq!(hold["records"]["value"], held, "{keys}");
        assert_eq!(hold["pseudonyms"], pseudonyms);
        assert_eq!(placed.stderr.contains("is not held"), held == 0, "{}", placed.stderr);
    }
}

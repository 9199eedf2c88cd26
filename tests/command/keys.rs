//! Keys are made, listed and revoked, and their secrets shown once.

use crate::run::Log;

on_both!(a_key_is_shown_once_and_kept_as_a_hash, a_key_is_revoked_by_its_id_or_by_the_key_itself);

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
            for file in std::fs::read_dir(log.folder.path()).unwrap() {
                bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
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

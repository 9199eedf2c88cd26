//! What the log holds about a person, by the command.

use serde_json::{Value, json};

use crate::{
    run::{Log, record, set_metadata},
    unpacked::Unpacked,
};

on_both!(
    a_person_is_exported_with_proofs_and_without_others,
    an_export_is_told_by_the_log_and_gone_with_the_person,
    a_person_of_another_tenant_is_not_found,
    an_export_says_what_it_lacks,
);

async fn with_people(log: Log) -> Log {
    let records = [
        record(1, "2026-11-20T12:00:01Z", |_| {}),
        record(2, "2026-11-20T12:00:02Z", |record| {
            record.actor_id.set("bob");
            record.entity_type.set("user");
            record.entity_id.set("ana");
            set_metadata(record, r#"{"by":"bob"}"#);
        }),
        record(3, "2026-11-20T12:00:03Z", |record| record.tenant_id.set("north")),
        record(4, "2026-11-20T12:00:04Z", |record| record.actor_id.set("bob")),
    ];
    log.append(&records).await;
    log
}

async fn exported(log: &Log, arguments: &[&str]) -> Unpacked {
    let all =
        [&["subject", "export", "--keys", "log.keys", "--out", "ana.zip"], arguments].concat();
    log.run(&all).await.with(0);
    Unpacked::of(&std::fs::read(log.path("ana.zip")).unwrap())
}

fn data(found: &Unpacked) -> Vec<Value> {
    let data: Value = serde_json::from_str(&found.text("data.json")).unwrap();
    data["records"].as_array().unwrap().clone()
}

async fn a_person_is_exported_with_proofs_and_without_others(log: Log) {
    let log = with_people(log).await;
    let found = exported(&log, &["ana", "--by", "dpo"]).await;
    let data = data(&found);
    assert_eq!(data.len(), 3);
    assert_eq!(
        (&data[1]["actor_id"], &data[1]["metadata"]),
        (&json!("[MASKED]"), &json!({ "by": "[MASKED]" }))
    );
    assert!(!found.everything().contains("bob"));
    let (code, said) = found.verify(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Unaltered: 3 records in ") && said.contains("2 masked"), "{said}");
}

async fn an_export_is_told_by_the_log_and_gone_with_the_person(log: Log) {
    let log = with_people(log).await;
    exported(&log, &["ana", "--by", "dpo", "--also", "ana@example.com"]).await;
    let told = async || {
        let told = log
            .run(&["query", "action:log_exported", "--oldest", "--output", "json"])
            .await
            .with(0)
            .json();
        assert!(told.iter().all(|record| record["actor_id"] == "dpo"), "{told:?}");
        told.iter().map(|record| record["metadata"].clone()).collect::<Vec<_>>()
    };
    let before = told().await;
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(before[0]["endpoint"], "subject_export");
    assert_eq!(before[0]["asked"], "/subjects/ana/export?also=ana%40example%2Ecom");
    assert_eq!(
        (&before[1]["endpoint"], &before[1]["shown"]),
        (&json!("subject_export_end"), &json!(3))
    );
    let erase =
        ["subject", "erase", "ana", "--keys", "log.keys", "--basis", "GDPR Art. 17", "--alone"];
    log.run(&erase).await.with(0);
    assert_eq!(told().await, [Value::Null, Value::Null]);
    let ended = log.run(&["verify", "--keys", "log.keys"]).await;
    assert!(matches!(ended.code, Some(0 | 2)), "unaltered: {ended:?}");
}

async fn a_person_of_another_tenant_is_not_found(log: Log) {
    let log = with_people(log).await;
    let found = exported(&log, &["ana", "--tenant", "north"]).await;
    assert_eq!(data(&found).len(), 1);
    for of in [&["ana", "--tenant", "south"][..], &["zoe"], &["bob", "--tenant", "north"]] {
        let all = [&["subject", "export", "--keys", "log.keys", "--out", "none.zip"], of].concat();
        let ended = log.run(&all).await.with(3);
        assert!(
            ended.stderr.contains("the log holds nothing about this person"),
            "{}",
            ended.stderr
        );
        assert!(!log.path("none.zip").exists());
    }
}

async fn an_export_says_what_it_lacks(log: Log) {
    let log = with_people(log).await;
    for arguments in [&["ana", "--also", " "][..], &[" "], &["ana", "--person-type", ""], &[]] {
        let all = [&["subject", "export", "--keys", "log.keys"], arguments].concat();
        log.run(&all).await.with(2);
    }
    if log.database.is_some() {
        let ended = log.run(&["subject", "export", "ana"]).await.with(2);
        assert!(ended.stderr.contains("where the keys are"), "{}", ended.stderr);
    }
    // Nobody was told about, for nothing was exported.
    let told = log.run(&["query", "action:log_exported", "--output", "json"]).await.with(0);
    assert_eq!(told.stdout, "");
}

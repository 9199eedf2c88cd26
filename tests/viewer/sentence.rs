//! The page says what the command says: its sentences are those of `Record::sentence`.

use serde_json::{Value, json};
use tower_activity::record::{ActorType, Category, Json, Outcome, Record};

use crate::{
    browser::{Screen, browse},
    site::{Site, bare, order},
};

fn records() -> Vec<Record> {
    let mut all: Vec<_> = (0..40).map(order).collect();
    let verbs = "create update delete cancel ship copy deploy pay send reset fix review register read created need login login_failed \
                 logout signup checkout rollback apply_promotion process_payment status_changed member_added token.refresh opt_out \
                 update_password list search overwrite play stop_now log_in";
    for (n, action) in (0..).zip(verbs.split_whitespace()) {
        for outcome in [
            Outcome::Success,
            Outcome::Denied,
            Outcome::Failure,
            Outcome::Aborted,
            Outcome::Unknown,
        ] {
            let mut record = order(n);
            record.action.set(action);
            record.outcome = outcome;
            all.push(record.clone());
            record.entity_id.clear();
            record.actor_name.clear();
            all.push(record.clone());
            record.entity_name.set("Reading lamp");
            record.outcome_reason.set("client_disconnect");
            record.impersonator_id.set("root");
            all.push(record);
        }
    }
    for (n, kind) in (0..).zip([
        ActorType::Anonymous,
        ActorType::Service,
        ActorType::ApiKey,
        ActorType::System,
        ActorType::Agent,
    ]) {
        let mut record = bare(1, n);
        record.actor_type = kind;
        for (entity, id) in [
            ("", ""),
            ("order_item", ""),
            ("user", "p1.416eb3ef.h-TsZaiFzb_ly6yo-lDjtgDAUa2f4w83Uwv3Kvz7TJI"),
            ("hour", ""),
        ] {
            record.entity_type.set(entity);
            record.entity_id.set(id);
            record.route.set("/api/panic");
            all.push(record.clone());
        }
        record.targets = Json::from_stored(
            r#"[{"type":"hour","id":"1"},{"type":"hour","id":"2"},{"type":"shop","id":"9","relation":"parent"}]"#,
        );
        all.push(record);
    }
    for (action, metadata) in [
        ("gap", r#"{"count":12,"reason":"queue_full"}"#),
        ("gap", r#"{"count":1}"#),
        ("folded", r#"{"count":240,"route":"/login","status":401,"prefix":"203.0.113.0/24"}"#),
        ("started", "{}"),
        ("stopped", "{}"),
        ("restored", "{}"),
        ("log_viewed", r#"{"endpoint":"records","count":7}"#),
        ("log_viewed", r#"{"endpoint":"records","first_at":"2026-01-01T00:00:00Z","count":1}"#),
        ("log_exported", "{}"),
        ("log_ingested", "{}"),
    ] {
        for outcome in [Outcome::Success, Outcome::Denied] {
            let mut record = bare(1, 1);
            record.category = Category::System;
            record.action.set(action);
            record.actor_id.set("vera");
            record.outcome = outcome;
            record.metadata = Json::from_stored(metadata);
            all.push(record);
        }
    }
    let mut hostile = order(1);
    hostile.action.set("cancel\u{1b}[2J");
    hostile.entity_name.set("\u{202e}x\u{200b}\r\n");
    all.push(hostile);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_the_command_says() {
    let records = records();
    let site = Site::with(vec![bare(1, 1)]).await;
    browse("sentence", Screen::DESK, async |page| {
        page.open(&site.at("")).await;
        let script = "const [records, done] = arguments;
            const root = new URL('.', document.querySelector('script[type=module]').src);
            Promise.all(['sentence.js', 'words.en.js', 'dom.js'].map(one => import(new URL(one, root))))
                .then(([{ inOneLine }, { words }, { visible }]) => done(records.map(one => visible(inOneLine(one, words)))), error => done(String(error)));";
        let given: Vec<Value> = vec![json!(records)];
        let said = page.promised(script, &given).await;
        let said = said.as_array().unwrap_or_else(|| panic!("{said:?}"));
        assert_eq!(said.len(), records.len());
        for (record, said) in records.iter().zip(said) {
            assert_eq!(said, &record.sentence().to_string(), "{}", record.action);
        }
    })
    .await;
    site.stop().await;
}

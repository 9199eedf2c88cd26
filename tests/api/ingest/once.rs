//! Each item once, however often it is sent.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::timeout};
use tower_activity::{
    record::{Actor, Record, RecordId},
    store::{Claim, Claimed, Read as _, Register as _},
    time::{Clock as _, SystemClock, Timestamp},
};

use super::{handed_in, post, post_as, rejected, ship};
use crate::support::{Fixture, Service};

on_every_store! {
    a_repeat_is_answered_with_the_first_id_and_stored_once,
    a_key_names_one_item_for_ever,
    keys_of_others_are_others,
    a_uuid_of_version_7_becomes_the_id_where_it_says_when,
    an_id_that_another_record_has_is_refused,
    fifty_who_send_the_same_at_once_store_it_once,
    whoever_leaves_before_the_answer_finds_it_done_when_he_comes_back,
    a_dead_claimant_is_followed_under_the_id_that_he_meant,
    a_record_stored_by_a_dead_claimant_is_found_and_not_stored_again,
}

pub(super) fn with_id(mut item: Value, id: &str) -> Value {
    item["id"] = json!(id);
    item
}

fn now() -> Timestamp {
    SystemClock::default().now()
}

async fn a_repeat_is_answered_with_the_first_id_and_stored_once<F: Fixture>() {
    let service = Service::<F>::start().await;
    let first = post(&service, with_id(ship(1), "r-1")).await.json();
    for body in [with_id(ship(1), "r-1"), json!([with_id(ship(1), "r-1")])] {
        let again = post(&service, body).await;
        assert_eq!(again.status, 201);
        let again = again.json();
        assert_eq!(again["records"][0]["id"], first["records"][0]["id"]);
        assert_eq!(again["records"][0]["duplicate"], json!(true));
    }
    // Twice in one request.
    let twice = json!([with_id(ship(2), "r-2"), ship(3), with_id(ship(2), "r-2")]);
    let twice = post(&service, twice).await.json();
    assert_eq!(twice["accepted"], 3);
    assert_eq!(twice["records"][2]["id"], twice["records"][0]["id"]);
    assert_eq!(twice["records"][2]["duplicate"], json!(true));
    // By the header, whose key is that of each place.
    let header = [("idempotency-key", "batch-7")];
    let batch = json!([ship(4), ship(5)]);
    let first = post_as(&service, "shop", &header, &batch).await.json();
    let again = post_as(&service, "shop", &header, &batch).await.json();
    for place in 0..2 {
        assert_eq!(again["records"][place]["id"], first["records"][place]["id"]);
        assert_eq!(again["records"][place]["duplicate"], json!(true));
    }
    assert_eq!(handed_in(&service.store).await.len(), 5);
    post_as(&service, "shop", &[("idempotency-key", "")], ship(1)).await.problem(400);
    service.stop().await;
}

async fn a_key_names_one_item_for_ever<F: Fixture>() {
    let service = Service::<F>::start().await;
    post(&service, with_id(ship(1), "r-1")).await.json();
    let other = post(&service, with_id(ship(2), "r-1")).await.json();
    assert_eq!(rejected(&other), [(0, "idempotency-conflict".to_owned())]);
    let twice = json!([with_id(ship(3), "r-3"), with_id(ship(4), "r-3")]);
    let twice = post(&service, twice).await.json();
    assert_eq!(rejected(&twice), [(1, "idempotency-conflict".to_owned())]);
    assert_eq!(handed_in(&service.store).await.len(), 2);
    // What was wrong and is put right is another matter.
    let mut wrong = with_id(ship(5), "r-5");
    wrong["colour"] = json!("red");
    assert_eq!(rejected(&post(&service, wrong).await.json())[0].1, "unknown-field");
    assert_eq!(post(&service, with_id(ship(5), "r-5")).await.json()["accepted"], 1);
    service.stop().await;
}

async fn keys_of_others_are_others<F: Fixture>() {
    let service = Service::<F>::start().await;
    let permissions = "logs.ingest";
    for caller in
        ["shop", "till", &format!("shop {permissions} acme"), &format!("shop {permissions} globex")]
    {
        let answer = post_as(&service, caller, &[], with_id(ship(1), "r-1")).await.json();
        assert_eq!(answer["records"][0]["duplicate"], json!(false), "{caller}");
    }
    assert_eq!(handed_in(&service.store).await.len(), 4);
    service.stop().await;
}

async fn a_uuid_of_version_7_becomes_the_id_where_it_says_when<F: Fixture>() {
    let service = Service::<F>::start().await;
    let at = Timestamp::from_micros(now().as_millis() * 1_000 - 60_000_000);
    let id = |byte| RecordId::new(at, [byte; 10]).to_string();
    let dated = |mut item: Value, at: Timestamp| {
        item["occurred_at"] = json!(at);
        item
    };
    let within = Timestamp::from_micros(at.as_micros() + 999);
    let beyond = Timestamp::from_micros(at.as_micros() + 1_000);
    let old = "00dc6acf-ac00-7000-8000-000000000001";
    let items = json!([
        with_id(ship(1), &id(1)),
        dated(with_id(ship(2), &id(2)), within),
        dated(with_id(ship(3), &id(3)), beyond),
        with_id(ship(4), "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"),
        with_id(ship(5), old),
    ]);
    let answer = post(&service, items).await.json();
    assert_eq!(answer["accepted"], 5, "{answer}");
    let ids: Vec<_> = (0..5).map(|n| answer["records"][n]["id"].as_str().unwrap()).collect();
    assert_eq!(ids[..2], [id(1), id(2)]);
    assert_ne!(ids[2], id(3));
    let stored = handed_in(&service.store).await;
    let of = |number: &str| stored.iter().find(|record| record.entity_id == number).unwrap();
    assert_eq!((of("1").occurred_at, of("2").occurred_at), (at, within));
    assert_eq!(of("3").occurred_at, beyond);
    // The day in 2000 that it names is one for which there is no leaf.
    assert!(!of("5").skewed.is_absent() && ids[4] != old);
    assert!(
        stored.iter().all(|record| record.id.at().as_millis() == record.occurred_at.as_millis())
    );
    service.stop().await;
}

async fn an_id_that_another_record_has_is_refused<F: Fixture>() {
    let service = Service::<F>::start().await;
    let own = Record::by(Actor::user("ana")).cancelled("order", "55");
    service.pipeline.recorder().record(own);
    service.pipeline.flush().await;
    let list = service.get("/activity/records?action=cancel").await.json();
    let id = list["records"][0]["id"].as_str().unwrap();
    for _ in 0..2 {
        let answer = post(&service, with_id(ship(1), id)).await.json();
        assert_eq!(rejected(&answer), [(0, "id-taken".to_owned())]);
    }
    // Also for another caller, and after the keys are forgotten.
    let at = now();
    let mine = RecordId::new(at, [9; 10]).to_string();
    post(&service, with_id(ship(1), &mine)).await.json();
    let other = post_as(&service, "till", &[], with_id(ship(2), &mine)).await.json();
    assert_eq!(rejected(&other), [(0, "id-taken".to_owned())]);
    let forgotten = service.store.forget(at.saturating_add(Duration::from_secs(60))).await.unwrap();
    assert!(forgotten > 0);
    let again = post(&service, with_id(ship(1), &mine)).await.json();
    assert_eq!(again["records"][0], json!({"index": 0, "id": mine, "duplicate": true}));
    assert_eq!(handed_in(&service.store).await.len(), 1);
    service.stop().await;
}

async fn fifty_who_send_the_same_at_once_store_it_once<F: Fixture>() {
    let service = std::sync::Arc::new(Service::<F>::start().await);
    let items = json!([with_id(ship(1), "a"), with_id(ship(2), "b")]);
    let mut senders = JoinSet::new();
    for _ in 0..50 {
        let (service, items) = (std::sync::Arc::clone(&service), items.clone());
        senders.spawn(async move {
            // Until it is taken, as a client does, at the pace of the answers.
            loop {
                let answer = post(&service, &items).await;
                if answer.status == 201 {
                    return answer.json()["records"].clone();
                }
                assert!([207, 429, 503].contains(&answer.status.as_u16()), "{}", answer.text());
                assert!(answer.headers.contains_key("retry-after"));
            }
        });
    }
    let mut ids = std::collections::BTreeSet::new();
    let mut first = 0;
    let next = async |senders: &mut JoinSet<Value>| {
        timeout(Duration::from_secs(120), senders.join_next()).await.expect("it is taken")
    };
    while let Some(records) = next(&mut senders).await {
        let records = records.unwrap();
        ids.insert((records[0]["id"].to_string(), records[1]["id"].to_string()));
        first += u32::from(records[0]["duplicate"] == json!(false));
    }
    assert_eq!((ids.len(), first <= 1), (1, true));
    assert_eq!(handed_in(&service.store).await.len(), 2);
    std::sync::Arc::into_inner(service).unwrap().stop().await;
}

async fn whoever_leaves_before_the_answer_finds_it_done_when_he_comes_back<F: Fixture>() {
    let service = Service::<F>::start().await;
    for round in 0..20_u32 {
        let body = with_id(ship(round), &format!("r-{round}")).to_string();
        let head = format!(
            "POST /activity/records HTTP/1.1\r\nhost: localhost\r\nx-test-caller: shop\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut client = TcpStream::connect(service.address).await.unwrap();
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        // At another moment each time.
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        drop(client);
        let body: Value = serde_json::from_str(&body).unwrap();
        let mut tries = 0;
        while post(&service, &body).await.status != 201 {
            tries += 1;
            assert!(tries < 1_000, "never taken");
        }
    }
    service.pipeline.flush().await;
    assert_eq!(handed_in(&service.store).await.len(), 20);
    service.stop().await;
}

/// The key of an item that the user `shop` calls `id`, for no tenant. Its form is kept from version to
/// version: keys in a store must be known again.
fn key(id: &str) -> [u8; 32] {
    let with_length = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    let mut caller = Sha256::new();
    caller.update([0]);
    with_length(&mut caller, "user");
    with_length(&mut caller, "shop");
    let mut key = Sha256::new();
    key.update(b"tower-activity ingest key 1\0");
    key.update(caller.finalize());
    key.update([0]);
    with_length(&mut key, "");
    key.update([0]);
    with_length(&mut key, id);
    key.finalize().into()
}

fn claim(id: &str, record_id: RecordId, at: Timestamp) -> Claim {
    Claim { key: key(id), fingerprint: [7; 32], record_id, at, expired_before: at }
}

async fn a_dead_claimant_is_followed_under_the_id_that_he_meant<F: Fixture>() {
    let service = Service::<F>::start().await;
    let died = now().saturating_sub(Duration::from_secs(600));
    let meant = RecordId::new(died, [5; 10]);
    service.store.claim(&[claim("r-1", meant, died)]).await.unwrap();
    let answer = post(&service, with_id(ship(1), "r-1")).await.json();
    assert_eq!(answer["records"][0], json!({"index": 0, "id": meant, "duplicate": false}));
    let record = service.store.record(meant).await.unwrap().unwrap();
    assert_eq!(record.occurred_at, meant.at());
    let again = post(&service, with_id(ship(1), "r-1")).await.json();
    assert_eq!(again["records"][0], json!({"index": 0, "id": meant, "duplicate": true}));

    // One who says that it happened at another time says something else.
    service.store.claim(&[claim("r-2", RecordId::new(died, [6; 10]), died)]).await.unwrap();
    let mut other = with_id(ship(2), "r-2");
    other["occurred_at"] = json!(now());
    let answer = post(&service, other).await.json();
    assert_eq!(rejected(&answer), [(0, "idempotency-conflict".to_owned())]);

    // Who is alive is waited for.
    service.store.claim(&[claim("r-3", RecordId::new(now(), [7; 10]), now())]).await.unwrap();
    assert_eq!(post(&service, with_id(ship(3), "r-3")).await.json()["accepted"], 0);
    assert_eq!(handed_in(&service.store).await.len(), 1);
    service.stop().await;
}

async fn a_record_stored_by_a_dead_claimant_is_found_and_not_stored_again<F: Fixture>() {
    let service = Service::<F>::start().await;
    let first = post(&service, with_id(ship(1), "r-1")).await.json();
    let id = first["records"][0]["id"].as_str().unwrap().to_owned();
    // As if he had died between the commit and the settling.
    let died = now().saturating_sub(Duration::from_secs(600));
    service.store.forget(now().saturating_add(Duration::from_secs(60))).await.unwrap();
    let claimed = service.store.claim(&[claim("r-1", id.parse().unwrap(), died)]).await.unwrap();
    assert!(matches!(claimed[0], Claimed::Yours { taken_over: false, .. }));

    let other = post(&service, with_id(ship(2), "r-1")).await.json();
    assert_eq!(rejected(&other), [(0, "idempotency-conflict".to_owned())]);
    service.store.forget(now().saturating_add(Duration::from_secs(60))).await.unwrap();
    service.store.claim(&[claim("r-1", id.parse().unwrap(), died)]).await.unwrap();
    for _ in 0..2 {
        let again = post(&service, with_id(ship(1), "r-1")).await.json();
        assert_eq!(again["records"][0], json!({"index": 0, "id": id, "duplicate": true}));
    }
    assert_eq!(handed_in(&service.store).await.len(), 1);
    service.stop().await;
}

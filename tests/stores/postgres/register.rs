//! The tables beside the log: as in memory, and between callers that come at once.

use tower_activity::{
    record::RecordId,
    store::{ApiKey, Claim, Claimed, Holding, MemoryStore, Register as _, StoreErrorKind},
    time::Timestamp,
};

use super::store;
use crate::records::NOON;

fn claim(key: u8, at: i64, expired_before: i64) -> Claim {
    let at = Timestamp::from_micros(NOON + at);
    Claim {
        key: [key; 32],
        fingerprint: [key ^ at.as_micros() as u8; 32],
        record_id: RecordId::new(at, [key; 10]),
        at,
        expired_before: Timestamp::from_micros(NOON + expired_before),
    }
}

#[tokio::test]
async fn claims_go_as_they_do_in_memory() {
    let (_database, store) = store().await;
    let memory = MemoryStore::new();
    // The same pseudo-random steps for both.
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut seen = [0; 4];
    for step in 0..300 {
        let keys: Vec<_> = (0..=next(4)).map(|_| [next(12) as u8; 32]).collect();
        match next(6) {
            0 => {
                store.settle(&keys).await.unwrap();
                memory.settle(&keys).await.unwrap();
            }
            1 => {
                // Of this moment, or of one before: mostly of claims that are not there any more.
                let at = step - next(12) as i64;
                let held: Vec<_> = keys
                    .iter()
                    .map(|key| {
                        let Claim { key, record_id, at, .. } = claim(key[0], at, 0);
                        Holding { key, record_id, at }
                    })
                    .collect();
                store.release(&held).await.unwrap();
                memory.release(&held).await.unwrap();
            }
            2 if next(4) == 0 => {
                let before = Timestamp::from_micros(NOON + step - 40);
                let forgotten = memory.forget(before).await.unwrap();
                assert_eq!(store.forget(before).await.unwrap(), forgotten);
            }
            _ => {
                let expired = step - next(60) as i64;
                let claims: Vec<_> = keys.iter().map(|key| claim(key[0], step, expired)).collect();
                let answers = store.claim(&claims).await.unwrap();
                assert_eq!(answers, memory.claim(&claims).await.unwrap(), "step {step}");
                for answer in answers {
                    seen[match answer {
                        Claimed::Yours { taken_over: false, .. } => 0,
                        Claimed::Yours { .. } => 1,
                        Claimed::Done { .. } => 2,
                        _ => 3,
                    }] += 1;
                }
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_claim_a_key_at_once_one_gets_it() {
    let (_database, store) = store().await;
    for round in 0..10 {
        let callers: Vec<_> = (0..8_u8)
            .map(|caller| {
                let store = store.clone();
                // Each in an order of his own.
                let keys = (0..20).map(move |n| (n * 7 + caller * 3) % 20);
                let claims: Vec<_> =
                    keys.map(|n| claim(round * 20 + n, caller.into(), 0)).collect();
                tokio::spawn(async move { store.claim(&claims).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for caller in callers {
            let answers = caller.await.unwrap();
            won += answers.iter().filter(|a| matches!(a, Claimed::Yours { .. })).count();
        }
        assert_eq!(won, 20);
    }
}

#[tokio::test]
async fn an_api_key_comes_back_as_it_was() {
    let (_database, store) = store().await;
    let key = ApiKey {
        id: "k1".to_owned(),
        name: "it's \\ \"billing\"".to_owned(),
        hash: [7; 32],
        permissions: vec!["logs.ingest".to_owned(), "a,b{}\"".to_owned()],
        tenant: Some("acme".to_owned()),
        created_at: Timestamp::from_micros(NOON + 1),
        revoked_at: None,
    };
    let later = ApiKey {
        id: "k0".to_owned(),
        permissions: Vec::new(),
        tenant: None,
        created_at: Timestamp::from_micros(NOON + 2),
        ..key.clone()
    };
    store.add_api_key(&later).await.unwrap();
    store.add_api_key(&key).await.unwrap();
    assert_eq!(store.add_api_key(&key).await.unwrap_err().kind(), StoreErrorKind::Data);
    assert_eq!(store.api_keys().await.unwrap(), [key.clone(), later]);
    let at = Timestamp::from_micros(NOON + 3);
    assert!(store.revoke_api_key("k1", at).await.unwrap());
    assert!(!store.revoke_api_key("k1", at).await.unwrap());
    assert!(!store.revoke_api_key("k2", at).await.unwrap());
    assert_eq!(store.api_keys().await.unwrap()[0], ApiKey { revoked_at: Some(at), ..key });
}

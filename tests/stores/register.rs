//! What every store promises of the small tables beside the log.

use tower_activity::{
    record::RecordId,
    store::{ApiKey, Claim, Claimed, Holding, Register, StoreErrorKind},
    time::Timestamp,
};

use crate::{records::NOON, suite::Fixture};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(NOON + seconds * 1_000_000)
}

fn key(number: u64) -> [u8; 32] {
    let mut key = [0x5a; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// A claim made so many seconds after noon, which takes over those of a minute before.
fn claim(number: u64, id: u8, seconds: i64) -> Claim {
    Claim {
        key: key(number),
        fingerprint: [id; 32],
        record_id: RecordId::from_bytes([id; 16]),
        at: at(seconds),
        expired_before: at(seconds - 60),
    }
}

/// The claim that was made so many seconds after noon.
fn held(number: u64, id: u8, seconds: i64) -> Holding {
    Holding { key: key(number), record_id: RecordId::from_bytes([id; 16]), at: at(seconds) }
}

fn yours(id: u8, taken_over: bool) -> Claimed {
    Claimed::Yours { record_id: RecordId::from_bytes([id; 16]), taken_over }
}

fn busy(id: u8) -> Claimed {
    Claimed::Busy { record_id: RecordId::from_bytes([id; 16]), fingerprint: [id; 32] }
}

fn done(id: u8) -> Claimed {
    Claimed::Done { record_id: RecordId::from_bytes([id; 16]), fingerprint: [id; 32] }
}

async fn claimed<S: Register>(store: &S, claim: Claim) -> Claimed {
    let claimed = store.claim(&[claim]).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed[0]
}

pub(crate) async fn a_key_is_claimed_once_and_done_when_it_is_settled<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    assert_eq!(store.claim(&[]).await.unwrap(), []);
    assert_eq!(claimed(&store, claim(1, 1, 0)).await, yours(1, false));
    assert_eq!(claimed(&store, claim(1, 2, 1)).await, busy(1));
    assert_eq!(claimed(&store, claim(2, 2, 1)).await, yours(2, false), "another key");
    store.settle(&[]).await.unwrap();
    store.settle(&[key(1), key(77)]).await.unwrap();
    assert_eq!(claimed(&store, claim(1, 3, 2)).await, done(1));
    assert_eq!(claimed(&store, claim(2, 3, 2)).await, busy(2));
    // However long ago it was.
    assert_eq!(claimed(&store, claim(1, 3, 1_000_000)).await, done(1));
    // Another process knows as much.
    assert_eq!(claimed(&fixture.open().await, claim(1, 3, 3)).await, done(1));
}

pub(crate) async fn a_key_that_is_released_can_be_claimed_again_at_once<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    store.claim(&[claim(1, 1, 0), claim(2, 2, 0)]).await.unwrap();
    store.settle(&[key(2)]).await.unwrap();
    store.release(&[]).await.unwrap();
    store.release(&[held(1, 1, 0), held(2, 2, 0), held(3, 3, 0)]).await.unwrap();
    assert_eq!(claimed(&store, claim(1, 4, 1)).await, yours(4, false));
    assert_eq!(claimed(&store, claim(2, 4, 1)).await, done(2), "what is done stays done");
}

pub(crate) async fn a_claim_is_released_by_whoever_has_it_and_by_nobody_else<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    store.claim(&[claim(1, 1, 0), claim(2, 2, 0)]).await.unwrap();
    // Taken over by another, who records under the same id: what the first gives up late is not his.
    assert_eq!(claimed(&store, claim(1, 3, 61)).await, yours(1, true));
    store.release(&[held(1, 1, 0), held(2, 9, 0), held(2, 2, 1)]).await.unwrap();
    let taken = Claimed::Busy { record_id: RecordId::from_bytes([1; 16]), fingerprint: [3; 32] };
    assert_eq!(claimed(&store, claim(1, 4, 62)).await, taken);
    assert_eq!(claimed(&store, claim(2, 4, 1)).await, busy(2));
    store.release(&[held(1, 1, 61), held(2, 2, 0)]).await.unwrap();
    assert_eq!(claimed(&store, claim(1, 4, 63)).await, yours(4, false));
    assert_eq!(claimed(&store, claim(2, 4, 63)).await, yours(4, false));
}

pub(crate) async fn a_claim_of_the_dead_is_taken_over_under_its_id<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    store.claim(&[claim(1, 1, 0)]).await.unwrap();
    assert_eq!(claimed(&store, claim(1, 2, 60)).await, busy(1), "not a moment too early");
    assert_eq!(claimed(&store, claim(1, 2, 61)).await, yours(1, true));
    // It is a claim as of now, of what was handed in now, under the id of the first.
    let taken = Claimed::Busy { record_id: RecordId::from_bytes([1; 16]), fingerprint: [2; 32] };
    assert_eq!(claimed(&store, claim(1, 3, 100)).await, taken);
    assert_eq!(claimed(&store, claim(1, 3, 122)).await, yours(1, true));
}

pub(crate) async fn a_key_twice_in_one_call_is_busy_the_second_time<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    store.claim(&[claim(8, 8, -100), claim(9, 9, 0)]).await.unwrap();
    store.settle(&[key(9)]).await.unwrap();
    let claims = [
        claim(1, 1, 0),
        claim(2, 2, 0),
        claim(1, 3, 0),
        claim(8, 4, 0),
        claim(8, 5, 0),
        claim(9, 6, 0),
        claim(9, 7, 0),
    ];
    let taken = Claimed::Busy { record_id: RecordId::from_bytes([8; 16]), fingerprint: [4; 32] };
    assert_eq!(
        store.claim(&claims).await.unwrap(),
        [yours(1, false), yours(2, false), busy(1), yours(8, true), taken, done(9), done(9)]
    );
    assert_eq!(claimed(&store, claim(1, 4, 1)).await, busy(1));
}

pub(crate) async fn as_many_keys_as_anybody_hands_in_are_claimed_in_their_order<F: Fixture>() {
    const KEYS: u64 = 12_001;
    let fixture = F::new().await;
    let store = fixture.open().await;
    store.claim(&[claim(11_000, 7, 0)]).await.unwrap();
    let claims: Vec<_> = (0..KEYS).map(|n| claim(n, (n % 5) as u8, 0)).collect();
    let answers = store.claim(&claims).await.unwrap();
    for (number, answer) in (0..KEYS).zip(&answers) {
        let expected = match number {
            11_000 => busy(7),
            number => yours((number % 5) as u8, false),
        };
        assert_eq!(*answer, expected, "{number}");
    }
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    store.settle(&keys).await.unwrap();
    assert!(store.claim(&claims).await.unwrap().iter().all(|c| matches!(c, Claimed::Done { .. })));
    let all: Vec<_> = (0..KEYS).map(|n| held(n, (n % 5) as u8, 0)).collect();
    store.release(&all).await.unwrap();
    assert_eq!(store.forget(at(1)).await.unwrap(), KEYS);
}

pub(crate) async fn of_many_claimants_exactly_one_gets_the_key<F: Fixture>() {
    const CLAIMANTS: u8 = 8;
    const KEYS: u64 = 40;
    let fixture = F::new().await;
    let mut claimants = Vec::new();
    for id in 0..CLAIMANTS {
        let store = fixture.open().await;
        claimants.push(tokio::spawn(async move {
            let mut got = Vec::new();
            for first in (0..KEYS).step_by(4) {
                // Each in an order of its own, as who would lock row by row must not mind.
                let mut keys: Vec<u64> = (first..first + 4).collect();
                if id % 2 == 1 {
                    keys.reverse();
                }
                let claims: Vec<_> = keys.iter().map(|key| claim(*key, id, 0)).collect();
                let answers = store.claim(&claims).await.unwrap();
                for (key, answer) in keys.into_iter().zip(answers) {
                    match answer {
                        Claimed::Yours { taken_over: false, .. } => got.push(key),
                        Claimed::Busy { .. } => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            got
        }));
    }
    let mut got = Vec::new();
    for claimant in claimants {
        got.extend(claimant.await.unwrap());
    }
    got.sort_unstable();
    assert!(got.into_iter().eq(0..KEYS));
}

pub(crate) async fn old_keys_are_forgotten<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    for number in 0..10 {
        store.claim(&[claim(number, 1, number as i64)]).await.unwrap();
    }
    store.settle(&[key(0), key(9)]).await.unwrap();
    assert_eq!(store.forget(at(0)).await.unwrap(), 0);
    assert_eq!(store.forget(at(4)).await.unwrap(), 4, "done or not");
    assert_eq!(store.forget(at(4)).await.unwrap(), 0);
    assert_eq!(claimed(&store, claim(0, 2, 10)).await, yours(2, false));
    assert_eq!(claimed(&store, claim(4, 2, 10)).await, busy(1));
}

pub(crate) async fn api_keys_are_kept_listed_and_revoked_once<F: Fixture>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    assert_eq!(store.api_keys().await.unwrap(), []);
    let named = |id: &str, seconds| ApiKey {
        id: id.to_owned(),
        name: format!("service of {id}"),
        hash: [7; 32],
        permissions: vec!["logs.ingest".to_owned(), "logs.\"quoted\"".to_owned()],
        tenant: None,
        created_at: at(seconds),
        revoked_at: None,
    };
    let first = named("z1", 0);
    let second = ApiKey {
        permissions: Vec::new(),
        tenant: Some("acme'; --".to_owned()),
        revoked_at: Some(at(9)),
        ..named("a2", 1)
    };
    for key in [&first, &second] {
        store.add_api_key(key).await.unwrap();
    }
    let twice = store.add_api_key(&named("z1", 5)).await.unwrap_err();
    assert_eq!(twice.kind(), StoreErrorKind::Data);
    assert!(twice.to_string().contains("z1"), "{twice}");
    assert_eq!(store.api_keys().await.unwrap(), [first.clone(), second.clone()]);

    assert!(!store.revoke_api_key("none", at(20)).await.unwrap());
    assert!(!store.revoke_api_key("a2", at(20)).await.unwrap(), "it was revoked before");
    assert!(store.revoke_api_key("z1", at(20)).await.unwrap());
    assert!(!store.revoke_api_key("z1", at(21)).await.unwrap());
    let revoked = ApiKey { revoked_at: Some(at(20)), ..first };
    assert_eq!(fixture.open().await.api_keys().await.unwrap(), [revoked, second]);
}

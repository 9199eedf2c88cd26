//! What is proved over HTTP can be verified with nothing but the answer and a key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tower_activity::{
    ledger::{Hash, Note, NoteSigner, Trust, leaf_hash, root_by_inclusion},
    record::{Actor, Record},
    store::{Evidence as _, make_checkpoint},
    time::Timestamp,
};

use crate::support::{InMemory, Service};

const SEED: [u8; 32] = [7; 32];

fn hash(value: &Value) -> Hash {
    let digits = value.as_str().unwrap().as_bytes();
    let byte = |at: usize| {
        u8::from_str_radix(std::str::from_utf8(&digits[2 * at..2 * at + 2]).unwrap(), 16).unwrap()
    };
    std::array::from_fn(byte)
}

fn root(of: &Value, leaf: &Hash) -> Hash {
    let path: Vec<Hash> = of["path"].as_array().unwrap().iter().map(hash).collect();
    let number = |name: &str| of[name].as_u64().unwrap();
    root_by_inclusion(leaf, number("index"), number("size"), &path).expect("a proof of its length")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_proved_up_to_the_signed_head() {
    let service = Service::<InMemory>::start().await;
    let get = async |path: &str| service.get(&format!("/activity/{path}")).await;
    for id in 1..=20 {
        let record = Record::by(Actor::user("ana")).cancelled("order", &id.to_string());
        service.pipeline.recorder().record(record);
        service.pipeline.flush().await;
    }
    let all = service.store.all();
    let record = all.iter().find(|record| record.entity_id == "13").unwrap();
    let path = format!("records/{}/proof", record.id);
    get(&path).await.problem(404);
    get("checkpoint").await.problem(404);

    let kept =
        make_checkpoint(&service.store, &[SEED], Timestamp::default()).await.unwrap().unwrap();
    let answer = get("checkpoint").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, kept.note.as_str()));
    let proof = get(&path).await.json();
    let bytes = STANDARD.decode(proof["record"].as_str().unwrap()).unwrap();
    let object: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(object["id"], record.id.to_string());
    assert_eq!(leaf_hash(&bytes), hash(&proof["leaf"]));
    let entry = &proof["entry"];
    assert_eq!(root(&proof, &leaf_hash(&bytes)), hash(&entry["root"]));
    let bytes = STANDARD.decode(entry["bytes"].as_str().unwrap()).unwrap();
    let object: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(object["batch_root"], entry["root"]);
    let root = root(entry, &leaf_hash(&bytes));

    let note: Note = proof["checkpoint"].as_str().unwrap().parse().unwrap();
    let name = note.text().lines().next().unwrap();
    let key = NoteSigner::new(name, &SEED).unwrap().key().clone();
    let head = Trust::in_key(key).head(&note).unwrap();
    assert_eq!((head.root, head.size), (root, entry["size"].as_u64().unwrap()));
    // What came later waits for the next one.
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "99"));
    service.pipeline.flush().await;
    let late = service.store.all().into_iter().find(|record| record.entity_id == "99").unwrap();
    get(&format!("records/{}/proof", late.id)).await.problem(404);
    assert_eq!(service.store.checkpoints(0, 9).await.unwrap().len(), 1);
    service.stop().await;
}

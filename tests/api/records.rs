//! Lists and single records.

use serde_json::Value;
use tower_activity::record::{Actor, Record};

use crate::support::{Fixture, Service};

on_every_store! {
    a_record_is_found_in_the_list_and_by_its_id,
}

async fn a_record_is_found_in_the_list_and_by_its_id<F: Fixture>() {
    let service = Service::<F>::start().await;
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "55"));
    service.pipeline.flush().await;

    let list = service.get("/activity/records?action=CANCEL").await.json();
    assert_eq!(list["records"].as_array().unwrap().len(), 1, "{list}");
    let id = list["records"][0]["id"].as_str().unwrap();
    let one = service.get(&format!("/activity/records/{id}")).await.json();
    assert_eq!(one["entity_id"], Value::from("55"));

    service.get("/activity/records/none").await.problem(404);
    service.get("/activity/records?limit=0").await.problem(400);
    service.stop().await;
}

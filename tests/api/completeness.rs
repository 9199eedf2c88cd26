//! What each writer has stored, and what is known to be missing.

use std::time::Duration;

use serde_json::{Value, json};
use tower_activity::{
    Pipeline,
    record::{Actor, Record},
    store::Append,
};

use crate::support::{Fixture, InMemory, Service};

on_every_store! {
    each_writer_is_shown_with_its_numbers_and_its_end,
}

async fn one_that_ended<S: Append>(store: S) {
    let pipeline = Pipeline::builder(store).service("jobs").instance("b").start().await.unwrap();
    pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "54"));
    pipeline.shutdown(Duration::from_secs(20)).await;
}

async fn each_writer_is_shown_with_its_numbers_and_its_end<F: Fixture>() {
    let service = Service::<F>::start().await;
    one_that_ended(service.store.clone()).await;
    service.pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "55"));
    service.pipeline.flush().await;

    let found = service.get("/activity/completeness").await.json();
    assert_eq!((&found["writers_total"], &found["complete"]), (&2.into(), &true.into()), "{found}");
    let writers = found["writers"].as_array().unwrap();
    let [running, stopped] = writers.as_slice() else { panic!("{found}") };
    assert_eq!(
        (&running["state"], &running["last_seq"]),
        (&"running".into(), &2.into()),
        "{found}"
    );
    assert_eq!((&running["ended_at"], &running["whole"]), (&Value::Null, &true.into()));
    assert_eq!((&stopped["state"], &stopped["service"]), (&"stopped".into(), &"jobs".into()));
    assert_eq!((&stopped["instance"], &stopped["complete"]), (&"b".into(), &true.into()));
    let numbers = ["first_seq", "last_seq", "count"].map(|name| stopped[name].as_i64().unwrap());
    assert_eq!(numbers, [1, 3, 3]);
    assert_eq!((&stopped["gaps"], &stopped["gap_records"]), (&0.into(), &json!([])));
    assert_eq!((&stopped["first_epoch"], &stopped["stubs"]), (&1.into(), &0.into()));
    assert!(stopped["ended_at"].is_string() && stopped["id"].is_string());

    let one = service.get("/activity/completeness?limit=1").await.json();
    assert_eq!((one["writers"].as_array().unwrap().len(), &one["writers_total"]), (1, &2.into()));
    service.stop().await;
}

/// Facts of the whole are no tenant's, and nobody's who may not configure the log.
#[tokio::test]
async fn a_tenant_and_a_viewer_are_refused() {
    let service = Service::<InMemory>::start().await;
    for (caller, needs) in [
        ("eve logs.configure t1", "logs.configure, in all tenants"),
        (
            "eve logs.auth.view,logs.actions.view,logs.export,logs.delete,logs.ingest",
            "logs.configure",
        ),
    ] {
        let answer = service.get_as(caller, "/activity/completeness").await;
        let problem = answer.problem(403);
        assert!(problem["detail"].as_str().unwrap().contains(needs), "{problem}");
        assert!(problem.get("writers").is_none());
    }
    service.stop().await;
}

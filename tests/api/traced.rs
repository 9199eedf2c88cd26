//! Who looked at the log is found by the trace of his request.

use hyper::Method;
use tower_activity::{Filter, query::PageRequest, store::Read as _};

use crate::support::{Fixture, Service};

on_every_store! {
    a_look_at_the_log_belongs_to_the_trace_of_its_request,
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

async fn a_look_at_the_log_belongs_to_the_trace_of_its_request<F: Fixture>() {
    let service = Service::<F>::start().await;
    let traced = format!("00-{TRACE}-{SPAN}-01");
    for (caller, traceparent) in [("ana", traced.as_str()), ("bob", "00-not-a-trace")] {
        let headers = [("x-test-caller", caller), ("traceparent", traceparent)];
        service.send(Method::GET, "/activity/records", &headers, "").await.json();
    }
    service.pipeline.flush().await;
    let filter = Filter::new().any_of("action", ["log_viewed"]).unwrap();
    let page = service.store.records(&filter, &PageRequest::newest(10)).await.unwrap();
    let of = |actor: &str| page.records.iter().find(|record| record.actor_id == actor).unwrap();
    assert_eq!((of("ana").trace_id.as_str(), of("ana").span_id.as_str()), (TRACE, SPAN));
    assert_eq!((of("bob").trace_id.as_str(), of("bob").span_id.as_str()), ("", ""));

    let found = service.get(&format!("/activity/records?trace_id={TRACE}")).await.json();
    assert_eq!(found["records"].as_array().unwrap().len(), 1);
}

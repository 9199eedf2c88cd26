//! What HTTP itself asks of the answers.

use hyper::{Method, header};
use tower_activity::record::Record;

use crate::{
    ingest::post_as,
    support::{InMemory, Service},
};

const ADMIN: [(&str, &str); 1] = [("x-test-caller", "admin")];

/// RFC 9110, 15.5.6 and 9.3.7.
#[tokio::test]
async fn whoever_comes_with_a_wrong_method_is_told_the_right_ones_at_every_address() {
    let service = Service::<InMemory>::start().await;
    let paths = ["/records", "/export", "/live", "/live/sse", "/tickets", "/health", "/stats"];
    for path in paths.map(|path| format!("/activity{path}")) {
        let answer = service.send(Method::DELETE, &path, &ADMIN, "").await;
        answer.problem(405);
        let allow = answer.headers[header::ALLOW].to_str().unwrap().to_owned();
        let options = service.send(Method::OPTIONS, &path, &ADMIN, "").await;
        assert_eq!(options.status.as_u16(), 204, "{path}");
        assert_eq!(options.headers[header::ALLOW], *allow, "{path}");
    }
    service.stop().await;
}

/// RFC 9110, 15.5.22.
#[tokio::test]
async fn whoever_comes_without_an_upgrade_is_told_which() {
    let service = Service::<InMemory>::start().await;
    for method in [Method::GET, Method::HEAD] {
        let answer = service.send(method, "/activity/live", &ADMIN, "").await;
        assert_eq!(answer.status.as_u16(), 400);
        assert_eq!(answer.headers[header::UPGRADE], "websocket");
    }
    service.stop().await;
}

/// RFC 9110, 8.6: a length is that of GET, or it is not there.
#[tokio::test]
async fn a_head_says_nothing_of_the_length_of_what_is_streamed() {
    let service = Service::<InMemory>::start().await;
    for path in ["/activity/export", "/activity/live/sse"] {
        let answer = service.send(Method::HEAD, path, &ADMIN, "").await;
        assert_eq!(answer.status.as_u16(), 200);
        assert_eq!(answer.headers.get(header::CONTENT_LENGTH), None, "{path}");
    }
    service.stop().await;
}

/// An empty name is no name: what a caller of such a tenant hands in would be everybody's and nobody's.
#[tokio::test]
async fn whoever_is_limited_to_a_tenant_without_a_name_reads_and_writes_nothing() {
    let service = Service::<InMemory>::start().await;
    service.pipeline.recorder().record(Record::by("ana").cancelled("order", "55"));
    service.pipeline.flush().await;
    // Between two spaces stands a tenant of no letters.
    let caller = "eve logs.ingest,logs.actions.view  .";
    let item = r#"{"action":"ship","actor_id":"eve"}"#;
    let answer = post_as(&service, caller, &[], item).await;
    let answer = (answer.status.as_u16(), answer.json());
    assert_eq!((answer.0, &answer.1["accepted"]), (207, &0.into()));
    let kind = answer.1["rejected"][0]["type"].as_str().unwrap();
    assert!(kind.ends_with(":foreign-tenant"), "{kind}");
    let list = service.get_as(caller, "/activity/records").await.json();
    assert_eq!(list["records"].as_array().map(Vec::len), Some(0));
    service.stop().await;
}

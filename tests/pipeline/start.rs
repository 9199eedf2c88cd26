//! What is refused before anything starts.

use std::time::Duration;

use tower_activity::{
    pipeline::{Overflow, Pipeline, StartError},
    privacy::AddressPolicy,
    rules::{Delivery, Rule, Rules},
    store::MemoryStore,
};

fn builder() -> tower_activity::pipeline::PipelineBuilder<MemoryStore> {
    Pipeline::builder(MemoryStore::new())
}

#[tokio::test]
async fn classes_that_need_a_spool_are_refused_wherever_they_are_asked_for() {
    let by_rule = Rules::rest().rule(
        Rule::new("pay").route("/pay").entity("order").action("pay").delivery(Delivery::Strict),
    );
    for (builder, who) in [
        (builder().mode(Delivery::Durable), "the pipeline's mode asks for `durable`"),
        (builder().rules(Rules::rest().delivery(Delivery::Strict)), "asks for `strict`"),
        (builder().rules(by_rule), "rule `pay` asks for `strict`"),
    ] {
        let error = builder.start().await.unwrap_err();
        assert!(error.to_string().contains(who), "{error}");
    }
}

#[tokio::test]
async fn contradictions_are_refused_and_not_clamped() {
    for builder in [
        builder().queue(0),
        builder().queue(1 << 24),
        builder().queue_bytes(1_000),
        builder().queue_bytes(usize::MAX),
        builder().batch_rows(0),
        builder().batch_bytes(1 << 30),
        builder().batch_age(Duration::ZERO),
        builder().call_deadline(Duration::ZERO),
        builder().overflow(Overflow::Block(Duration::ZERO)),
        builder().address_policy(AddressPolicy::Hmac),
    ] {
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, StartError::Settings(_)), "{error}");
    }
}

#[tokio::test]
async fn a_quarantine_file_that_cannot_be_written_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("quarantine.jsonl");
    let error = builder().quarantine(&path).start().await.unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let mut start = Box::pin(builder().start());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(result) = start.as_mut().poll(&mut cx) else { panic!("waits") };
    assert!(matches!(result.unwrap_err(), StartError::Runtime));
}

#[test]
fn without_a_timer_there_is_an_error_and_no_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let result = runtime.block_on(builder().start());
    assert!(matches!(result.unwrap_err(), StartError::Runtime));
}

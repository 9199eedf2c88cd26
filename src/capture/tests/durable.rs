use http_body_util::BodyExt as _;

use super::*;
use crate::{capture::Activity, pipeline::DropReason};

async fn durable() -> Log {
    Log::new(Delivery::Durable).await
}

/// Waits for the disk before each response.
async fn patient() -> Log {
    let zero = |builder: PipelineBuilder<_>| builder.fsync_interval(Duration::ZERO);
    Log::start(Delivery::Durable, Rules::rest(), zero).await
}

#[tokio::test]
async fn what_ends_at_its_head_is_one_frame_and_waits_for_nothing() {
    let log = durable().await;
    log.disk.hold();
    let (calls, mut answer) = send(&log, request("POST", "/api/orders"), small("done"));
    assert_eq!(calls.count(), 1, "called at once");
    assert!(poll(&mut answer).is_ready());
    assert_eq!(log.frames(), ["record"]);
}

#[tokio::test]
async fn what_goes_on_is_begun_at_its_head_and_ended_under_the_same_id() {
    let log = durable().await;
    log.disk.hold();
    let (steps, mut answer) = streaming(&log, "POST");
    let Poll::Ready(Ok(response)) = poll(&mut answer) else { panic!("waited") };
    assert_eq!(log.frames(), ["open 1"], "before the head is handed on");
    let begun = log.begun();
    assert_eq!(how(&begun), (Some(200), Outcome::Aborted, "process_ended"));
    assert!(begun.description.is_absent());
    steps.send(data("abc")).unwrap();
    drop(steps);
    response.into_body().collect().await.unwrap();
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    let record = log.only().await;
    assert_eq!((record.id, record.occurred_at), (begun.id, begun.occurred_at));
    assert_eq!(how(&record), (Some(200), Outcome::Success, ""));
    assert_eq!(record.response_bytes, Some(3));
}

#[tokio::test]
async fn what_is_known_at_the_head_is_known_after_a_crash() {
    for (status, outcome) in
        [(200, Outcome::Aborted), (403, Outcome::Denied), (500, Outcome::Failure)]
    {
        let log = durable().await;
        let (_steps, body) = stepped();
        let (_, answer) = send(&log, request("POST", "/api/reports"), move |_| {
            Response::builder().status(status).body(body).unwrap()
        });
        answer.await.unwrap();
        assert_eq!(how(&log.begun()), (Some(status), outcome, "process_ended"));
    }
}

#[tokio::test]
async fn an_end_that_comes_by_itself_ends_what_was_begun() {
    let log = durable().await;
    let (_steps, answer) = streaming(&log, "POST");
    drop(answer.await.unwrap());
    assert_eq!(log.frames(), ["open 1", "end 1"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Aborted, "client_disconnect"));
}

#[tokio::test]
async fn reads_that_are_not_recorded_are_not_begun() {
    let log = durable().await;
    let (steps, answer) = streaming(&log, "GET");
    let response = answer.await.unwrap();
    assert!(log.frames().is_empty());
    drop((steps, response));
    assert!(log.frames().is_empty());
}

#[tokio::test]
async fn what_is_discarded_in_its_body_takes_its_frame_back() {
    let log = durable().await;
    let (steps, body) = stepped();
    let (tell, told) = std::sync::mpsc::channel();
    let (_, answer) = send(&log, request("POST", "/api/reports"), move |request| {
        tell.send(request.extensions().get::<Activity>().unwrap().clone()).unwrap();
        Response::new(body)
    });
    let response = answer.await.unwrap();
    assert_eq!(log.frames(), ["open 1"]);
    told.recv().unwrap().discard();
    drop(steps);
    response.into_body().collect().await.unwrap();
    assert_eq!(log.frames(), ["open 1", "cancel 1"]);
    assert!(log.records().await.is_empty());
}

#[tokio::test]
async fn what_is_discarded_before_its_head_is_not_begun() {
    let log = durable().await;
    let (_steps, body) = stepped();
    let (_, answer) = send(&log, request("POST", "/api/reports"), move |request| {
        request.extensions().get::<Activity>().unwrap().discard();
        Response::new(body)
    });
    drop(answer.await.unwrap());
    assert!(log.frames().is_empty());
}

#[tokio::test]
async fn best_effort_begins_nothing_even_with_a_spool() {
    let log = Log::new(Delivery::BestEffort).await;
    let (steps, answer) = streaming(&log, "POST");
    let response = answer.await.unwrap();
    assert!(log.frames().is_empty());
    drop((steps, response));
    assert_eq!(log.frames(), ["record"]);
}

#[tokio::test]
async fn a_durable_rule_is_durable_in_an_app_that_is_not() {
    let rule = Rule::new("reports").route("/api/reports").delivery(Delivery::Durable);
    let log = Log::with(Delivery::BestEffort, Rules::rest().rule(rule)).await;
    let (_steps, answer) = streaming(&log, "POST");
    let _response = answer.await.unwrap();
    assert_eq!(log.frames(), ["open 1"]);
    assert_eq!(log.begun().rule, "reports");
}

#[tokio::test]
async fn without_an_interval_the_head_waits_for_the_disk() {
    for streams in [false, true] {
        let log = patient().await;
        log.disk.hold();
        let (steps, mut answer) = if streams {
            let (steps, answer) = streaming(&log, "POST");
            (Some(steps), answer)
        } else {
            (None, send(&log, request("POST", "/api/orders"), small("done")).1)
        };
        assert!(poll(&mut answer).is_pending());
        log.disk.release();
        let response = answer.await.unwrap();
        drop(steps);
        response.into_body().collect().await.unwrap();
        let expected: &[&str] = if streams { &["open 1", "end 1"] } else { &["record"] };
        assert_eq!(log.frames(), expected);
        log.only().await;
    }
}

#[tokio::test]
async fn a_spool_that_takes_nothing_sheds_no_durable_request() {
    for each in [false, true] {
        let log = if each { patient().await } else { durable().await };
        log.disk.refuse(Refused::Opens);
        let (steps, answer) = streaming(&log, "POST");
        let response = answer.await.unwrap();
        assert_eq!(response.status(), 200);
        steps.send(data("abc")).unwrap();
        drop(steps);
        assert_eq!(text(response).await, "abc");
        log.only().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_the_head_waits_is_one_record() {
    let log = patient().await;
    log.disk.hold();
    let (_steps, mut answer) = streaming(&log, "POST");
    assert!(poll(&mut answer).is_pending());
    drop(answer);
    assert_eq!(log.frames(), ["open 1", "cancel 1", "record"]);
    assert_eq!(how(&log.only().await), (Some(200), Outcome::Aborted, "client_disconnect"));
}

/// What gap records say that a next process finds in a copy of the folder, made while this one runs.
async fn gaps_after_a_kill(log: &Log) -> Vec<serde_json::Value> {
    let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
    let stream = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().len() == 16;
    for entry in std::fs::read_dir(log._folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if stream(&path) {
            let to = folder.path().join(path.file_name().unwrap());
            std::fs::create_dir(&to).unwrap();
            for entry in std::fs::read_dir(path).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    let next = Pipeline::builder(store.clone()).spool(folder.path());
    let next = next.batch_age(Duration::from_millis(1)).start().await.unwrap();
    let begun = std::time::Instant::now();
    // The last word of the stream that was copied.
    while !store.all().iter().any(|record| record.outcome_reason == "process_ended") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", next.tally());
        tokio::task::yield_now().await;
    }
    next.shutdown(Duration::from_secs(60)).await;
    let mut all = store.all();
    all.retain(|record| record.action == "gap");
    all.iter().map(|gap| serde_json::from_str(gap.metadata.as_str()).unwrap()).collect()
}

#[tokio::test]
async fn losses_that_no_gap_tells_of_yet_are_told_of_by_the_next_process() {
    let log = durable().await;
    assert!(gaps_after_a_kill(&log).await.is_empty());
    log.disk.refuse(Refused::Records);
    for _ in 0..3 {
        send(&log, request("POST", "/api/orders"), small("done")).1.await.unwrap();
    }
    assert_eq!(log.pipeline.tally().dropped.total(), 3);
    let gaps = gaps_after_a_kill(&log).await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((&gaps[0]["count"], &gaps[0]["reason"]), (&().into(), &"spool_full".into()));
    // Once they are told of, that says all; and the next loss begins anew.
    log.disk.accept();
    log.pipeline.flush().await;
    let gaps = gaps_after_a_kill(&log).await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["count"], 3);
    log.disk.refuse(Refused::Records);
    send(&log, request("POST", "/api/orders"), small("done")).1.await.unwrap();
    let gaps = gaps_after_a_kill(&log).await;
    assert_eq!((gaps.len(), &gaps[1]["count"]), (2, &().into()), "{gaps:?}");
}

const SECRETS: [&str; 5] = ["hunter2", "tok-4711", "sess-0815", "pin-9999", "query-secret"];

fn secretive() -> Request<Body> {
    Request::post("/api/users/7/reports?token=query-secret&page=2")
        .header("content-type", "application/json")
        .header("authorization", "Bearer tok-4711")
        .header("x-forwarded-for", "203.0.113.7, 198.51.100.2")
        .body(Body::from(r#"{"user":"ana","password":"hunter2"}"#))
        .unwrap()
}

/// Sends a request full of secrets through a pipeline of this mode; returns what was begun and what came of it.
async fn told(mode: Delivery) -> (Option<Record>, Record) {
    let rule = Rule::new("reports")
        .route("/api/users/{id}/reports")
        .level(crate::rules::Level::Request)
        .description("{actor} made a {entity}");
    let log = Log::with(mode, Rules::rest().rule(rule)).await;
    let (steps, body) = stepped();
    let body = Arc::new(Mutex::new(Some(body)));
    let service = service_fn(move |request: Request<Body>| {
        let body = body.lock().unwrap().take().unwrap();
        async move {
            let activity = request.extensions().get::<Activity>().unwrap().clone();
            activity
                .actor("ana")
                .metadata("pin", "pin-9999")
                .metadata("size", 5)
                .target("user", "7", "parent")
                .subject("ana");
            request.into_body().collect().await.unwrap();
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    let layer = log.layer().query(true).session(|_| Some("sess-0815".to_owned()));
    let response = layer.layer(service).call(secretive()).await.unwrap();
    let begun = (mode > Delivery::BestEffort).then(|| log.begun());
    drop(steps);
    response.into_body().collect().await.unwrap();
    (begun, log.only().await)
}

#[tokio::test]
async fn no_secret_is_in_what_was_begun() {
    for mode in [Delivery::Durable, Delivery::Strict] {
        let (begun, _) = told(mode).await;
        let text = serde_json::to_string(&begun.unwrap()).unwrap();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn what_was_begun_changes_nothing_in_the_record() {
    let told_in = async |mode| {
        let (begun, mut record) = told(mode).await;
        if let Some(begun) = begun {
            assert_eq!(record.id, begun.id);
        }
        // What differs from one request to the next.
        record.id = Default::default();
        record.occurred_at = Default::default();
        record.recorded_at = Default::default();
        record.duration_us = None;
        record.writer_id = crate::record::WriterId::new(1);
        record.seals = Default::default();
        record.session_id = Default::default();
        record.seq = 0;
        serde_json::to_string(&record).unwrap()
    };
    let plain = told_in(Delivery::BestEffort).await;
    assert!(plain.contains("ana made a report") && plain.contains("\"redactions\":[{"), "{plain}");
    assert_eq!(told_in(Delivery::Durable).await, plain);
    assert_eq!(told_in(Delivery::Strict).await, plain);
}

/// As when it is killed: what was begun is told of by the next process.
#[tokio::test]
async fn an_answer_that_ends_behind_a_shutdown_is_told_of_by_the_next_process() {
    let log = durable().await;
    let (steps, answer) = streaming(&log, "POST");
    let response = answer.await.unwrap();
    // The door is closed, and the disk keeps it from coming to its end.
    log.disk.hold();
    let mut ending = Box::pin(log.pipeline.shutdown(Duration::from_secs(60)));
    assert!(poll(&mut ending).is_pending());
    steps.send(data("abc")).unwrap();
    drop(steps);
    response.into_body().collect().await.unwrap();
    assert_eq!(log.frames(), ["open 1"], "not taken back");
    log.disk.release();
    ending.await;
    let tally = log.pipeline.tally();
    assert_eq!((tally.received, tally.spooled, tally.dropped.total()), (1, 1, 0), "{tally:?}");
    let told = log.told_by_the_next().await;
    assert_eq!(told.len(), 1, "once: {told:#?}");
    assert_eq!(how(&told[0]), (Some(200), Outcome::Aborted, "process_ended"));
}

#[tokio::test]
async fn an_end_that_finds_no_room_takes_back_what_was_begun_and_is_told_of_once() {
    for (refused, frames, lost) in [
        (Refused::Records, &["open 1", "cancel 1"][..], 1),
        // Not even that: it is written when there is room.
        (Refused::Everything, &["open 1"], 0),
    ] {
        let log = durable().await;
        let (steps, answer) = streaming(&log, "POST");
        let response = answer.await.unwrap();
        log.pipeline.flush().await;
        log.disk.refuse(refused);
        steps.send(data("abc")).unwrap();
        drop(steps);
        response.into_body().collect().await.unwrap();
        assert_eq!(log.frames(), frames);
        let tally = log.pipeline.tally();
        assert_eq!((tally.received, tally.spooled), (1, 1 - lost), "{tally:?}");
        assert_eq!((tally.dropped.of(DropReason::SpoolFull), tally.open_drafts), (lost, 0));
        log.disk.accept();
        let told = log.told_by_the_next().await;
        assert_eq!(told.len(), 1, "once: {told:#?}");
        let gap: serde_json::Value =
            serde_json::from_str(told[0].metadata.as_str()).unwrap_or_default();
        assert_eq!(gap["count"].as_u64().unwrap_or(0), lost);
        if lost == 0 {
            assert_eq!(how(&told[0]), (Some(200), Outcome::Success, ""));
        }
    }
}

#[tokio::test]
async fn an_end_that_could_not_even_be_taken_back_is_written_once_there_is_room() {
    let log = durable().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (steps, answer) = streaming(&log, "POST");
        streams.push((steps, answer.await.unwrap()));
    }
    log.pipeline.flush().await;
    log.disk.refuse(Refused::Everything);
    for (steps, response) in streams {
        steps.send(data("abc")).unwrap();
        drop(steps);
        response.into_body().collect().await.unwrap();
    }
    let tally = log.pipeline.tally();
    assert_eq!((tally.received, tally.spooled, tally.dropped.total()), (3, 3, 0), "{tally:?}");
    log.disk.accept();
    // By itself: nobody records anything, or asks.
    let begun = std::time::Instant::now();
    while log.pipeline.tally().stored < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", log.pipeline.tally());
        tokio::task::yield_now().await;
    }
    assert_eq!(log.frames()[3..], ["end 1", "end 2", "end 3"], "in their order");
    let records = log.records().await;
    assert!(records.iter().all(|record| how(record) == (Some(200), Outcome::Success, "")));
    let tally = log.pipeline.tally();
    assert_eq!((tally.received, tally.stored, tally.spooled), (3, 3, 0), "{tally:?}");
    assert_eq!(log.told_by_the_next().await.len(), 3, "once");
}

#[tokio::test]
async fn an_end_for_which_there_is_never_room_is_told_of_by_the_next_process() {
    let log = durable().await;
    let (steps, answer) = streaming(&log, "POST");
    let response = answer.await.unwrap();
    log.pipeline.flush().await;
    log.disk.refuse(Refused::Everything);
    drop(steps);
    response.into_body().collect().await.unwrap();
    let told = log.told_by_the_next().await;
    assert_eq!(told.len(), 1, "once: {told:#?}");
    assert_eq!(how(&told[0]), (Some(200), Outcome::Aborted, "process_ended"));
}

//! Who may listen, and to what.

use hyper::Method;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{Events, OURS, Socket, by, happens};
use crate::support::{Fixture, Service};

on_every_store! {
    pages_of_other_origins_may_not_listen,
    a_ticket_opens_one_session,
    a_tenant_hears_of_nobody_else,
    who_may_not_read_a_category_does_not_hear_of_it,
    what_a_client_says_is_not_listened_to,
    a_session_is_a_record_itself,
}

/// (57)
async fn pages_of_other_origins_may_not_listen<F: Fixture>() {
    let service = Service::<F>::start().await;
    let (address, caller) = (service.address, ("x-test-caller", "admin"));
    let own = format!("http://{address}");
    for (headers, may) in [
        (&[caller][..], true),
        (&[caller, ("origin", &own)], true),
        (&[caller, ("origin", &own), ("cookie", "session=1")], true),
        (&[caller, ("cookie", "session=1")], false),
        (&[caller, ("origin", "null")], false),
        (&[caller, ("origin", "")], false),
        (&[caller, ("origin", "http://evil.example")], false),
        (&[caller, ("origin", &format!("{own}.evil.example"))], false),
        (&[caller, ("origin", &format!("{own}0"))], false),
        (&[caller, ("origin", "http://127.0.0.1")], false),
        (&[caller, ("origin", &format!("http://localhost:{}", address.port()))], false),
        (&[caller, ("origin", &own), ("origin", "http://evil.example")], false),
    ] {
        let opened = Socket::try_open(address, OURS, headers).await;
        assert_eq!(
            opened.err().map(|status| status.as_u16()),
            (!may).then_some(403),
            "{headers:?}"
        );
    }
    let foreign = [caller, ("origin", "http://evil.example")];
    // Without a body, which has no end for whoever is let in.
    let answer = service.send(Method::HEAD, "/activity/live/sse", &foreign, "").await;
    assert_eq!(answer.status, 403);
    service.send(Method::POST, "/activity/tickets", &foreign, "").await.problem(403);
    service.stop().await;
}

async fn ticket<F: Fixture>(service: &Service<F>, caller: &str) -> String {
    let headers = [("x-test-caller", caller)];
    let answer = service.send(Method::POST, "/activity/tickets", &headers, "").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let answer = answer.json();
    assert_eq!(answer["expires_in"], Value::from(30));
    answer["ticket"].as_str().unwrap().to_owned()
}

async fn a_ticket_opens_one_session<F: Fixture>() {
    let service = Service::<F>::start().await;
    let own = format!("http://{}", service.address);
    let page = [("origin", own.as_str())];
    let path = |ticket: &str| format!("{OURS}&ticket={ticket}");

    let one = ticket(&service, "ana logs.actions.view acme").await;
    assert_ne!(one, ticket(&service, "ana logs.actions.view acme").await);
    let mut socket = Socket::try_open(service.address, &path(&one), &page).await.unwrap();
    socket.next().await;
    // It stands for who fetched it, with his scope.
    service.pipeline.recorder().record(by("foreign").tenant("other"));
    service.pipeline.recorder().record(by("own").tenant("acme"));
    service.pipeline.flush().await;
    assert_eq!(socket.hear(1).await, ["own"]);
    for used in [one.as_str(), "", "0", &"0".repeat(64)] {
        let refused = Socket::try_open(service.address, &path(used), &page).await.err();
        assert_eq!(refused.map(|status| status.as_u16()), Some(401), "{used}");
    }
    // A program has no need of one.
    let two = ticket(&service, "admin").await;
    assert!(Socket::try_open(service.address, &path(&two), &[]).await.is_err());

    let three = ticket(&service, "admin").await;
    let sse = format!("/activity/live/sse?action=cancel&ticket={three}");
    let mut events = Events::open(service.address, &sse, &[]).await;
    assert_eq!(events.next().await.unwrap().kind, "heartbeat");
    assert_eq!(Events::open(service.address, &sse, &[]).await.response.status(), 401);
    drop(events);

    let refused = service.send(Method::POST, "/activity/tickets", &[], "").await;
    refused.problem(401);
    let blind = [("x-test-caller", "bob logs.ingest")];
    service.send(Method::POST, "/activity/tickets", &blind, "").await.problem(403);
    service.stop().await;
}

/// (51)
async fn a_tenant_hears_of_nobody_else<F: Fixture>() {
    let service = Service::<F>::start().await;
    let acme = "ana logs.actions.view acme";
    let (mut socket, _) = Socket::open_as(acme, service.address, OURS).await;
    let foreign = format!("{OURS}&tenant_id=other");
    let (mut asking, _) = Socket::open_as(acme, service.address, &foreign).await;
    for n in 0..50 {
        let tenant = ["other", "acme", ""][n % 3];
        service.pipeline.recorder().record(by(&format!("{n}")).tenant(tenant));
    }
    service.pipeline.flush().await;
    let own: Vec<_> = (0..50).filter(|n| n % 3 == 1).map(|n| n.to_string()).collect();
    assert_eq!(socket.hear(own.len()).await, own);
    service.pipeline.recorder().record(by("last").tenant("acme"));
    service.pipeline.flush().await;
    assert_eq!(socket.hear(1).await, ["last"]);
    // Everything has passed by whoever asked for what is not his, and there was nothing for him.
    service.pipeline.hang_up();
    loop {
        match asking.raw().await {
            Some(Message::Text(text)) => assert!(!text.contains("records"), "{text}"),
            Some(Message::Close(_)) | None => break,
            Some(_) => {}
        }
    }
    service.stop().await;
}

async fn who_may_not_read_a_category_does_not_hear_of_it<F: Fixture>() {
    let service = Service::<F>::start().await;
    let viewer = "ana logs.actions.view";
    let (mut socket, _) = Socket::open_as(viewer, service.address, "/activity/live").await;
    let mut login = by("login");
    login.category = tower_activity::record::Category::Authentication;
    service.pipeline.recorder().record(login);
    service.pipeline.recorder().record(by("ana"));
    service.pipeline.flush().await;
    // Nor of his own session, which is of category `system`.
    assert_eq!(socket.hear(1).await, ["ana"]);
    let blind = [("x-test-caller", "bob logs.ingest")];
    let refused = Socket::try_open(service.address, "/activity/live", &blind).await.err();
    assert_eq!(refused.map(|status| status.as_u16()), Some(403));
    service.stop().await;
}

async fn what_a_client_says_is_not_listened_to<F: Fixture>() {
    let service = Service::<F>::start().await;
    let (mut socket, _) = Socket::open(service.address, OURS).await;
    for _ in 0..100 {
        socket.say(Message::text("{\"type\":\"subscribe\",\"q\":\"*\"}")).await;
        socket.say(Message::binary(vec![0; 100])).await;
    }
    socket.say(Message::Ping("here?".into())).await;
    match socket.raw().await {
        Some(Message::Pong(echo)) => assert_eq!(&echo[..], b"here?"),
        other => panic!("{other:?}"),
    }
    happens(&service.pipeline, "ana").await;
    assert_eq!(socket.hear(1).await, ["ana"]);
    // A letter that is too long is not even read.
    socket.say(Message::text("x".repeat(1 << 20))).await;
    while socket.raw().await.is_some() {}
    // Without an upgrade there is an answer that says what to do.
    let problem = service.get("/activity/live").await.problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("live/sse"), "{problem}");
    service.stop().await;
}

async fn a_session_is_a_record_itself<F: Fixture>() {
    let service = Service::<F>::start().await;
    let (mut socket, _) = Socket::open_as("eve", service.address, OURS).await;
    happens(&service.pipeline, "ana").await;
    assert_eq!(socket.hear(1).await, ["ana"]);
    socket.say(Message::Close(None)).await;
    while socket.raw().await.is_some() {}
    // The end is recorded when the server has noticed it.
    let path = "/activity/records?action=log_viewed&actor_id=eve";
    let uses = loop {
        service.pipeline.flush().await;
        let page = service.get(path).await.json();
        let uses = page["records"].as_array().unwrap().clone();
        if uses.len() == 2 {
            break uses;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(uses[0]["outcome"], Value::from("success"), "{uses:?}");
    assert_eq!(uses[1]["route"], Value::from("/activity/live"), "{uses:?}");
    assert_eq!(uses[0]["metadata"]["shown"], Value::from(1), "{uses:?}");
    service.stop().await;
}

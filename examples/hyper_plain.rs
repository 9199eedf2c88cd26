//! cargo run --example hyper_plain
//!
//! Recording a plain hyper service, without axum. Then, in another terminal, with the address it prints:
//! `curl -X PUT http://127.0.0.1:3000/api/orders/55 -d '{"status":"paid"}'`; Ctrl-C to stop.

use std::{convert::Infallible, error::Error, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_activity::{
    capture::{Activity, ActivityLayer, PeerAddr, RequestBody},
    pipeline::Pipeline,
    query::Filter,
    rules::Rules,
    store::MemoryStore,
};

/// Bodies keep their own types: the service gets hyper's, with the layer's around it.
async fn shop(
    request: Request<RequestBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let activity = request.extensions().get::<Activity>().cloned().unwrap_or(Activity::detached());
    let mut response = Response::new(Full::default());
    if *request.method() == Method::DELETE {
        *response.status_mut() = StatusCode::FORBIDDEN;
    } else if let Ok(body) = request.into_body().collect().await {
        activity.actor("ana").metadata("bytes", body.to_bytes().len());
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // No router, no templates: the rules know the routes, everything else is `{unmatched}`.
    let rules = Rules::rest().routes(["/api/orders", "/api/orders/{id}"]);
    let pipeline = Pipeline::builder(MemoryStore::new()).rules(rules).start().await?;
    let mut committed = pipeline.subscribe(Filter::new());
    let lines = tokio::spawn(async move {
        while let Some(Ok(record)) = committed.next().await {
            println!("{}", serde_json::to_string(&*record).unwrap_or_default());
        }
    });

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let layer = ActivityLayer::new(pipeline.recorder()).any_body();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = tokio::signal::ctrl_c() => break,
        };
        // Only whoever accepts a connection knows its other end.
        let tell_peer = move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddr(peer));
            request
        };
        let service = ServiceBuilder::new()
            .map_request(tell_peer)
            .layer(layer.clone())
            .service(service_fn(shop));
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let service = TowerToHyperService::new(service);
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("a connection ended early: {error}");
            }
        });
    }
    let report = pipeline.shutdown(Duration::from_secs(5)).await;
    lines.await?;
    println!("{report}");
    Ok(())
}

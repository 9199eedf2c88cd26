//! cargo run --example tonic_grpc --features tonic
//!
//! Recording a gRPC server. It calls itself once well and once badly, prints the two records, and goes on
//! serving `shop.v1.Orders` at the address that it prints, until Ctrl-C.

use std::{
    convert::Infallible,
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, uri::PathAndQuery};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService},
    transport::{Channel, Server},
};
use tonic_prost::ProstCodec;
use tower_activity::{
    capture::{Activity, ActivityLayer},
    pipeline::Pipeline,
    query::Filter,
    store::MemoryStore,
};

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(string, tag = "1")]
    id: String,
}

async fn cancel(request: tonic::Request<Order>) -> Result<tonic::Response<Order>, Status> {
    // Optional: service, method and status are known without it.
    if let Some(activity) = request.extensions().get::<Activity>() {
        activity.actor("ana").entity("order", &request.get_ref().id);
    }
    match request.into_inner() {
        order if order.id.is_empty() => Err(Status::invalid_argument("which order?")),
        order => Ok(tonic::Response::new(order)),
    }
}

/// What tonic's code generator writes for a service, by hand.
#[derive(Clone)]
struct Orders;

impl NamedService for Orders {
    const NAME: &'static str = "shop.v1.Orders";
}

impl tower::Service<Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<Order, Order>::default());
            Ok(match request.uri().path() {
                "/shop.v1.Orders/CancelOrder" => {
                    grpc.unary(tower::service_fn(cancel), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pipeline = Pipeline::builder(MemoryStore::new()).start().await?;
    let mut committed = pipeline.subscribe(Filter::new());
    let lines = tokio::spawn(async move {
        while let Some(Ok(record)) = committed.next().await {
            println!("{}", serde_json::to_string(&*record).unwrap_or_default());
        }
    });

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let server = Server::builder()
        .layer(ActivityLayer::new(pipeline.recorder()))
        .add_service(Orders)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
            drop(tokio::signal::ctrl_c().await);
        });
    let server = tokio::spawn(server);

    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = tonic::client::Grpc::new(channel);
    for id in ["55", ""] {
        client.ready().await?;
        let order = tonic::Request::new(Order { id: id.to_owned() });
        let path = PathAndQuery::from_static("/shop.v1.Orders/CancelOrder");
        let answer = client.unary(order, path, ProstCodec::<Order, Order>::default()).await;
        println!(
            "cancelling order {id:?}: {:?}",
            answer.map_or_else(|s| s.code(), |_| tonic::Code::Ok)
        );
    }
    drop(client); // the server waits for its connections
    server.await??;
    let report = pipeline.shutdown(Duration::from_secs(5)).await;
    lines.await?;
    println!("{report}");
    Ok(())
}

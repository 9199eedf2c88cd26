//! gRPC: the status is in the trailers, or in the head when nothing else comes.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use http::{Request, Response, uri::PathAndQuery};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    body::Body,
    server::NamedService,
    transport::{Channel, Server},
};
use tonic_prost::ProstCodec;
use tower::{Layer as _, Service};
use tower_activity::{
    capture::Activity,
    record::{Outcome, Record},
    rules::{Delivery, Rules, UNMATCHED},
};

use crate::support::Log;

#[derive(Clone, PartialEq, prost::Message)]
struct Order {
    #[prost(string, tag = "1")]
    id: String,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

fn cancel(request: tonic::Request<Order>) -> Answer<tonic::Response<Order>> {
    Box::pin(async move {
        if let Some(activity) = request.extensions().get::<Activity>() {
            activity.actor("ana").entity("order", &request.get_ref().id);
        }
        match request.get_ref().id.as_str() {
            "bad" => Err(Status::invalid_argument("no such id")),
            "denied" => Err(Status::permission_denied("not yours")),
            "panic" => panic!("in the service"),
            "hang" => std::future::pending().await,
            id => Ok(tonic::Response::new(Order { id: id.to_owned() })),
        }
    })
}

type Orders = Pin<Box<dyn Stream<Item = Result<Order, Status>> + Send>>;

fn process(request: tonic::Request<Order>) -> Answer<tonic::Response<Orders>> {
    Box::pin(async move {
        let order = request.into_inner();
        let orders: Orders = match order.id.as_str() {
            "open" => Box::pin(stream::iter([Ok(order)]).chain(stream::pending())),
            "broken" => {
                Box::pin(stream::iter([Ok(order), Err(Status::data_loss("half of it is gone"))]))
            }
            _ => Box::pin(stream::iter([Ok(order.clone()), Ok(order)])),
        };
        Ok(tonic::Response::new(orders))
    })
}

/// What the code generator writes for a service, by hand.
#[derive(Clone)]
struct OrdersServer;

impl NamedService for OrdersServer {
    const NAME: &'static str = "shop.v1.Orders";
}

impl Service<Request<Body>> for OrdersServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Order, Order>::default());
            Ok(match request.uri().path() {
                CANCEL => grpc.unary(tower::service_fn(cancel), request).await,
                PROCESS => grpc.server_streaming(tower::service_fn(process), request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

async fn bound() -> (TcpListenerStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (TcpListenerStream::new(listener), address)
}

/// Serves with the layer around the whole server.
async fn layered(log: &Log) -> (SocketAddr, JoinHandle<()>) {
    let (incoming, address) = bound().await;
    let server = Server::builder().layer(log.layer()).add_service(OrdersServer);
    let task = tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    (address, task)
}

async fn client(address: SocketAddr) -> tonic::client::Grpc<Channel> {
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
    tonic::client::Grpc::new(channel.unwrap())
}

async fn unary(address: SocketAddr, method: &'static str, id: &str) -> Result<Order, Status> {
    let mut client = client(address).await;
    client.ready().await.unwrap();
    let order = tonic::Request::new(Order { id: id.to_owned() });
    let path = PathAndQuery::from_static(method);
    Ok(client.unary(order, path, ProstCodec::default()).await?.into_inner())
}

const CANCEL: &str = "/shop.v1.Orders/Cancel";
const PROCESS: &str = "/shop.v1.Orders/ProcessOrder";

fn how(record: &Record) -> (Option<u8>, Outcome, &str) {
    (record.grpc_status, record.outcome, &record.outcome_reason)
}

#[tokio::test]
async fn an_ok_is_read_from_the_trailers() {
    let log = Log::new().await;
    let (address, server) = layered(&log).await;
    assert_eq!(unary(address, CANCEL, "55").await.unwrap().id, "55");
    let record = log.only().await;
    assert_eq!(how(&record), (Some(0), Outcome::Success, ""));
    assert_eq!(record.status, Some(200));
    assert_eq!(record.route, CANCEL);
    assert_eq!((&*record.entity_type, &*record.entity_id), ("order", "55"));
    assert_eq!(record.actor_id, "ana", "the handle is in the extensions of a gRPC request");
    assert_eq!(record.http_version, "HTTP/2.0");
    assert_eq!(record.ip.unwrap().to_string(), "127.0.0.1", "the peer is tonic's own extension");
    assert!(record.request_bytes > Some(5) && record.response_bytes > Some(5));
    server.abort();
}

#[tokio::test]
async fn an_error_is_read_from_the_head() {
    let log = Log::new().await;
    let (address, server) = layered(&log).await;
    assert_eq!(unary(address, CANCEL, "bad").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(unary(address, CANCEL, "denied").await.unwrap_err().code(), Code::PermissionDenied);
    let records = log.records().await;
    assert_eq!(how(&records[0]), (Some(3), Outcome::Failure, "invalid_argument"));
    assert_eq!(how(&records[1]), (Some(7), Outcome::Denied, "permission_denied"));
    assert!(records[0].severity < 3, "the caller's mistake is not an internal failure");
    assert!(records.iter().all(|record| record.status == Some(200)));
    server.abort();
}

#[tokio::test]
async fn a_stream_ends_in_its_trailers() {
    let log = Log::new().await;
    let (address, server) = layered(&log).await;
    for (id, code) in [("55", Code::Ok), ("broken", Code::DataLoss)] {
        let mut client = client(address).await;
        client.ready().await.unwrap();
        let order = tonic::Request::new(Order { id: id.to_owned() });
        let path = PathAndQuery::from_static(PROCESS);
        let codec = ProstCodec::<Order, Order>::default();
        let mut orders = client.server_streaming(order, path, codec).await.unwrap().into_inner();
        let mut ended = Code::Ok;
        while let Some(order) = orders.next().await {
            if let Err(status) = order {
                ended = status.code();
            }
        }
        assert_eq!(ended, code);
    }
    let records = log.records().await;
    let found: Vec<_> = records.iter().map(how).collect();
    assert_eq!(found, [(Some(0), Outcome::Success, ""), (Some(15), Outcome::Failure, "data_loss")]);
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_a_stream_or_a_call_aborts_it() {
    let log = Log::new().await;
    let (address, server) = layered(&log).await;
    let mut grpc = client(address).await;
    grpc.ready().await.unwrap();
    let order = tonic::Request::new(Order { id: "open".to_owned() });
    let path = PathAndQuery::from_static(PROCESS);
    let codec = ProstCodec::<Order, Order>::default();
    let mut orders = grpc.server_streaming(order, path, codec).await.unwrap().into_inner();
    assert_eq!(orders.next().await.unwrap().unwrap().id, "open");
    assert!(log.records().await.is_empty(), "gRPC is finished at its end");
    drop((orders, grpc));
    let left = async {
        while log.records().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), left).await.expect("in good time");
    let record = log.only().await;
    assert_eq!(how(&record), (None, Outcome::Aborted, "client_disconnect"));
    assert_eq!(record.status, Some(200));
    server.abort();
}

#[tokio::test]
async fn a_panic_in_a_service_is_recorded() {
    let log = Log::new().await;
    let (address, server) = layered(&log).await;
    unary(address, CANCEL, "panic").await.unwrap_err();
    assert_eq!(how(&log.only().await), (None, Outcome::Failure, "panic"));
    server.abort();
}

#[tokio::test]
async fn a_call_that_no_service_implements_has_no_route() {
    let log = Log::new().await;
    let (address, server) = layered(&log).await;
    for method in ["/made.Up/DeleteOrder", "/shop.v1.Orders/DeleteNothing"] {
        let status = unary(address, method, "55").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    for record in log.records().await {
        assert_eq!((&*record.route, record.grpc_status), (UNMATCHED, Some(12)));
    }
    server.abort();
}

#[tokio::test]
async fn a_single_service_may_be_wrapped_and_keeps_its_name() {
    let log = Log::new().await;
    let (incoming, address) = bound().await;
    let service = log.layer().layer(OrdersServer);
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    assert_eq!(name(&service), "shop.v1.Orders");
    let server = Server::builder().add_service(service);
    let server = tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    unary(address, CANCEL, "55").await.unwrap();
    let record = log.only().await;
    assert_eq!((&*record.route, record.grpc_status), (CANCEL, Some(0)));
    server.abort();
}

#[tokio::test]
async fn a_service_inside_a_layered_server_is_still_one_record() {
    let log = Log::new().await;
    let (incoming, address) = bound().await;
    let server = Server::builder().layer(log.layer()).add_service(log.layer().layer(OrdersServer));
    let server = tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    unary(address, CANCEL, "55").await.unwrap();
    assert_eq!(log.only().await.route, CANCEL);
    server.abort();
}

#[tokio::test]
async fn a_strict_call_is_recorded_and_one_that_cannot_be_is_unavailable() {
    let log = Log::in_mode(Delivery::Strict, Rules::rest()).await;
    let (address, server) = layered(&log).await;
    assert_eq!(unary(address, CANCEL, "55").await.unwrap().id, "55");
    assert_eq!(how(&log.only().await), (Some(0), Outcome::Success, ""));
    log.pipeline.shutdown(Duration::from_secs(60)).await;
    // The service would panic if it were called.
    let status = unary(address, CANCEL, "panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with("the operation was not attempted"), "{status:?}");
    server.abort();
}

//! The log as it is written, listened to with a real WebSocket client and as server-sent events.

mod door;
mod end;
mod order;
mod slow;

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Incoming},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderName, HeaderValue},
        protocol::CloseFrame,
    },
};
use tower_activity::{
    Pipeline,
    record::{Actor, Record},
};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// A WebSocket that listens.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// What a session told at one moment.
#[derive(Debug, Clone)]
struct Told {
    kind: String,
    cursor: String,
    message: Value,
}

impl Told {
    fn of(text: &str) -> Self {
        let message: Value = serde_json::from_str(text).expect("messages are JSON");
        let text = |name: &str| message[name].as_str().expect("every message has it").to_owned();
        let (kind, cursor) = (text("type"), text("cursor"));
        let told = Self { kind, cursor, message };
        if told.kind == "records" {
            assert_eq!(told.message["count"], Value::from(told.records().len()));
        }
        told
    }

    fn records(&self) -> &[Value] {
        self.message["data"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns who did it, for each record: tests say so what they look for.
    fn actors(&self) -> Vec<String> {
        self.records().iter().map(|r| r["actor_id"].as_str().unwrap_or("").to_owned()).collect()
    }
}

impl Socket {
    /// Opens one, with these headers.
    pub(crate) async fn try_open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, StatusCode> {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        // The system itself keeps little for a client that does not read.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = socket.connect(address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, response)) => {
                assert_eq!(response.status(), 101);
                Ok(Self(socket))
            }
            Err(Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Opens one as a caller of `x-test-caller`, and hears where it begins.
    pub(crate) async fn open_as(caller: &str, address: SocketAddr, path: &str) -> (Self, String) {
        let headers = [("x-test-caller", caller)];
        let mut socket = Self::try_open(address, path, &headers).await.expect("it opens");
        let first = socket.next().await;
        assert_eq!(first.kind, "heartbeat");
        (socket, first.cursor)
    }

    pub(crate) async fn open(address: SocketAddr, path: &str) -> (Self, String) {
        Self::open_as("admin", address, path).await
    }

    pub(crate) async fn raw(&mut self) -> Option<Message> {
        let next = timeout(PATIENCE, self.0.next()).await.expect("something comes");
        next.transpose().unwrap_or(None)
    }

    /// Returns the next message.
    async fn next(&mut self) -> Told {
        match self.raw().await {
            Some(Message::Text(text)) => Told::of(&text),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the next message that tells something.
    async fn news(&mut self) -> Told {
        let news = async {
            loop {
                let told = self.next().await;
                if told.kind != "heartbeat" {
                    return told;
                }
            }
        };
        timeout(PATIENCE, news).await.expect("something comes that is no heartbeat")
    }

    /// Returns the next `count` records by their actors, with the cursor behind each message.
    pub(crate) async fn hear(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let told = self.news().await;
            assert_eq!(told.kind, "records", "{}", told.message);
            heard.extend(told.actors());
        }
        heard
    }

    /// Reads on until it is closed, and returns the farewell.
    async fn farewell(&mut self) -> Option<CloseFrame> {
        loop {
            if let Message::Close(frame) = self.raw().await? {
                return frame;
            }
        }
    }

    async fn say(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }
}

/// Server-sent events as a browser reads them.
struct Events {
    response: Response<Incoming>,
    buffer: String,
    events: VecDeque<Told>,
}

impl Events {
    async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut request = hyper::Request::get(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = client.request(request).await.unwrap();
        Self { response, buffer: String::new(), events: VecDeque::new() }
    }

    /// Returns the next event, or `None` when the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let frame = self.response.body_mut().frame();
            let frame = timeout(PATIENCE, frame).await.expect("something comes")?;
            let Ok(data) = frame.expect("no broken stream").into_data() else { continue };
            self.buffer.push_str(std::str::from_utf8(&data).unwrap());
            while let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_else(|| panic!("{name} in {event}")).to_owned()
                };
                let told = Told::of(&field("data: "));
                assert_eq!((&told.kind, &told.cursor), (&field("event: "), &field("id: ")));
                self.events.push_back(told);
                self.buffer = rest.to_owned();
            }
        }
    }
}

/// Makes a record of something that `actor` did.
fn by(actor: &str) -> Record {
    Record::by(Actor::user(actor)).cancelled("order", "55")
}

/// Records something that `actor` did, and sees it stored.
async fn happens(pipeline: &Pipeline, actor: &str) {
    assert!(pipeline.recorder().record(by(actor)).is_accepted());
    pipeline.flush().await;
}

/// The filter that leaves out what the log records about itself.
const OURS: &str = "/activity/live?action=cancel";

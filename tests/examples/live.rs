//! Somebody who follows the log of an example.

use std::time::Duration;

use futures_util::StreamExt as _;
use http::{HeaderValue, Request, header};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message,
    tungstenite::client::IntoClientRequest as _,
};

use crate::running::Running;

/// Far longer than anything here takes on a busy machine: only a defect meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Live(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Live {
    /// Listens as the page does: a browser says whose page it is.
    pub(crate) async fn open(shop: &Running, parameters: &str) -> Self {
        Self::with(request(shop, &format!("http://{}", shop.address), parameters)).await
    }

    /// Listens as a program does that has credentials.
    #[cfg(feature = "argon2")]
    pub(crate) async fn open_as(shop: &Running, parameters: &str, credentials: &str) -> Self {
        let mut request = request(shop, &format!("http://{}", shop.address), parameters);
        let credentials = HeaderValue::from_str(credentials).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credentials);
        Self::with(request).await
    }

    async fn with(request: Request<()>) -> Self {
        let (socket, _) = timeout(PATIENCE, connect_async(request)).await.unwrap().unwrap();
        Self(socket)
    }

    /// Returns the next message; `None` when the shop has said goodbye.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads records until `last` says that it was the last, and returns all of them and the last cursor.
    pub(crate) async fn until(
        &mut self,
        mut last: impl FnMut(&Value) -> bool,
    ) -> (Vec<Value>, String) {
        let (mut records, mut cursor, mut ends) = (Vec::new(), String::new(), false);
        let reading = async {
            while !ends {
                let message = self.next().await.expect("the session goes on");
                cursor = message["cursor"].as_str().expect("a cursor").to_owned();
                for record in message["data"].as_array().into_iter().flatten() {
                    ends |= last(record);
                    records.push(record.clone());
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("the last one in time");
        (records, cursor)
    }
}

pub(crate) fn request(shop: &Running, origin: &str, parameters: &str) -> Request<()> {
    let uri = format!("ws://{}/activity/live?{parameters}", shop.address);
    let mut request = uri.into_client_request().unwrap();
    request.headers_mut().insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
    request
}

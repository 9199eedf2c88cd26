//! A session over a WebSocket.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::timeout;

use super::session::{Ending, Session};

/// A client that takes nothing for so long is gone, whatever its connection says.
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// What a client sends is not listened to, and need not be long.
pub(super) const MAX_INBOUND: usize = 4 * 1024;

/// Serves a session until one side ends it.
pub(super) async fn serve(mut socket: WebSocket, mut session: Session) {
    let ending = loop {
        let message = tokio::select! {
            incoming = socket.recv() => match incoming {
                // Pings are answered by the protocol itself, and so is a close.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            message = session.next() => message,
        };
        let message = match message {
            Ok(message) => message,
            Err(ending) => break ending,
        };
        let sent = tokio::select! {
            biased;
            ending = session.over() => break ending,
            sent = timeout(PATIENCE, socket.send(Message::Text(message.json.into()))) => sent,
        };
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    };
    // The seat is free before the farewell.
    drop(session);
    // Whoever does not take it is cut off.
    let _said_or_not = timeout(FAREWELL, farewell(&mut socket, ending)).await;
}

/// Says why the session ends, and waits for the answer.
async fn farewell(socket: &mut WebSocket, ending: Ending) {
    let (code, reason) = ending.close();
    let frame = CloseFrame { code, reason: reason.into() };
    if socket.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = socket.recv().await {}
    }
}

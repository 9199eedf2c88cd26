//! A session as server-sent events.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::response::sse::Event;
use futures_core::Stream;
use tokio::{sync::mpsc, time::timeout};

use super::{message::Message, session::Session, socket::PATIENCE};

/// How long a browser waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(2);

/// The messages of a session, each under its type and with its cursor as the id.
///
/// When the session ends the answer does, and the browser comes back with the last cursor.
pub(super) struct Events {
    messages: mpsc::Receiver<Message>,
    begun: bool,
}

impl Events {
    /// Begins the session, in a task of its own: an answer that nobody takes is not even asked for more, and
    /// yet the session has to end in its time.
    pub(super) fn new(session: Session) -> Self {
        let (sender, messages) = mpsc::channel(1);
        tokio::spawn(run(session, sender));
        Self { messages, begun: false }
    }
}

/// Serves a session until one side ends it.
async fn run(mut session: Session, messages: mpsc::Sender<Message>) {
    loop {
        let message = tokio::select! {
            biased;
            () = messages.closed() => return,
            message = session.next() => message,
        };
        let Ok(message) = message else { return };
        let sent = tokio::select! {
            biased;
            _ending = session.over() => return,
            sent = timeout(PATIENCE, messages.send(message)) => sent,
        };
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(message) = ready!(self.messages.poll_recv(cx)) else { return Poll::Ready(None) };
        // Neither kind nor cursor nor compact JSON has a line break in it, which `Event` would refuse.
        let mut event = Event::default().event(message.kind).id(message.cursor).data(message.json);
        if !std::mem::replace(&mut self.begun, true) {
            event = event.retry(COME_BACK);
        }
        Poll::Ready(Some(Ok(event)))
    }
}

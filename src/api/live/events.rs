//! A session as server-sent events.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::response::sse::Event;
use futures_core::Stream;

use super::{
    message::Message,
    session::{Ending, Session},
};

/// How long a browser waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(2);

/// The messages of a session, each under its type and with its cursor as the id.
///
/// When the session ends the answer does, and the browser comes back with the last cursor.
pub(super) struct Events {
    state: State,
    begun: bool,
}

type Waiting = Pin<Box<dyn Future<Output = (Session, Result<Message, Ending>)> + Send>>;

enum State {
    Waiting(Waiting),
    Ended,
}

impl Events {
    pub(super) fn new(session: Session) -> Self {
        Self { state: State::Waiting(wait(session)), begun: false }
    }
}

fn wait(mut session: Session) -> Waiting {
    Box::pin(async move {
        let message = session.next().await;
        (session, message)
    })
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let State::Waiting(waiting) = &mut self.state else { return Poll::Ready(None) };
        let (session, message) = ready!(waiting.as_mut().poll(cx));
        let Ok(message) = message else {
            self.state = State::Ended;
            return Poll::Ready(None);
        };
        self.state = State::Waiting(wait(session));
        // Neither kind nor cursor nor compact JSON has a line break in it, which `Event` would refuse.
        let mut event = Event::default().event(message.kind).id(message.cursor).data(message.json);
        if !std::mem::replace(&mut self.begun, true) {
            event = event.retry(COME_BACK);
        }
        Poll::Ready(Some(Ok(event)))
    }
}

//! Batches on their way to the store.
//!
//! Who is on the list is looked for when a batch is about to be sent, and not again. So whoever puts somebody on it waits for
//! those that were on their way by then, and finds in the log what they brought.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct OnTheWay {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    sent: BTreeSet<u64>,
}

/// A batch on its way, until this is dropped.
#[derive(Debug)]
pub(in crate::pipeline) struct Sending {
    of: Arc<OnTheWay>,
    number: u64,
}

impl OnTheWay {
    pub(super) fn begin(self: &Arc<Self>) -> Sending {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.sent.insert(number);
        Sending { of: Arc::clone(self), number }
    }

    /// Waits until all that is on its way now has arrived, or was given up; what is sent meanwhile is not waited for.
    pub(super) async fn arrived(&self) {
        let next = self.lock().next;
        loop {
            let mut arrived = pin!(self.arrived.notified());
            // Before looking, so that none is missed that arrives meanwhile.
            arrived.as_mut().enable();
            if self.lock().sent.first().is_none_or(|first| *first >= next) {
                return;
            }
            arrived.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can unwind leaves it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.of.lock().sent.remove(&self.number);
        self.of.arrived.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn what_was_sent_before_is_waited_for_and_nothing_else() {
        let way = Arc::new(OnTheWay::default());
        way.arrived().await;
        let (first, second) = (way.begin(), way.begin());
        let mut arrived = pin!(way.arrived());
        let mut poll = async || {
            std::future::poll_fn(|cx| Poll::Ready(arrived.as_mut().poll(cx).is_ready())).await
        };
        assert!(!poll().await);
        let third = way.begin();
        drop(second);
        assert!(!poll().await, "the first is still on its way");
        drop(first);
        assert!(poll().await, "the third was sent later");
        drop(third);
        way.arrived().await;
    }
}

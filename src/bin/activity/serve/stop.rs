//! When somebody wants the service to stop.

use std::{io, time::Duration};

use tokio::{signal::unix, sync::watch};

use crate::out;

/// Becomes ready with the first SIGINT or SIGTERM. A second one ends the process at once.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(super) fn on_signal() -> io::Result<Self> {
        let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
        let mut terminate = unix::signal(unix::SignalKind::terminate())?;
        let (asked, stop) = watch::channel(false);
        tokio::spawn(async move {
            for wanted in [true, false] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if wanted {
                    asked.send_replace(true);
                } else {
                    out::note("stopped before everything was stored");
                    #[allow(clippy::exit, reason = "asked for twice")]
                    std::process::exit(130);
                }
            }
        });
        Ok(Self(stop))
    }

    pub(super) async fn wait(mut self) {
        // An error means that nobody can ask any more.
        let _asked = self.0.wait_for(|asked| *asked).await;
    }

    /// Waits, and so much longer.
    pub(super) async fn wait_and(self, grace: Duration) {
        self.wait().await;
        tokio::time::sleep(grace).await;
    }
}

//! Losses that are said aloud, whoever it is that looks after them: the writer, or the clerk of a spool.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tower_activity::{record::Record, store::MemoryStore, time::Clock as _};

use crate::{SOON, numbered, quick, scheduled::Virtual};

/// What this thread says, line by line.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Said {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let said = Self::default();
        let writer = said.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone());
        (said, tracing::subscriber::set_default(subscriber.finish()))
    }

    /// Returns the numbers that were said to be lost.
    fn lost(&self) -> Vec<u64> {
        let said = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        let fields = lines.map(|line: serde_json::Value| line["fields"].clone());
        let losses =
            fields.filter(|fields| fields["message"] == "activity records are being dropped");
        losses.map(|fields| fields["dropped"].as_u64().unwrap()).collect()
    }
}

/// Of which no spool holds many.
fn large() -> Record {
    numbered(1).describe(&"x".repeat(2_040)).metadata(&["y".repeat(3_000)])
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_behind_a_warning_is_said_a_minute_later_though_nothing_follows() {
    for has_spool in [false, true] {
        let (said, _guard) = Said::listen();
        let folder = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()
            .unwrap();
        let clock = Virtual::at("2026-11-22T12:00:00Z");
        let mut builder = quick(MemoryStore::new()).queue(8).clock(Arc::clone(&clock));
        if has_spool {
            builder = builder.spool(folder.path()).spool_cap(8 << 20);
        }
        let pipeline = builder.start().await.unwrap();
        let recorder = pipeline.recorder();
        // Nobody takes anything out meanwhile: this thread is theirs as well.
        let lost = std::iter::repeat_with(|| recorder.record(large()))
            .filter(|admission| !admission.is_accepted());
        assert_eq!(lost.take(3).count(), 3);
        assert_eq!(said.lost(), [1], "spool: {has_spool}");
        pipeline.flush().await;
        let more = async {
            while said.lost().len() < 2 {
                sleep(Duration::from_secs(1)).await;
            }
        };
        timeout(Duration::from_secs(90), more).await.expect("it is said");
        assert_eq!(said.lost(), [1, 3], "spool: {has_spool}");
        assert!(clock.monotonic() >= Duration::from_secs(60), "once a minute");

        // Whoever ends does not wait for the minute.
        while recorder.record(large()).is_accepted() {}
        assert!(!recorder.record(large()).is_accepted());
        pipeline.shutdown(SOON).await;
        assert_eq!(said.lost(), [1, 3, 5], "spool: {has_spool}");
    }
}

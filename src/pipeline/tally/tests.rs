//! When losses are said aloud.

use std::sync::{Arc, Mutex};

use super::*;

/// What was said, line by line.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_first_loss_is_said_aloud_and_then_their_number_once_a_minute() {
    let said = Said::default();
    let writer = said.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let counters = Counters::default();
    let lose = |reason, millis| {
        counters.receive();
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let now = now.saturating_add(Duration::from_millis(millis));
        let monotonic = Duration::from_millis(millis);
        counters.drop_record(reason, Lane::General, Category::Activity, now, monotonic);
    };
    tracing::subscriber::with_default(subscriber, || {
        // A clock may begin with 0.
        lose(DropReason::QueueFull, 0);
        for n in 0..99 {
            lose(DropReason::QueueFull, n);
        }
        lose(DropReason::Deadline, 59_999);
        lose(DropReason::Deadline, 60_000);
        lose(DropReason::Deadline, 60_001);
        let rest = |millis, ending| counters.warn_of_rest(Duration::from_millis(millis), ending);
        // No loss follows that would tell of the one before.
        rest(119_999, false);
        rest(120_000, false);
        rest(120_001, true);
        lose(DropReason::Shutdown, 3_600_000);
        lose(DropReason::Shutdown, 3_600_000);
        rest(3_600_000, false);
        rest(3_600_000, true);
        rest(9_000_000, true);
    });
    let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    let lines = said.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["fields"]["message"], "activity records are being dropped");
        let reason = line["fields"]["reason"].as_str().unwrap().to_owned();
        (line["fields"]["dropped"].as_u64().unwrap(), reason)
    });
    let expected = [
        (1, "queue_full"),
        (102, "deadline"),
        (103, "deadline"),
        (104, "shutdown"),
        (105, "shutdown"),
    ];
    assert_eq!(lines.collect::<Vec<_>>(), expected.map(|(count, why)| (count, why.to_owned())));
    let tally = counters.snapshot();
    assert_eq!((tally.received, tally.queued, tally.dropped.total()), (105, 0, 105));
}

//! Memory stays within the budget while the store is locked.

use tower_activity::{
    pipeline::{Admission, DropReason},
    record::{Actor, Record},
};

use crate::{SOON, quick, scripted::Scripted};

const BUDGET: usize = 4 * 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn with_a_locked_store_records_of_any_size_stay_within_the_budget() {
    for size in [0, 300, 2_000] {
        let store = Scripted::gated();
        let pipeline = quick(store.clone())
            .queue(100_000)
            .queue_bytes(BUDGET)
            .batch_bytes(BUDGET / 4)
            .start()
            .await
            .unwrap();
        let record = || Record::by(Actor::user("ana")).verb("note").describe(&"x".repeat(size));
        let weight = record().footprint();
        store.reached().await;
        let mut accepted = 0;
        let mut dropped = 0;
        for n in 0..20_000 {
            match pipeline.recorder().record(record()) {
                Admission::Accepted(_) => accepted += 1,
                other => {
                    assert_eq!(other, Admission::Dropped(DropReason::QueueFull));
                    dropped += 1;
                }
            }
            if n % 100 == 0 {
                // The writer gets its chance to take a batch out of the queue: it stays in the budget.
                tokio::task::yield_now().await;
            }
        }
        assert!(dropped > 0);
        assert!(accepted * weight <= BUDGET, "{accepted} of {weight} bytes");
        assert!(accepted * weight > BUDGET / 2, "{accepted} of {weight} bytes");
        store.open_gate();
        let report = pipeline.shutdown(SOON).await;
        assert_eq!((report.stored, report.queued), (accepted as u64, 0));
        assert_eq!(report.dropped.total(), dropped);
    }
}

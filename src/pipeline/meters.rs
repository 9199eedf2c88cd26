//! Counters and gauges through the `metrics` facade; nothing without the feature.
//!
//! The writer publishes what the tally counts anyway, after each batch and before it parks, and the thread that syncs
//! how long that took, so that the request path pays nothing for it.

use std::time::Duration;

use super::core::Core;

/// Publishes the tally and the length of the queue.
#[cfg(feature = "metrics")]
pub(super) fn publish(core: &Core) {
    use super::{
        queue::Lane,
        tally::{CATEGORIES, DropReason},
    };

    let tally = core.counters.snapshot();
    metrics::counter!("activity_records_received_total").absolute(tally.received);
    // What a door let in may still be lost by a shutdown whose time is over, or with the disk of the spool.
    let later =
        [DropReason::Shutdown, DropReason::SpoolDamaged].map(|reason| tally.dropped.of(reason));
    let refused = tally.dropped.total().saturating_sub(later.iter().sum());
    metrics::counter!("activity_records_accepted_total")
        .absolute(tally.received.saturating_sub(refused));
    metrics::counter!("activity_records_duplicates_total").absolute(tally.duplicates);
    metrics::counter!("activity_records_stored_total").absolute(tally.stored);
    metrics::counter!("activity_records_quarantined_total").absolute(tally.quarantined);
    metrics::counter!("activity_records_folded_total").absolute(tally.folded);
    metrics::counter!("activity_records_own_total").absolute(tally.own);
    metrics::counter!("activity_gaps_total").absolute(tally.gaps);
    metrics::counter!("activity_store_retries_total").absolute(tally.retries);
    metrics::counter!("activity_records_drained_total").absolute(tally.drained);
    for reason in DropReason::ALL {
        for lane in Lane::ALL {
            let losses = core.counters.losses_in(reason, lane);
            for (category, count) in CATEGORIES.iter().zip(losses).filter(|(_, count)| *count > 0) {
                metrics::counter!(
                    "activity_records_dropped_total",
                    "reason" => reason.as_str(),
                    "lane" => lane.as_str(),
                    "category" => category.as_str(),
                )
                .absolute(count);
            }
        }
    }
    let outbox = core.outboxes.tally(core.clock.now());
    if let Some(outbox) = &outbox {
        metrics::counter!("activity_outbox_recorded_total").absolute(outbox.recorded);
        metrics::counter!("activity_outbox_stored_total").absolute(outbox.stored);
        metrics::counter!("activity_outbox_quarantined_total").absolute(outbox.quarantined);
    }
    // All are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    {
        metrics::gauge!("activity_queue_records").set(core.queue.len() as f64);
        metrics::gauge!("activity_queue_bytes")
            .set((core.queue.bytes() + core.pool.bytes()) as f64);
        metrics::gauge!("activity_open_drafts").set(tally.open_drafts as f64);
        if let Some(outbox) = &outbox {
            let oldest = outbox.oldest.unwrap_or_default();
            metrics::gauge!("activity_outbox_pending").set(outbox.pending as f64);
            metrics::gauge!("activity_outbox_oldest_seconds").set(oldest.as_secs_f64());
        }
        if let Some(spooling) = &core.spooling {
            let status = spooling.spool.status();
            let oldest = status.oldest.map(|at| super::spooling::age(at, core.clock.now()));
            metrics::gauge!("activity_spool_records").set(tally.spooled as f64);
            metrics::gauge!("activity_spool_bytes").set(status.bytes as f64);
            metrics::gauge!("activity_spool_oldest_seconds")
                .set(oldest.unwrap_or_default().as_secs_f64());
            metrics::gauge!("activity_spool_segments").set(status.segments as f64);
            metrics::counter!("activity_spool_quarantined_total").absolute(status.quarantined);
            metrics::counter!("activity_spool_failed_syncs_total").absolute(status.poisoned);
        }
    }
}

/// Publishes how large the log is, and how large it may get.
#[cfg(feature = "metrics")]
pub(super) fn size(full: crate::rules::Fullness) {
    // Far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    {
        metrics::gauge!("activity_storage_bytes").set(full.bytes() as f64);
        metrics::gauge!("activity_storage_limit_bytes").set(full.limit().bytes() as f64);
    }
}

/// Publishes how long it took to see a batch into the store.
#[cfg(feature = "metrics")]
pub(super) fn batch(took: Duration) {
    metrics::histogram!("activity_batch_seconds").record(took);
}

/// Publishes how long it took to bring a group of frames onto the disk of the spool.
#[cfg(feature = "metrics")]
pub(super) fn fsync(took: Duration) {
    metrics::histogram!("activity_fsync_seconds").record(took);
}

#[cfg(not(feature = "metrics"))]
pub(super) const fn publish(_core: &Core) {}

#[cfg(not(feature = "metrics"))]
pub(super) const fn size(_full: crate::rules::Fullness) {}

#[cfg(not(feature = "metrics"))]
pub(super) const fn batch(_took: Duration) {}

#[cfg(not(feature = "metrics"))]
pub(super) const fn fsync(_took: Duration) {}

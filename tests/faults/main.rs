//! Faults, each with its number from `docs/faults.md`: what was answered for is stored, once, and the tally adds up.
//!
//! The client writes down what it sent and what it saw answered; afterwards the store must hold exactly that. Counts
//! are small here; `scripts/torture` runs the same code with those of the document.

#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "counts of a test"
)]

mod chance;
mod client;
mod clock;
mod crash;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(feature = "internals")]
mod fuzz;
mod oracle;
#[cfg(feature = "postgres")]
mod outbox;
#[cfg(target_os = "linux")]
mod overload;
#[cfg(target_os = "linux")]
mod points;
mod process;
mod role;
#[cfg(feature = "postgres")]
#[allow(dead_code, reason = "shared with the tests of stores")]
#[path = "../stores/server.rs"]
mod server;
mod shutdown;
#[cfg(all(feature = "postgres", feature = "metrics"))]
mod stores;
#[cfg(target_os = "linux")]
mod syscalls;
mod table;

#[test]
fn a_fault_is_tried_as_often_as_the_environment_says() {
    let wanted = std::env::var("FAULTS").unwrap_or_default();
    let full = wanted == "full";
    if full || wanted.is_empty() {
        assert_eq!(table::times(2, 500), if full { 500 } else { 2 });
    } else {
        assert!(table::times(2, 500) >= 2);
    }
}

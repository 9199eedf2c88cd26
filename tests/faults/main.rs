//! Faults, each with its number from `docs/faults.md`: what was answered for is stored, once, and the tally adds up.
//!
//! The client writes down what it sent and what it saw answered; afterwards the store must hold exactly that. Counts
//! are small here; `scripts/torture` runs the same code with those of the document.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[cfg(feature = "internals")]
mod fuzz;
#[cfg(target_os = "linux")]
mod syscalls;
mod table;

#[test]
fn a_fault_is_tried_as_often_as_the_environment_says() {
    let full = std::env::var_os("FAULTS").is_some_and(|wanted| wanted == "full");
    assert_eq!(table::times(2, 500), if full { 500 } else { 2 });
}

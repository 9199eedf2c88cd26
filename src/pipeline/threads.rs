//! What queue and spool take from elsewhere where threads meet: locks, atomics, parking.
//!
//! A seam. `tests/interleavings` compiles the same files with a file of its own in this place, whose types are those
//! of a scheduler that tries one order of steps after the other.

pub(super) use std::{
    sync::atomic,
    thread::{Builder, JoinHandle, Thread, park, park_timeout},
    time::Instant,
};

pub(super) use parking_lot::{Condvar, Mutex, MutexGuard, WaitTimeoutResult};

/// What is compiled here alone: tests that need no scheduler.
macro_rules! here_alone {
    ($($tokens:tt)*) => { $($tokens)* };
}
pub(super) use here_alone;

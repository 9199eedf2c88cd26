//! What stands in the place of `src/pipeline/threads.rs`: the same names, of the scheduler.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

use shuttle::rand::{Rng as _, thread_rng};
pub(super) use shuttle::{
    sync::atomic,
    thread::{Builder, JoinHandle, Thread, park},
};

/// A lock as `parking_lot` has it.
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect("nothing panics and goes on")))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
    }

    /// Mostly it gets the lock; now and then a short time is up.
    pub(crate) fn try_lock_for(&self, most: Duration) -> Option<MutexGuard<'_, T>> {
        if most < Duration::from_secs(1) && thread_rng().gen_range(0..3) == 0 {
            shuttle::thread::yield_now();
            return self.try_lock();
        }
        Some(self.lock())
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MutexGuard")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("held but while it waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("held but while it waits")
    }
}

/// Its waits never time out: whoever is not woken waits for ever, and that is seen.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

#[derive(Debug)]
pub(crate) struct WaitTimeoutResult;

impl Condvar {
    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut still: impl FnMut(&mut T) -> bool,
        _: Duration,
    ) -> WaitTimeoutResult {
        while still(&mut *guard) {
            let held = guard.0.take().expect("held");
            guard.0 = Some(self.0.wait(held).expect("nothing panics and goes on"));
        }
        WaitTimeoutResult
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// The time is up at once. Where a wake-up must not get lost, the library parks without a time.
pub(super) fn park_timeout(_: Duration) {
    shuttle::thread::yield_now();
}

/// A clock by which enough time has passed, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instant;

impl Instant {
    pub(crate) fn now() -> Self {
        Self
    }

    #[allow(clippy::unused_self, reason = "as the real one has it")]
    pub(crate) fn elapsed(&self) -> Duration {
        if thread_rng().r#gen() { Duration::MAX } else { Duration::ZERO }
    }
}

/// The tests of these files run where the files are.
macro_rules! here_alone {
    ($($tokens:tt)*) => {};
}
pub(super) use here_alone;

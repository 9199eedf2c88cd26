//! Removing what has been stored for long enough.

use super::Core;

impl Core {
    /// Removes segments that may go, and sees whether there is room again.
    pub(super) fn tidy(&self) {
        self.has_room.notify_waiters();
    }
}

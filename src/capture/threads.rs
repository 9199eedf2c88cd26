//! What drafts take from elsewhere where threads meet. A seam, as that of the [pipeline](crate::pipeline): `tests/interleavings`
//! puts the types of a scheduler in this place.

pub(super) use std::sync::{Mutex, MutexGuard, atomic};

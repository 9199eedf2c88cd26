//! What is kept, by whose word: legal holds, and a retention policy that is set while the service runs.
//!
//! **Goes in:** who, what, and why. **Comes out:** a record of the log itself, committed before anybody is told that it
//! is so. The record is the deed: holds and the policy that stand are what these records say, here and in every other
//! process, and a table beside them that could say something else does not exist.

mod custodian;
mod error;
mod follow;
mod request;

pub use custodian::{Custodian, HeldPseudonyms, Placed, Released};
pub use error::CustodyError;
pub(super) use follow::{follow, look};
pub use request::HoldRequest;

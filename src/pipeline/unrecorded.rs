//! What tells the layer to leave a response alone.

/// Put into the extensions of a response, says that the request is not to be recorded.
///
/// The router of the log marks its own answers so: they have records of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Unrecorded;

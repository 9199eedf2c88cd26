//! What may be kept: redaction, pseudonyms, keys and the address policy.
//!
//! **In** come a header's name, a raw path, a query string, a body as far as it was captured, an
//! address, a session id. **Out** comes what a record may hold: the same text with
//! [`MARKER`] where a secret stood and a list of what was taken out ([`Redactions`]); a
//! shortened address; a keyed pseudonym. All of it happens before the queue, so that spool,
//! quarantine and store never see a secret. Nothing here does I/O but [`Keys::open`].
//!
//! ```
//! use tower_activity::privacy::{Extent, KeySet, Redactions, Redactor};
//!
//! let redactor = Redactor::builder().key("pet_name").build()?;
//! let (mut kept, mut log) = (String::new(), Redactions::new());
//! redactor.json(
//!     br#"{"user": "ana", "petName": "Rex", "password": "hunt"#, // the capture ended here
//!     Extent::Cut,
//!     &KeySet::default(),
//!     &mut kept,
//!     &mut log.field("request_body"),
//! );
//! assert_eq!(kept, r#"{"user":"ana","petName":"[REDACTED]","password":"[REDACTED]""#);
//! assert_eq!(
//!     log.to_json().unwrap(),
//!     r#"[{"field":"request_body","path":"/petName","method":"key"},{"field":"request_body","path":"/password","method":"key"}]"#
//! );
//! # Ok::<(), tower_activity::privacy::RedactorError>(())
//! ```
//!
//! **Promised.** The defaults are on unless taken away by name. Time and memory are linear in
//! the input, whatever it is: no recursion over it, no backtracking, no expression language.
//! Input that is cut, malformed or not text at all never panics and never brings a value back
//! that its readable part marks as secret. JSON that was valid stays valid, with numbers and
//! duplicate keys as they were written.
//!
//! **Not promised.** A secret under an innocent name that looks like nothing known stays. Formats
//! other than JSON, forms and plain text are not understood, and [`Redactor::body`] refuses them.

mod address;
mod asked;
mod builder;
pub(crate) mod client;
mod defaults;
mod detect;
mod form;
mod json;
mod keys;
mod log;
#[cfg(feature = "api")]
mod mask;
mod path;
mod redactor;
mod subject;
#[cfg(test)]
mod tests;
mod words;

pub use address::{AddressPolicy, KeptAddress, UnknownAddressPolicy, truncate};
pub use builder::{RedactorBuilder, RedactorError};
pub use client::{ForwardedHeader, PeerAddr};
pub use json::JsonShape;
pub use keys::{KeyUse, Keys, KeysError, KeysErrorKind, UnknownKeyUse};
pub use log::{FieldLog, Method, Redaction, Redactions};
#[cfg(feature = "api")]
pub use mask::MASKED;
pub use redactor::{Extent, MARKER, Redactor};
pub use words::{BadPattern, KeySet};
pub(crate) use {
    asked::USES,
    keys::own_alike,
    subject::{concerned, ids},
};
#[cfg(feature = "api")]
pub(crate) use {mask::mask, subject::concerns};

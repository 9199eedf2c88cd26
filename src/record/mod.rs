//! The noun: what happened, finished and immutable.
//!
//! A [`Record`] is flat: typed fields for what is filtered, JSON text for the rest. [`Record::FIELDS`]
//! lists every field with its [`Kind`], its erasable [`Group`] and its bound, so that stores, encoders and
//! filters name no column by hand. [`Canonical`] writes the bytes that are hashed; they are frozen per
//! `schema_version`. [`Record::sentence`] tells a record to people, and [`visible`] makes any text of one
//! safe to show.
//!
//! Nothing here does I/O, and nothing is asynchronous.

mod actor;
mod build;
mod canonical;
mod consent;
mod diff;
mod field;
mod fields;
mod groups;
mod ids;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod portable;
mod seal;
mod sentence;
mod spelled;
mod text;
mod trace;
mod verb;
mod visible;
mod words;

pub use actor::Actor;
pub use canonical::Canonical;
pub(crate) use canonical::{
    hex, is_empty as is_empty_group, push_hex, push_integer, push_string, unhex,
};
pub use consent::Consent;
pub(crate) use diff::diff;
pub(crate) use field::Slot;
pub use field::{Field, Group, Kind, Value, WrongKind};
pub use fields::Record;
pub use groups::Groups;
pub use ids::{Address, RecordId, WriterId};
pub(crate) use portable::PortableError;
pub use seal::{Seal, Seals};
pub use sentence::Sentence;
#[cfg(feature = "api")]
pub(crate) use spelled::group_named;
pub(crate) use spelled::{Members, Spelling};
pub use text::{Json, Text};
pub(crate) use trace::traceparent;
pub use visible::{Visible, visible};
pub use words::{ActorType, Category, Operation, Origin, Outcome, UnknownWord};

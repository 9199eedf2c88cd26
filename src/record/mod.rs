//! The noun: what happened, finished and immutable.

mod words;

pub use words::{ActorType, Category, Operation, Origin, Outcome, UnknownWord};

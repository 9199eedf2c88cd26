//! From a request to a finished record: the layer, and the handle that applications hold.
//!
//! [`ActivityLayer`] wraps a service. For each request that a rule may record it opens a draft, puts an
//! [`Activity`] into the request's extensions, calls the inner service, and finishes the draft exactly
//! once. What leaves is a record with its meaning, outcome and redacted texts, in the pipeline's queue.
//!
//! # When a record is finished
//!
//! - **At the head of the answer**: upgrades, server-sent events, HEAD, 204, 304, an empty body, and a body of
//!   exact size up to 64 KiB; or where a rule says `finish = "head"`.
//! - **At its end**: everything else, where a rule says `finish = "end"`, where the body is looked into, and
//!   always gRPC that does not answer with its head alone.
//! - **When it is dropped** before that: `aborted`, reason `client_disconnect`. Side effects may have happened.
//! - **While a panic unwinds** through the service or its body: `failure`, reason `panic`.
//! - **With the error** of the service or its body: `failure`, with the kind of the error as reason; the error
//!   itself goes on unchanged.
//!
//! # Promised
//!
//! One request is one record at most, also where layers are nested. The layer changes no status, no body
//! and no error; it never collects a body and never refuses one. Nothing of ours panics while something
//! unwinds, and no closure of the application runs there. Under a pipeline that drops what does not fit, a
//! request never waits for the log.
//!
//! # Not promised
//!
//! Bytes are counted where the layer stands: outside of a compression layer it sees compressed ones. The
//! size of an answer that was finished at its head is the one that its body announced.

mod activity;
mod begin;
mod body;
mod client;
mod config;
mod draft;
mod finish;
mod future;
#[cfg(feature = "tonic")]
mod grpc;
mod guard;
mod head;
mod json;
mod kind;
mod layer;
mod outcome;
mod service;
mod tee;
#[cfg_attr(not(feature = "axum"), path = "without_axum.rs")]
mod with_axum;
mod wrap;

pub use crate::{
    pipeline::Unrecorded,
    privacy::{ForwardedHeader, PeerAddr},
};
pub use activity::{Activity, TooLate};
pub use body::{RequestBody, ResponseBody};
pub use future::ResponseFuture;
pub use layer::ActivityLayer;
pub use service::ActivityService;
pub use wrap::{OwnBody, RewrapBody, SameBody, WrapRequest, WrapResponse};

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
//! # What a request waits for
//!
//! The delivery class of a request is the strictest of the rules that may record it and of the pipeline.
//!
//! - `best_effort`: nothing, but room where the pipeline was built with
//!   [`Overflow::Block`](crate::pipeline::Overflow::Block).
//! - `durable`: what is finished at its head is in the spool before the head is handed on. An answer that goes on
//!   is *begun* there: the record as known at the head. Its end completes it; if the process dies before, it
//!   becomes the record, with reason `process_ended`: `aborted` where the head was a success, which nobody got the
//!   whole of. With an `fsync_interval` of zero the head waits until the disk has either.
//! - `strict`: the *intent*, the record as known before the service is called, is on the disk before it is called.
//!   If it cannot be, the answer is 503 (for gRPC UNAVAILABLE), nothing was attempted, no byte of the body was read,
//!   and the record, if one can be kept, says so with reason `not_attempted`. The finished record is on the disk
//!   before the head is handed on, or where it is finished at the end, before the last frame (the trailers of
//!   gRPC). If it cannot be, the client gets 500 instead of the head; a body is cut off with an error, trailers
//!   say INTERNAL. An intent that nothing follows becomes a record with outcome `unknown`, "attempted, outcome
//!   unknown".
//!
//! A strict request that only a refusal or a failure would make a record of, such as a read under the convention,
//! has no intent: it is no operation that must be known of before it is tried. Its record, if it comes to one, is
//! on the disk before the head is handed on, like any other.
//!
//! What is begun is sealed and redacted like a finished record. What is discarded afterwards, or is not to be
//! recorded as it ended, is taken back.
//!
//! # Cancel safety
//!
//! A client that leaves a strict request while the intent waits for the disk leaves one record, `aborted`, and the
//! service is never called. One that leaves while the outcome waits leaves the record of what was done: it is in the
//! file already, and only the waiting is given up. A panic waits for nothing either; its record is written while
//! it unwinds.
//!
//! # Promised
//!
//! One request is one record at most, also where layers are nested. The layer changes no status, no body
//! and no error, but of a strict request whose record nobody can vouch for; it never collects a body and never
//! refuses one. Nothing of ours panics while something
//! unwinds, and no closure of the application runs there. Under a pipeline that drops what does not fit, a
//! request never waits for the log.
//!
//! # Not promised
//!
//! Bytes are counted where the layer stands: outside of a compression layer it sees compressed ones. The
//! size of an answer that was finished at its head is the one that its body announced.

mod activity;
mod announce;
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
mod refusal;
mod service;
mod tee;
#[cfg(all(test, feature = "axum"))]
mod tests;
mod threads;
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

//! The log over HTTP: an axum router to mount anywhere.
//!
//! What enters: a [`Pipeline`](crate::Pipeline) whose store can be read, and an [`Access`](access::Access) that says who may do what. What
//! leaves: a [`Router`](axum::Router).
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use tower_activity::{ActivityLayer, MemoryStore, Pipeline, access};
//!
//! let activity = Pipeline::builder(MemoryStore::new()).start().await?;
//! let app: Router = Router::new()
//!     .nest_service("/activity", activity.router(access::development()))
//!     .layer(ActivityLayer::new(activity.recorder()));
//! # Ok(())
//! # }
//! ```
//!
//! A browser gets the viewer at its root, a program the list of what there is.
//!
//! `docs/api.md` shows each endpoint with its answer, `docs/access.md` how to say who may see what, and
//! `GET /openapi.json` describes all of it for programs.

pub mod access;
mod answer;
mod builder;
mod bundle;
mod completeness;
mod consents;
mod cors;
mod counts;
mod endpoint;
mod export;
mod facets;
mod fallback;
mod health;
mod holds;
mod index;
mod ingest;
mod list;
mod live;
mod me;
mod openapi;
mod origin;
mod pages;
mod parameters;
mod problem;
mod proof;
mod records;
mod retention;
mod router;
mod search;
mod state;
mod stats;
mod subject_export;
mod subjects;
mod trails;
mod viewer;
mod watch;

pub use builder::ApiBuilder;
pub use problem::Problem;

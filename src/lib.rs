//! An audit trail for axum, hyper and tonic: who did what to which thing, from where, and how it ended.
//!
//! One layer around the application, no code in the handlers. Route, method and status say what a request
//! meant; records go through a bounded queue, so that no request waits for them, into SQLite or Postgres,
//! each exactly once and under a ledger that shows whether they are complete.
//!
//! # Quick start
//!
#![cfg_attr(all(feature = "api", feature = "sqlite"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "api", feature = "sqlite")), doc = "```ignore")]
//! use std::{net::SocketAddr, time::Duration};
//! use axum::{Router, routing::post};
//! use tower_activity::{ActivityLayer, Pipeline, SqliteStore, access};
//!
//! # async fn cancel_order() {}
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open("activity.db").await?;
//! let activity = Pipeline::builder(store).start().await?;
//!
//! let app = Router::new()
//!     .route("/orders/{id}/cancel", post(cancel_order))
//!     .nest_service("/activity", activity.router(access::development())) // on this machine only
//!     .layer(ActivityLayer::new(activity.recorder())); // last, outside authentication
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! activity.shutdown(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! `POST /orders/55/cancel` is now the record "someone cancelled order 55". Who it was is told by whoever
//! knows, with one line in a middleware or handler that takes an [`Activity`]: `activity.actor("ana")`.
//! `cargo run --example quickstart` shows it all at work.
//!
//! The log is read in a browser, in the viewer at `/activity`, and over HTTP, as in `GET /activity/records?q=action:cancel`: lists, trails, numbers, exports, and
//! the stream of what is committed. The router is closed until an [access part](crate::api::access) opens it.
//!
//! # What is where
//!
//! | room | what it is about |
//! | --- | --- |
//! | [`capture`] | from a request to a record: [`ActivityLayer`], and [`Activity`] for those who have something to add |
//! | [`rules`] | what a request means: [`Rules`], the conventions behind them, the rules file |
//! | [`privacy`] | what may be kept: redaction, pseudonyms, addresses, [`Keys`] |
//! | [`record`] | the [`Record`] itself, field by field, its canonical bytes, and the sentence that it reads as |
//! | [`pipeline`] | from a record to a stored one: [`Pipeline`], [`Recorder`], the tally, the feed |
//! | [`store`] | where records live: in memory, in SQLite, in Postgres, or in a store of your own |
//! | [`query`] | what may be asked: the language, its [`Filter`], cursors and pages, counts |
//! | [`encode`] | records as CSV, JSON, JSON Lines, OCSF and CloudEvents |
//! | [`api`](crate::api) | the log over HTTP, and the viewer: `Pipeline::router`, and who may do what with it |
//! | [`archive`](crate::archive) | records as Parquet files in a directory or in S3, before they are removed |
//! | [`ledger`] | the Merkle log over what was committed |
//! | [`time`] | the clock, for those who bring their own |
//!
//! # What to rely on
//!
//! Whatever changes something is recorded, and whatever is refused (401, 403, 429) or panics, of any method;
//! other reads only where a rule says so. A request is one record at most, finished once. Delivery is
//! `best_effort`: what the process survives is stored or counted as dropped, and a gap record says so; what
//! was in memory when it was killed is lost. With a folder ([`PipelineBuilder::spool`](pipeline::PipelineBuilder::spool))
//! it is `durable`: records wait on the disk, and survive the process.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! | --- | --- | --- |
//! | `sqlite` | `SqliteStore` | yes |
//! | `axum` | the extractor [`Activity`], route templates and peer addresses of axum | yes |
//! | `api` | the router and the viewer: `Pipeline::router`, and [`access`](crate::api::access) to it | yes |
//! | `toml` | rules files in TOML; JSON needs no feature | yes |
//! | `postgres` | `PostgresStore` | |
//! | `tls-native-tls`, `tls-rustls-ring`, `tls-rustls-aws-lc-rs` | TLS towards Postgres, as sqlx names it | |
//! | `tonic` | peer addresses and service names of tonic | |
//! | `archive` | archives: Parquet files in a directory or in S3 | |
//! | `argon2` | passwords as Argon2id hashes for [`access::basic`] | |
//! | `cli` | the command `activity` | |
//! | `metrics` | counters and gauges through the `metrics` facade | |
//! | `testing` | `testing::Recorded`, for the tests of an application | |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "api")]
pub mod api;
#[cfg(feature = "archive")]
pub mod archive;
#[cfg(feature = "api")]
pub mod bundle;
pub mod capture;
pub mod encode;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod fuzzing;
pub mod ledger;
pub mod pipeline;
pub mod privacy;
pub mod query;
pub mod record;
pub mod rules;
pub mod store;
mod suggest;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
#[cfg(feature = "api")]
mod viewer;

#[cfg(feature = "api")]
#[doc(inline)]
pub use api::access;
#[cfg(feature = "postgres")]
#[doc(inline)]
pub use store::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
#[doc(inline)]
pub use store::sqlite::SqliteStore;
#[doc(inline)]
pub use {
    capture::{Activity, ActivityLayer},
    pipeline::{Pipeline, Recorder},
    privacy::Keys,
    query::Filter,
    record::{Actor, Outcome, Record},
    rules::{Rule, Rules},
    store::MemoryStore,
};

/// The code of the README, which must compile.
#[cfg(all(doctest, feature = "api", feature = "sqlite"))]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;

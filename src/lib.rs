//! An audit trail for axum, hyper and tonic.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod capture;
pub mod ledger;
pub mod pipeline;
pub mod privacy;
pub mod query;
pub mod record;
pub mod rules;
pub mod store;
pub mod time;

//! An audit trail for axum, hyper and tonic.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod record;
pub mod rules;

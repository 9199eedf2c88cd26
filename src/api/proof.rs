//! `GET /records/{id}/proof` and `GET /checkpoint`: what an auditor verifies without this service.

use axum::{
    Json, Router,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{header, request::Parts};
use serde::Serialize;

use super::{
    parameters::Parameters, problem::Problem, records::visible, state::Api, watch::Caller,
};
use crate::{
    ledger::Hash,
    record::{RecordId, hex},
    store::{Evidence as _, RecordProof, prove},
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/records/{id}/proof", get(proof)).route("/checkpoint", get(checkpoint))
}

/// That a record lies in an entry of the ledger, and the entry under a signed head. Hashes are in hex.
#[derive(Debug, Serialize)]
struct Proof {
    id: RecordId,
    /// The canonical bytes of the record, in base64: the leaf is SHA-256 over 0x00 and these.
    record: String,
    leaf: String,
    /// Of the record among those of its entry.
    index: u64,
    size: i64,
    path: Vec<String>,
    entry: Entry,
    /// The signed note.
    checkpoint: String,
}

#[derive(Debug, Serialize)]
struct Entry {
    position: i64,
    root: String,
    /// Its canonical bytes, in base64.
    bytes: String,
    leaf: String,
    index: i64,
    size: i64,
    path: Vec<String>,
}

impl Proof {
    fn of(id: RecordId, proof: RecordProof) -> Self {
        let path = |path: &[Hash]| path.iter().map(|hash| hex(hash)).collect();
        let entry = Entry {
            position: proof.entry.position,
            root: hex(&proof.entry.new.batch_root),
            bytes: STANDARD.encode(proof.entry.canonical_bytes()),
            leaf: hex(&proof.entry.leaf_hash()),
            index: proof.entry.position - 1,
            size: proof.checkpoint.size,
            path: path(&proof.entry_path),
        };
        Self {
            id,
            record: STANDARD.encode(&proof.record),
            leaf: hex(&proof.record_leaf),
            index: proof.record_index,
            size: proof.entry.new.count(),
            path: path(&proof.record_path),
            entry,
            checkpoint: proof.checkpoint.note,
        }
    }
}

async fn proof(
    State(api): State<Api>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Json<Proof>, Problem> {
    // Whatever the caller may not see is not proved either.
    let record = visible(&api, &caller, id, &parts).await?;
    // A root is made of all records of a batch, whose hashes tell nothing of them.
    let store = api.store()?;
    let proof = api.in_time(async { Ok(prove(store, &record).await?) }).await?;
    let proof = proof.ok_or_else(|| {
        Problem::not_found("no checkpoint covers this record yet; with keys one is made every ten seconds, or by `activity checkpoint`")
    })?;
    caller.showed(1);
    Ok(Json(Proof::of(record.id, proof)))
}

async fn checkpoint(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Response, Problem> {
    caller.scope()?;
    Parameters::of(&parts)?.read(&[], api.now())?;
    let store = api.store()?;
    let kept = api.in_time(async { Ok(store.last_checkpoint().await?) }).await?;
    let kept = kept.ok_or_else(|| {
        Problem::not_found("there is no checkpoint yet; with keys one is made every ten seconds, or by `activity checkpoint`")
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], kept.note).into_response())
}

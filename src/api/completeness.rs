//! `GET /completeness`: whether what the log holds is all that there was, writer by writer.
//!
//! Each start of a process makes a writer's stream, and with a spool each process that ended. What they say
//! about themselves is of category `system` and of no tenant, so it takes `logs.configure`, in all tenants.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use http::request::Parts;
use serde::Serialize;

use super::{
    access::Permission, parameters::Parameters, problem::Problem, state::Api, watch::Caller,
};
use crate::{
    query::Extra,
    store::{CompletenessRequest, GapReport, Maintain as _, StreamEnd, StreamReport},
    time::Timestamp,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/completeness", get(completeness))
}

/// A process that wrote within this time is taken to run.
const LIVELY: Duration = Duration::from_secs(5 * 60);
/// What pipelines recorded about themselves is read for so long.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize)]
struct Envelope {
    writers: Vec<Writer>,
    writers_total: u64,
    /// Whether everything was read that tells of gaps and ends.
    complete: bool,
}

#[derive(Debug, Serialize)]
struct Writer {
    id: String,
    service: Option<String>,
    instance: Option<String>,
    first_seq: i64,
    last_seq: i64,
    count: i64,
    whole: bool,
    breaks: i64,
    complete: bool,
    state: &'static str,
    began_at: Timestamp,
    last_at: Timestamp,
    /// When it ended, or when that was found out.
    ended_at: Option<Timestamp>,
    /// The writer that goes on from it, or that found out.
    ended_by: Option<String>,
    continues: Option<String>,
    gaps: u64,
    missing: u64,
    gap_records: Vec<Gap>,
    stubs: u64,
    first_epoch: i64,
    last_epoch: i64,
}

#[derive(Debug, Serialize)]
struct Gap {
    seq: i64,
    count: Option<u64>,
    reason: String,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    writer_id: Option<String>,
}

async fn completeness(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Envelope>, Problem> {
    caller.must(Permission::Configure)?;
    if caller.grant().only_tenant().is_some() {
        return Err(Problem::forbidden("logs.configure, in all tenants"));
    }
    let params = Parameters::of(&parts)?.read(&[Extra::Limit], api.now())?;
    let request = CompletenessRequest::newest(params.limit).within(PATIENCE);
    let asked = async { Ok(api.store()?.completeness(&request).await?) };
    let found = api.in_time(asked).await?;
    let own = api.recorder().pressure().waiting.map(|(stream, _)| stream);
    let lively = api.now().saturating_sub(LIVELY);
    let writers = found.streams.into_iter().map(|stream| {
        let runs = own == Some(stream.writer_id) || stream.last_at >= lively;
        Writer::of(stream, runs)
    });
    Ok(Json(Envelope {
        writers: writers.collect(),
        writers_total: found.total,
        complete: found.complete,
    }))
}

impl Writer {
    fn of(stream: StreamReport, runs: bool) -> Self {
        let (whole, complete) = (stream.is_whole(), stream.is_complete());
        let (state, ended_at, ended_by) = match stream.end {
            StreamEnd::Open if runs => ("running", None, None),
            StreamEnd::Open => ("silent", None, None),
            StreamEnd::Stopped { at } => ("stopped", Some(at), None),
            StreamEnd::Recovered { at } => ("recovered", Some(at), None),
            StreamEnd::Unclean { found_at, found_by } => {
                ("unclean", Some(found_at), Some(found_by.to_string()))
            }
            StreamEnd::Continued { at, by, .. } => ("continued", Some(at), Some(by.to_string())),
        };
        Self {
            id: stream.writer_id.to_string(),
            service: stream.service,
            instance: stream.instance,
            first_seq: stream.first_seq,
            last_seq: stream.last_seq,
            count: stream.count,
            whole,
            breaks: stream.breaks,
            complete,
            state,
            began_at: stream.began_at,
            last_at: stream.last_at,
            ended_at,
            ended_by,
            continues: stream.continues.as_ref().map(ToString::to_string),
            gaps: stream.gap_records,
            missing: stream.missing,
            gap_records: stream.gaps.into_iter().map(Gap::of).collect(),
            stubs: stream.stubs,
            first_epoch: stream.first_epoch,
            last_epoch: stream.last_epoch,
        }
    }
}

impl Gap {
    fn of(gap: GapReport) -> Self {
        let GapReport { seq, count, reason, first_at, last_at, of } = gap;
        Self {
            seq,
            count,
            reason,
            first_at,
            last_at,
            writer_id: of.as_ref().map(ToString::to_string),
        }
    }
}

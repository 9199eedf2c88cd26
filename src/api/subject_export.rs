//! `GET /subjects/{id}/export`: what the log holds about a person, for that person.
//!
//! A zip file on its way as a [bundle](super::bundle) is, recorded at its begin and its end. Whoever sees one tenant
//! alone exports what that one knows of the person, and of the categories those that he may read.

use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    response::Response,
    routing::get,
};
use http::{Method, request::Parts};

use super::{
    access::Permission,
    bundle::{answer, head},
    parameters::Parameters,
    problem::Problem,
    state::Api,
    watch::Caller,
};
use crate::{
    bundle::{Bundle, SubjectAsk},
    pipeline::Subject,
    record::Category,
};

/// What the name of the file begins with.
const NAME: &str = "activity-subject";
/// Another id of the person; may be given several times.
pub(super) const ALSO: &str = "also";
/// A type of things that are persons, beside `user`; may be given several times.
pub(super) const PERSON_TYPE: &str = "person_type";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/subjects/{id}/export", get(export))
}

async fn export(
    State(api): State<Api>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
    parts: Parts,
) -> Result<Response, Problem> {
    caller.must(Permission::Export)?;
    let scope = caller.scope()?;
    let Path(id) = id?;
    let parameters = Parameters::of(&parts)?;
    parameters.only(&[ALSO, PERSON_TYPE])?;
    let grant = caller.grant();
    let mut subject = Subject::new(id).tenant(grant.only_tenant().map(str::to_owned));
    for name in parameters.all(ALSO) {
        subject = subject.also(name);
    }
    for kind in parameters.all(PERSON_TYPE) {
        subject = subject.person_type(kind);
    }
    subject.check().map_err(Problem::invalid_request)?;
    let (store, held) = (api.store()?.clone(), api.store_for(grant)?);
    // By a name alone whoever tried to log in is not found, and nothing is signed.
    let keys = api.recorder().keys().ok_or_else(Problem::no_keys)?;
    let now = api.now();
    let unseen = Category::ALL.into_iter().filter(|category| !grant.may_read(*category));
    let ask = SubjectAsk::new(subject, now).scope(scope, unseen).asked(caller.asked());
    let nothing = || Problem::not_found("the log holds nothing about this person that you may see");
    if parts.method == Method::HEAD {
        // Nothing is signed for somebody who wants the head alone.
        let asked = async { Ok(Bundle::would_be_about(&store, &held, &ask, keys).await?) };
        let position = api.in_time(asked).await?.ok_or_else(nothing)?;
        return Ok(head(NAME, now, position));
    }
    let begun = api.in_time(async { Ok(Bundle::about(store, held, ask, keys).await?) }).await?;
    Ok(answer(&caller, begun.ok_or_else(nothing)?, NAME, now))
}

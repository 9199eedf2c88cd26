//! `GET /bundle`: the records of a filter with their proofs, as a zip file.
//!
//! As an export it is streamed, covers what the store held when it began, is recorded at its begin and its end, and
//! is broken off where it cannot go on: a zip file without its end cannot be taken for a whole one.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use http::{HeaderMap, Method};
use tokio::{sync::mpsc, time::timeout};

use super::{
    access::Permission,
    answer::Unsent,
    export::{ExportBody, PATIENCE, Piece, RECORDS, UNREADABLE, check_order, check_whole, file},
    parameters::Parameters,
    problem::Problem,
    state::Api,
    watch::{Caller, Session},
};
use crate::{
    bundle::{Ask, Bundle},
    query::{Direction, Extra, Filter},
    store::StoreError,
    time::Timestamp,
};

/// What is made of records and their proofs: a file whose name begins and ends so, and of which kind it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) ending: &'static str,
    pub(super) kind: &'static str,
    /// Whether it has what legal holds keep aside, and nothing else.
    pub(super) restricted: bool,
}

impl Form {
    const fn zip(name: &'static str) -> Self {
        Self { name, ending: "zip", kind: ZIP, restricted: false }
    }
}

const ZIP: &str = "application/zip";

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/bundle", get(bundle))
}

async fn bundle(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    caller.must(Permission::Export)?;
    let scope = caller.scope()?;
    let parameters = Parameters::of(&parts)?;
    check_whole(&parameters, "a bundle")?;
    let extras = [Extra::Filters, Extra::Order, Extra::Restricted];
    let params = parameters.read(&extras, api.now())?;
    check_order(&parameters, &params)?;
    if params.restricted {
        caller.must(Permission::Configure)?;
    }
    let form = Form { restricted: params.restricted, ..Form::zip("activity-evidence") };
    let asked = (api.unveiled(params.filter.and(scope)).await?, params.order);
    let is_head = parts.method == Method::HEAD;
    made(&api, &caller, asked, form, is_head).await
}

/// Answers with the records of a filter, in an order, and their proofs: a zip file, or lines.
pub(super) async fn made(
    api: &Api,
    caller: &Caller,
    (filter, direction): (Filter, Direction),
    form: Form,
    is_head: bool,
) -> Result<Response, Problem> {
    let now = api.now();
    let ask = Ask { filter, direction, asked: caller.asked().to_owned(), now };
    let store = api.store()?.clone();
    let seeds = api.recorder().keys().map_or(&[][..], |keys| keys.signing_seeds());
    let unproved = || {
        Problem::not_found(
            "there is no checkpoint that would prove anything: the log is empty, or the service has no keys",
        )
    };
    if is_head {
        // Nothing is signed for somebody who wants the head alone.
        let asked = async { Ok(Bundle::would_cover(&store, !seeds.is_empty()).await?) };
        let position = api.in_time(asked).await?.ok_or_else(unproved)?;
        return Ok(head_of(form, now, position));
    }
    let begun = api.in_time(async { Ok(Bundle::begin(store, ask, seeds).await?) }).await?;
    let mut begun = begun.ok_or_else(unproved)?.of_tenant(caller.grant().only_tenant());
    if form.kind != ZIP {
        begun = begun.as_lines();
    }
    if form.restricted {
        begun = begun.restricted();
    }
    Ok(on_its_way(caller, begun, form, now))
}

/// Returns the head of that answer alone.
pub(super) fn head(name: &'static str, now: Timestamp, position: i64) -> Response {
    head_of(Form::zip(name), now, position)
}

fn head_of(form: Form, now: Timestamp, position: i64) -> Response {
    file(Body::new(Unsent), form.kind, (form.name, form.ending), now, position)
}

/// Returns the answer that is a bundle, on its way.
pub(super) fn answer(
    caller: &Caller,
    begun: Bundle,
    name: &'static str,
    now: Timestamp,
) -> Response {
    on_its_way(caller, begun, Form::zip(name), now)
}

fn on_its_way(caller: &Caller, begun: Bundle, form: Form, now: Timestamp) -> Response {
    let position = begun.position();
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(produce(begun, caller.begin(), sender));
    let body = Body::new(ExportBody::new(pieces));
    file(body, form.kind, (form.name, form.ending), now, position)
}

async fn produce(mut bundle: Bundle, session: Session, sender: mpsc::Sender<Piece>) {
    let piece = match pieces(&mut bundle, &session, &sender).await {
        Ok(()) => {
            session.complete();
            let mut trailers = HeaderMap::with_capacity(2);
            trailers.insert(RECORDS, bundle.counts().records.into());
            trailers.insert(UNREADABLE, bundle.counts().unreadable.into());
            Piece::End(trailers)
        }
        Err(None) => return,
        Err(Some(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a bundle broke off");
            session.broken();
            Piece::Broken(error)
        }
    };
    // Recorded before the client sees the end: whoever has the whole file is in the log.
    drop(session);
    // Otherwise nobody is left to be told.
    let _told = timeout(PATIENCE, sender.send(piece)).await;
}

/// Hands the bundle over; an error that is none says that the client has left.
async fn pieces(
    bundle: &mut Bundle,
    session: &Session,
    sender: &mpsc::Sender<Piece>,
) -> Result<(), Option<StoreError>> {
    let mut showed = 0;
    loop {
        let next = tokio::select! {
            () = sender.closed() => return Err(None),
            next = bundle.next() => next.map_err(Some)?,
        };
        let records = bundle.counts().records;
        session.showed(usize::try_from(records - showed).unwrap_or(usize::MAX));
        showed = records;
        let Some(piece) = next else { return Ok(()) };
        match timeout(PATIENCE, sender.send(Piece::Data(piece.into()))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(None),
        }
    }
}

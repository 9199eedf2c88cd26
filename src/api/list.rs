//! Lists: what `/records` and the trails have in common.

use std::time::Instant;

use axum::Json;
use serde::{Serialize, Serializer};

use super::{
    pages,
    parameters::Parameters,
    problem::Problem,
    search::{self, Search},
    state::Api,
    watch::Caller,
};
use crate::{
    query::{
        Binding, Cursor, Direction, Extra, Filter, LiveCursor, Page, PageRequest, Params, Place,
        Relation, Sealed, TextSearch, Total,
    },
    record::Record,
    store::{AnyStore, Read as _, StoreErrorKind},
    time::Timestamp,
};

/// A page that holds so much text ends before its limit, and `next` goes on: a thousand records may hold
/// hundreds of megabytes.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The envelope of every list.
#[derive(Debug, Serialize)]
pub(super) struct Envelope {
    records: Vec<Record>,
    next: Option<String>,
    prev: Option<String>,
    live: String,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "total")]
    total: Option<Total>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<Search>,
    /// `committed`, where a text index answers in that order.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<&'static str>,
    /// Said only when the time was up before the page was full.
    #[serde(skip_serializing_if = "is_true")]
    complete: bool,
    /// Rows that somebody edited by hand until they were no records any more.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable: u64,
}

/// What a list takes.
const EXTRAS: [Extra; 6] =
    [Extra::Filters, Extra::Order, Extra::Limit, Extra::Cursor, Extra::Offset, Extra::Count];

/// Answers a list of what passes `trail` and the filter of the parameters.
pub(super) async fn answer(
    api: &Api,
    caller: &Caller,
    parameters: &Parameters,
    trail: Filter,
) -> Result<Json<Envelope>, Problem> {
    let scope = caller.scope()?;
    let cursor = parameters.raw("cursor").map(|text| Cursor::open(api.cursor_key(), text));
    // One that cannot be read is told about after what else is wrong, such as a misspelt name.
    let opened = cursor.as_ref().and_then(|cursor| cursor.as_ref().ok());
    let now = opened.map_or_else(|| api.now(), Sealed::now);
    let params = parameters.read(&EXTRAS, now)?;
    let asked = trail.and(params.filter);
    let binding = Binding::new(&asked, &scope);
    let cursor = cursor.transpose()?.map(|cursor| cursor.bound_to(binding)).transpose()?;
    if let Some(cursor) = &cursor
        && parameters.raw("order").is_some()
        && cursor.order != params.order
    {
        return Err(Problem::parameter("order", "the cursor goes the other way; keep the order"));
    }
    let order = cursor.map_or(params.order, |cursor| cursor.order);
    let store = &api.store_for(caller.grant())?;

    let (asked, window) = api.in_time(search::bounded(store, asked, now)).await?;
    let filter = api.unveiled(asked.and(scope)).await?;
    api.in_time(async {
        // Before the page is read, so that whoever goes on live from here misses nothing.
        let position = store.head().await?;
        let mut request = PageRequest { direction: order, ..PageRequest::newest(params.limit) };
        if let Some(cursor) = cursor {
            request.after = Some(cursor.place);
            if cursor.back {
                request.direction = opposite(order);
            }
        }
        let page = match skip(store, &filter, &mut request, params.offset).await? {
            Skipped::To => {
                pages::bounded(store, &filter, &request, PAGE_BYTES).await.map_err(|error| {
                    // The cursor is of an order that the store no longer answers in.
                    let outdated = cursor.is_some() && error.kind() == StoreErrorKind::Data;
                    if outdated { Problem::outdated_cursor() } else { error.into() }
                })?
            }
            Skipped::All => Page { complete: true, ..Page::default() },
            Skipped::OutOfTime => Page::default(),
        };
        let total = match params.count {
            Some(how) => Some(store.count(&filter, how).await?),
            None => None,
        };
        let seal = |cursor: Cursor| cursor.seal(api.cursor_key(), binding);
        let (next, prev) = ends(&page, cursor, order, now, params.offset > 0);
        let live = LiveCursor::behind(position, now).seal(api.cursor_key(), binding);
        let Page { mut records, first, complete, text, unreadable, .. } = page;
        if cursor.is_some_and(|cursor| cursor.back) {
            records.reverse();
        }
        caller.showed(records.len());
        let search = window.map(|window| window.told(text == TextSearch::Indexed, complete));
        let committed = matches!(first, Some(Place::Committed(_)));
        Ok(Json(Envelope {
            records,
            next: next.map(seal),
            prev: prev.map(seal),
            live,
            total,
            search,
            order: committed.then_some("committed"),
            complete,
            unreadable,
        }))
    })
    .await
}

/// How far a reader got who has to leave out the first rows.
enum Skipped {
    /// To where the page begins.
    To,
    /// Past the last record.
    All,
    /// Not far enough before the time was up.
    OutOfTime,
}

/// Moves the beginning of the page behind so many records.
async fn skip(
    store: &AnyStore,
    filter: &Filter,
    request: &mut PageRequest,
    mut left: usize,
) -> Result<Skipped, Problem> {
    let begun = Instant::now();
    while left > 0 {
        let limit = left.min(Params::MAX_LIMIT);
        let ask = PageRequest { limit, ..*request };
        let page = pages::bounded(store, filter, &ask, PAGE_BYTES).await?;
        left -= page.records.len();
        match page.next {
            None => return Ok(Skipped::All),
            next => request.after = next,
        }
        if left > 0 && begun.elapsed() >= request.patience {
            return Ok(Skipped::OutOfTime);
        }
    }
    Ok(Skipped::To)
}

/// Returns where the lists goes on in both directions, in the order of the list.
fn ends(
    page: &Page,
    cursor: Option<Cursor>,
    order: Direction,
    now: Timestamp,
    skipped: bool,
) -> (Option<Cursor>, Option<Cursor>) {
    let at = |place: Place, back: bool| Cursor { place, order, back, now };
    let Some(cursor) = cursor else {
        // Nothing stands before the first page.
        let prev = page.first.filter(|_| skipped).map(|place| at(place, true));
        return (page.next.map(|place| at(place, false)), prev);
    };
    let onward = page.next.map(|place| at(place, cursor.back));
    // Back to where the cursor came from: if nothing is here, the record at its place itself is the first
    // on the way back.
    let direction = if cursor.back { opposite(order) } else { order };
    let whence = page.first.unwrap_or_else(|| cursor.place.step(direction));
    let return_to = Some(at(whence, !cursor.back));
    if cursor.back { (return_to, onward) } else { (onward, return_to) }
}

const fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Older => Direction::Newer,
        Direction::Newer => Direction::Older,
    }
}

fn total<S: Serializer>(total: &Option<Total>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown {
        value: u64,
        relation: &'static str,
    }
    total
        .map(|Total { value, relation }| Shown { value, relation: Relation::as_str(relation) })
        .serialize(serializer)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_true(flag: &bool) -> bool {
    *flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

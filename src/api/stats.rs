//! `GET /stats`: how much happened, by whom, to what, with which outcome, and when.
//!
//! The totals are those of everything that passes the filter, over all time if it names none. The series is
//! that of the filter's range, and of the last 30 days if it names none (of the last 12 hours by the minute).
//! Both are of the last seven days where words are looked for, no index finds them and no range is named.

use std::time::Duration;

use axum::{Json, Router, extract::State, routing::get};
use http::request::Parts;
use serde::Serialize;

use super::{
    counts::{self, ByOutcomes, ByValue},
    parameters::Parameters,
    problem::Problem,
    search::{self, Search},
    state::Api,
    watch::Caller,
};
use crate::{
    query::{Aggregate, Extra, Filter, Interval, PageRequest, TimeZone},
    store::Read as _,
    time::Timestamp,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/stats", get(stats))
}

/// How many values of each field are shown.
const TOP: usize = 20;
const DAY: Duration = Duration::from_hours(24);
/// A little less than so many weeks as a series may have slots: nineteen years.
const MOST: Duration = Duration::from_hours(24 * 7 * (Interval::MAX_SLOTS as u64 - 1));

#[derive(Debug, Serialize)]
struct Stats {
    total: u64,
    last_24h: u64,
    by_action: ByValue,
    by_entity_type: ByValue,
    by_actor: ByValue,
    by_outcome: ByValue,
    by_category: ByValue,
    series: Vec<Slot>,
    interval: &'static str,
    tz: String,
    exact: bool,
    complete: bool,
    as_of: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<Search>,
}

#[derive(Debug, Serialize)]
struct Slot {
    at: Timestamp,
    total: u64,
    by_outcome: ByOutcomes,
}

/// The fields of the `by_…`, in their order.
const DIMENSIONS: [&str; 5] = ["action", "entity_type", "actor_id", "outcome", "category"];

async fn stats(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Stats>, Problem> {
    let scope = caller.scope()?;
    let now = api.now();
    let params = Parameters::of(&parts)?.read(&[Extra::Filters, Extra::Interval], now)?;
    let store = &api.store_for(caller.grant())?;
    let (asked, window) = api.in_time(search::bounded(store, params.filter, now)).await?;
    let (interval, edges) = series(params.interval, &params.tz, &asked, now)?;
    let filter = api.unveiled(asked.and(scope)).await?;

    let patience = PageRequest::DEFAULT_PATIENCE;
    let dimensions = DIMENSIONS.map(counts::field).to_vec();
    let all = Aggregate { dimensions, top: TOP, edges, patience };
    let of_today = Aggregate { dimensions: Vec::new(), top: 0, edges: Vec::new(), patience };
    let today = filter.clone().from(now.saturating_sub(DAY));
    let (counted, last_24h) = api
        .in_time(async {
            Api::fold_a_little(store).await;
            let both = tokio::try_join!(
                store.aggregate(&filter, &all),
                store.aggregate(&today, &of_today)
            );
            Ok(both?)
        })
        .await?;

    let (exact, complete) = counts::both(&counted, &last_24h);
    let mut by = counted.by.into_iter();
    let series = all.edges.iter().zip(&counted.series);
    Ok(Json(Stats {
        total: counted.total,
        last_24h: last_24h.total,
        by_action: counts::next_of(&mut by),
        by_entity_type: counts::next_of(&mut by),
        by_actor: counts::next_of(&mut by),
        by_outcome: counts::next_of(&mut by),
        by_category: counts::next_of(&mut by),
        series: series
            .map(|(at, by)| Slot { at: *at, total: by.total(), by_outcome: ByOutcomes(*by) })
            .collect(),
        interval: interval.as_str(),
        tz: params.tz.to_string(),
        exact,
        complete,
        as_of: counted.as_of,
        search: window.map(|window| window.told(window.indexed, complete)),
    }))
}

/// Returns the slots of the filter's range, and how long each is.
fn series(
    interval: Interval,
    zone: &TimeZone,
    filter: &Filter,
    now: Timestamp,
) -> Result<(Interval, Vec<Timestamp>), Problem> {
    let (from, to) = filter.range();
    let to = to.unwrap_or_else(|| now.saturating_add(Duration::from_micros(1)));
    let mut from = from.unwrap_or_else(|| {
        to.saturating_sub(if interval == Interval::Minute { DAY / 2 } else { 30 * DAY })
    });
    if from >= to {
        return Ok((interval.over(from, to), Vec::new()));
    }
    if interval == Interval::Auto {
        // Who asks for all of time gets what there may be of it.
        from = from.max(to.saturating_sub(MOST));
    }
    let interval = interval.over(from, to);
    let edges = interval.edges(from, to, zone).ok_or_else(|| {
        let (name, most) = (interval.as_str(), Interval::MAX_SLOTS);
        let detail = format!(
            "by `{name}` the range has more than {most} slots; ask for a longer interval, `auto`, or a \
             shorter range"
        );
        Problem::parameter("interval", detail)
    })?;
    Ok((interval, edges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_is_a_field() {
        assert_eq!(DIMENSIONS.map(|name| counts::field(name).name()), DIMENSIONS);
    }

    #[test]
    fn every_range_has_a_series() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-20T10:00:00Z");
        let series = |interval, filter: Filter| series(interval, &TimeZone::UTC, &filter, now);
        let (interval, edges) = series(Interval::Auto, Filter::new()).unwrap();
        assert_eq!((interval, edges.len()), (Interval::Day, 32));
        assert_eq!(edges.last().copied(), Some(at("2026-11-21T00:00:00Z")));
        assert_eq!(series(Interval::Minute, Filter::new()).unwrap().1.len(), 722);
        let all = Filter::new().from(at("0001-01-01T00:00:00Z"));
        let (interval, edges) = series(Interval::Auto, all).unwrap();
        assert!(interval == Interval::Week && edges.len() <= Interval::MAX_SLOTS + 1);
        for interval in Interval::ALL {
            let backwards = Filter::new().from(now).to(now);
            assert!(series(interval, backwards).unwrap().1.is_empty());
        }
        let year = Filter::new().from(at("2025-01-01T00:00:00Z"));
        assert!(series(Interval::Minute, year).is_err());
    }
}

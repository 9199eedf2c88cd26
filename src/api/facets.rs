//! `GET /facets`: the values that fields have, and how often: for filters to click, and for completion.

use axum::{Json, Router, extract::State, routing::get};
use http::request::Parts;
use serde::{Serialize, Serializer};

use super::{
    counts,
    parameters::Parameters,
    problem::Problem,
    search::{self, Search},
    state::Api,
    watch::Caller,
};
use crate::{
    query::{Aggregate, Aggregated, Expr, Extra, Filter, PageRequest, Pattern, Test, folds_case},
    record::{Field, Kind},
    store::{AnyStore, Read as _},
    time::Timestamp,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/facets", get(facets))
}

/// Fields whose values occur again and again, so that counting them says something.
pub(super) const FIELDS: [&str; 24] = [
    "action",
    "operation",
    "category",
    "outcome",
    "outcome_reason",
    "severity",
    "entity_type",
    "entity_id",
    "actor_type",
    "actor_id",
    "impersonator_id",
    "tenant_id",
    "org_id",
    "channel",
    "auth_method",
    "method",
    "route",
    "host",
    "status",
    "grpc_status",
    "origin",
    "service",
    "environment",
    "rule",
];

/// What a search page shows beside its list.
const DEFAULT: [&str; 5] = ["action", "entity_type", "actor_id", "outcome", "category"];
/// A rollup answers for all of them at once.
pub(super) const MAX_FIELDS: usize = 12;
const DEFAULT_TOP: usize = 20;
/// With so few values, those of a prefix can be picked out of all of them.
const MOST_VALUES: usize = 1_000;

#[derive(Debug, Serialize)]
struct Facets {
    facets: ByField,
    exact: bool,
    complete: bool,
    as_of: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<Search>,
}

/// `{"field": [{"value", "count"}, …], …}`, in the order that was asked for.
#[derive(Debug)]
struct ByField(Vec<(&'static Field, Vec<(String, u64)>)>);

impl Serialize for ByField {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Facet<'a> {
            value: &'a str,
            count: u64,
        }
        serializer.collect_map(self.0.iter().map(|(field, counts)| {
            let facets = counts.iter().map(|(value, count)| Facet { value, count: *count });
            (field.name(), facets.collect::<Vec<_>>())
        }))
    }
}

async fn facets(
    State(api): State<Api>,
    caller: Caller,
    parts: Parts,
) -> Result<Json<Facets>, Problem> {
    let scope = caller.scope()?;
    let extras = [Extra::Filters, Extra::Fields, Extra::Top, Extra::Prefix];
    let now = api.now();
    let params = Parameters::of(&parts)?.read(&extras, now)?;
    let dimensions = dimensions(params.fields)?;
    let prefix = params.prefix.map(|prefix| beginning_of(&dimensions, prefix)).transpose()?;
    let store = &api.store_for(caller.grant())?;
    let (asked, window) = api.in_time(search::bounded(store, params.filter, now)).await?;
    let filter = api.unveiled(asked.and(scope)).await?;
    let ask = Aggregate {
        dimensions,
        top: params.top.unwrap_or(DEFAULT_TOP),
        edges: Vec::new(),
        patience: PageRequest::DEFAULT_PATIENCE,
    };
    let Aggregated { by, exact, complete, as_of, .. } = api
        .in_time(async {
            Api::fold_a_little(store).await;
            match prefix {
                None => Ok(store.aggregate(&filter, &ask).await?),
                Some((field, prefix)) => beginning(store, filter, &ask, field, &prefix).await,
            }
        })
        .await?;
    let facets = ByField(ask.dimensions.into_iter().zip(by).collect());
    let search = window.map(|window| window.told(window.indexed, complete));
    Ok(Json(Facets { facets, exact, complete, as_of, search }))
}

/// Counts the values of a field that begin so.
async fn beginning(
    store: &AnyStore,
    filter: Filter,
    ask: &Aggregate,
    field: &'static Field,
    prefix: &str,
) -> Result<Aggregated, Problem> {
    // Rollups know whole values. Mostly there are few enough of them to look through.
    let all = Aggregate { top: MOST_VALUES, ..ask.clone() };
    let mut counted = store.aggregate(&filter, &all).await?;
    let fold = folds_case(field);
    let folded = |text: &str| if fold { text.to_ascii_lowercase() } else { text.to_owned() };
    let prefix = folded(prefix);
    if let [values] = &mut counted.by[..] {
        if values.len() == MOST_VALUES {
            let pattern = Pattern::new([prefix.as_str(), ""]);
            let filter = filter.and(Expr::Test(Test::Like(field, pattern)));
            return Ok(store.aggregate(&filter, ask).await?);
        }
        values.retain(|(value, _)| folded(value).starts_with(&prefix));
        values.truncate(ask.top);
    }
    Ok(counted)
}

/// Returns the fields to count by.
fn dimensions(asked: Vec<&'static Field>) -> Result<Vec<&'static Field>, Problem> {
    if asked.is_empty() {
        return Ok(DEFAULT.map(counts::field).to_vec());
    }
    if let Some(other) = asked.iter().find(|field| !FIELDS.contains(&field.name())) {
        let name = other.name();
        let detail = format!(
            "the values of `{name}` hardly ever occur twice; there are {} to count by",
            FIELDS.join(", ")
        );
        return Err(Problem::parameter("fields", detail));
    }
    if asked.len() > MAX_FIELDS {
        let detail = format!("`fields` takes {MAX_FIELDS} fields at once");
        return Err(Problem::parameter("fields", detail));
    }
    Ok(asked)
}

/// Returns the field whose values a prefix completes.
fn beginning_of(
    dimensions: &[&'static Field],
    prefix: String,
) -> Result<(&'static Field, String), Problem> {
    let [field] = dimensions else {
        let detail = "`prefix` completes the values of one field; name that one in `fields`";
        return Err(Problem::parameter("prefix", detail));
    };
    if field.kind() == Kind::Integer {
        let detail = format!("`{}` is a number, which has no beginning", field.name());
        return Err(Problem::parameter("prefix", detail));
    }
    Ok((field, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_can_be_counted() {
        for name in FIELDS.into_iter().chain(DEFAULT) {
            let field = counts::field(name);
            assert!(matches!(field.kind(), Kind::Text | Kind::Word | Kind::Integer), "{name}");
            assert!(dimensions(vec![field]).is_ok());
        }
        assert_eq!(dimensions(Vec::new()).unwrap().len(), DEFAULT.len());
        assert!(dimensions(vec![counts::field("description")]).is_err());
        assert!(dimensions(FIELDS.map(counts::field).to_vec()).is_err());
    }
}

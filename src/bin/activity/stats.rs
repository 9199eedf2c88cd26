//! `activity stats`

use std::{process::ExitCode, time::Duration};

use serde_json::{Map, Value, json};
use tower_activity::{
    query::{Aggregate, Aggregated},
    record::Field,
    store::{AnyStore, Maintain as _, Read as _, StoreErrorKind},
};

use crate::{
    arguments::{Common, Stats},
    out,
    question::unveiled,
    store::Store,
    trouble::Trouble,
};

/// The fields that are counted, by the names of the API's answer.
const BY: [(&str, &str); 5] = [
    ("by_action", "action"),
    ("by_entity_type", "entity_type"),
    ("by_actor", "actor_id"),
    ("by_outcome", "outcome"),
    ("by_category", "category"),
];

/// Tables one below the other have their numbers in one place, as long as their words are no longer.
pub(crate) const COLUMN: u16 = 24;

/// How long to read what no rollup covers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries of the ledger that are folded before counting, so that a log nobody serves is up to date.
const FOLD: usize = 1_000;

pub(crate) async fn run(common: &Common, arguments: &Stats) -> Result<ExitCode, Trouble> {
    let asked = arguments.question.filter()?;
    let store = arguments.question.tenant.of(Store::existing(common).await?.reader());
    let filter = unveiled(common, &store, asked).await?;
    fold(&store).await?;
    let ask = Aggregate {
        dimensions: BY.iter().filter_map(|(_, field)| Field::named(field)).collect(),
        top: arguments.top,
        edges: Vec::new(),
        patience: PATIENCE,
    };
    let counted = store.aggregate(&filter, &ask).await?;
    say_behind(counted.behind);
    if out::is_table(common) { tables(&counted) } else { print_json(&counted) }
}

/// Folds what is not folded yet, where it may: whoever may only read counts what others have folded.
pub(crate) async fn fold(store: &AnyStore) -> Result<(), Trouble> {
    loop {
        match store.fold(FOLD).await {
            Ok(folded) if folded.led && folded.behind() > 0 => {}
            Ok(_) => return Ok(()),
            Err(error) if error.is_transient() && error.kind() != StoreErrorKind::StalePrimary => {
                return Err(error.into());
            }
            Err(_read_only) => return Ok(()),
        }
    }
}

/// Says what the numbers leave out.
pub(crate) fn say_behind(behind: u64) {
    if behind > 0 {
        out::note(format!(
            "{behind} commits are not counted yet: a service with the API counts them, and so does this \
             command with a role that may write"
        ));
    }
}

fn tables(counted: &Aggregated) -> Result<ExitCode, Trouble> {
    out::line(&out::records(counted.total))?;
    for ((name, _), values) in BY.iter().zip(&counted.by) {
        if values.is_empty() {
            continue;
        }
        out::line("")?;
        let title = name.trim_start_matches("by_").replace('_', " ");
        let mut rows = out::Rows::titled(&[&title, "records"]);
        for (value, count) in values {
            rows.row([out::cell(value), out::cell(&count.to_string())]);
        }
        rows.at_least(0, COLUMN);
        rows.right(1);
        rows.print()?;
    }
    if !counted.complete {
        out::note("the time was up; these are the newest of them");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(counted: &Aggregated) -> Result<ExitCode, Trouble> {
    let mut answer = Map::new();
    answer.insert("total".to_owned(), counted.total.into());
    for ((name, _), values) in BY.iter().zip(&counted.by) {
        let values: Map<_, _> =
            values.iter().map(|(value, count)| (value.clone(), Value::from(*count))).collect();
        answer.insert((*name).to_owned(), values.into());
    }
    answer.insert("exact".to_owned(), counted.exact.into());
    answer.insert("complete".to_owned(), counted.complete.into());
    answer.insert("as_of".to_owned(), json!(counted.as_of));
    out::json(&answer)?;
    Ok(ExitCode::SUCCESS)
}

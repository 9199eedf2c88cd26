//! `activity hold`

use std::{process::ExitCode, time::Duration};

use serde_json::{Value, json};
use tower_activity::{
    Pipeline,
    archive::Archive,
    pipeline::{CustodyError, HeldPseudonyms, HoldRequest, LeftArchive, Placed, Released},
    privacy::Keys,
    query::{Relation, Total},
    record::{Actor, RecordId, visible},
    store::{Append, Hold as Held, holds},
};

use crate::{
    arguments::{Common, Hold, HoldCommand, HoldLift, HoldPlace},
    out,
    store::{self, Store},
    trouble::Trouble,
};

/// How long the pipeline of the command may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(common: &Common, arguments: &Hold) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        HoldCommand::List { all } => {
            let log = Store::existing(common).await?.reader();
            let holds = holds(&log).await?;
            print(common, holds.all().iter().filter(|hold| *all || hold.stands()))?;
        }
        HoldCommand::Place(place) => match Store::existing(common).await? {
            Store::Sqlite(log) => placed(common, log, place).await?,
            Store::Postgres(log) => placed(common, log, place).await?,
        },
        HoldCommand::Lift(lift) => {
            let id: RecordId = lift.id.parse().map_err(|_| {
                Trouble::usage("ID is no id of a hold: `activity hold list` shows them")
            })?;
            match Store::existing(common).await? {
                Store::Sqlite(log) => lifted(common, log, id, lift).await?,
                Store::Postgres(log) => lifted(common, log, id, lift).await?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn placed<S: Append>(common: &Common, log: S, place: &HoldPlace) -> Result<(), Trouble> {
    let mut request = HoldRequest::new(&place.query, &place.reason).tenant(place.tenant.clone());
    if let Some(name) = &place.name {
        request = request.name(name);
    }
    if let Some(by) = &place.by {
        request = request.by(Actor::user(by));
    }
    let pipeline = started(log, store::keys_at_hand(common)?, None).await?;
    let placed = match pipeline.custodian() {
        Ok(custodian) => custodian.place(&request).await,
        Err(error) => Err(error),
    };
    pipeline.shutdown(ENDS_WITHIN).await;
    let Placed { hold, records, restricted, pseudonyms, .. } = placed.map_err(trouble)?;
    if let Some(why) = pseudonyms.and_then(|held| unheld(held, place)) {
        out::note(format!(
            "what the query names may stand in the log as a pseudonym too, and {why}"
        ));
    }
    if !out::is_table(common) {
        let mut shown = shown(&hold);
        shown["records"] = records
            .map(|total| json!({ "value": total.value, "relation": total.relation.as_str() }))
            .into();
        shown["restricted"] = restricted.into();
        shown["pseudonyms"] = pseudonyms.map(HeldPseudonyms::as_str).into();
        return out::json(&shown);
    }
    out::line(&format!("hold {} stands: {}", hold.id, visible(&hold.query)))?;
    out::line(&match records {
        None => "how many records it holds could not be counted".to_owned(),
        Some(Total { value, relation: Relation::Equal }) => {
            format!("it holds {} now", out::records(value))
        }
        Some(Total { value, .. }) => format!("it holds {} now, or more", out::records(value)),
    })?;
    match restricted {
        None => out::line("how many restricted records it is on could not be counted"),
        Some(0) => Ok(()),
        Some(restricted) => out::line(&format!(
            "it is on {} more, restricted since somebody was erased: `activity query --restricted` shows them",
            out::records(restricted)
        )),
    }
}

async fn lifted<S: Append>(
    common: &Common,
    log: S,
    id: RecordId,
    lift: &HoldLift,
) -> Result<(), Trouble> {
    let by = lift.by.as_ref().map_or_else(|| Actor::system("activity"), Actor::user);
    let reason = lift.reason.as_deref().unwrap_or_default();
    let archive = store::archive([lift.archive.as_deref(), None])?;
    let keys = store::keys_at_hand(common)?;
    let pipeline = started(log, keys, archive).await?;
    let lifted = match pipeline.custodian() {
        Ok(custodian) => custodian.lift(id, &by, reason, lift.tenant.as_deref()).await,
        Err(error) => Err(error),
    };
    pipeline.shutdown(ENDS_WITHIN).await;
    let Released { hold, erased, archive, left, .. } = lifted.map_err(trouble)?;
    for LeftArchive { location, how, .. } in &left {
        let which = if location.is_empty() { "an archive" } else { location };
        out::note(format!(
            "{} may still hold people who were erased: {}",
            visible(which),
            visible(how)
        ));
    }
    if !out::is_table(common) {
        let mut shown = shown(&hold);
        shown["erased"] = erased.into();
        shown["archive"] = json!(archive);
        shown["left"] = json!(left);
        return out::json(&shown);
    }
    let at = hold.lifted.as_ref().map(|lifted| lifted.at.to_string()).unwrap_or_default();
    out::line(&format!("hold {} was lifted at {at}: {}", hold.id, visible(&hold.query)))?;
    match erased {
        Some(0) => {}
        Some(erased) => out::line(&format!("{} erased that it kept", out::records(erased)))?,
        None if lift.tenant.is_some() => {}
        None => out::note(
            "what it kept of people who were erased is not erased yet: `activity retention run` does it, and so does the \
             next erasure",
        ),
    }
    match archive {
        None => Ok(()),
        Some(archive) => out::line(&format!(
            "In the archive {}: {} were erased from, parts written anew: {}, held yet: {}.",
            visible(&archive.location),
            out::records(archive.records),
            archive.parts,
            archive.held
        )),
    }
}

/// Returns what is not held, and how it would be.
fn unheld(held: HeldPseudonyms, place: &HoldPlace) -> Option<&'static str> {
    Some(match held {
        HeldPseudonyms::Whole => return None,
        HeldPseudonyms::Part if place.tenant.is_none() => {
            "so it is held of some tenants alone: place a hold for each that matters (--tenant)"
        }
        HeldPseudonyms::Part => "not all of that is held: place several holds of fewer names each",
        _ => {
            "so it is not held: place it with the key file of the services (--keys or ACTIVITY_KEYS), and hold fewer \
             names at once"
        }
    })
}

async fn started<S: Append>(
    log: S,
    keys: Option<Keys>,
    archive: Option<Archive>,
) -> Result<Pipeline, Trouble> {
    let mut builder = Pipeline::builder(log).service("activity");
    if let Some(archive) = archive {
        builder = builder.archive(archive);
    }
    if let Some(keys) = keys {
        builder = builder.keys(keys);
    }
    builder.start().await.map_err(|error| Trouble::of(&error))
}

fn trouble(error: CustodyError) -> Trouble {
    match error.is_request() {
        true => Trouble::usage(error.to_string()),
        false => Trouble::of(&error),
    }
}

fn print<'h>(common: &Common, holds: impl Iterator<Item = &'h Held>) -> Result<(), Trouble> {
    if !out::is_table(common) {
        for hold in holds {
            out::json(&shown(hold))?;
        }
        return Ok(());
    }
    let mut rows =
        out::Rows::titled(&["id", "placed at", "by", "name", "query", "reason", "lifted"]);
    let mut any = false;
    for hold in holds {
        any = true;
        let lifted = hold.lifted.as_ref().map(|lifted| lifted.at.to_string());
        rows.row([
            out::cell(&hold.id.to_string()),
            out::cell(&hold.at.to_string()),
            out::cell(&hold.by),
            out::cell(&hold.name),
            out::cell(&match &hold.tenant {
                Some(tenant) => format!("{} (tenant {tenant})", hold.query),
                None => hold.query.clone(),
            }),
            out::cell(&hold.reason),
            out::cell(&lifted.unwrap_or_default()),
        ]);
    }
    if !any {
        out::note("nothing is held");
        return Ok(());
    }
    rows.print()
}

fn shown(hold: &Held) -> Value {
    let lifted = hold.lifted.as_ref().map(|lifted| {
        json!({
            "id": lifted.id.to_string(), "reason": lifted.reason, "by": lifted.by, "at": lifted.at,
        })
    });
    json!({
        "id": hold.id.to_string(), "name": hold.name, "query": hold.query, "tenant": hold.tenant,
        "reason": hold.reason, "by": hold.by, "at": hold.at, "lifted": lifted,
    })
}

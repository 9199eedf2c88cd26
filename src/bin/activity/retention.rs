//! `activity retention`

use std::process::ExitCode;

use serde_json::json;
use tower_activity::{
    Pipeline, Rules,
    archive::Archive,
    pipeline::{EndedUnit, RetentionRun as Run, RetentionStep},
    rules::{Fullness, RetentionPolicy},
    store::{
        Addresses, AddressesEnded, AnyStore, Append, ArchivedAddressesEnded, Evidence, Fate,
        HeldBy, Maintain, PlannedUnit, Read, Register, Retain, RetentionPlan, policy_set,
        retention_plan,
    },
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Common, Retention, RetentionCommand, RetentionRun},
    out,
    store::{self, Store},
    trouble::Trouble,
};

/// How long storing what the run says of itself may take at its end.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(30);

pub(crate) async fn run(common: &Common, arguments: &Retention) -> Result<ExitCode, Trouble> {
    match &arguments.command {
        RetentionCommand::Plan(asked) => {
            let log = Store::existing(common).await?.reader();
            let (policy, source) = policy(asked, &log).await?;
            let plan = retention_plan(&log, &policy, SystemClock::default().now()).await?;
            let source = |class: &str| if policy.is_of_one_tenant(class) { "api" } else { source };
            print_plan(common, &plan, source)?;
        }
        RetentionCommand::Run(asked) => {
            // The log has to be there: what is merely misspelt is not made.
            let log = Store::existing(common).await?.reader();
            let (policy, _) = policy(&asked.policy, &log).await?;
            if asked.force && policy.size_limit().is_none() {
                return Err(Trouble::usage(
                    "--force is for a log that is larger than it may get, and nothing says how large that is: set \
                     `max_size` in [retention]",
                ));
            }
            drop(log);
            let archive = archive(asked)?;
            let run = match Store::open(common).await? {
                Store::Sqlite(store) => end(common, store, &policy, asked.force, archive).await?,
                Store::Postgres(store) => end(common, store, &policy, asked.force, archive).await?,
            };
            if !run.unarchived.is_empty() {
                let units: Vec<_> = run.unarchived.iter().map(ToString::to_string).collect();
                return Err(Trouble::new(format!(
                    "what could not be archived stays in the log: {}; run it again when that is mended",
                    units.join("; ")
                )));
            }
            if !run.unemptied.is_empty() {
                return Err(Trouble::new(format!(
                    "what is to go stays in the archive: {}; run it again when that is mended",
                    run.unemptied.join("; ")
                )));
            }
            if !run.busy.is_empty() {
                let units: Vec<_> = run.busy.iter().map(ToString::to_string).collect();
                return Err(Trouble::new(format!(
                    "somebody reads or writes {} all the while; run it again later",
                    units.join(", ")
                )));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the policy that holds, and where it was said. Without one that somebody chose nothing is done: an app
/// may have its own in its code, which nobody sees from here.
pub(crate) async fn policy(
    asked: &crate::arguments::Policy,
    log: &AnyStore,
) -> Result<(RetentionPolicy, &'static str), Trouble> {
    let set = policy_set(log).await?;
    if set.is_set() {
        return Ok((set.over(&RetentionPolicy::default())?, "api"));
    }
    let (below, source) = chosen(asked)?;
    Ok((set.over(&below)?, source))
}

/// Opens the archive that the command line names, or else the rules file.
fn archive(asked: &RetentionRun) -> Result<Option<Archive>, Trouble> {
    let rules = match &asked.policy.rules {
        Some(file) => Some(Rules::rest().with_file(file)?),
        None => None,
    };
    let in_file = rules.as_ref().and_then(Rules::retention_archive);
    store::archive([asked.archive.as_deref(), in_file])
}

/// Returns what the command line names.
fn chosen(asked: &crate::arguments::Policy) -> Result<(RetentionPolicy, &'static str), Trouble> {
    if let Some(preset) = asked.preset {
        return Ok((RetentionPolicy::preset(preset), "preset"));
    }
    let in_file = match &asked.rules {
        Some(file) => Rules::rest().with_file(file)?.retention_policy().cloned(),
        None => None,
    };
    in_file.map(|policy| (policy, "rules")).ok_or_else(|| {
        Trouble::usage(
            "nothing says how long records are kept: name a rules file that has [retention] with --rules or \
             ACTIVITY_RULES, or a preset with --preset (default, pci, hipaa)",
        )
    })
}

fn print_plan(
    common: &Common,
    plan: &RetentionPlan,
    source: impl Fn(&str) -> &'static str,
) -> Result<(), Trouble> {
    let units = &plan.units;
    if let Some(full) = plan.size {
        say_size(full);
    }
    if !out::is_table(common) {
        for unit in units {
            let PlannedUnit { facts, fate, held, addresses, .. } = unit;
            let (word, at) = words(*fate);
            let word = if held.is_some() { "held" } else { word };
            let hold =
                held.as_ref().map(|hold| json!({ "id": hold.id.to_string(), "name": hold.name }));
            out::json(&json!({
                "month": facts.unit.month.to_string(), "class": facts.unit.class, "records": facts.records,
                "entries": facts.entries, "first": facts.first, "last": facts.last, "bytes": facts.bytes,
                "fate": word, "at": at, "hold": hold,
                "policy": source(&facts.unit.class), "addresses": addresses_of(*addresses),
            }))?;
        }
        return Ok(());
    }
    if units.is_empty() {
        out::note("there is nothing in the log");
        return Ok(());
    }
    let mut rows = out::Rows::titled(&[
        "month",
        "class",
        "records",
        "bytes",
        "policy",
        "what becomes of it",
        "addresses",
    ]);
    for PlannedUnit { facts, fate, held, addresses, .. } in units {
        let fate = match fate {
            Fate::Expired(at) => match held {
                Some(hold) => format!("expired since {at}, and held: {}", escaped(hold)),
                None => format!("expired since {at}"),
            },
            Fate::Until(at) => format!("kept until {at}"),
            Fate::Forever => "kept for ever".to_owned(),
            _ => "kept: the policy does not know its class".to_owned(),
        };
        rows.row([
            out::cell(&facts.unit.month.to_string()),
            out::cell(&facts.unit.class),
            out::cell(&facts.records.to_string()),
            out::cell(&facts.bytes.map(|bytes| bytes.to_string()).unwrap_or_default()),
            out::cell(source(&facts.unit.class)),
            out::cell(&fate),
            out::cell(&match addresses {
                Addresses::Expired(at) => format!("expired since {at}"),
                Addresses::Until(at) => format!("kept until {at}"),
                Addresses::Ended => "gone".to_owned(),
                _ => String::new(),
            }),
        ]);
    }
    rows.print()
}

/// Says how full the log is, beside what goes: programs read `doctor` or `GET /health`.
fn say_size(full: Fullness) {
    let next = match (full.is_over(), full.limit().is_forced()) {
        (false, _) => "",
        (true, false) => ": what has expired goes, and nothing else without --force",
        (true, true) => ": months go before their time until it is not",
    };
    out::note(format!("the log has {full}{next}"));
}

fn addresses_of(addresses: Addresses) -> serde_json::Value {
    let (word, at) = match addresses {
        Addresses::Expired(at) => ("expired", Some(at)),
        Addresses::Until(at) => ("until", Some(at)),
        Addresses::Ended => ("gone", None),
        _ => ("with_records", None),
    };
    json!({ "fate": word, "at": at })
}

/// A hold's name for the terminal, and its id for `hold lift`.
fn escaped(hold: &HeldBy) -> String {
    format!("{} ({})", tower_activity::record::visible(&hold.name), hold.id)
}

fn words(fate: Fate) -> (&'static str, Option<tower_activity::time::Timestamp>) {
    match fate {
        Fate::Expired(at) => ("expired", Some(at)),
        Fate::Until(at) => ("until", Some(at)),
        Fate::Forever => ("never", None),
        _ => ("unknown_class", None),
    }
}

/// Runs through a pipeline of its own, which stores what the run tells.
async fn end<S>(
    common: &Common,
    store: S,
    policy: &RetentionPolicy,
    force: bool,
    archive: Option<Archive>,
) -> Result<Run, Trouble>
where
    S: Append + Read + Maintain + Register + Evidence + Retain,
{
    let mut builder = Pipeline::builder(store).service("activity").retention_policy(policy.clone());
    if let Some(archive) = archive {
        builder = builder.archive(archive);
        // They sign the head that proves what is archived; none are made for this alone.
        if store::keys_path(common).is_some_and(|path| path.exists())
            && let Some(keys) = store::keys(common)?
        {
            builder = builder.keys(keys);
        }
    }
    let pipeline = builder.start().await.map_err(|error| Trouble::of(&error))?;
    let mut printed = Ok(());
    let tell = |step: RetentionStep<'_>| {
        if printed.is_ok() {
            printed = match step {
                RetentionStep::Ended(ended) => print(common, ended),
                RetentionStep::Addresses(ended) => print_addresses(common, ended),
                RetentionStep::ArchivedAddresses(ended) => print_archived(common, ended),
                _ => Ok(()),
            };
        }
    };
    let run = match force {
        true => pipeline.force_retention(tell).await,
        false => pipeline.run_retention(tell).await,
    };
    pipeline.shutdown(DRAIN).await;
    printed?;
    let run = run?;
    for held in &run.held {
        // Beside what went: programs read `retention plan`.
        out::note(format!("{} has expired, and is held: {}", held.unit, escaped(&held.by)));
    }
    if let Some(full) = run.size.filter(|full| full.is_near()) {
        say_size(full);
    }
    let stays = run.busy.is_empty()
        && run.held.is_empty()
        && run.unarchived.is_empty()
        && run.unemptied.is_empty();
    if let Some(released) = &run.released {
        out::note(format!(
            "{} of people who were erased were kept in {} by a hold that is lifted, and are erased from now; {} are held yet",
            out::records(released.records),
            tower_activity::record::visible(&released.location),
            released.held
        ));
    }
    let no_addresses = run.addresses.is_empty() && run.archived_addresses.is_empty();
    let nothing = run.ended.is_empty() && no_addresses && stays && run.released.is_none();
    if nothing && out::is_table(common) {
        out::line("nothing has expired")?;
    }
    Ok(run)
}

fn print(common: &Common, ended: &EndedUnit) -> Result<(), Trouble> {
    let removal = &ended.removal;
    if out::is_table(common) {
        let (month, class) = (removal.month, tower_activity::record::visible(&removal.class));
        let count = out::records(removal.records.unsigned_abs());
        let archived = match &ended.archived {
            Some(archived) => format!(", kept in {}", archived.location),
            None => String::new(),
        };
        return out::line(&format!(
            "{month} {class}: {count} taken out{}, told by record {}{archived}",
            if ended.forced { " before their time" } else { "" },
            ended.told_by
        ));
    }
    let mut told = removal.to_json();
    told["told_by"] = ended.told_by.to_string().into();
    told["forced"] = ended.forced.into();
    if let Some(archived) = &ended.archived {
        let parts: Vec<_> = archived.parts.iter().map(|part| part.name.as_str()).collect();
        told["archive"] = json!({ "location": archived.location, "parts": parts });
    }
    out::json(&told)
}

fn print_addresses(common: &Common, ended: &AddressesEnded) -> Result<(), Trouble> {
    let AddressesEnded { unit, records, held, .. } = ended;
    if out::is_table(common) {
        let count = out::records(*records);
        let held = if *held == 0 { String::new() } else { format!(", {held} held") };
        return out::line(&format!("{unit}: addresses of {count} taken out{held}"));
    }
    out::json(&json!({
        "month": unit.month.to_string(), "class": unit.class, "addresses": records, "held": held,
    }))
}

fn print_archived(common: &Common, ended: &ArchivedAddressesEnded) -> Result<(), Trouble> {
    let ArchivedAddressesEnded { location, part, unit, records, held, .. } = ended;
    if out::is_table(common) {
        let count = out::records(*records);
        let held = if *held == 0 { String::new() } else { format!(", {held} held") };
        return out::line(&format!(
            "{unit}: addresses of {count} taken out of {location}, {part}{held}"
        ));
    }
    out::json(&json!({
        "month": unit.month.to_string(), "class": unit.class, "addresses": records, "held": held,
        "archive": { "location": location, "part": part },
    }))
}

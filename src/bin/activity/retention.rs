//! `activity retention`

use std::process::ExitCode;

use serde_json::json;
use tower_activity::{
    Pipeline, Rules,
    pipeline::{EndedUnit, RetentionRun},
    rules::RetentionPolicy,
    store::{
        AnyStore, Append, Evidence, Fate, HeldBy, Maintain, PlannedUnit, Read, Register, Retain,
        policy_set, retention_plan,
    },
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Common, Retention, RetentionCommand},
    out,
    store::Store,
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
            print_plan(common, &plan.units, source)?;
        }
        RetentionCommand::Run(asked) => {
            // The log has to be there: what is merely misspelt is not made.
            let log = Store::existing(common).await?.reader();
            let (policy, _) = policy(asked, &log).await?;
            drop(log);
            let run = match Store::open(common).await? {
                Store::Sqlite(store) => end(common, store, &policy).await?,
                Store::Postgres(store) => end(common, store, &policy).await?,
            };
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
async fn policy(
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
    units: &[PlannedUnit],
    source: impl Fn(&str) -> &'static str,
) -> Result<(), Trouble> {
    if !out::is_table(common) {
        for PlannedUnit { facts, fate, held } in units {
            let (word, at) = words(*fate);
            let word = if held.is_some() { "held" } else { word };
            let hold =
                held.as_ref().map(|hold| json!({ "id": hold.id.to_string(), "name": hold.name }));
            out::json(&json!({
                "month": facts.unit.month.to_string(), "class": facts.unit.class, "records": facts.records,
                "entries": facts.entries, "first": facts.first, "last": facts.last, "bytes": facts.bytes,
                "fate": word, "at": at, "hold": hold,
                "policy": source(&facts.unit.class),
            }))?;
        }
        return Ok(());
    }
    if units.is_empty() {
        out::note("there is nothing in the log");
        return Ok(());
    }
    let mut rows =
        out::Rows::titled(&["month", "class", "records", "bytes", "policy", "what becomes of it"]);
    for PlannedUnit { facts, fate, held } in units {
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
        ]);
    }
    rows.print()
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
) -> Result<RetentionRun, Trouble>
where
    S: Append + Read + Maintain + Register + Evidence + Retain,
{
    let builder = Pipeline::builder(store).service("activity").retention_policy(policy.clone());
    let pipeline = builder.start().await.map_err(|error| Trouble::of(&error))?;
    let mut printed = Ok(());
    let run = pipeline.run_retention(|ended| {
        if printed.is_ok() {
            printed = print(common, ended);
        }
    });
    let run = run.await;
    pipeline.shutdown(DRAIN).await;
    printed?;
    let run = run?;
    for held in &run.held {
        // Beside what went: programs read `retention plan`.
        out::note(format!("{} has expired, and is held: {}", held.unit, escaped(&held.by)));
    }
    let nothing = run.ended.is_empty() && run.busy.is_empty() && run.held.is_empty();
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
        return out::line(&format!(
            "{month} {class}: {count} taken out, told by record {}",
            ended.told_by
        ));
    }
    let mut told = removal.to_json();
    told["told_by"] = ended.told_by.to_string().into();
    out::json(&told)
}

//! `activity subject erase`

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use indicatif::ProgressBar;
use serde::Deserialize;
use tower_activity::{
    Keys, Pipeline,
    archive::Archive,
    pipeline::{
        ArchiveErasure, Certificate, EraseError, Eraser, Erasing, ErasurePlan, ErasureRequest,
        FileErasure, UnreachedFile,
    },
    record::{Actor, Group, Groups, visible},
    store::{Append, Archival, ErasedSubject},
};

use crate::{
    arguments::{Common, SubjectErase},
    out,
    partial::Partial,
    store::{self, Store},
    trouble::Trouble,
};

/// How long the pipeline of the command may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(common: &Common, arguments: &SubjectErase) -> Result<ExitCode, Trouble> {
    let request = request(arguments)?;
    // Before anything is erased: a file that cannot be read is found out now.
    let kept = kept(&arguments.replay)?;
    let keys = store::keys_of_log(common).await?.ok_or_else(|| {
        Trouble::usage(
            "nothing says where the keys are: name the file with --keys or ACTIVITY_KEYS; it is the one that the \
             services have, so that they know who was erased",
        )
    })?;
    let archive = store::archive([arguments.archive.as_deref(), None])?;
    let with = With { keys, archive, request, kept };
    match Store::existing(common).await? {
        Store::Sqlite(log) => with_pipeline(common, arguments, log, with).await,
        Store::Postgres(log) => with_pipeline(common, arguments, log, with).await,
    }
}

/// What is needed beside the log.
struct With {
    keys: Keys,
    archive: Option<Archive>,
    request: ErasureRequest,
    kept: Vec<ErasedSubject>,
}

async fn with_pipeline<S: Append>(
    common: &Common,
    arguments: &SubjectErase,
    log: S,
    With { keys, archive, request, kept }: With,
) -> Result<ExitCode, Trouble> {
    if arguments.dry_run {
        // Not even that somebody looked is recorded: nothing is begun.
        let log = log.reader().ok_or_else(|| Trouble::new("the log cannot be read"))?;
        let archive = archive.as_ref().map(|archive| archive as &dyn Archival);
        let plan = Eraser::plan_of(&log, &keys, archive, &request).await.map_err(trouble)?;
        return planned(common, &plan);
    }
    // Before anything is erased, as above: nobody can make the certificate again.
    let certificate = arguments.certificate.as_deref().map(Partial::create).transpose()?;
    let mut builder = Pipeline::builder(log).keys(keys).service("activity");
    if let Some(archive) = archive {
        builder = builder.archive(archive);
    }
    let pipeline = builder.start().await.map_err(|error| Trouble::of(&error))?;
    let done = erased(&pipeline, arguments, &request, &kept).await;
    pipeline.shutdown(ENDS_WITHIN).await;
    let done = done?;
    if let Some((partial, mut file)) = certificate {
        let text = serde_json::to_string_pretty(&done).map_err(|error| Trouble::of(&error))?;
        let written = writeln!(file, "{text}").and_then(|()| partial.finish(&file));
        written.map_err(|error| {
            // What is shown here is the only one then.
            let _shown = certified(common, &done);
            Trouble::new(format!("it is done, but the certificate could not be written: {error}"))
        })?;
    }
    certified(common, &done)
}

async fn erased(
    pipeline: &Pipeline,
    arguments: &SubjectErase,
    request: &ErasureRequest,
    kept: &[ErasedSubject],
) -> Result<Certificate, Trouble> {
    let eraser = pipeline.eraser().map_err(trouble)?;
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let moved = |Erasing { records, .. }: Erasing| {
        bar.set_message(format!("{} erased", out::records(records)));
        bar.tick();
    };
    let done = match arguments.replays() {
        true => eraser.replay(request, kept, moved).await,
        false => eraser.erase(request, moved).await,
    };
    bar.finish_and_clear();
    done.map_err(trouble)
}

fn trouble(error: EraseError) -> Trouble {
    match error.is_request() {
        true => Trouble::usage(error.to_string()),
        false => Trouble::of(&error),
    }
}

fn request(arguments: &SubjectErase) -> Result<ErasureRequest, Trouble> {
    let subject = match (&arguments.subject, arguments.replays()) {
        (Some(_), true) => {
            return Err(Trouble::usage("--replay is for everybody on the list: name no subject"));
        }
        (None, false) => return Err(Trouble::usage("name the subject, or --replay the list")),
        (Some(subject), false) => subject.as_str(),
        (None, true) => "(everybody on the list)",
    };
    let basis = arguments.basis.as_deref().unwrap_or(match arguments.replays() {
        true => "erased before",
        // Refused with what to do instead.
        false => "",
    });
    let mut request = ErasureRequest::new(subject, basis).tenant(arguments.tenant.clone());
    for name in &arguments.also {
        request = request.also(name);
    }
    for kind in &arguments.person_type {
        request = request.person_type(kind);
    }
    if let Some(by) = &arguments.by {
        request = request.by(Actor::user(by));
    }
    for folder in &arguments.spool {
        request = request.spool(folder);
    }
    for file in &arguments.quarantine {
        request = request.quarantine(file);
    }
    if arguments.alone {
        request = request.alone();
    }
    Ok(request.groups(groups(&arguments.groups)?))
}

fn groups(names: &[String]) -> Result<Groups, Trouble> {
    let group = |name: &String| {
        let found = Group::ERASABLE.into_iter().find(|group| group.as_str() == name);
        found.ok_or_else(|| {
            Trouble::usage(format!(
                "--groups: there is no group {name:?}; the groups are identity, network, target and content"
            ))
        })
    };
    names.iter().map(group).collect()
}

/// What is kept of an erasure outside of the database: a certificate, or its list.
#[derive(Deserialize)]
struct Kept {
    subjects: Vec<ErasedSubject>,
}

fn kept(files: &Option<Vec<std::path::PathBuf>>) -> Result<Vec<ErasedSubject>, Trouble> {
    let mut all = Vec::new();
    for path in files.iter().flatten() {
        all.extend(read(path)?);
    }
    Ok(all)
}

/// Reads certificates, one or several in a file.
fn read(path: &Path) -> Result<Vec<ErasedSubject>, Trouble> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Trouble::usage(format!("--replay: `{shown}` cannot be read: {error}")))?;
    let (mut all, mut is_there) = (Vec::new(), false);
    for kept in serde_json::Deserializer::from_str(&text).into_iter::<Kept>() {
        let kept = kept.map_err(|error| {
            Trouble::usage(format!("--replay: `{shown}` holds no certificates: {error}"))
        })?;
        all.extend(kept.subjects);
        is_there = true;
    }
    if !is_there {
        // A copy that went wrong: nobody would be erased again, and it would look done.
        return Err(Trouble::usage(format!(
            "--replay: `{shown}` holds no certificate: it is empty"
        )));
    }
    Ok(all)
}

fn planned(common: &Common, plan: &ErasurePlan) -> Result<ExitCode, Trouble> {
    if !out::is_table(common) {
        out::json(plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    out::line(&format!(
        "{} would be erased from; nothing was changed.",
        out::records(plan.records)
    ))?;
    restricted(plan.held, &plan.held_by, "to be")?;
    archived(plan.archive.as_ref(), "would be")?;
    files("spool", &plan.spools, "would be")?;
    files("quarantine file", &plan.quarantines, "would be")?;
    places(&plan.groups, &plan.places)?;
    Ok(ExitCode::SUCCESS)
}

fn certified(common: &Common, certificate: &Certificate) -> Result<ExitCode, Trouble> {
    if !out::is_table(common) {
        out::json(certificate)?;
        return Ok(ExitCode::SUCCESS);
    }
    out::line(&format!(
        "Erasure {}: {} erased from.",
        certificate.erasure,
        out::records(certificate.records)
    ))?;
    restricted(certificate.held, &certificate.held_by, "now")?;
    if let Some(erasures) = certificate.other_keys {
        out::line(&format!(
            "{erasures} erasures on the list are under other keys: nobody was found for them. If these keys are kept, replay \
             with them too."
        ))?;
    }
    archived(certificate.archive.as_ref(), "were")?;
    files("spool", &certificate.spools, "were")?;
    files("quarantine file", &certificate.quarantines, "were")?;
    places(&certificate.groups, &certificate.places)?;
    let size = |head: &Option<tower_activity::pipeline::SignedHead>| {
        head.as_ref().map_or(0, |head| head.size)
    };
    out::line(&format!(
        "Checkpoints: entry {} before, entry {} after. `--certificate FILE` keeps them, and the list, outside of the \
         database.",
        size(&certificate.checkpoint_before),
        size(&certificate.checkpoint_after)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is kept aside under legal holds.
fn restricted(records: u64, by: &BTreeMap<String, u64>, done: &str) -> Result<(), Trouble> {
    if records == 0 {
        return Ok(());
    }
    let holds: Vec<_> = by.iter().map(|(hold, records)| format!("{hold}: {records}")).collect();
    out::line(&format!(
        "{} more under a legal hold, {done} restricted: nobody who asks the log sees the person in them, and the hold keeps \
         them until it is lifted, which erases them ({}).",
        out::records(records),
        holds.join(", ")
    ))
}

/// Says what a legal hold kept in files.
fn held(records: u64) -> Result<(), Trouble> {
    if records == 0 {
        return Ok(());
    }
    out::line(&format!(
        "{} more under a legal hold: nothing of them goes until it is lifted (`activity hold list`); then erase again.",
        out::records(records)
    ))
}

/// Says what of an archive is reached.
fn archived(archive: Option<&ArchiveErasure>, done: &str) -> Result<(), Trouble> {
    let Some(archive) = archive else { return Ok(()) };
    out::line(&format!(
        "In the archive {}: {} {done} erased from, parts written anew: {}.",
        archive.location,
        out::records(archive.records),
        archive.parts
    ))?;
    if archive.held > 0 {
        out::line(&format!(
            "{} more under a legal hold: nothing of them goes until it is lifted; who lifts it with this archive erases them \
             (`activity hold lift --archive`), and so does the next run of the retention.",
            out::records(archive.held)
        ))?;
    }
    Ok(())
}

/// Says what of spools and quarantine files is reached.
fn files(what: &str, all: &[FileErasure], done: &str) -> Result<(), Trouble> {
    for file in all {
        out::line(&format!(
            "In the {what} {}: {} {done} erased from, files written anew: {}.",
            file.location,
            out::records(file.records),
            file.files
        ))?;
        held(file.held)?;
        for UnreachedFile { file, unreadable, how, .. } in &file.unreached {
            out::line(&format!(
                "NOT REACHED: places in {} that cannot be read, so that nobody knows whose they are: {unreadable}; {how}.",
                visible(file)
            ))?;
        }
    }
    Ok(())
}

fn places(
    groups: &BTreeMap<&'static str, u64>,
    places: &[tower_activity::store::ErasurePlace],
) -> Result<(), Trouble> {
    let mut rows = out::Rows::titled(&["group", "records"]);
    for (group, count) in groups {
        rows.row([out::cell(group), out::cell(&count.to_string())]);
    }
    rows.right(1);
    rows.print()?;
    let mut rows = out::Rows::titled(&["place", "rows", "reached", "how"]);
    for place in places {
        rows.row([
            out::cell(place.place),
            out::cell(&place.count.map(|count| count.to_string()).unwrap_or_default()),
            out::cell(if place.reached { "yes" } else { "NO" }),
            out::cell(place.how),
        ]);
    }
    rows.print()
}

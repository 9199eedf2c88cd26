//! `activity subject export`

use std::{
    io::{self, IsTerminal as _, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use indicatif::ProgressBar;
use tower_activity::{
    Keys, Pipeline,
    bundle::{Bundle, Counts, SubjectAsk},
    pipeline::{Subject, SubjectExport},
    record::Actor,
    store::{Append, Read as _},
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Common, SubjectExport as Arguments},
    out,
    partial::{Named, Partial, could_not_write, unless_interrupted},
    store::{self, Store},
    trouble::Trouble,
};

/// How long the pipeline of the command may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Result<ExitCode, Trouble> {
    let subject = subject(arguments)?;
    if arguments.out.is_none() && io::stdout().is_terminal() {
        let why = "the export is a zip file; name one with --out, or send it to a program";
        return Err(Trouble::usage(why));
    }
    let keys = store::keys_of_log(common).await?.ok_or_else(|| {
        Trouble::usage(
            "nothing says where the keys are: name the file with --keys or ACTIVITY_KEYS; it is the one that the \
             services have, under which they keep whoever tried to log in",
        )
    })?;
    match Store::existing(common).await? {
        Store::Sqlite(log) => with_pipeline(arguments, log, keys, subject).await,
        Store::Postgres(log) => with_pipeline(arguments, log, keys, subject).await,
    }
}

fn subject(arguments: &Arguments) -> Result<Subject, Trouble> {
    let mut subject = Subject::new(&arguments.subject).tenant(arguments.tenant.clone());
    for name in &arguments.also {
        subject = subject.also(name);
    }
    for kind in &arguments.person_type {
        subject = subject.person_type(kind);
    }
    subject.check().map_err(Trouble::usage)?;
    Ok(subject)
}

async fn with_pipeline<S: Append>(
    arguments: &Arguments,
    log: S,
    keys: Keys,
    subject: Subject,
) -> Result<ExitCode, Trouble> {
    let pipeline = Pipeline::builder(log).keys(keys.clone()).service("activity").start().await;
    let pipeline = pipeline.map_err(|error| Trouble::of(&error))?;
    let done = match &arguments.out {
        None => {
            let mut out = io::stdout().lock();
            let bar = ProgressBar::hidden();
            let made = export(&pipeline, arguments, &keys, subject, &mut out, &bar).await;
            made.map(|counts| {
                said(counts);
                ExitCode::SUCCESS
            })
        }
        Some(path) => {
            let writing = to_file(&pipeline, arguments, &keys, subject, path);
            unless_interrupted("export", async { writing.await.map(said) }).await
        }
    };
    pipeline.shutdown(ENDS_WITHIN).await;
    done
}

async fn to_file(
    pipeline: &Pipeline,
    arguments: &Arguments,
    keys: &Keys,
    subject: Subject,
    path: &Path,
) -> Result<Counts, Trouble> {
    let (partial, file) = Partial::create(path)?;
    let bar = match io::stderr().is_terminal() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let mut out = Named(file, path);
    let made = export(pipeline, arguments, keys, subject, &mut out, &bar).await;
    bar.finish_and_clear();
    let made = made?;
    partial.finish(&out.0).map_err(|error| could_not_write(path, &error))?;
    Ok(made)
}

/// Writes the export. That it was begun is in the log before anything is written, and how much it held before it is
/// whole.
async fn export(
    pipeline: &Pipeline,
    arguments: &Arguments,
    keys: &Keys,
    subject: Subject,
    out: &mut impl Write,
    bar: &ProgressBar,
) -> Result<Counts, Trouble> {
    let by = arguments.by.as_ref().map_or_else(|| Actor::system("activity"), Actor::user);
    let told = SubjectExport::new(&subject, by);
    let log = pipeline.store().cloned().ok_or_else(|| Trouble::new("the log cannot be read"))?;
    let held = arguments.tenant.as_ref().and_then(|tenant| log.of_tenant(tenant));
    let ask = SubjectAsk::new(subject, SystemClock::default().now());
    let held = held.unwrap_or_else(|| log.clone());
    let bundle = Bundle::about(log, held, ask, keys).await?;
    let mut bundle =
        bundle.ok_or_else(|| Trouble::new("the log holds nothing about this person"))?;
    told.begun(pipeline).await.map_err(|error| Trouble::of(&error))?;
    while let Some(piece) = bundle.next().await? {
        out.write_all(&piece)?;
        bar.set_message(out::records(bundle.counts().records));
        bar.tick();
    }
    let counts = bundle.counts();
    told.ended(pipeline, counts.records).await.map_err(|error| Trouble::of(&error))?;
    out.flush()?;
    Ok(counts)
}

fn said(counts: Counts) {
    let Counts { records, unproved, unreadable, .. } = counts;
    for (count, what) in [
        (
            unproved,
            "cannot be proved: they, or others of their entries, were altered; `activity verify` says where",
        ),
        (unreadable, "cannot be read any more; whether they are about the person is not known"),
    ] {
        if count > 0 {
            out::note(format!("{} {what}", out::records(count)));
        }
    }
    out::note(out::records(records));
}

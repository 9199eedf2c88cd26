//! `activity bundle`

use std::{
    io::{self, IsTerminal as _, Write},
    path::Path,
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};
use tower_activity::{
    bundle::{Ask, Counts},
    query::{Count, Direction},
    store::{AnyStore, Read as _},
    time::{Clock as _, SystemClock},
};

use crate::{
    arguments::{Bundle, Common},
    out,
    partial::{Named, Partial, could_not_write, unless_interrupted},
    question::{Question, unveiled},
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Bundle) -> Result<ExitCode, Trouble> {
    let Bundle { question, out, restricted } = arguments;
    make(common, question, out.as_deref(), Form::Zip, *restricted).await
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An evidence bundle.
    Zip,
    /// An export that brings its proofs along.
    Lines,
}

pub(crate) async fn make(
    common: &Common,
    question: &Question,
    out: Option<&Path>,
    form: Form,
    restricted: bool,
) -> Result<ExitCode, Trouble> {
    let log = Store::existing(common).await?.reader();
    let ask = Ask {
        filter: unveiled(common, &log, question.filter()?).await?,
        direction: Direction::Older,
        asked: question.asked(),
        now: SystemClock::default().now(),
    };
    let tenant = question.tenant.name();
    // Without a key the last checkpoint has to do; none is made for this alone.
    let keys = match store::keys_path(common).is_some_and(|path| path.exists()) {
        true => store::keys(common)?,
        false => None,
    };
    let seeds = keys.as_ref().map_or(&[][..], |keys| keys.signing_seeds());
    let making = Making { log, ask, seeds, tenant, form, restricted };
    let Some(path) = out else {
        if form == Form::Zip && io::stdout().is_terminal() {
            let why = "a bundle is a zip file; name one with --out, or send it to a program";
            return Err(Trouble::usage(why));
        }
        let mut out = io::stdout().lock();
        said(making.write(&mut out, &ProgressBar::hidden()).await?);
        return Ok(ExitCode::SUCCESS);
    };
    let what = if form == Form::Zip { "bundle" } else { "export" };
    unless_interrupted(what, async { to_file(making, path).await.map(said) }).await
}

/// What goes into making one.
struct Making<'a> {
    log: AnyStore,
    ask: Ask,
    seeds: &'a [[u8; 32]],
    tenant: Option<&'a str>,
    form: Form,
    restricted: bool,
}

async fn to_file(making: Making<'_>, path: &Path) -> Result<Counts, Trouble> {
    let (partial, file) = Partial::create(path)?;
    let bar = bar(&making.log, &making.ask).await?;
    let mut out = Named(file, path);
    let written = making.write(&mut out, &bar).await;
    bar.finish_and_clear();
    let written = written?;
    partial.finish(&out.0).map_err(|error| could_not_write(path, &error))?;
    Ok(written)
}

async fn bar(log: &AnyStore, ask: &Ask) -> Result<ProgressBar, Trouble> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let total = log.count(&ask.filter, Count::Estimate).await?;
    let style = "{wide_bar} {human_pos} of about {human_len} · {eta}";
    let style = ProgressStyle::with_template(style)
        .map_err(|error| Trouble::new(format!("the bar cannot be drawn: {error}")))?;
    Ok(ProgressBar::new(total.value).with_style(style))
}

impl Making<'_> {
    async fn write(self, out: &mut impl Write, bar: &ProgressBar) -> Result<Counts, Trouble> {
        let Self { log, ask, seeds, tenant, form, restricted } = self;
        let bundle = tower_activity::bundle::Bundle::begin(log, ask, seeds).await?;
        let bundle = bundle.ok_or_else(|| {
            Trouble::new(
                "there is no checkpoint that would prove anything: the log is empty, or nothing says where the keys \
                 are (--keys or ACTIVITY_KEYS)",
            )
        })?;
        let mut bundle = bundle.of_tenant(tenant);
        if form == Form::Lines {
            bundle = bundle.as_lines();
        }
        if restricted {
            bundle = bundle.restricted();
        }
        while let Some(piece) = bundle.next().await? {
            out.write_all(&piece)?;
            let records = bundle.counts().records;
            // An estimate may have been too low.
            bar.set_length(bar.length().unwrap_or(0).max(records));
            bar.set_position(records);
        }
        out.flush()?;
        Ok(bundle.counts())
    }
}

fn said(counts: Counts) {
    let Counts { records, unproved, later, unreadable, .. } = counts;
    for (count, what) in [
        (
            unproved,
            "cannot be proved: they, or others of their entries, were altered; `activity verify` says where",
        ),
        (later, "left out: committed after the last checkpoint"),
        (unreadable, "left out: no longer readable"),
    ] {
        if count > 0 {
            out::note(format!("{} {what}", out::records(count)));
        }
    }
    out::note(out::records(records));
}

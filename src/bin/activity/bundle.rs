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
    store::{self, Store},
    trouble::Trouble,
};

pub(crate) async fn run(common: &Common, arguments: &Bundle) -> Result<ExitCode, Trouble> {
    let ask = Ask {
        filter: arguments.question.filter()?,
        direction: Direction::Older,
        asked: arguments.question.asked(),
        now: SystemClock::default().now(),
    };
    let log = Store::existing(common).await?.reader();
    let tenant = arguments.question.tenant.name();
    // Without a key the last checkpoint has to do; none is made for this alone.
    let keys = match store::keys_path(common).is_some_and(|path| path.exists()) {
        true => store::keys(common)?,
        false => None,
    };
    let seeds = keys.as_ref().map_or(&[][..], |keys| keys.signing_seeds());
    let Some(path) = &arguments.out else {
        if io::stdout().is_terminal() {
            let why = "a bundle is a zip file; name one with --out, or send it to a program";
            return Err(Trouble::usage(why));
        }
        let mut out = io::stdout().lock();
        said(write(log, ask, seeds, tenant, &mut out, &ProgressBar::hidden()).await?);
        return Ok(ExitCode::SUCCESS);
    };
    unless_interrupted("bundle", async { to_file(log, ask, seeds, tenant, path).await.map(said) })
        .await
}

async fn to_file(
    log: AnyStore,
    ask: Ask,
    seeds: &[[u8; 32]],
    tenant: Option<&str>,
    path: &Path,
) -> Result<Counts, Trouble> {
    let (partial, file) = Partial::create(path)?;
    let bar = bar(&log, &ask).await?;
    let mut out = Named(file, path);
    let written = write(log, ask, seeds, tenant, &mut out, &bar).await;
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

async fn write(
    log: AnyStore,
    ask: Ask,
    seeds: &[[u8; 32]],
    tenant: Option<&str>,
    out: &mut impl Write,
    bar: &ProgressBar,
) -> Result<Counts, Trouble> {
    let bundle = tower_activity::bundle::Bundle::begin(log, ask, seeds).await?;
    let bundle = bundle.ok_or_else(|| {
        Trouble::new(
            "there is no checkpoint that would prove anything: the log is empty, or nothing says where the keys are \
             (--keys or ACTIVITY_KEYS)",
        )
    })?;
    let mut bundle = bundle.of_tenant(tenant);
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

fn said(counts: Counts) {
    let Counts { records, unproved, later, unreadable, .. } = counts;
    for (count, what) in [
        (
            unproved,
            "cannot be proved: they, or others of their entries, were altered; `activity verify` says where",
        ),
        (later, "were committed after the last checkpoint and were left out"),
        (unreadable, "cannot be read any more and were left out"),
    ] {
        if count > 0 {
            out::note(format!("{} {what}", out::records(count)));
        }
    }
    out::note(out::records(records));
}

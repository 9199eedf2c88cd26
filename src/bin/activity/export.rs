//! `activity export`

use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
    path::Path,
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tower_activity::{
    Filter,
    encode::{Encoder, Format},
    query::{Count, PageRequest},
    store::{AnyStore, Read as _, restricted_page},
};

use crate::{
    arguments::{Common, Export},
    bundle::{self, Form},
    out,
    partial::{Named, Partial, could_not_write, unless_interrupted},
    question::unveiled,
    store::Store,
    trouble::Trouble,
};

/// How many records are read at once.
const PAGE: usize = 2_000;

pub(crate) async fn run(common: &Common, arguments: &Export) -> Result<ExitCode, Trouble> {
    if arguments.proofs {
        if arguments.format != Format::JsonLines {
            let why = "only jsonl brings proofs along; leave out --proofs, or make a bundle with `activity bundle`";
            return Err(Trouble::usage(why));
        }
        let Export { question, out, restricted, .. } = arguments;
        return bundle::make(common, question, out.as_deref(), Form::Lines, *restricted).await;
    }
    let asked = arguments.question.filter()?;
    let store = Store::existing(common).await?.reader();
    let store = match arguments.restricted {
        // Not as a reader of a tenant, who sees nothing of it: the filter keeps to the tenant.
        true => store,
        false => arguments.question.tenant.of(store),
    };
    let filter = unveiled(common, &store, asked).await?;
    let Some(path) = &arguments.out else {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let exported = export(&store, &filter, arguments, &mut out, &ProgressBar::hidden()).await?;
        out.flush()?;
        said(exported);
        return Ok(ExitCode::SUCCESS);
    };
    let exporting = async { to_file(&store, &filter, arguments, path).await.map(said) };
    unless_interrupted("export", exporting).await
}

fn said((records, unreadable): (u64, u64)) {
    if unreadable > 0 {
        out::note(format!("{unreadable} rows cannot be read as records and were left out"));
    }
    out::note(out::records(records));
}

async fn to_file(
    store: &AnyStore,
    filter: &Filter,
    arguments: &Export,
    path: &Path,
) -> Result<(u64, u64), Trouble> {
    let (partial, file) = Partial::create(path)?;
    let bar = bar(store, filter).await?;
    let mut out = io::BufWriter::with_capacity(256 * 1024, Named(file, path));
    let exported = export(store, filter, arguments, &mut out, &bar).await;
    bar.finish_and_clear();
    let exported = exported?;
    let Named(file, _) = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    partial.finish(&file).map_err(|error| could_not_write(path, &error))?;
    Ok(exported)
}

async fn bar(store: &AnyStore, filter: &Filter) -> Result<ProgressBar, Trouble> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let total = store.count(filter, Count::Estimate).await?;
    let style = "{wide_bar} {human_pos} of about {human_len} · {speed} · {eta}";
    let speed = |state: &ProgressState, text: &mut dyn fmt::Write| {
        let _infallible = write!(text, "{:.0}/s", state.per_sec());
    };
    let style = ProgressStyle::with_template(style)
        .map(|style| style.with_key("speed", speed))
        .map_err(|error| Trouble::new(format!("the bar cannot be drawn: {error}")))?;
    Ok(ProgressBar::new(total.value).with_style(style))
}

/// Writes the whole result as it stands now: what is committed meanwhile is left out.
async fn export(
    store: &AnyStore,
    filter: &Filter,
    arguments: &Export,
    out: &mut impl Write,
    bar: &ProgressBar,
) -> Result<(u64, u64), Trouble> {
    let snapshot = store.snapshot().await?;
    let mut encoder = Encoder::new(arguments.format).bom(arguments.bom);
    let mut buffer = Vec::new();
    encoder.begin(&mut buffer);
    let mut request = PageRequest::newest(PAGE);
    let (mut records, mut unreadable) = (0, 0);
    loop {
        let page = match arguments.restricted {
            true => restricted_page(store, filter, &request).await?,
            false => store.records(filter, &request).await?,
        };
        for record in page.records.iter().filter(|record| snapshot.holds(record)) {
            encoder.record(record, &mut buffer);
            records += 1;
        }
        unreadable += page.unreadable;
        // An estimate may have been too low.
        bar.set_length(bar.length().unwrap_or(0).max(records));
        bar.set_position(records);
        out.write_all(&buffer)?;
        buffer.clear();
        match page.next {
            Some(next) => request = request.after(next),
            None => break,
        }
    }
    encoder.end(&mut buffer);
    out.write_all(&buffer)?;
    Ok((records, unreadable))
}

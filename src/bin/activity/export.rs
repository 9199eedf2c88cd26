//! `activity export`

use std::{
    fs,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};
use tower_activity::{
    encode::Encoder,
    query::{Count, PageRequest},
    store::{AnyStore, Read as _},
};

use crate::{
    arguments::{Common, Export},
    store::Store,
    trouble::Trouble,
};

/// How many records are read at once.
const PAGE: usize = 2_000;

pub(crate) async fn run(common: &Common, arguments: &Export) -> Result<ExitCode, Trouble> {
    let store = Store::existing(common).await?.reader();
    let Some(path) = &arguments.out else {
        if io::stdout().is_terminal() && arguments.format.as_str() != "jsonl" {
            eprintln!("activity: --out FILE writes to a file, with a bar that shows how far it is");
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        let exported = export(&store, arguments, &mut out, &ProgressBar::hidden()).await?;
        out.flush()?;
        said(exported);
        return Ok(ExitCode::SUCCESS);
    };
    // Under another name until it is whole: half an export is not to be taken for one.
    let partial = partial(path);
    let file = fs::File::create(&partial)
        .map_err(|error| Trouble::new(format!("could not write {}: {error}", partial.display())))?;
    let bar = bar(&store, arguments).await?;
    let mut out = io::BufWriter::with_capacity(256 * 1024, file);
    let exported = export(&store, arguments, &mut out, &bar).await;
    bar.finish_and_clear();
    let exported = match exported {
        Ok(exported) => exported,
        Err(trouble) => {
            // Of no use to anybody; that it cannot be removed changes nothing.
            let _left = fs::remove_file(&partial);
            return Err(trouble);
        }
    };
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&partial, path)?;
    said(exported);
    Ok(ExitCode::SUCCESS)
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

fn said((records, unreadable): (u64, u64)) {
    if unreadable > 0 {
        eprintln!("activity: {unreadable} rows cannot be read as records and were left out");
    }
    eprintln!("activity: {records} records");
}

async fn bar(store: &AnyStore, arguments: &Export) -> Result<ProgressBar, Trouble> {
    if !io::stderr().is_terminal() {
        return Ok(ProgressBar::hidden());
    }
    let total = store.count(&arguments.question.filter()?, Count::Estimate).await?;
    let style = "{wide_bar} {human_pos} of about {human_len} · {per_sec} · {eta}";
    let style = ProgressStyle::with_template(style)
        .map_err(|error| Trouble::new(format!("the bar cannot be drawn: {error}")))?;
    Ok(ProgressBar::new(total.value).with_style(style))
}

/// Writes the whole result as it stands now: what is committed meanwhile is left out.
async fn export(
    store: &AnyStore,
    arguments: &Export,
    out: &mut impl Write,
    bar: &ProgressBar,
) -> Result<(u64, u64), Trouble> {
    let filter = arguments.question.filter()?;
    let snapshot = store.snapshot().await?;
    let mut encoder = Encoder::new(arguments.format).bom(arguments.bom);
    let mut buffer = Vec::new();
    encoder.begin(&mut buffer);
    let mut request = PageRequest::newest(PAGE);
    let (mut records, mut unreadable) = (0, 0);
    loop {
        let page = store.records(&filter, &request).await?;
        for record in page.records.iter().filter(|record| snapshot.holds(record)) {
            encoder.record(record, &mut buffer);
            records += 1;
        }
        unreadable += page.unreadable;
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

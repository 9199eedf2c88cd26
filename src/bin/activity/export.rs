//! `activity export`

use std::{
    fmt, fs,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tower_activity::{
    Filter,
    encode::Encoder,
    query::{Count, PageRequest},
    store::{AnyStore, Read as _},
};

use crate::{
    arguments::{Common, Export},
    out,
    store::Store,
    trouble::Trouble,
};

/// How many records are read at once.
const PAGE: usize = 2_000;

pub(crate) async fn run(common: &Common, arguments: &Export) -> Result<ExitCode, Trouble> {
    let filter = arguments.question.filter()?;
    let store = arguments.question.tenant.of(Store::existing(common).await?.reader());
    let Some(path) = &arguments.out else {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let exported = export(&store, &filter, arguments, &mut out, &ProgressBar::hidden()).await?;
        out.flush()?;
        said(exported);
        return Ok(ExitCode::SUCCESS);
    };
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        exported = to_file(&store, &filter, arguments, path) => said(exported?),
        _ = interrupt.recv() => return Ok(interrupted(130)),
        _ = terminate.recv() => return Ok(interrupted(143)),
    }
    Ok(ExitCode::SUCCESS)
}

fn interrupted(code: u8) -> ExitCode {
    out::note("interrupted: the export is not whole, and no file was made of it");
    ExitCode::from(code)
}

fn said((records, unreadable): (u64, u64)) {
    if unreadable > 0 {
        out::note(format!("{unreadable} rows cannot be read as records and were left out"));
    }
    out::note(out::records(records));
}

/// A file under another name until it is whole: half an export is not to be taken for one.
struct Partial {
    path: PathBuf,
    /// What it becomes. A link to a file stays a link.
    target: PathBuf,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Half,
    Whole,
    /// A device or a pipe, which is written as it is: to put a file in its place would destroy it.
    Straight,
}

impl Partial {
    fn create(path: &Path) -> Result<(Self, fs::File), Trouble> {
        let failed = |path: &Path, error: io::Error| could_not_write(path, &error);
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let (path, state) = match fs::metadata(&target) {
            Ok(there) if there.is_dir() => {
                return Err(failed(path, io::ErrorKind::IsADirectory.into()));
            }
            Ok(there) if !there.is_file() => (target.clone(), State::Straight),
            _ => {
                let mut name = target.as_os_str().to_owned();
                name.push(".partial");
                (PathBuf::from(name), State::Half)
            }
        };
        let file = match state {
            State::Straight => fs::OpenOptions::new().write(true).open(&path),
            State::Half | State::Whole => fs::File::create(&path),
        };
        let file = file.map_err(|error| failed(&path, error))?;
        Ok((Self { path, target, state }, file))
    }

    fn finish(mut self, file: &fs::File) -> io::Result<()> {
        if self.state == State::Half {
            file.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            self.state = State::Whole;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.state == State::Half {
            // Of no use to anybody; that it cannot be removed changes nothing.
            let _left = fs::remove_file(&self.path);
        }
    }
}

/// A file whose errors say which it is.
struct Named<'p>(fs::File, &'p Path);

impl Named<'_> {
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("could not write {}: {error}", self.1.display()))
    }
}

impl Write for Named<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| match error.kind() {
            // Tried again by whoever called.
            io::ErrorKind::Interrupted => error,
            _ => self.named(&error),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|error| self.named(&error))
    }
}

fn could_not_write(path: &Path, error: &io::Error) -> Trouble {
    Trouble::new(format!("could not write {}: {error}", path.display()))
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
        let page = store.records(filter, &request).await?;
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

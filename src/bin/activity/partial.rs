//! Files that are there when they are whole, and not before.

use std::{
    fs,
    future::Future,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{out, trouble::Trouble};

/// Writes a file until it is whole or somebody interrupts; `what` says what it is.
pub(crate) async fn unless_interrupted(
    what: &str,
    writing: impl Future<Output = Result<(), Trouble>>,
) -> Result<ExitCode, Trouble> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let code = tokio::select! {
        written = writing => return written.map(|()| ExitCode::SUCCESS),
        _ = interrupt.recv() => 130,
        _ = terminate.recv() => 143,
    };
    out::note(format!("interrupted: the {what} is not whole, and no file was made of it"));
    Ok(ExitCode::from(code))
}

/// A file under another name until it is whole: half an export is not to be taken for one.
pub(crate) struct Partial {
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
    pub(crate) fn create(path: &Path) -> Result<(Self, fs::File), Trouble> {
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

    pub(crate) fn finish(mut self, file: &fs::File) -> io::Result<()> {
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
pub(crate) struct Named<'p>(pub(crate) fs::File, pub(crate) &'p Path);

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

pub(crate) fn could_not_write(path: &Path, error: &io::Error) -> Trouble {
    Trouble::new(format!("could not write {}: {error}", path.display()))
}

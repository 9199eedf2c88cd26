//! Why a command could not run, in a sentence with the way out.

use std::{error::Error, fmt, io, process::ExitCode};

use tower_activity::{
    archive::ArchiveError, pipeline::ArchivingError, privacy::KeysError, rules::RulesError,
    store::StoreError,
};

/// Why a command could not run.
#[derive(Debug)]
pub(crate) struct Trouble {
    why: String,
    sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// What was asked for makes no sense: as with a wrong flag.
    Usage,
    CouldNotRun,
    /// Nobody reads what is printed any more, as `head` does after its lines.
    Unheard,
}

impl Trouble {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), sort: Sort::CouldNotRun }
    }

    /// The command line is wrong.
    pub(crate) fn usage(why: impl Into<String>) -> Self {
        Self { why: why.into(), sort: Sort::Usage }
    }

    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::new(with_causes(error))
    }

    /// Tells whether it is only that nobody reads what is printed any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.sort == Sort::Unheard
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.sort {
            Sort::Unheard => ExitCode::SUCCESS,
            Sort::Usage => ExitCode::from(2),
            Sort::CouldNotRun => ExitCode::from(3),
        }
    }

    fn printing(error: &dyn Error, kind: Option<io::ErrorKind>) -> Self {
        let unheard = kind == Some(io::ErrorKind::BrokenPipe);
        let sort = if unheard { Sort::Unheard } else { Sort::CouldNotRun };
        Self { why: with_causes(error), sort }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

macro_rules! troubles {
    ($($error:ty)*) => {$(
        impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self::new(with_causes(&error))
            }
        }
    )*};
}

troubles!(ArchiveError ArchivingError KeysError RulesError);

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        let why = with_causes(&error);
        // Most say themselves what to do about it.
        let way_out = if why.contains("; ") {
            ""
        } else if why.contains("permission denied for") {
            "; docs/roles.md says which role may"
        } else if why.contains("disk image is malformed") {
            "; the file is damaged: restore it from a backup, as docs/backup.md says"
        } else {
            "; --store or ACTIVITY_STORE says where the log is"
        };
        Self::new(why + way_out)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::printing(&error, Some(error.kind()))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self::printing(&error, error.io_error_kind())
    }
}

/// Leaves out what sqlx says of itself, and the line in the server's own source.
fn plain(text: &str) -> String {
    let mut text = text;
    for prefix in ["error returned from database: ", "error communicating with database: "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    match text.rsplit_once(" at line ") {
        Some((text, line)) if line.parse::<u32>().is_ok() => text.to_owned(),
        _ => text.to_owned(),
    }
}

/// Returns an error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Where the sentence has its way out already, causes only hide it.
    while let Some(error) = cause.filter(|_| !text.contains("; ")) {
        let more = plain(&error.to_string());
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

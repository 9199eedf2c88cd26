//! Why a command could not run, in a sentence with the way out.

use std::{error::Error, fmt, io};

use tower_activity::{privacy::KeysError, rules::RulesError, store::StoreError};

/// Why a command could not run.
#[derive(Debug)]
pub(crate) struct Trouble {
    why: String,
    unheard: bool,
}

impl Trouble {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), unheard: false }
    }

    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::new(with_causes(error))
    }

    /// Tells whether it is only that nobody reads what is printed any more, as `head` does after its lines.
    pub(crate) const fn is_unheard(&self) -> bool {
        self.unheard
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

troubles!(KeysError RulesError StoreError);

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let unheard = error.kind() == io::ErrorKind::BrokenPipe;
        Self { unheard, ..Self::of(&error) }
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        let unheard = error.io_error_kind() == Some(io::ErrorKind::BrokenPipe);
        Self { unheard, ..Self::of(&error) }
    }
}

/// Returns an error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

//! Why a command could not run, in a sentence with the way out.

use std::{error::Error, fmt, io};

use tower_activity::{privacy::KeysError, rules::RulesError, store::StoreError};

/// Why a command could not run.
#[derive(Debug)]
pub(crate) struct Trouble(String);

impl Trouble {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    pub(crate) fn of(error: &dyn Error) -> Self {
        Self(with_causes(error))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! troubles {
    ($($error:ty)*) => {$(
        impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self(with_causes(&error))
            }
        }
    )*};
}

troubles!(io::Error KeysError RulesError StoreError serde_json::Error);

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

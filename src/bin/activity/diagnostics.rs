//! What the library itself has to say.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// Prints warnings and errors to standard error; `RUST_LOG` asks for more.
pub(crate) fn to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_env_filter(filter)
        .init();
}

//! What the library itself has to say.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::out;

/// Prints warnings and errors to standard error; `RUST_LOG` asks for more.
pub(crate) fn to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = out::colours(&io::stderr());
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(colours)
        // Nobody to tell is no reason to end.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .init();
}

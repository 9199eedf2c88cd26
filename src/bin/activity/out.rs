//! What is printed: tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;
use tower_activity::record::visible;

use crate::{
    arguments::{Common, Output},
    trouble::Trouble,
};

/// Tells whether a table is wanted rather than JSON.
pub(crate) fn is_table(common: &Common) -> bool {
    match common.output {
        Some(output) => output == Output::Table,
        None => io::stdout().is_terminal(),
    }
}

/// Prints one value as a line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    Ok(out.write_all(b"\n")?)
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<(), Trouble> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Prints a table; control characters and bidi marks in it are shown, never acted on.
pub(crate) fn table(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), Trouble> {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell).to_string()));
    }
    Ok(writeln!(io::stdout().lock(), "{}", table.trim_fmt())?)
}

//! What is printed: tables for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;
use tower_activity::record::visible;

use crate::{
    arguments::{Common, Output},
    escaped::Escaped,
    trouble::Trouble,
};

/// Tells whether a table is wanted rather than JSON.
pub(crate) fn is_table(common: &Common) -> bool {
    match common.output {
        Some(output) => output == Output::Table,
        None => io::stdout().is_terminal(),
    }
}

/// Tells whether colours are wanted on `stream`: <https://no-color.org>.
pub(crate) fn colours(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns one value as a line of JSON, with nothing in it that a terminal would act on.
pub(crate) fn json_line(value: &impl Serialize) -> Result<Vec<u8>, Trouble> {
    let mut line = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Escaped))?;
    line.push(b'\n');
    Ok(line)
}

/// Prints one value as a line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Trouble> {
    Ok(io::stdout().lock().write_all(&json_line(value)?)?)
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<(), Trouble> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Prints what is finished already.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Trouble> {
    Ok(io::stdout().lock().write_all(bytes)?)
}

/// Says something beside the result, on standard error. That nobody hears it changes nothing.
pub(crate) fn note(text: impl AsRef<str>) {
    let _unheard = writeln!(io::stderr().lock(), "activity: {}", text.as_ref());
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

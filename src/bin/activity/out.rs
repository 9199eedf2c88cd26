//! What is printed: tables for people, JSON for programs.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, TableStyle, Width,
};
use serde::Serialize;
use tower_activity::record::visible;

use crate::{
    arguments::{Common, Output},
    escaped::Escaped,
    trouble::Trouble,
};

/// Less is no terminal that anybody reads a table on.
const NARROWEST: u16 = 20;

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

/// Leaves it to the exit code to say what was found, where nobody reads what is printed of it.
pub(crate) fn heard(printed: Result<(), Trouble>) -> Result<(), Trouble> {
    printed.or_else(|trouble| if trouble.is_unheard() { Ok(()) } else { Err(trouble) })
}

/// Says something beside the result, on standard error. That nobody hears it changes nothing.
pub(crate) fn note(text: impl AsRef<str>) {
    let lines: Vec<_> = text.as_ref().lines().map(|line| visible(line).to_string()).collect();
    let _unheard = writeln!(io::stderr().lock(), "activity: {}", lines.join("\n"));
}

/// Returns so many records, in words.
pub(crate) fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

/// A table for people, as wide as their terminal at the most: only the widest text in it is wrapped.
pub(crate) struct Rows {
    table: Table,
}

impl Rows {
    pub(crate) fn new() -> Self {
        let mut table = Table::new();
        table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = width() {
            table.set_width(width);
        }
        Self { table }
    }

    pub(crate) fn titled(header: &[&str]) -> Self {
        let mut rows = Self::new();
        rows.table.set_header(header.iter().map(|name| name.to_uppercase()));
        rows
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.table.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// Numbers stand one below the other.
    pub(crate) fn right(&mut self, column: usize) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }

    /// What stands in these columns is not to be broken.
    pub(crate) fn whole(&mut self, columns: &[usize]) {
        for column in columns {
            if let Some(column) = self.table.column_mut(*column) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }

    pub(crate) fn at_least(&mut self, column: usize, width: u16) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
    }

    /// Colours were asked for: see [`colours`].
    pub(crate) fn coloured(&mut self) {
        self.table.enforce_styling();
    }

    pub(crate) fn print(&self) -> Result<(), Trouble> {
        line(&self.to_string())
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table.trim_fmt())
    }
}

/// A cell in which control characters and bidi marks are shown, never acted on.
pub(crate) fn cell(text: &str) -> Cell {
    Cell::new(visible(text))
}

/// Returns how wide a table may be: `COLUMNS`, or what the terminal says.
fn width() -> Option<u16> {
    let set = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    set.filter(|columns| *columns >= NARROWEST).or_else(|| Table::new().width())
}

//! A report as text, and as Markdown.

use std::fmt;

use super::{
    gather::{Counted, Report},
    period::Period,
};
use crate::{out, stats::COLUMN};

/// A report for a terminal.
pub(super) struct Text<'r>(pub(super) &'r Report, pub(super) &'r Period);

/// A report for a ticket or a page.
pub(super) struct Markdown<'r>(pub(super) &'r Report, pub(super) &'r Period);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "Activity on {}: {}", report.period, out::records(report.total))?;
        for (title, counts) in tables(report) {
            if counts.is_empty() {
                continue;
            }
            let mut rows = out::Rows::new();
            for Counted { value, count } in counts {
                rows.row([out::cell(value), out::cell(&count.to_string())]);
            }
            rows.at_least(0, COLUMN);
            rows.right(1);
            writeln!(f, "\n{title}\n{rows}")?;
        }
        writeln!(f, "\nSensitive operations: {}", report.sensitive.total)?;
        if !report.sensitive.newest.is_empty() {
            let mut rows = out::Rows::new();
            for line in &report.sensitive.newest {
                let ip = line.ip.as_deref().unwrap_or_default();
                rows.row([
                    out::cell(&self.1.clock(line.at)),
                    out::cell(&line.sentence),
                    out::cell(ip),
                ]);
            }
            rows.whole(&[0]);
            writeln!(f, "{rows}")?;
        }
        writeln!(f, "\nGaps: {}", gaps(report))?;
        if !report.gaps.is_empty() {
            let mut rows = out::Rows::new();
            for gap in &report.gaps {
                let missing = format!("{} records missing: {}", known(gap.count), gap.reason);
                rows.row([out::cell(&self.1.clock(gap.at)), out::cell(&missing)]);
            }
            rows.whole(&[0]);
            writeln!(f, "{rows}")?;
        }
        f.write_str(cut(report))
    }
}

impl fmt::Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "# Activity on {}\n\n{}\n", report.period, out::records(report.total))?;
        for (title, counts) in tables(report) {
            if counts.is_empty() {
                continue;
            }
            writeln!(f, "## {title}\n\n| | records |\n| --- | ---: |")?;
            for Counted { value, count } in counts {
                writeln!(f, "| {} | {count} |", cell(value))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "## Sensitive operations: {}\n", report.sensitive.total)?;
        if !report.sensitive.newest.is_empty() {
            writeln!(f, "| when | what | from |\n| --- | --- | --- |")?;
            for line in &report.sensitive.newest {
                let from = line.ip.as_deref().unwrap_or("");
                writeln!(f, "| {} | {} | {from} |", self.1.clock(line.at), cell(&line.sentence))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "## Gaps: {}\n", gaps(report))?;
        for gap in &report.gaps {
            writeln!(
                f,
                "- {}: {} records missing, {}",
                self.1.clock(gap.at),
                known(gap.count),
                cell(&gap.reason)
            )?;
        }
        f.write_str(cut(report))
    }
}

/// How many are missing, where anybody knows.
fn known(count: Option<u64>) -> String {
    count.map_or_else(|| "an unknown number of".to_owned(), |count| count.to_string())
}

fn tables(report: &Report) -> [(String, &[Counted]); 6] {
    let logins = &report.failed_logins;
    [
        ("By outcome".to_owned(), &report.by_outcome),
        ("By actor".to_owned(), &report.by_actor),
        ("By action".to_owned(), &report.by_action),
        ("By entity".to_owned(), &report.by_entity_type),
        (format!("Failed logins: {}, by address", logins.total), &logins.by_address),
        ("Failed logins, by account".to_owned(), &logins.by_account),
    ]
}

/// Says what is missing from the log itself.
fn gaps(report: &Report) -> String {
    if report.gaps.is_empty() {
        return "none".to_owned();
    }
    let missing: u64 = report.gaps.iter().filter_map(|gap| gap.count).sum();
    let least = if report.gaps.iter().all(|gap| gap.count.is_some()) { "" } else { "at least " };
    format!("{}, {least}{missing} records missing", report.gaps.len())
}

fn cut(report: &Report) -> &'static str {
    if report.complete { "" } else { "\nThe time was up: not everything was counted.\n" }
}

/// A text as it may stand in a cell of a table, with nothing in it taken for Markdown or HTML.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => cell.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '!' | '&' | '~' => {
                cell.push('\\');
                cell.push(c);
            }
            c => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_ends_no_table_and_begins_no_markup() {
        assert_eq!(cell("a|b\n<img src=x>"), "a\\|b \\<img src=x\\>");
        assert_eq!(cell("[x](http://evil)"), "\\[x\\](http://evil)");
    }
}

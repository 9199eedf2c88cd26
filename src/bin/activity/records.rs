//! How records are printed: a table or a line each on a terminal, JSON Lines otherwise.

use std::io::{self, Write as _};

use comfy_table::Color;
use jiff::{Timestamp, tz::TimeZone};
use tower_activity::record::{Outcome, Record, visible};

use crate::{arguments::Common, out, trouble::Trouble};

/// Prints records one after the other.
pub(crate) struct Printer {
    lines: bool,
    colours: bool,
    clock: TimeZone,
}

impl Printer {
    pub(crate) fn new(common: &Common) -> Self {
        Self {
            lines: out::is_table(common),
            colours: out::colours(&io::stdout()),
            clock: TimeZone::system(),
        }
    }

    /// Tells whether lines for people are printed.
    pub(crate) const fn is_for_people(&self) -> bool {
        self.lines
    }

    /// Prints a page of them: a table for people.
    pub(crate) fn page(&self, records: &[Record]) -> Result<(), Trouble> {
        if !self.lines {
            return records.iter().try_for_each(|record| self.print(record));
        }
        if records.is_empty() {
            return Ok(());
        }
        let tenants = records.iter().any(|record| record.tenant_id.as_option().is_some());
        let header = ["when", "outcome", "status", "what", "from", "tenant"];
        let mut rows = out::Rows::titled(if tenants { &header } else { &header[..5] });
        for record in records {
            let text = |text: Option<String>| out::cell(text.as_deref().unwrap_or_default());
            let outcome = out::cell(record.outcome.as_str());
            let outcome = match self.colour(record) {
                Some((colour, _)) => outcome.fg(colour),
                None => outcome,
            };
            let mut cells = vec![
                out::cell(&self.clock(record.occurred_at)),
                outcome,
                text(record.status.map(|status| status.to_string())),
                out::cell(&record.sentence().to_string()),
                text(record.ip.map(|ip| ip.to_string())),
            ];
            if tenants {
                cells.push(out::cell(record.tenant_id.as_str()));
            }
            rows.row(cells);
        }
        rows.whole(&[0, 1, 2]);
        if self.colours {
            rows.coloured();
        }
        rows.print()
    }

    /// Returns a moment as the clock on the wall shows it.
    pub(crate) fn clock(&self, at: tower_activity::time::Timestamp) -> String {
        let at = Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        at.to_zoned(self.clock.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    fn colour(&self, record: &Record) -> Option<(Color, &'static str)> {
        match record.outcome {
            _ if !self.colours => None,
            Outcome::Success => None,
            Outcome::Denied => Some((Color::DarkYellow, "\x1b[33m")),
            _ => Some((Color::DarkRed, "\x1b[31m")),
        }
    }

    /// Prints one of them as it comes.
    pub(crate) fn print(&self, record: &Record) -> Result<(), Trouble> {
        let mut line = Vec::new();
        if self.lines {
            self.line(record, &mut line)?;
            line.push(b'\n');
        } else {
            line = out::json_line(record)?;
        }
        Ok(io::stdout().lock().write_all(&line)?)
    }

    /// `2026-11-21 11:26:02  denied   ana tried to delete product 3: denied  (403, 10.0.0.7)`
    fn line(&self, record: &Record, line: &mut Vec<u8>) -> io::Result<()> {
        let at = self.clock(record.occurred_at);
        let (on, off) = self.colour(record).map_or(("", ""), |(_, on)| (on, "\x1b[0m"));
        write!(line, "{at}  {on}{:8}{off} {}", record.outcome, record.sentence())?;
        let mut facts = Vec::new();
        facts.extend(record.status.map(|status| status.to_string()));
        facts.extend(record.ip.map(|ip| ip.to_string()));
        facts.extend(record.tenant_id.as_option().map(|tenant| visible(tenant).to_string()));
        if !facts.is_empty() {
            write!(line, "  ({})", facts.join(", "))?;
        }
        Ok(())
    }
}

//! How records are printed: a line each on a terminal, JSON Lines otherwise.

use std::io::{self, Write as _};

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
        let at = Timestamp::from_microsecond(record.occurred_at.as_micros()).unwrap_or_default();
        let at = at.to_zoned(self.clock.clone()).strftime("%Y-%m-%d %H:%M:%S");
        let (on, off) = match (self.colours, record.outcome) {
            (false, _) | (true, Outcome::Success) => ("", ""),
            (true, Outcome::Denied) => ("\x1b[33m", "\x1b[0m"),
            (true, _) => ("\x1b[31m", "\x1b[0m"),
        };
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

//! The page of a bundle: for people, without a script.

use std::fmt::Write as _;

use super::{Ask, Counts};
use crate::{
    ledger::Checkpoint,
    record::{Record, visible},
};

/// So many records are on the page; all of them are in the file.
const SHOWN: u64 = 1_000;
/// And so many bytes of them.
const LARGEST: usize = 1024 * 1024;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Evidence bundle</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
dt { font-weight: 600; } dd { margin: 0 0 .5rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: .75rem; border: 1px solid #8888; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
td { overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
</style>
</head>
<body>
<h1>Evidence bundle</h1>
"#;

const PROVES: &str = r"<h2>What it proves</h2>
<p>That each of its records is, to the letter, what was written into the log, and lies under the head of the ledger that was
signed. A personal group that was erased is not in it; the proof holds without.</p>
<p>It does not prove that its question found everything there is, unless it asked for everything:
<code>activity verify --export</code> tells whether all that lies under the head is in it.
Nor does it prove that what was written was true. This page itself is for reading; what is proved is
<code>records.jsonl</code>.</p>
<h2>How to verify it</h2>
<pre>python3 verify.py BUNDLE.zip --trust trust.txt</pre>
<p><code>verify.py</code> needs Python 3 and nothing else, and is short enough to be read first. Take it, and the trust file,
from somebody else than whoever gave you the bundle: keys that come along with it prove nothing by themselves.</p>
<h2>The head of the ledger</h2>
";

/// The page as it grows.
#[derive(Debug, Default)]
pub(super) struct Html {
    rows: String,
    shown: u64,
}

impl Html {
    /// Takes a record, which is on the page if it is one of the first.
    pub(super) fn record(&mut self, record: &Record, entry: Option<i64>) {
        if self.shown == SHOWN || self.rows.len() > LARGEST {
            return;
        }
        self.shown += 1;
        let entry = entry.map_or_else(|| "none".to_owned(), |entry| entry.to_string());
        // Writing to memory cannot fail.
        let _infallible = writeln!(
            self.rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{entry}</td></tr>",
            record.occurred_at,
            escaped(&record.sentence().to_string()),
            record.outcome.as_str(),
            record.id,
        );
    }

    pub(super) fn page(&self, ask: &Ask, head: &Checkpoint, note: &str, counts: &Counts) -> String {
        let mut facts = vec![
            ("Asked", visible(&ask.asked).to_string()),
            ("Made", ask.now.to_string()),
            ("Records", format!("{}, in {} entries of the ledger", counts.records, counts.entries)),
            ("Ledger", format!("{}: {} entries, signed {}", head.origin, head.size, head.at)),
        ];
        if counts.unproved > 0 {
            let what = "what the store holds does not prove them: they, or others of their entries, were altered";
            facts.push(("Not proved", format!("{} records; {what}", counts.unproved)));
        }
        if counts.later > 0 {
            let what =
                "were found and are not in it: they were committed after the head was signed";
            facts.push(("Later", format!("{} records {what}", counts.later)));
        }
        if counts.unreadable > 0 {
            let what = "are not in it: they were edited until they were no records any more";
            facts.push(("Unreadable", format!("{} rows {what}", counts.unreadable)));
        }
        if counts.expired > 0 {
            let what = "of its entries are not in it: their time was over, as its records tell";
            facts.push(("Expired", format!("{} records {what}", counts.expired)));
        }
        if counts.masked > 0 {
            let what = "groups of fields have something about other people: it is masked in data.json and data.csv, and these \
                        groups are not opened in records.jsonl; the proofs hold without";
            facts.push(("Masked", format!("{} {what}", counts.masked)));
        }
        let mut page = format!("{HEAD}<dl>\n");
        for (name, value) in facts {
            let _infallible = writeln!(page, "<dt>{name}</dt><dd>{}</dd>", escaped(&value));
        }
        let _infallible = write!(
            page,
            "</dl>\n{PROVES}<pre>{}</pre>\n<h2>The {} records</h2>\n",
            escaped(note),
            match self.shown < counts.records {
                true => format!("first {} of {}", self.shown, counts.records),
                false => counts.records.to_string(),
            },
        );
        page.push_str(
            "<table>\n<thead><tr><th scope=\"col\">Time</th><th scope=\"col\">What</th><th scope=\"col\">Outcome</th>\
             <th scope=\"col\">Id</th><th scope=\"col\">Entry</th></tr></thead>\n<tbody>\n",
        );
        page.push_str(&self.rows);
        page.push_str("</tbody>\n</table>\n</body>\n</html>\n");
        page
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! What the store holds, against what the clients wrote down.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use crate::client::Notes;

/// What matters of a record.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) request_id: String,
    pub(crate) writer_id: i64,
    pub(crate) seq: i64,
    pub(crate) action: String,
    pub(crate) category: String,
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) status: Option<i64>,
    /// Only of what the log says about itself.
    pub(crate) metadata: String,
}

impl Stored {
    pub(crate) fn is_request(&self) -> bool {
        self.category != "system" && !self.request_id.is_empty()
    }

    /// Returns what the log says about itself there.
    pub(crate) fn facts(&self) -> serde_json::Value {
        serde_json::from_str(&self.metadata).unwrap_or_default()
    }
}

/// Reads the records in a SQLite file.
pub(crate) fn in_file(path: &Path) -> Vec<Stored> {
    let file = rusqlite::Connection::open(path).unwrap();
    file.busy_timeout(crate::process::PATIENCE).unwrap();
    let sql = "SELECT coalesce(request_id, ''), writer_id, seq, coalesce(action, ''), category, outcome, \
               coalesce(outcome_reason, ''), status, CASE category WHEN 'system' THEN coalesce(metadata, '') ELSE '' END \
               FROM activity_records";
    let mut rows = file.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| {
        Ok(Stored {
            request_id: row.get(0)?,
            writer_id: row.get(1)?,
            seq: row.get(2)?,
            action: row.get(3)?,
            category: row.get(4)?,
            outcome: row.get(5)?,
            reason: row.get(6)?,
            status: row.get(7)?,
            metadata: row.get(8)?,
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Reads the records in a Postgres database.
#[cfg(feature = "postgres")]
pub(crate) async fn in_postgres(url: &str) -> Vec<Stored> {
    use sqlx::{Connection as _, Row as _};
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let sql = "select coalesce(request_id, '') collate \"C\", writer_id, seq, coalesce(action, '') collate \"C\", \
               category, outcome, coalesce(outcome_reason, '') collate \"C\", \
               cast(status as bigint), case category when 'system' then coalesce(metadata::text, '') else '' end from activity.records";
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    let stored = rows.iter().map(|row| Stored {
        request_id: row.get(0),
        writer_id: row.get(1),
        seq: row.get(2),
        action: row.get(3),
        category: row.get(4),
        outcome: row.get(5),
        reason: row.get(6),
        status: row.get(7),
        metadata: row.get(8),
    });
    stored.collect()
}

/// What came out of the comparison.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Requests with a record.
    pub(crate) stored: u64,
    /// Requests that were answered and have no record.
    pub(crate) lost: Vec<String>,
    /// Records of requests that have one already.
    pub(crate) duplicated: Vec<String>,
    /// Records of requests that were never sent.
    pub(crate) made_up: Vec<String>,
    /// Requests that were carried out and answered with 500, because nobody vouched for their record, and have none: an
    /// intent of theirs is left for the next process.
    pub(crate) unvouched: Vec<String>,
    /// Requests whose whole answer nobody has seen, and that have no record.
    pub(crate) unanswered: Vec<String>,
    /// Requests whose record says something else than their answer.
    pub(crate) unfinished: Vec<String>,
    /// Records that gap records count.
    pub(crate) gaps: u64,
    /// The same, by category.
    pub(crate) gaps_of: BTreeMap<String, u64>,
    /// Processes that gap records say ended without a word.
    pub(crate) unclean: u64,
    /// Numbers that a stream lacks or has twice.
    pub(crate) broken: Vec<String>,
}

/// Compares; only requests whose records are in `rows` because of `notes` are looked at.
pub(crate) fn compare(notes: &Notes, rows: &[Stored]) -> Found {
    let mut found = Found::default();
    let mut of: HashMap<&str, &Stored> = HashMap::new();
    let mut streams: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in rows {
        streams.entry(row.writer_id).or_default().push(row.seq);
        if row.category == "system" && row.action == "gap" {
            found.add_gap(row);
        }
        if !row.is_request() {
            continue;
        }
        if of.insert(&row.request_id, row).is_some() {
            found.duplicated.push(row.request_id.clone());
        } else if !notes.sent.contains(&row.request_id) {
            found.made_up.push(row.request_id.clone());
        }
    }
    found.stored = of.len() as u64;
    for (id, status) in &notes.seen {
        match of.get(id.as_str()) {
            // Refused for want of a record, and not attempted: where there is one after all, it says that.
            None if *status == 503 => {}
            None if *status == 500 => found.unvouched.push(id.clone()),
            None => found.lost.push(id.clone()),
            Some(row) => {
                let said = (row.outcome.as_str(), row.reason.as_str());
                let is_true = match status {
                    200..300 => said == ("success", ""),
                    503 => said == ("failure", "not_attempted"),
                    _ => true,
                };
                if !is_true {
                    found.unfinished.push(format!("{id}: {status}, {said:?}"));
                }
            }
        }
    }
    let unanswered = notes.sent.iter().filter(|id| !notes.seen.contains_key(*id));
    found.unanswered = unanswered.filter(|id| !of.contains_key(id.as_str())).cloned().collect();
    for (writer, mut numbers) in streams {
        numbers.sort_unstable();
        if !numbers.iter().copied().eq(1..=numbers.len() as i64) {
            let at = numbers.iter().zip(1..).find(|(number, expected)| **number != *expected);
            found.broken.push(format!("{writer:016x} of {} at {at:?}", numbers.len()));
        }
    }
    found
}

impl Found {
    fn add_gap(&mut self, row: &Stored) {
        let facts = row.facts();
        let Some(count) = facts["count"].as_u64() else {
            self.unclean += 1;
            return;
        };
        self.gaps += count;
        for (category, count) in facts["by_category"].as_object().into_iter().flatten() {
            *self.gaps_of.entry(category.clone()).or_default() += count.as_u64().unwrap();
        }
    }

    /// Asserts what holds whatever happened: nothing twice, nothing made up, no number missing.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let Self { duplicated, made_up, broken, unfinished, .. } = self;
        assert!(duplicated.is_empty(), "stored twice: {duplicated:?}");
        assert!(made_up.is_empty(), "never sent: {made_up:?}");
        assert!(broken.is_empty(), "numbers are missing, or there twice: {broken:?}");
        assert!(unfinished.is_empty(), "answered, and not recorded as that: {unfinished:?}");
    }

    /// Asserts in addition that each request that was answered has its record.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        self.assert_sound();
        assert!(self.lost.is_empty(), "lost {}: {:?}", self.lost.len(), self.lost);
        assert!(self.unvouched.is_empty(), "carried out, and nowhere: {:?}", self.unvouched);
    }

    /// Returns the line of the table.
    pub(crate) fn row(&self, fault: &'static str, runs: usize, notes: &Notes) -> crate::table::Row {
        crate::table::Row {
            fault,
            runs: runs as u64,
            sent: notes.sent.len() as u64,
            stored: self.stored,
            lost: (self.lost.len() as u64).saturating_sub(self.gaps),
            duplicated: self.duplicated.len() as u64,
            gaps: self.gaps,
        }
    }
}

/// Asserts that a report adds up.
#[track_caller]
pub(crate) fn assert_adds_up(report: &serde_json::Value) {
    let of = |name: &str| report[name].as_u64().unwrap();
    let gone = of("stored") + of("spooled") + of("queued") + of("dropped");
    assert_eq!(of("received"), gone, "{report}");
}

/// What the other tests rely on: each kind of lie is seen.
#[test]
fn the_oracle_sees_what_is_lost_doubled_made_up_and_told_wrong() {
    let row = |id: &str, seq, outcome: &str, reason: &str| Stored {
        request_id: id.to_owned(),
        writer_id: 1,
        seq,
        action: "create".to_owned(),
        category: "activity".to_owned(),
        outcome: outcome.to_owned(),
        reason: reason.to_owned(),
        status: None,
        metadata: String::new(),
    };
    let said =
        [("fine", 200), ("wrong", 200), ("lost", 404), ("gone", 500), ("no", 503), ("no!", 503)];
    let notes = Notes {
        sent: said.iter().map(|(id, _)| (*id).to_owned()).collect(),
        seen: said.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect(),
        ..Notes::default()
    };
    let found = compare(
        &notes,
        &[
            row("fine", 1, "success", ""),
            row("fine", 2, "success", ""),
            row("wrong", 3, "aborted", "process_ended"),
            row("other", 4, "success", ""),
            // Answered with 503, which says that it was not attempted.
            row("no!", 6, "success", ""),
        ],
    );
    assert_eq!((found.stored, &found.lost[..]), (4, &["lost".to_owned()][..]));
    assert_eq!(
        (&found.duplicated[..], &found.made_up[..]),
        (&["fine".to_owned()][..], &["other".to_owned()][..],)
    );
    assert_eq!(found.unvouched, ["gone"]);
    let mut unfinished = found.unfinished;
    unfinished.sort_unstable();
    assert!(
        unfinished.len() == 2
            && unfinished[0].starts_with("no!")
            && unfinished[1].starts_with("wrong")
    );
    assert_eq!(found.broken.len(), 1, "number 5 is missing");
    let refused = [row("no", 1, "failure", "not_attempted"), row("fine", 2, "success", "")];
    assert!(compare(&notes, &refused).unfinished.is_empty(), "that is what it says then");
}

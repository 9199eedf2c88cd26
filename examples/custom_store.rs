//! cargo run --example custom_store
//!
//! A store of one's own: here a file of JSON Lines that nobody rewrites.

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Write as _},
    path::PathBuf,
    time::Duration,
};

use tower_activity::{
    Pipeline,
    ledger::{Entry, new_entries},
    record::{Actor, Canonical, Record, WriterId},
    store::{Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
    time::{Clock as _, SystemClock},
};

/// A file with one record per line.
struct LinesStore(PathBuf);

/// The file, open for one writer.
struct LinesAppender {
    file: File,
    path: PathBuf,
    position: i64,
}

impl Append for LinesStore {
    type Appender = LinesAppender;

    async fn connect(&self) -> Result<LinesAppender, StoreError> {
        let file = OpenOptions::new().create(true).append(true).open(&self.0).map_err(failed)?;
        // A line that was torn when the machine stopped would spoil the one after it.
        let written = fs::read(&self.0).map_err(failed)?;
        let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).map_err(failed)?;
        Ok(LinesAppender { file, path: self.0.clone(), position: 0 })
    }
}

impl Appender for LinesAppender {
    /// How far a stream has come is read from the file: it alone knows what was written.
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        let mut last = 0;
        for line in BufReader::new(File::open(&self.path).map_err(failed)?).lines() {
            let record: serde_json::Value =
                serde_json::from_str(&line.map_err(failed)?).unwrap_or_default();
            if record["writer_id"] == writer_id.to_string() {
                last = record["seq"].as_i64().unwrap_or(last);
            }
        }
        Ok(last)
    }

    /// Never twice: a batch that does not follow on what is there is refused. Of one that failed half-way
    /// the writer sends the rest: it asks a new connection how far the stream has come.
    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let last_seq = self.position(batch.writer_id()).await?;
        if batch.first_seq() != last_seq + 1 {
            return Err(StoreError::new(
                StoreErrorKind::Position { last_seq },
                "append to the file",
            ));
        }
        let mut lines = Vec::new();
        for record in batch.records() {
            serde_json::to_writer(&mut lines, &record).map_err(io::Error::from).map_err(failed)?;
            lines.push(b'\n');
        }
        self.file.write_all(&lines).and_then(|()| self.file.sync_data()).map_err(failed)?;
        let committed_at = SystemClock::default().now();
        let entries = new_entries(batch.records(), &mut Canonical::new()).into_iter().map(|new| {
            self.position += 1;
            Entry { position: self.position, epoch: 1, new, committed_at }
        });
        Ok(Appended { entries: entries.collect() })
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Transient, "write the file").with_source(error)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path =
        std::env::args().nth(1).map_or_else(|| PathBuf::from("activity.jsonl"), PathBuf::from);
    let pipeline = Pipeline::builder(LinesStore(path.clone())).start().await?;
    pipeline.recorder().record(Record::by(Actor::user("ana")).cancelled("order", "55"));
    println!("{}", pipeline.shutdown(Duration::from_secs(5)).await);
    println!("{} has {} lines", path.display(), BufReader::new(File::open(&path)?).lines().count());
    Ok(())
}

//! A store that is a file.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use tokio::sync::watch;
use tower_activity::{
    Record,
    record::WriterId,
    store::{Append, Appended, Appender, Batch, StoreError, StoreErrorKind},
};

/// A store that is a file of lines: stream, number, thing, count of a gap. It writes with `write`,
/// which no fault here is about.
#[derive(Clone)]
pub(super) struct Journal {
    path: PathBuf,
    /// Says that there is something new.
    wrote: watch::Sender<()>,
}

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) stream: i64,
    pub(super) seq: i64,
    pub(super) thing: String,
    pub(super) missing: u64,
}

impl Journal {
    /// Without a path it is away.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), wrote: watch::Sender::new(()) }
    }

    /// Tells of each batch that this process writes.
    pub(super) fn wrote(&self) -> watch::Receiver<()> {
        self.wrote.subscribe()
    }

    pub(super) fn lines(&self) -> io::Result<Vec<Line>> {
        let text = fs::read_to_string(&self.path)?;
        let lines = text.lines().map(|line| {
            let mut words = line.split('\t');
            let mut word = || words.next().unwrap().to_owned();
            Line {
                stream: word().parse().unwrap(),
                seq: word().parse().unwrap(),
                thing: word(),
                missing: word().parse().unwrap(),
            }
        });
        Ok(lines.collect())
    }
}

/// The calls that fail are also those of this store.
fn failed(error: io::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Transient, "use the journal").with_source(error)
}

impl Append for Journal {
    type Appender = Self;

    async fn connect(&self) -> Result<Self, StoreError> {
        if self.path.as_os_str().is_empty() {
            return Err(StoreError::new(StoreErrorKind::Transient, "connect: it is away"));
        }
        Ok(self.clone())
    }
}

impl Appender for Journal {
    async fn position(&mut self, writer_id: WriterId) -> Result<i64, StoreError> {
        let lines = self.lines().map_err(failed)?;
        let of = lines.iter().filter(|line| line.stream == writer_id.get());
        Ok(of.map(|line| line.seq).max().unwrap_or(0))
    }

    async fn append(&mut self, batch: Batch<'_>) -> Result<Appended, StoreError> {
        let position = self.position(batch.writer_id()).await?;
        assert_eq!(batch.first_seq(), position + 1, "a hole or a double in the stream");
        let mut text = String::new();
        for record in batch.records() {
            let Record { writer_id, seq, action, entity_id, metadata, .. } = &**record;
            let missing = if action == "gap" {
                // One that cannot say how many explains none here.
                serde_json::from_str::<serde_json::Value>(metadata.as_str()).unwrap()["count"]
                    .as_u64()
                    .unwrap_or(0)
            } else {
                0
            };
            let (stream, thing) = (writer_id.get(), entity_id.as_str());
            text += &format!("{stream}\t{seq}\t{thing}\t{missing}\n");
        }
        let mut file = fs::OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
        // In one write: a process that is killed has written it, or has not.
        file.write_all(text.as_bytes()).map_err(failed)?;
        self.wrote.send_replace(());
        Ok(Appended { entries: Vec::new() })
    }
}

//! `-- --demo`: fills an empty store with a month of history, as a writer of its own.

mod people;
mod story;

use tower_activity::{
    privacy::Keys,
    record::{Group, Record, Seal, WriterId},
    store::{Appender as _, Batch},
    time::{Clock as _, SystemClock, Timestamp},
};

use crate::settings::{Settings, Store, Trouble};
use story::Story;

/// Records that are appended in one transaction.
const BATCH: usize = 500;

/// Writes the history up to this moment, if `--demo` asks for it, and returns the number of records that the
/// store then holds.
///
/// A store that holds records is refused: nobody can tell an invented month from a real one afterwards.
pub(crate) async fn fill_if_asked<S: Store>(
    settings: &Settings,
    store: &S,
    keys: &Keys,
) -> Result<i64, Trouble> {
    let rows = store.storage().await?.rows;
    if !settings.demo {
        return Ok(rows);
    }
    if rows > 0 {
        return Err(Trouble(format!(
            "the store holds {rows} records: --demo fills an empty one only, so leave it out, or name \
             another store with ACTIVITY_STORE"
        )));
    }
    let mut records = Story::new(SystemClock::default().now(), keys).tell();
    let writer_id = WriterId::new(rand::random());
    let mut appender = store.connect().await?;
    let mut seq = 0;
    for batch in records.chunks_mut(BATCH) {
        // Records of one leaf, a month and a retention class, stand together.
        batch.sort_by_key(|record| {
            (record.occurred_at.month(), record.retention_class.to_string(), record.occurred_at)
        });
        let closed = batch.iter().map(|record| record.occurred_at).max().unwrap_or_default();
        for record in &mut *batch {
            seq += 1;
            (record.writer_id, record.seq, record.recorded_at) = (writer_id, seq, closed);
            seal(record);
        }
        // A chunk is never empty, and its numbers follow one another.
        let batch =
            Batch::new(batch).ok_or_else(|| Trouble("the history is not in order".to_owned()))?;
        appender.append(batch).await?;
    }
    Ok(seq)
}

/// Gives each group of personal fields the salt under which it can be erased later.
fn seal(record: &mut Record) {
    for group in Group::ERASABLE {
        let mut fields = Record::FIELDS.iter().filter(|field| field.group() == group);
        if fields.any(|field| !field.value(record).is_null()) {
            record.seals.set(group, Seal::Salted(rand::random()));
        }
    }
}

/// The story's dice: SplitMix64 from a fixed seed, so that everybody sees the same month.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(of.len() as u64);
        &of[usize::try_from(index).unwrap_or(0)]
    }
}

/// Returns the moment `seconds` after `at`.
fn later(at: Timestamp, seconds: u64) -> Timestamp {
    at.saturating_add(std::time::Duration::from_secs(seconds))
}

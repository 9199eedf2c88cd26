//! Entries: what each append leaves in the ledger.

use std::io::Write as _;

#[cfg(feature = "sqlite")]
use super::folded::fold;
use super::tree::{Hash, leaf_hash, root};
use crate::{
    record::{Canonical, Record, WriterId, push_hex, push_string, unhex},
    time::{Month, Timestamp},
};

/// An entry that an append brings along; the store adds position, epoch and time of commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The stream.
    pub writer_id: WriterId,
    /// Number of the first record.
    pub first_seq: i64,
    /// Number of the last record.
    pub last_seq: i64,
    /// The month that the records lie in.
    pub month: Month,
    /// Their retention class.
    pub class: String,
    /// The earliest `occurred_at`.
    pub first_at: Timestamp,
    /// The latest `occurred_at`.
    pub last_at: Timestamp,
    /// RFC 6962 root over the canonical bytes of the records, in the order of their numbers.
    pub batch_root: Hash,
}

impl NewEntry {
    /// Makes the entry of a run whose records hash to `leaves`, in the order of their numbers; `None`
    /// when the run is empty. `leaves` is left in no useful state.
    pub fn of_run<R: AsRef<Record>>(run: &[R], leaves: &mut [Hash]) -> Option<Self> {
        let (first, last) = (run.first()?.as_ref(), run.last()?.as_ref());
        let times = || run.iter().map(|record| record.as_ref().occurred_at);
        Some(Self {
            writer_id: first.writer_id,
            first_seq: first.seq,
            last_seq: last.seq,
            month: first.occurred_at.month(),
            class: first.retention_class.as_str().to_owned(),
            first_at: times().min()?,
            last_at: times().max()?,
            batch_root: root(leaves),
        })
    }

    /// Returns the number of records.
    #[must_use]
    pub const fn count(&self) -> i64 {
        self.last_seq.saturating_sub(self.first_seq).saturating_add(1)
    }

    /// Returns the index of a record among those of the entry; `None` when it lies before them, or no entry has such numbers.
    pub(crate) fn index_of(&self, seq: i64) -> Option<u64> {
        seq.checked_sub(self.first_seq).and_then(|index| u64::try_from(index).ok())
    }
}

/// An entry of the ledger as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Place in the ledger, from 1 on without a gap, in the order of the commits.
    pub position: i64,
    /// Counts how often the store was found behind what had been seen of it; 1 at first.
    pub epoch: i64,
    /// What the append brought.
    pub new: NewEntry,
    /// The database's clock at the commit; later than that of the position before.
    pub committed_at: Timestamp,
}

impl Entry {
    /// Returns the index of its leaf in the ledger's tree; `None` when no entry has such a position.
    pub(crate) fn index(&self) -> Option<u64> {
        self.position.checked_sub(1).and_then(|index| u64::try_from(index).ok())
    }

    /// Returns the canonical bytes, of which the ledger's leaf hash is made.
    ///
    /// A flat JSON object by the rules of [`Canonical`]: moments in microseconds, hashes in hex, and
    /// `writer_id` as a string.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let NewEntry {
            writer_id,
            first_seq,
            last_seq,
            month,
            class,
            first_at,
            last_at,
            batch_root,
        } = &self.new;
        let mut out = b"{\"batch_root\":\"".to_vec();
        push_hex(&mut out, batch_root);
        out.extend_from_slice(b"\",\"class\":");
        push_string(&mut out, class);
        // Writing to memory cannot fail.
        let _infallible = write!(
            out,
            ",\"committed_at\":{},\"count\":{},\"epoch\":{},\"first_at\":{},\
             \"first_seq\":{first_seq},\"last_at\":{},\"last_seq\":{last_seq},\"month\":\"{month}\",\
             \"position\":{},\"writer_id\":\"{writer_id}\"}}",
            self.committed_at.as_micros(),
            self.new.count(),
            self.epoch,
            first_at.as_micros(),
            last_at.as_micros(),
            self.position,
        );
        out
    }

    /// Tells whether the records of another entry follow those of this one in their stream.
    #[must_use]
    pub fn is_followed_by(&self, other: &Self) -> bool {
        self.new.writer_id == other.new.writer_id
            && self.new.last_seq.checked_add(1) == Some(other.new.first_seq)
    }

    /// Reads the entry whose canonical bytes these are; `None` when they are those of no entry.
    #[must_use]
    pub fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let read: Canonically = serde_json::from_slice(bytes).ok()?;
        let entry = Self {
            position: read.position,
            epoch: read.epoch,
            new: NewEntry {
                writer_id: read.writer_id.parse().ok()?,
                first_seq: read.first_seq,
                last_seq: read.last_seq,
                month: read.month.parse().ok()?,
                class: read.class,
                first_at: Timestamp::from_micros(read.first_at),
                last_at: Timestamp::from_micros(read.last_at),
                batch_root: unhex(&read.batch_root)?,
            },
            committed_at: Timestamp::from_micros(read.committed_at),
        };
        // There is one way to write each.
        (entry.canonical_bytes() == bytes).then_some(entry)
    }

    /// Returns the hash of the ledger's leaf.
    #[must_use]
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(&self.canonical_bytes())
    }
}

/// The members of the canonical object that say something of their own.
#[derive(serde::Deserialize)]
struct Canonically {
    batch_root: String,
    class: String,
    committed_at: i64,
    epoch: i64,
    first_at: i64,
    first_seq: i64,
    last_at: i64,
    last_seq: i64,
    month: String,
    position: i64,
    writer_id: String,
}

/// Cuts a batch into runs of records that lie in the same leaf (month and retention class); each run
/// gives one entry.
///
/// The writer sorts a batch by leaf before it numbers it, so that there are usually one or two.
pub fn runs<R: AsRef<Record>>(records: &[R]) -> impl Iterator<Item = &[R]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let first = rest.first()?.as_ref();
        // The bounds of the month are asked of the calendar once, not once a record.
        let month = first.occurred_at.month();
        let within = month.start()..month.next().start();
        let same = |record: &R| {
            let record = record.as_ref();
            within.contains(&record.occurred_at) && record.retention_class == first.retention_class
        };
        let length = rest.iter().position(|record| !same(record)).unwrap_or(rest.len()).max(1);
        let (run, later) = rest.split_at(length);
        rest = later;
        Some(run)
    })
}

/// Makes the entries of a batch whose records are numbered without a gap: one per run.
pub fn new_entries<R: AsRef<Record>>(records: &[R], encoder: &mut Canonical) -> Vec<NewEntry> {
    let mut leaves = Vec::with_capacity(records.len());
    let entry = |run: &[R]| {
        leaves.clear();
        leaves.extend(run.iter().map(|record| leaf_hash(encoder.encode(record.as_ref()))));
        NewEntry::of_run(run, &mut leaves)
    };
    runs(records).filter_map(entry).collect()
}

/// The largest entry that SQLite is given: its records are taken out [in one go](crate::store::Retain::end_unit), for which
/// whoever appends waits.
#[cfg(feature = "sqlite")]
const LARGEST: usize = 512;

/// An entry, and the roots of every 64 of its records.
#[cfg(feature = "sqlite")]
pub(crate) type FoldedEntry = (NewEntry, Vec<Hash>);

/// Makes entries as [`new_entries`] does, of at most 512 records each, by the leaf hash of each record; without any, for a
/// measurement, their roots are those of no records.
#[cfg(feature = "sqlite")]
pub(crate) fn folded_entries<R: AsRef<Record>>(
    records: &[R],
    mut leaf: impl FnMut(&Record) -> Option<Hash>,
) -> Vec<FoldedEntry> {
    let entry = |run: &[R]| {
        let mut folded = run.iter().filter_map(|record| leaf(record.as_ref())).collect();
        fold(&mut folded);
        Some((NewEntry::of_run(run, &mut folded.clone())?, folded))
    };
    runs(records).flat_map(|run| run.chunks(LARGEST)).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: i64, at: &str, class: &str) -> Box<Record> {
        let mut record = Record { seq, occurred_at: at.parse().unwrap(), ..Record::default() };
        record.retention_class.set(class);
        Box::new(record)
    }

    #[test]
    fn an_entry_never_spans_leaves() {
        let records = [
            record(1, "2026-01-31T23:59:59Z", "activity"),
            record(2, "2026-01-01T00:00:00Z", "activity"),
            record(3, "2026-02-01T00:00:00Z", "activity"),
            record(4, "2026-02-01T00:00:00Z", "authentication"),
        ];
        let entries = new_entries(&records, &mut Canonical::new());
        let ranges: Vec<_> =
            entries.iter().map(|e| (e.first_seq, e.last_seq, e.month.to_string())).collect();
        assert_eq!(
            ranges,
            [
                (1, 2, "2026-01".to_owned()),
                (3, 3, "2026-02".to_owned()),
                (4, 4, "2026-02".to_owned())
            ]
        );
        assert!(entries[0].first_at < entries[0].last_at);
    }

    #[test]
    fn the_canonical_bytes_of_an_entry_are_sorted_json() {
        let new = new_entries(&[record(1, "2026-01-31T23:59:59Z", "a\"b")], &mut Canonical::new())
            .remove(0);
        let entry = Entry { position: 9, epoch: 1, new, committed_at: Timestamp::from_micros(5) };
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&entry.canonical_bytes()).unwrap();
        assert!(object.keys().is_sorted());
        assert_eq!(object["class"], "a\"b");
        assert_eq!(object["month"], "2026-01");
    }

    #[test]
    fn an_entry_is_read_from_its_canonical_bytes_and_from_no_others() {
        let record = record(1, "2026-01-31T23:59:59Z", "a\"\u{1}ü");
        let new = new_entries(&[record], &mut Canonical::new()).remove(0);
        let entry = Entry { position: 9, epoch: 2, new, committed_at: Timestamp::from_micros(-5) };
        let bytes = entry.canonical_bytes();
        assert_eq!(Entry::from_canonical(&bytes), Some(entry));
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [
            ("\"count\":1", "\"count\":2"),
            ("\"count\":1,", ""),
            ("{\"", "{ \""),
            ("\"position\":9", "\"position\":9.0"),
            ("ü", "\\u00fc"),
            ("\"epoch\":2", "\"epoch\":2,\"epoch\":2"),
            ("\"epoch\":2", "\"epoch\":2,\"epoch2\":2"),
        ] {
            let other = text.replacen(from, to, 1);
            assert_ne!(other, text);
            assert_eq!(Entry::from_canonical(other.as_bytes()), None, "{other}");
        }
    }
}

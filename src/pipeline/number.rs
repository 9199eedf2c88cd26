//! Numbering: the one point where records get their place in the stream, their class and their salts.

use rand::RngExt as _;

use super::classes::{Classes, sort_by_leaf};
use crate::{
    record::{Record, WriterId},
    time::Timestamp,
};

/// One stream: a random name, and the next number.
pub(super) struct Numbering {
    writer_id: WriterId,
    next_seq: i64,
    classes: Classes,
}

impl Numbering {
    pub(super) fn new(classes: Classes) -> Self {
        Self { writer_id: random_id(), next_seq: 1, classes }
    }

    pub(super) const fn writer_id(&self) -> WriterId {
        self.writer_id
    }

    pub(super) const fn next_seq(&self) -> i64 {
        self.next_seq
    }

    /// Gives each record of a closed batch its class, and puts records of one leaf together: an entry of the
    /// ledger never spans leaves, so this keeps the entries few.
    pub(super) fn arrange(&self, batch: &mut [Box<Record>]) {
        for record in batch.iter_mut() {
            self.classes.classify(record);
        }
        sort_by_leaf(batch);
    }

    /// Numbers and seals the next records of an arranged batch.
    pub(super) fn number(&mut self, records: &mut [Box<Record>], now: Timestamp) {
        let mut rng = rand::rng();
        for record in records {
            record.recorded_at = now;
            record.writer_id = self.writer_id;
            record.seq = self.next_seq;
            self.next_seq += 1;
            let mut salts = [[0; 16]; 4];
            rng.fill(salts.as_flattened_mut());
            record.seal(salts);
        }
    }

    /// Begins another stream with what is left of a batch, after the store was found behind.
    pub(super) fn begin_anew(&mut self, batch: &mut [Box<Record>]) {
        self.writer_id = random_id();
        self.next_seq = 1;
        for record in batch {
            record.writer_id = self.writer_id;
            record.seq = self.next_seq;
            self.next_seq += 1;
        }
    }
}

/// Gives each group that holds something a salt, where that does not happen with the number.
pub(super) fn seal(record: &mut Record) {
    let mut salts = [[0; 16]; 4];
    rand::rng().fill(salts.as_flattened_mut());
    record.seal(salts);
}

pub(super) fn random_id() -> WriterId {
    WriterId::new(rand::rng().random())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::new_entries,
        record::{Canonical, Category, Group, Seal},
    };

    fn record(at: &str, category: Category, action: &str) -> Box<Record> {
        let mut record = Record { occurred_at: at.parse().unwrap(), category, ..Record::default() };
        record.action.set(action);
        Box::new(record)
    }

    #[test]
    fn a_batch_of_four_leaves_makes_four_entries_in_order_of_arrival() {
        let mut numbering = Numbering::new(Classes::default());
        let mut batch = Vec::new();
        for (n, action) in ["a", "b", "c"].into_iter().enumerate() {
            let month = format!("2026-0{}-01T00:00:00Z", n % 2 + 1);
            batch.push(record(&month, Category::Activity, action));
            batch.push(record(&month, Category::Authentication, action));
        }
        numbering.arrange(&mut batch);
        numbering.number(&mut batch, Timestamp::from_micros(5));
        assert_eq!(new_entries(&batch, &mut Canonical::new()).len(), 4);
        let order: String = batch.iter().map(|record| record.action.as_str()).collect();
        assert_eq!(order, "acacbb");
        let seqs: Vec<_> = batch.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
        assert!(batch.iter().all(|record| record.recorded_at == Timestamp::from_micros(5)));
        assert_eq!(numbering.next_seq(), 7);
    }

    #[test]
    fn every_group_gets_a_salt_of_its_own() {
        let mut one = record("2026-01-01T00:00:00Z", Category::Activity, "a");
        one.actor_id.set("ana");
        one.path.set("/x");
        let mut batch = vec![one.clone(), one];
        Numbering::new(Classes::default()).number(&mut batch, Timestamp::default());
        let mut salts = Vec::new();
        for record in &batch {
            for group in [Group::Identity, Group::Network] {
                let Seal::Salted(salt) = record.seals.of(group) else { panic!("no salt") };
                salts.push(salt);
            }
            assert_eq!(record.seals.of(Group::Content), Seal::Empty);
        }
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 4);
    }
}

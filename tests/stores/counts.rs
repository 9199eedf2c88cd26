//! Random counts: whatever was appended late, folded in part, erased or deleted, they are those of a plain walk
//! through the records.

use proptest::{
    prelude::Strategy, sample::Index, strategy::ValueTree as _, test_runner::TestRunner,
};
use tower_activity::{
    query::{Aggregate, Expr, Filter, Pattern, Test},
    record::{Canonical, Category, Group, Operation, Outcome, Record},
    store::Maintain as _,
    time::Timestamp,
};

use crate::{
    answers::{counted_as_asked, field},
    questions::runner,
    records::{NOON, erased, id, salts, stream},
    suite::{Fixture, PATIENCE, append},
};

/// A store whose rows can be taken from it, as privacy and retention do.
pub(crate) trait Mutable: Fixture {
    /// Erases who it was from a record.
    fn erase(&self, record: &Record, commitment: &[u8; 32]) -> impl Future<Output = ()> + Send;

    /// Deletes records; false where that is not done row by row.
    fn delete(&self, records: &[Box<Record>]) -> impl Future<Output = bool> + Send;
}

/// Returns the statement that erases who it was from a record.
pub(crate) fn erasing(table: &str, commitment: &str, record: &Record) -> String {
    let fields = Record::FIELDS.iter().filter(|field| field.group() == Group::Identity);
    let fields: String = fields.map(|field| format!("{} = NULL, ", field.name())).collect();
    format!(
        "UPDATE {table} SET {fields}identity_salt = NULL, identity_commitment = {commitment} \
         WHERE writer_id = {} AND seq = {}",
        record.writer_id, record.seq
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Dice(TestRunner);

impl Dice {
    fn draw<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.0).expect("a strategy without filters").current()
    }

    fn below(&mut self, below: usize) -> usize {
        self.draw(0..below)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draw(proptest::prelude::any::<Index>()).index(of.len())]
    }

    /// A moment in half a year before noon and after, often where a bucket begins.
    fn moment(&mut self) -> Timestamp {
        let unit = self.pick(&[1_i64, 1_000_000, 3_600_000_000, 86_400_000_000]);
        let beyond = self.pick(&[-1_i64, 0, 0, 1]);
        let days = self.draw(-180_i64..180);
        let within = self.draw(0..86_400_000_000_i64);
        let at = NOON + days * 86_400_000_000 + within;
        let at = Timestamp::from_micros(at - at.rem_euclid(unit) + beyond);
        if self.below(4) == 0 { at.month().start() } else { at }
    }

    fn batch(&mut self, writer_id: i64, first: i64) -> Vec<Box<Record>> {
        let count = 1 + self.below(50) as i64;
        let mut records = stream(writer_id, first..first + count);
        for record in &mut records {
            record.occurred_at = self.moment();
            record.id = id(record.occurred_at, writer_id, record.seq);
            record.tenant_id.set(self.pick(&["acme", "globex", ""][..]));
            record.actor_id.set(self.pick(&["ana", "Ana", "bob", "o'hara", ""][..]));
            record.entity_type.set(self.pick(&["order", "Order", "user", ""][..]));
            record
                .action
                .set(self.pick(&["create", "CREATE", "cancel", "log_in", "loginx", ""][..]));
            record.outcome = self.pick(&Outcome::ALL);
            record.category = self.pick(&Category::ALL);
            record.operation = self.pick(&Operation::ALL);
            record.seal(salts(record.seq));
        }
        records
    }

    fn filter(&mut self) -> Filter {
        let mut filter = Filter::new();
        for _ in 0..self.below(4) {
            filter = filter.and(self.condition(2));
        }
        if self.below(2) == 0 {
            filter = filter.from(self.moment());
        }
        if self.below(2) == 0 {
            filter = filter.to(self.moment());
        }
        filter
    }

    fn condition(&mut self, depth: usize) -> Expr {
        if depth > 0 {
            let two = [self.condition(depth - 1), self.condition(depth - 1)];
            match self.below(6) {
                0 => return Expr::Any(two.into()),
                1 => return Expr::All(two.into()),
                2 => return Expr::Not(Box::new(two[0].clone())),
                _ => {}
            }
        }
        let name = self.pick(&[
            "tenant_id",
            "tenant_id",
            "actor_id",
            "actor_id",
            "action",
            "entity_type",
            "outcome",
            "category",
            "operation",
            "entity_id",
        ]);
        let value = |dice: &mut Self| {
            let values = [
                "acme", "globex", "ana", "bob", "order", "user", "create", "cancel", "success",
                "denied", "activity", "system", "read", "3", "", "none",
            ];
            dice.pick(&values).to_owned()
        };
        let few = 1 + self.below(3);
        match self.below(6) {
            0 => Expr::Test(Test::Present(field(name))),
            1 => {
                let shapes: [&[&str]; 5] =
                    [&["a", ""], &["", "e"], &["log_", ""], &["", ""], &["o", "r"]];
                let pieces = self.pick(&shapes);
                Expr::Test(Test::Like(field(name), Pattern::new(pieces.iter().copied())))
            }
            _ => {
                // One of the few that hold, as a rule.
                let values: Vec<_> = (0..few * 3).map(|_| value(self)).collect();
                Expr::Test(Test::OneOf(field(name), values))
            }
        }
    }

    fn ask(&mut self) -> Aggregate {
        let names = [
            "action",
            "actor_id",
            "entity_type",
            "outcome",
            "category",
            "tenant_id",
            "entity_id",
            "operation",
        ];
        let dimensions = names.into_iter().filter(|_| self.below(3) == 0).map(field).collect();
        let mut edges: Vec<_> = (0..self.below(6)).map(|_| self.moment()).collect();
        edges.sort_unstable();
        edges.dedup();
        Aggregate { dimensions, top: 7, edges, patience: PATIENCE }
    }
}

pub(crate) async fn random_counts_are_those_of_memory<F: Mutable>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    let mut dice = Dice(runner(77));
    let mut records: Vec<Box<Record>> = Vec::new();
    let mut next = [1, 1];
    for _ in 0..40 {
        match dice.below(6) {
            0 | 1 => {
                let writer = dice.below(2);
                let batch = dice.batch(writer as i64 + 3, next[writer]);
                next[writer] += batch.len() as i64;
                append(&store, &batch).await.unwrap();
                records.extend(batch);
            }
            2 => drop(store.fold(1 + dice.below(40)).await.unwrap()),
            3 => drop(store.fold(10_000).await.unwrap()),
            4 if !records.is_empty() => {
                for _ in 0..4 {
                    let at = dice.below(records.len());
                    let record = &records[at];
                    let Some(commitment) = Canonical::new().commitment(record, Group::Identity)
                    else {
                        continue;
                    };
                    if record.actor_id.is_absent() {
                        continue;
                    }
                    fixture.erase(record, &commitment).await;
                    *records[at] = erased(record, Group::Identity);
                }
            }
            _ if records.len() > 20 => {
                // Now and then the last ones, whose places in the file are given again.
                let count = 1 + dice.below(10);
                let from = if dice.below(2) == 0 { records.len() - count } else { dice.below(10) };
                let gone: Vec<_> = records[from..from + count].to_vec();
                if fixture.delete(&gone).await {
                    records.drain(from..from + count);
                }
            }
            _ => {}
        }
        for _ in 0..4 {
            let (filter, ask) = (dice.filter(), dice.ask());
            counted_as_asked(&store, &records, &filter, &ask).await;
        }
    }
    assert!(records.len() > 100);
}

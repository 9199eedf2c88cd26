//! Who waits for the commit of a record is told once, whatever the writer does meanwhile.

use std::sync::Arc;

use shuttle::thread;
use tokio::sync::mpsc::unbounded_channel;

use super::{
    queue::{Lane, Queue},
    receipts::{Fate, Receipts},
};
use crate::{
    record::{Record, RecordId},
    tried,
};

#[test]
fn a_fate_is_told_once_and_never_forgotten() {
    tried(1_000, 100_000, || {
        let (receipts, queue) =
            (Arc::new(Receipts::default()), Arc::new(Queue::new(4, 1 << 10, 9)));
        let (fates, mut heard) = unbounded_channel();
        let senders: Vec<_> = (0..2)
            .map(|n: u8| {
                let (receipts, queue, fates) =
                    (Arc::clone(&receipts), Arc::clone(&queue), fates.clone());
                thread::spawn(move || {
                    let id = RecordId::from_bytes([n; 16]);
                    // Before the push, as the intake does.
                    assert!(receipts.expect(id, usize::from(n), &fates));
                    assert!(!receipts.expect(id, usize::from(n), &fates), "expected already");
                    let mut record = Box::<Record>::default();
                    record.id = id;
                    queue.push(Lane::General, record, 1).unwrap();
                })
            })
            .collect();
        drop(fates);
        let writer = {
            let (receipts, queue) = (Arc::clone(&receipts), Arc::clone(&queue));
            thread::spawn(move || {
                let mut taken = 0;
                while taken < 2 {
                    while let Some((_, queued)) = queue.pop() {
                        taken += 1;
                        receipts.tell([&*queued.record], Fate::Stored);
                    }
                    thread::yield_now();
                }
            })
        };
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        writer.join().unwrap();
        let mut told: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
        told.sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(told, [(0, Fate::Stored), (1, Fate::Stored)]);
    });
}

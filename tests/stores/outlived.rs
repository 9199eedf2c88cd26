//! Months go, one after the other, and whoever holds a proof of one of their records still holds one. (Fault 49;
//! `FAULTS=full` draws sixty logs.)

use std::time::Duration;

use tower_activity::{
    Pipeline,
    ledger::{
        Hash, Note, NoteSigner, Trust, inclusion_proof, leaf_hash, origin_of, root,
        root_by_inclusion, verify::Verdict,
    },
    record::{Category, Record},
    rules::{Keep, RetentionPolicy},
    store::{Audit, Evidence as _, Read as _, RecordProof, make_checkpoint, prove},
    time::{ManualClock, Timestamp},
};

use crate::{
    chance::Chance,
    retention::old,
    suite::{PATIENCE, all, append},
    table::{Row, times},
    tampering::Owned,
};

const SEED: [u8; 32] = [9; 32];
/// Records of months that end by the first run, by the second, and by none.
const DAYS: [&str; 6] =
    ["2025-02-10", "2025-12-24", "2026-01-10", "2026-03-03", "2026-09-09", "2026-11-20"];
const CLASSES: [&str; 3] = ["authentication", "activity", "consent"];

/// A log with proofs of all that is in it, each under the head of its time.
struct Log<F: Owned> {
    store: F::Store,
    trust: Trust,
    proofs: Vec<(Record, RecordProof)>,
    /// The heads that were taken elsewhere.
    notes: Vec<String>,
    at: Timestamp,
}

impl<F: Owned> Log<F> {
    /// Appends batches that lie in several months and classes, signs a head, and proves what is new.
    async fn grow(&mut self, chance: &mut Chance, next: &mut [i64; 3]) {
        for _ in 0..1 + chance.below(3) {
            let stream = chance.below(3);
            let mut batch = Vec::new();
            for _ in 0..1 + chance.below(3) {
                let (day, class) = (DAYS[chance.below(6)], CLASSES[chance.below(3)]);
                // Now and then more than the roots of every 64 are kept of.
                let count = if chance.below(12) == 0 { 130 } else { 1 + chance.below(6) };
                for _ in 0..count {
                    batch.push(old(stream as i64 + 1, next[stream], day, class));
                    next[stream] += 1;
                }
            }
            append(&self.store, &batch).await.unwrap();
        }
        self.sign().await;
        for record in all(&self.store).await {
            // Of a large entry, some are enough.
            let known = self.proofs.iter().any(|(known, _)| known.id == record.id);
            if known || (record.seq % 9 != 0 && self.proofs.len() > 40) {
                continue;
            }
            let proof = prove(&self.store, &record).await.unwrap().unwrap();
            self.proofs.push((record, proof));
        }
    }

    async fn sign(&mut self) {
        self.at = self.at.saturating_add(Duration::from_secs(1));
        let head = make_checkpoint(&self.store, &[SEED], self.at).await.unwrap().unwrap();
        self.notes.push(head.note);
    }

    /// Runs the retention as of a moment; returns how many records went.
    async fn retain(&mut self, now: &str) -> i64 {
        let policy = RetentionPolicy::default().keep(Category::Consent, Keep::Days(700)).unwrap();
        let clock = ManualClock::at(now.parse().unwrap());
        let builder = Pipeline::builder(self.store.clone()).clock(clock);
        let pipeline = builder.retention_policy(policy).start().await.unwrap();
        let run = tokio::time::timeout(PATIENCE, pipeline.run_retention(|_| {})).await;
        pipeline.shutdown(PATIENCE).await;
        run.expect("it ends").unwrap().ended.iter().map(|ended| ended.removal.records).sum()
    }

    /// Holds every proof to its own head, to the ledger as it is now, and to its newest head; returns how many are of
    /// records that are gone.
    async fn all_hold(&self) -> u64 {
        let entries = self.store.entries(0, 100_000).await.unwrap();
        let leaves: Vec<Hash> = entries.iter().map(|entry| entry.leaf_hash()).collect();
        let head = |note: &str| self.trust.head(&note.parse::<Note>().unwrap()).unwrap();
        let newest = head(self.notes.last().unwrap());
        let mut gone = 0;
        for (record, proof) in &self.proofs {
            gone += u64::from(self.store.record(record.id).await.unwrap().is_none());
            let new = &proof.entry.new;
            let count = new.count().unsigned_abs();
            let leaf = leaf_hash(&proof.record);
            let entry = root_by_inclusion(&leaf, proof.record_index, count, &proof.record_path);
            assert_eq!(entry, Some(new.batch_root), "{record:?}");
            let (index, leaf) = (proof.entry.position.unsigned_abs() - 1, proof.entry.leaf_hash());
            let then = head(&proof.checkpoint.note);
            let under = root_by_inclusion(&leaf, index, then.size, &proof.entry_path);
            assert_eq!(under, Some(then.root), "{record:?}");
            // The entry is where it was, and so is all that the head of then covers.
            let there = self.store.entry_of(record.writer_id, record.seq).await.unwrap();
            assert_eq!(there.as_ref(), Some(&proof.entry));
            let size = usize::try_from(then.size).unwrap();
            assert_eq!(root(&mut leaves[..size].to_vec()), then.root);
            let size = usize::try_from(newest.size).unwrap();
            let path = inclusion_proof(&leaves[..size], index).unwrap();
            assert_eq!(root_by_inclusion(&leaf, index, newest.size, &path), Some(newest.root));
        }
        gone
    }

    /// The log without what went is unaltered, under every head that it ever had.
    async fn is_sound(&self, expired: i64) {
        let audit = Audit::new(&self.store).trust(self.trust.clone());
        let report = audit.anchored(self.notes.clone()).run(|_progress| {}).await.unwrap();
        assert_eq!(report.verdict(), Verdict::Unaltered, "{report:#?}");
        assert_eq!(report.expired, expired.unsigned_abs());
    }
}

pub(crate) async fn a_proof_of_what_was_taken_out_holds_whatever_goes<F: Owned>() {
    let mut chance = Chance::new("49 months");
    let (mut runs, mut gone) = (0, 0);
    for _ in 0..times(2, 60) {
        let fixture = F::new().await;
        let store = fixture.open().await;
        append(&store, &[old(1, 1, DAYS[0], CLASSES[0])]).await.unwrap();
        let origin = origin_of(&store.entries(0, 1).await.unwrap()[0]);
        let trust = Trust::in_key(NoteSigner::new(&origin, &SEED).unwrap().key().clone());
        let at = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut log = Log::<F> { store, trust, proofs: Vec::new(), notes: Vec::new(), at };
        let (mut next, mut expired) = ([2, 1, 1], 0);
        for now in ["2026-11-22T12:00:00Z", "2027-03-01T00:00:00Z", "2028-01-01T00:00:00Z"] {
            log.grow(&mut chance, &mut next).await;
            expired += log.retain(now).await;
            log.sign().await;
            gone += log.all_hold().await;
            log.is_sound(expired).await;
            runs += 1;
        }
    }
    assert!(gone > 0, "nothing went");
    let fault = "49 proofs of records that were taken out";
    Row { fault, runs, sent: gone, stored: gone, ..Row::default() }.report_of(F::NAME);
}

/// A run of the retention while a log is verified: what it takes out, it has told of, and nothing was altered.
pub(crate) async fn a_verification_amid_a_run_finds_nothing<F: Owned>() {
    let fixture = F::new().await;
    let store = fixture.open().await;
    // More than are read before a verification first says how far it has come.
    for first in [1, 4_101] {
        let batch: Vec<_> =
            (first..first + 4_100).map(|seq| old(1, seq, "2026-11-20", "activity")).collect();
        append(&store, &batch).await.unwrap();
    }
    let going: Vec<_> = (1..=7).map(|seq| old(2, seq, "2026-01-10", "authentication")).collect();
    let there = append(&store, &going).await.unwrap().entries[0].position;
    let mut log = Log::<F> {
        store: store.clone(),
        trust: Trust::default(),
        proofs: Vec::new(),
        notes: Vec::new(),
        at: Timestamp::default(),
    };
    let mut gone = None;
    let audit = Audit::new(&store).run(|progress| {
        if gone.is_none() {
            assert!(progress.position < there, "it has not come to them");
            let run = async { log.retain("2026-11-22T12:00:00Z").await };
            let handle = tokio::runtime::Handle::current();
            gone = Some(tokio::task::block_in_place(|| handle.block_on(run)));
        }
    });
    let report = audit.await.unwrap();
    assert_eq!(gone, Some(7));
    assert_eq!((report.verdict(), report.expired), (Verdict::Unaltered, 7), "{report:#?}");
    // What went without a word is found all the same.
    let lose = format!("DELETE FROM {} WHERE writer_id = 1 AND seq = 8200", F::RECORDS);
    fixture.force(&lose).await;
    let report = Audit::new(&store).run(|_progress| {}).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Altered);
}

//! A log, and what is known of it from what was done.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
    time::Duration,
};

use tower_activity::{
    Keys, Pipeline,
    archive::{ArchiveAudit, ArchiveReport},
    ledger::{
        Checkpoint, Entry, KeptCheckpoint, NoteSigner, Trust, origin_of,
        verify::{Report, Shortfall, State, Verdict},
    },
    pipeline::{ArchiveRequest, ErasureRequest, HoldRequest},
    record::{Actor, Category, Group, Groups, Json, Origin, Outcome, Record, Seal},
    store::{
        Append as _, Appender as _, Audit, Batch, Evidence, Read, holds, make_checkpoint, whole,
    },
    time::{Clock as _, ManualClock, Timestamp},
};

use super::{Lived, Step, shelf::Shelf};
use crate::{
    records::salts,
    retention::old,
    suite::{PATIENCE, all},
};

pub(super) const WRITERS: usize = 3;
pub(super) const PEOPLE: [&str; 3] = ["ana", "bob", "eve"];
pub(super) const TENANTS: [&str; 2] = ["acme", "globex"];
/// Months and classes: two whose time is over, three whose time is not, and one that is kept for ever.
pub(super) const KINDS: [(&str, &str); 6] = [
    ("2024-01-10", "authentication"),
    ("2023-10-05", "activity"),
    ("2024-01-10", "activity"),
    ("2024-10-10", "authentication"),
    ("2024-10-11", "activity"),
    ("2020-05-05", "consent"),
];
/// Between two steps.
const TICK: Duration = Duration::from_secs(60);

/// What a verification is to say is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Short {
    Gap { stream: i64, seq: i64, count: u64 },
    Stub { stream: i64, seq: i64 },
    UncleanEnd { stream: i64, seq: i64 },
    RolledBack { position: i64, epoch: i64, lost: u64 },
}

/// What is known of a log.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The last number of each writer.
    last: [i64; WRITERS],
    epoch: i64,
    expired: u64,
    gaps: Vec<Short>,
    /// With the month and class of each.
    stubs: Vec<(Short, usize)>,
    /// Of which writer it was told last that he ended, and with which number.
    ends: BTreeMap<usize, i64>,
    /// The rollbacks, the oldest first.
    pub(super) rolled_back: Vec<Short>,
    /// Streams and numbers of what was put into the archive.
    pub(super) shelved: BTreeSet<(i64, i64)>,
    /// Who was erased, everywhere or for one tenant.
    erased: Vec<(usize, Option<usize>)>,
    /// Streams and numbers of what there was about them by then.
    gone: BTreeSet<(i64, i64)>,
}

impl Known {
    /// Returns what is missing.
    fn short(&self) -> Vec<Short> {
        let ends = self.ends.iter().filter(|(writer, told)| {
            let last = self.last[**writer];
            last > 0 && last <= **told
        });
        let ends = ends.map(|(writer, _)| Short::UncleanEnd {
            stream: stream(*writer),
            seq: self.last[*writer],
        });
        let stubs = self.stubs.iter().map(|(stub, _)| stub.clone());
        let told = self.gaps.iter().chain(&self.rolled_back).cloned();
        let mut short: Vec<_> = told.chain(stubs).chain(ends).collect();
        short.sort();
        short
    }

    /// Of the ledger only that much is left.
    pub(super) fn is_cut(&mut self, keep: i64) {
        let is_left = |rolled_back: &Short| matches!(rolled_back, Short::RolledBack { position, .. } if *position < keep);
        self.rolled_back.retain(is_left);
    }

    /// Tells whether a rollback that the log tells of explains that a head is of another ledger.
    pub(super) fn explains(&self, head: &Checkpoint) -> bool {
        self.rolled_back.iter().any(|rolled_back| {
            let Short::RolledBack { position, epoch, .. } = rolled_back else { return false };
            head.epoch < *epoch && *position < head.size as i64
        })
    }
}

/// A key that signs heads for a time.
struct Signer {
    seed: [u8; 32],
    from: Timestamp,
    until: Option<Timestamp>,
}

pub(super) struct Log<F: Lived> {
    pub(super) fixture: F,
    pub(super) store: F::Store,
    pub(super) known: Known,
    clock: Arc<ManualClock>,
    keys: Keys,
    signers: Vec<Signer>,
    pub(super) anchors: Vec<String>,
    state: Option<State>,
    /// Of both at once: what was archived since is gone as well.
    pub(super) backup: Option<(F, Known, Shelf)>,
    pub(super) shelf: Shelf,
}

pub(super) const fn stream(writer: usize) -> i64 {
    writer as i64 + 1
}

impl<F: Lived> Log<F> {
    pub(super) async fn new() -> Self {
        let fixture = F::new().await;
        let store = fixture.open().await;
        let begun: Timestamp = "2024-11-22T12:00:00Z".parse().unwrap();
        Self {
            fixture,
            store,
            known: Known { epoch: 1, ..Known::default() },
            clock: Arc::new(ManualClock::at(begun)),
            keys: Keys::ephemeral(),
            signers: vec![Signer { seed: [1; 32], from: begun, until: None }],
            anchors: Vec::new(),
            state: None,
            backup: None,
            shelf: Shelf::default(),
        }
    }

    pub(super) async fn take(&mut self, step: &Step) {
        self.clock.advance(TICK);
        match step {
            Step::Append { writer, runs } => {
                let kinds = runs.iter().flat_map(|(kind, count)| (0..*count).map(|_| *kind));
                let mut kinds: Vec<_> = kinds.collect();
                // Those of one leaf stand together.
                kinds.sort_unstable();
                let first = self.known.last[*writer] + 1;
                let records = (first..).zip(kinds).map(|(seq, kind)| deed(*writer, seq, kind));
                let records: Vec<_> = records.collect();
                self.append(*writer, &records).await;
            }
            Step::Gap { writer, count } => {
                let facts = serde_json::json!({ "count": count, "reason": "queue_full" });
                let seq = self.tell(*writer, "gap", "queue_full", &facts).await;
                self.known.gaps.push(Short::Gap { stream: stream(*writer), seq, count: *count });
            }
            Step::Stub { writer, kind } => {
                let seq = self.known.last[*writer] + 1;
                let (day, class) = KINDS[*kind];
                // As the pipeline makes one: it names nobody.
                let mut record = old(stream(*writer), seq, day, class);
                record.actor_id.set("");
                record.entity_id.set("");
                record.outcome_reason.set("quarantined");
                record.metadata = Json::from_stored("{\"quarantined\":true}");
                record.seal(salts(stream(*writer) * 1_000 + seq));
                self.append(*writer, &[record]).await;
                self.known.stubs.push((Short::Stub { stream: stream(*writer), seq }, *kind));
            }
            Step::UncleanEnd { of, by } => {
                let last = self.known.last[*of];
                let facts = serde_json::json!({
                    "count": null, "reason": "unclean_end",
                    "writer_id": stream(*of).to_string(), "last_seq": last,
                });
                self.tell(*by, "gap", "unclean_end", &facts).await;
                let told = self.known.ends.entry(*of).or_insert(last);
                *told = last.max(*told);
            }
            Step::Erase { person, tenant } => self.erase(*person, *tenant).await,
            Step::Hold { person } => {
                let pipeline = self.pipeline().await;
                let query = format!("actor_id:{}", PEOPLE[*person]);
                let held = HoldRequest::new(query, "a lawsuit");
                pipeline.custodian().unwrap().place(&held).await.unwrap();
                pipeline.shutdown(PATIENCE).await;
            }
            Step::Lift => {
                let known = holds(&self.store).await.unwrap();
                let Some(hold) = known.standing().next() else { return };
                let pipeline = self.pipeline().await;
                let (custodian, by) = (pipeline.custodian().unwrap(), Actor::user("dpo"));
                let lifted = custodian.lift(hold.id, &by, "settled", None).await.unwrap();
                pipeline.shutdown(PATIENCE).await;
                assert!(lifted.left.is_empty(), "{:?}", lifted.left);
                self.nobody_is_left_on_the_shelf().await;
            }
            Step::Archive => self.archive().await,
            Step::Retain { archived } => self.retain(*archived).await,
            Step::Sign { anchored } => {
                let seeds = self.seeds();
                let kept = make_checkpoint(&self.store, &seeds, self.clock.now()).await.unwrap();
                self.anchors.extend(kept.filter(|_| *anchored).map(|kept| kept.note));
            }
            Step::Rotate => {
                let now = self.clock.now();
                let seed = [self.signers.len() as u8 + 1; 32];
                // Two heads more may be signed by both.
                let until = now.saturating_add(2 * TICK);
                for signer in self.signers.iter_mut().filter(|signer| signer.until.is_none()) {
                    signer.until = Some(until);
                }
                self.signers.push(Signer { seed, from: now, until: None });
            }
            Step::Verify => self.verify_on().await,
            // Where nothing was written yet there is nothing to put back: what begins then is another log, with another name.
            Step::BackUp if self.store.head().await.unwrap() == 0 => {}
            Step::BackUp => {
                let (known, shelf) = (self.known.clone(), self.shelf.copy());
                self.backup = self.copied().await.map(|copy| (copy, known, shelf));
            }
            Step::Restore { writer } => self.restore(*writer).await,
        }
    }

    async fn append(&mut self, writer: usize, records: &[Box<Record>]) {
        crate::suite::append(&self.store, records).await.unwrap();
        self.known.last[writer] += records.len() as i64;
    }

    /// Has a writer tell something of the log itself; returns under which number.
    async fn tell(
        &mut self,
        writer: usize,
        action: &str,
        reason: &str,
        facts: &serde_json::Value,
    ) -> i64 {
        let seq = self.known.last[writer] + 1;
        let record = own(writer, seq, action, reason, facts);
        self.append(writer, &[record]).await;
        seq
    }

    async fn pipeline(&self) -> Pipeline {
        self.pipeline_with(true).await
    }

    async fn pipeline_with(&self, archive: bool) -> Pipeline {
        let builder = Pipeline::builder(self.store.clone()).clock(Arc::clone(&self.clock));
        let builder = builder.keys(self.keys.clone());
        let builder = if archive { builder.archive(self.shelf.archive.clone()) } else { builder };
        builder.start().await.unwrap()
    }

    /// Copies what is there, which may cut everybody off who has it open.
    pub(super) async fn copied(&mut self) -> Option<F> {
        let copy = self.fixture.copied().await?;
        self.store = self.fixture.open().await;
        Some(copy)
    }

    /// Returns a record as it was recorded, with what is kept aside of it.
    async fn as_recorded(&self, record: &Record) -> Record {
        let mut record = whole(&self.store, record).await.unwrap().into_owned();
        record.seals.restrict(Groups::NONE);
        record
    }

    /// Returns what is held.
    async fn held(&self) -> Vec<Record> {
        let known = holds(&self.store).await.unwrap();
        let mut held = Vec::new();
        for record in all(&self.store).await {
            let record = self.as_recorded(&record).await;
            if known.held(&record).is_some() {
                held.push(record);
            }
        }
        held
    }

    /// Erased or not, all of what is held is there, if not to be seen by whoever reads the log.
    async fn is_still_there(&self, held: &[Record]) {
        for record in held {
            let stored = self.store.record(record.id).await.unwrap().expect("it is held");
            assert_eq!(self.as_recorded(&stored).await, *record, "it is held");
        }
    }

    async fn erase(&mut self, person: usize, tenant: Option<usize>) {
        let held = self.held().await;
        let (mut logged, shelved) = (all(&self.store).await, self.shelf.records().await);
        for record in &mut logged {
            *record = self.as_recorded(record).await;
        }
        let of_him = logged.iter().chain(&shelved).filter(|it| is_about(it, person, tenant));
        self.known.gone.extend(of_him.map(|record| (record.writer_id.get(), record.seq)));
        self.known.erased.push((person, tenant));
        let pipeline = self.pipeline().await;
        let request = ErasureRequest::new(PEOPLE[person], "a court's order").alone();
        let request = request.by(Actor::user("dpo"));
        let request = request.tenant(tenant.map(|tenant| TENANTS[tenant].to_owned()));
        pipeline.eraser().unwrap().erase(&request, |_step| {}).await.unwrap();
        pipeline.shutdown(PATIENCE).await;
        self.is_still_there(&held).await;
        // Neither is he in the archive any more, of which the log has lost the most.
        self.nobody_is_left_on_the_shelf().await;
    }

    /// Of what there was about whoever was erased the archive has what a hold is on, and nothing else.
    async fn nobody_is_left_on_the_shelf(&self) {
        let holds = holds(&self.store).await.unwrap();
        for record in self.shelf.records().await {
            let is_gone = self.known.gone.contains(&(record.writer_id.get(), record.seq));
            let is_there = matches!(record.seals.of(Group::Identity), Seal::Salted(_));
            assert!(!is_gone || !is_there || holds.held(&record).is_some(), "{record:#?}");
        }
    }

    /// Puts all months that are over into the archive, and removes nothing.
    async fn archive(&mut self) {
        let pipeline = self.pipeline().await;
        let mut request = ArchiveRequest::new();
        (request.closed, request.seeds) = (true, self.seeds());
        let run = pipeline.run_archive(&self.shelf.archive, &request, |_part| {});
        tokio::time::timeout(PATIENCE, run).await.expect("it ends").unwrap();
        pipeline.shutdown(PATIENCE).await;
        let month = self.clock.now().month();
        let all = all(&self.store).await.into_iter();
        let over = all.filter(|record| record.occurred_at.month() < month);
        self.known.shelved.extend(over.map(|record| (record.writer_id.get(), record.seq)));
    }

    async fn retain(&mut self, archived: bool) {
        let held = self.held().await;
        let before = all(&self.store).await;
        let pipeline = self.pipeline_with(archived).await;
        let run = pipeline.run_retention(|_| {});
        let run = tokio::time::timeout(PATIENCE, run).await.expect("it ends").unwrap();
        pipeline.shutdown(PATIENCE).await;
        assert!(run.busy.is_empty() && run.unarchived.is_empty(), "{run:?}");
        for ended in &run.ended {
            let gone = &ended.removal;
            self.known.expired += gone.records as u64;
            if archived {
                let is_gone = |record: &&Record| {
                    record.occurred_at.month() == gone.month
                        && record.retention_class == *gone.class
                };
                let shelved = before.iter().filter(is_gone);
                self.known.shelved.extend(shelved.map(|it| (it.writer_id.get(), it.seq)));
            }
            let month = gone.month.to_string();
            self.known.stubs.retain(|(_, kind)| {
                let (day, class) = KINDS[*kind];
                !(day.starts_with(&month) && gone.class == class)
            });
        }
        self.is_still_there(&held).await;
    }

    async fn restore(&mut self, writer: usize) {
        let Some((copy, known, shelf)) = &self.backup else { return };
        let fixture = copy.copied().await.expect("it was copied before");
        let store = fixture.open().await;
        let (before, now) = (self.store.head().await.unwrap(), store.head().await.unwrap());
        if before <= now {
            return;
        }
        let lost = all(&self.store).await.len().abs_diff(all(&store).await.len()) as u64 + 1;
        let seen = self.known.epoch;
        (self.fixture, self.store, self.known) = (fixture, store, known.clone());
        self.shelf = shelf.copy();
        let seq = self.known.last[writer] + 1;
        let record = own(writer, seq, "restored", "", &serde_json::json!({ "count": lost }));
        let records = [record];
        let batch = Batch::new(&records).unwrap().after_loss(seen);
        self.store.connect().await.unwrap().append(batch).await.unwrap();
        self.known.last[writer] = seq;
        self.known.epoch = seen + 1;
        let rolled_back = Short::RolledBack { position: now, epoch: seen + 1, lost };
        self.known.rolled_back.push(rolled_back);
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the keys that sign now.
    pub(super) fn seeds(&self) -> Vec<[u8; 32]> {
        let now = self.clock.now();
        let may =
            |signer: &&Signer| signer.from <= now && signer.until.is_none_or(|until| now < until);
        self.signers.iter().filter(may).map(|signer| signer.seed).collect()
    }

    /// Returns a key that may not sign any more, if there is one.
    pub(super) fn retired(&self) -> Option<[u8; 32]> {
        let now = self.clock.now();
        let is_over = |signer: &&Signer| signer.until.is_some_and(|until| until <= now);
        self.signers.iter().find(is_over).map(|signer| signer.seed)
    }

    /// Returns the trust file; `None` while there is no ledger.
    pub(super) async fn trust(&self) -> Option<Trust> {
        let first: Entry = self.store.entries(0, 1).await.unwrap().into_iter().next()?;
        let origin = origin_of(&first);
        let key = |seed| NoteSigner::new(&origin, seed).unwrap().key().to_string();
        let mut file = "# activity trust 1\n".to_owned();
        for Signer { seed, from, until } in &self.signers {
            write!(file, "{} from={from}", key(seed)).unwrap();
            if let Some(until) = until {
                write!(file, " until={until}").unwrap();
            }
            file.push('\n');
        }
        // Whoever erases somebody has the head signed before and after, by the keys of the application.
        for seed in self.keys.signing_seeds() {
            writeln!(file, "{}", key(seed)).unwrap();
        }
        Some(file.parse().unwrap())
    }

    /// Verifies a log as this one is verified: with its keys, and with its anchors if wanted.
    pub(super) async fn audit<S: Evidence + Read>(
        &self,
        store: &S,
        anchored: bool,
        since: Option<State>,
    ) -> (Report, Option<State>) {
        let mut audit = Audit::new(store);
        if let Some(trust) = self.trust().await {
            audit = audit.trust(trust);
        }
        if anchored {
            audit = audit.anchored(self.anchors.clone());
        }
        if let Some(state) = since {
            audit = audit.since(state);
        }
        audit.run_on(self.clock.now(), |_progress| {}).await.unwrap()
    }

    /// Verifies what came since the last time.
    async fn verify_on(&mut self) {
        let since = self.state.take();
        let (report, state) = self.audit(&self.store, true, since).await;
        assert_ne!(report.verdict(), Verdict::Altered, "{report:#?}");
        let (short, told) = (self.known.short(), short_of(&report));
        match report.since {
            None => assert_eq!(told, short, "{report:#?}"),
            Some((position, _)) => {
                assert!(told.iter().all(|told| short.contains(told)), "{told:?} {short:?}");
                let newer = |short: &&Short| matches!(short, Short::RolledBack { position: at, .. } if *at >= position);
                let newer: Vec<_> = short.iter().filter(newer).collect();
                assert!(newer.iter().all(|short| told.contains(short)), "{told:?} {newer:?}");
            }
        }
        self.state = state;
    }

    /// Verifies all of it, with and without what is kept elsewhere: it is what is known of it.
    pub(super) async fn is_as_known(&self) {
        let short = self.known.short();
        let records = all(&self.store).await;
        let entries = self.store.entries(0, 100_000).await.unwrap();
        let accounted: i64 = entries.iter().map(|entry| entry.new.count()).sum();
        let is_erased = |record: &Record, group| matches!(record.seals.of(group), Seal::Erased(_));
        let erased = records.iter().flat_map(|record| {
            Group::ERASABLE.into_iter().filter(move |group| is_erased(record, *group))
        });
        let erased = erased.count() as u64;
        for anchored in [false, true] {
            let (report, state) = self.audit(&self.store, anchored, None).await;
            // Nobody may have signed a head yet.
            let is_unsigned = report.signed.is_none() && !entries.is_empty();
            assert_eq!(report.incomplete.kept().contains(&Shortfall::Unsigned), is_unsigned);
            let verdict = match short.is_empty() && !is_unsigned {
                true => Verdict::Unaltered,
                false => Verdict::Incomplete,
            };
            assert_eq!(
                (report.verdict(), short_of(&report)),
                (verdict, short.clone()),
                "{report:#?}"
            );
            assert_eq!(
                (report.records, report.expired),
                (records.len() as u64, self.known.expired)
            );
            assert_eq!((report.records + report.expired) as i64, accounted);
            assert_eq!(report.erased, erased);
            assert_eq!(state.is_some(), !entries.is_empty());
        }
        self.shelf_is_as_known(&records).await;
    }

    /// The archive holds what was put there, and each record as the log has it, but for addresses that ended since. What a
    /// hold keeps aside in the log may stand there whole; and who got into the log after he was erased, past every
    /// pipeline, may be gone from there alone.
    async fn shelf_is_as_known(&self, logged: &[Record]) {
        let report = self.audit_shelf(&self.shelf).await;
        assert_eq!((report.verdict(), report.total), (Verdict::Unaltered, 0), "{report:#?}");
        assert_eq!(report.records, self.known.shelved.len() as u64);
        self.nobody_is_left_on_the_shelf().await;
        let shelved = self.shelf.records().await;
        let places: BTreeSet<_> =
            shelved.iter().map(|record| (record.writer_id.get(), record.seq)).collect();
        assert_eq!(places, self.known.shelved);
        for record in &shelved {
            let is_same =
                |one: &&Record| (one.writer_id, one.seq) == (record.writer_id, record.seq);
            let Some(logged) = logged.iter().find(is_same) else { continue };
            let whole = self.as_recorded(logged).await;
            let may_be_gone =
                self.known.erased.iter().any(|(person, tenant)| is_about(&whole, *person, *tenant));
            for group in Group::ERASABLE.into_iter().filter(|group| *group != Group::Network) {
                let is_gone = matches!(record.seals.of(group), Seal::Erased(_));
                let seals = [logged.seals.of(group), whole.seals.of(group)];
                let is_like = seals.contains(&record.seals.of(group));
                assert!(is_like || is_gone && may_be_gone, "{}: {record:#?}", group.as_str());
            }
            for field in Record::FIELDS.iter().filter(|field| field.group() != Group::Network) {
                let is_gone = matches!(record.seals.of(field.group()), Seal::Erased(_));
                let fits = match is_gone {
                    true => field.value(record) == field.value(&Record::default()),
                    false => field.value(record) == field.value(&whole),
                };
                assert!(fits, "{}: {record:#?}", field.name());
            }
        }
    }

    /// Verifies an archive as this log's is verified.
    pub(super) async fn audit_shelf(&self, shelf: &Shelf) -> ArchiveReport {
        let mut audit = ArchiveAudit::new();
        if let Some(trust) = self.trust().await {
            audit = audit.trust(trust);
        }
        // Heads of a ledger that was rolled back are of another one: only the log itself tells of that.
        if self.known.rolled_back.is_empty() {
            audit = audit.anchored(self.anchors.clone());
        }
        shelf.archive.verify(&audit, |_records| {}).await.unwrap()
    }
}

/// Returns what a report says is missing.
pub(super) fn short_of(report: &Report) -> Vec<Short> {
    let short = |shortfall: &Shortfall| match shortfall {
        Shortfall::Gap { place, count, .. } => Short::Gap {
            stream: place.writer_id.unwrap().get(),
            seq: place.first_seq.unwrap(),
            count: count.expect("every gap here has one"),
        },
        Shortfall::UncleanEnd { place } => Short::UncleanEnd {
            stream: place.writer_id.unwrap().get(),
            seq: place.last_seq.unwrap(),
        },
        Shortfall::Stub { place } => {
            Short::Stub { stream: place.writer_id.unwrap().get(), seq: place.first_seq.unwrap() }
        }
        Shortfall::RolledBack { position, epoch, lost } => Short::RolledBack {
            position: *position,
            epoch: *epoch,
            lost: lost.expect("every rollback here is told of"),
        },
        other => panic!("a new kind: {other:?}"),
    };
    let of_it = report.incomplete.kept().iter().filter(|it| **it != Shortfall::Unsigned);
    let mut short: Vec<_> = of_it.map(short).collect();
    short.sort();
    short
}

/// Tells whether a record is about a person whom an erasure takes out of it: consents are evidence that is kept.
fn is_about(record: &Record, person: usize, tenant: Option<usize>) -> bool {
    record.actor_id == PEOPLE[person]
        && record.category != Category::Consent
        && tenant.is_none_or(|tenant| record.tenant_id == TENANTS[tenant])
}

/// Returns the heads that a store keeps.
pub(super) async fn checkpoints<S: Evidence>(store: &S) -> Vec<KeptCheckpoint> {
    store.checkpoints(0, 1_000).await.unwrap()
}

/// What somebody did: each of its personal groups holds something.
fn deed(writer: usize, seq: i64, kind: usize) -> Box<Record> {
    let (day, class) = KINDS[kind];
    let mut record = old(stream(writer), seq, day, class);
    let one_of = |names: &[&'static str]| names[(seq as usize + writer) % names.len()];
    record.actor_id.set(one_of(&PEOPLE));
    record.tenant_id.set(one_of(&TENANTS));
    record.ip = Some("192.0.2.7".parse().unwrap());
    record.description.set("as it was told");
    record.seal(salts(stream(writer) * 1_000 + seq));
    record
}

/// What the log says of itself.
fn own(
    writer: usize,
    seq: i64,
    action: &str,
    reason: &str,
    facts: &serde_json::Value,
) -> Box<Record> {
    let mut record = old(stream(writer), seq, "2024-11-22", "system");
    record.origin = Origin::System;
    record.outcome = Outcome::Failure;
    record.action.set(action);
    record.outcome_reason.set(reason);
    record.metadata = Json::from_stored(facts.to_string());
    record.seal(salts(stream(writer) * 1_000 + seq));
    record
}

//! The work itself.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{CustodyError, HoldRequest};
use crate::{
    pipeline::{
        Admission, ArchiveErasure, BlindIndex, EraseError, LeftArchive, blind,
        erasure::{Dues, Shelved},
        own,
        recorder::Recorder,
    },
    privacy::AddressPolicy,
    query::{Count, Filter, Total},
    record::{Actor, Category, Operation, Record, RecordId},
    rules::RetentionPolicy,
    store::{
        AnyStore, Erase as _, HELD, Hold, Holds, PSEUDONYMS, PolicySet, RELEASED,
        RETENTION_CHANGED, Read as _, RestrictedPage, StoreError, holds, policy_set,
        restricted_records,
    },
    time::Timestamp,
};

/// A record that is not stored by then is not going to be soon.
const STORED_WITHIN: Duration = Duration::from_secs(30);
/// So much of what is restricted is looked at at once.
const PAGE: usize = 500;
/// Each is asked of every record that is to go.
const MOST_HOLDS: usize = 1_000;
/// So many bytes of pseudonyms, so that the record of a hold is never cut.
const MAX_PSEUDONYMS: usize = 28_000;
/// Old and new stand in one record.
const MAX_POLICY: usize = 28_000;

/// Places and lifts legal holds, and sets how long records are kept: see
/// [`Pipeline::custodian`](crate::Pipeline::custodian). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Custodian {
    recorder: Recorder,
    store: AnyStore,
    flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

/// A hold that stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Placed {
    /// The hold.
    pub hold: Hold,
    /// How many records it holds now, counted after it stood: what a run of the retention took out before that is not
    /// among them. `None` when they could not be counted.
    pub records: Option<Total>,
    /// How many records more it is on that no question finds: something of them was [restricted](Custodian::restricted), and
    /// stays for as long as this hold stands, too. `None` when they could not be counted.
    pub restricted: Option<u64>,
    /// How far it holds what the query names also where the log has it as a pseudonym. `None` when the query names, as a
    /// whole, nothing of the kind.
    pub pseudonyms: Option<HeldPseudonyms>,
}

/// A hold that was lifted, and what went with it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Released {
    /// The hold.
    pub hold: Hold,
    /// How many restricted records no hold kept any more and are erased now, of whomever they are. `None` for the eyes of
    /// one tenant, and where that failed: the next run of the retention does it, and so does the next erasure.
    pub erased: Option<u64>,
    /// What went from the archive that the pipeline has; `None` where there was nothing to look for, where that failed
    /// (then it is [`left`](Self::left)), and for the eyes of one tenant.
    pub archive: Option<ArchiveErasure>,
    /// The archives that may still have something of people who were erased, and how they are reached.
    pub left: Vec<LeftArchive>,
}

/// How far a hold holds what its query names also where the log has it as a pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeldPseudonyms {
    /// Under every key, of every tenant that the log has and the query may be about. Of one that comes later it holds
    /// what stands in plain text: name the tenant in the hold where that matters.
    Whole,
    /// Of some tenants: there are more than can be told of, or they could not all be found out in time.
    Part,
    /// Of none: there are no keys, or the query names more than its record has room for.
    None,
}

impl HeldPseudonyms {
    /// Every word that there is.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Part, Self::None];

    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Part => "part",
            Self::None => "none",
        }
    }
}

impl Custodian {
    pub(in crate::pipeline) const fn new(
        recorder: Recorder,
        store: AnyStore,
        flushes: mpsc::UnboundedSender<oneshot::Sender<()>>,
    ) -> Self {
        Self { recorder, store, flushes }
    }

    /// Returns the holds of the log.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn holds(&self) -> Result<Holds, CustodyError> {
        Ok(holds(&self.store).await?)
    }

    /// Places a hold, and returns when it stands: from then on no retention takes out what it holds, in whatever process,
    /// and no erasure that looks for it empties it.
    ///
    /// # Errors
    ///
    /// When the request is not sound, there are too many holds, or the record of it finds no room: then there is no hold.
    /// When that is not stored in time it may stand later.
    ///
    /// # Cancel safety
    ///
    /// Whoever drops the future does not know whether the hold stands; [`holds`](Self::holds) does.
    pub async fn place(&self, request: &HoldRequest) -> Result<Placed, CustodyError> {
        let core = self.recorder.core();
        let (query, filter) = request.check(core.clock.now())?;
        let mut facts = json!({ "name": request.name, "query": query, "tenant": request.tenant });
        let (pseudonyms, others) = self.pseudonyms(&filter).await?;
        if !others.is_null() {
            facts[PSEUDONYMS] = others;
        }
        let mut record = own::record(HELD, 4, &facts);
        record.operation = Operation::Create;
        record.reason.set(&request.reason);
        if self.holds().await?.standing().count() >= MOST_HOLDS {
            let what = format!(
                "{MOST_HOLDS} holds stand, and no more can: lift some, or hold more by one query"
            );
            return Err(CustodyError::request("query", what));
        }
        let id = self.tell(record, &request.by, request.tenant.as_deref(), None).await?;
        let holds = self.holds().await?;
        let hold = holds.get(id).ok_or_else(CustodyError::unconfirmed)?.clone();
        let records = self.store.count(hold.filter(), Count::UpTo(Count::CAP)).await;
        let records = records
            .inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "what a new hold holds could not be counted");
            })
            .ok();
        let restricted = self.restricted_under(&hold).await;
        let restricted = restricted
            .inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "what a new hold is on of what is restricted could not be counted"
                );
            })
            .ok();
        Ok(Placed { hold, records, restricted, pseudonyms })
    }

    /// Counts the records of which something is restricted and that a hold is on.
    async fn restricted_under(&self, hold: &Hold) -> Result<u64, StoreError> {
        let (mut ids, mut after) = (BTreeSet::new(), 0);
        loop {
            let page = restricted_records(&self.store, hold.filter(), after, PAGE).await?;
            ids.extend(page.records.iter().map(|record| record.id));
            match page.next {
                Some(next) => after = next,
                None => return Ok(ids.len() as u64),
            }
        }
    }

    /// Returns as which pseudonyms the log has what the query names, and how far that is all of them.
    async fn pseudonyms(
        &self,
        filter: &Filter,
    ) -> Result<(Option<HeldPseudonyms>, Value), CustodyError> {
        let Some(keys) = self.recorder.keys() else {
            let is_hidden = blind::may_be_hidden(&self.store, filter).await?;
            return Ok((is_hidden.then_some(HeldPseudonyms::None), Value::Null));
        };
        let mut blind = BlindIndex::new(self.store.clone(), keys.clone());
        let hides = |one: &Category| self.recorder.address_policy(*one) == AddressPolicy::Hmac;
        if Category::ALL.iter().any(hides) {
            // Those of before are asked for in any case; none may be there yet.
            blind = blind.addresses(true);
        }
        let Some(written) = blind.written(filter, MAX_PSEUDONYMS).await? else {
            return Ok((None, Value::Null));
        };
        let held = match (written.is_whole, written.by_field.is_null()) {
            (_, true) => HeldPseudonyms::None,
            (true, _) => HeldPseudonyms::Whole,
            (false, _) => HeldPseudonyms::Part,
        };
        Ok((Some(held), written.by_field))
    }

    /// Lifts a hold; whoever sees one tenant alone lifts holds of that one alone. What it alone kept of people who were
    /// erased goes: in the log, and in the archive that the pipeline has. Safe to repeat: one that was lifted is returned as
    /// it is, and what is left of the rest goes.
    ///
    /// # Errors
    ///
    /// When there is no such hold, or the record of it finds no room: then it stands. When that is not stored in time, it
    /// may be lifted later.
    ///
    /// # Cancel safety
    ///
    /// As [`place`](Self::place).
    pub async fn lift(
        &self,
        id: RecordId,
        by: &Actor,
        reason: &str,
        tenant: Option<&str>,
    ) -> Result<Released, CustodyError> {
        if reason.len() > 2_048 || reason.contains('\0') {
            let what = "`reason` has more than 2048 bytes, or a NUL character";
            return Err(CustodyError::request("reason", what));
        }
        let before = self.holds().await?;
        let own = |hold: &&Hold| tenant.is_none_or(|tenant| hold.tenant.as_deref() == Some(tenant));
        let hold = before.get(id).filter(own).ok_or_else(CustodyError::unknown)?;
        let mut hold = hold.clone();
        if hold.stands() {
            let facts = json!({ "hold": id.to_string(), "name": hold.name, "query": hold.query });
            let mut record = own::record(RELEASED, 4, &facts);
            record.operation = Operation::Delete;
            record.reason.set(reason);
            self.tell(record, by, hold.tenant.as_deref(), Some(hold.at)).await?;
            let after = self.holds().await?;
            hold = after.get(id).cloned().ok_or_else(CustodyError::unknown)?;
        }
        let erased = self.end_dues(by).await;
        let erased = erased
            .inspect_err(|error| {
                let error = error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "what the lifted hold kept of people who were erased is not erased yet: the next run of the retention \
                     does it, and so does `activity subject erase`"
                );
            })
            .ok();
        let (archive, left) = self.end_shelved(by).await;
        Ok(match tenant {
            // How much there is of others is not his to know.
            Some(_) => Released { hold, erased: None, archive: None, left },
            None => Released { hold, erased, archive, left },
        })
    }

    /// Erases from the archive what the lifted hold kept there of people who were erased, and says which archives are left.
    async fn end_shelved(&self, by: &Actor) -> (Option<ArchiveErasure>, Vec<LeftArchive>) {
        let core = self.recorder.core();
        let known = core.archive.as_deref();
        let shelved = match Shelved::of(&self.store, known).await {
            Ok(shelved) => shelved,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "which archives have something of people who were erased is not known"
                );
                return (None, vec![LeftArchive::unknown()]);
            }
        };
        let mut left = shelved.left(known);
        let Some(archive) = known.filter(|archive| shelved.is_due(*archive)) else {
            return (None, left);
        };
        let mut teller = self.recorder.teller(self.store.clone());
        let ended = async {
            let keys = self.recorder.keys().ok_or_else(EraseError::no_keys)?;
            shelved.end(&self.store, archive, keys, &mut teller, by, || core.clock.now()).await
        };
        match ended.await {
            Ok(archive) => (Some(archive), left),
            Err(error) => {
                left.push(LeftArchive::failed(archive, &error));
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "an archive still has something of people who were erased");
                (None, left)
            }
        }
    }

    /// Erases what was restricted and no hold is on any more, of whomever it is, and returns how many records that were.
    /// Lifting a hold does so, every erasure and every run of the retention; this is for whoever wants it at once.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked or refuses, or the record of it finds no room. What was erased by then stays so.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it after the step that it is in; begin it again.
    pub async fn end_dues(&self, by: &Actor) -> Result<u64, CustodyError> {
        let mut dues = Dues::new(&self.store);
        let mut records = 0;
        while let Some(due) = dues.next().await? {
            self.tell(due.telling(), by, None, None).await?;
            if dues.end(&due).await? {
                records += due.records();
            }
        }
        if records > 0 {
            self.store.scrub().await?;
        }
        Ok(records)
    }

    /// Returns what is restricted of records that pass `filter`, each record as it was recorded, the first that was
    /// restricted first, from behind a number on: for whoever may see holds, and what they keep.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or its role does not show what is kept aside.
    pub async fn restricted(
        &self,
        filter: &Filter,
        after: i64,
        limit: usize,
    ) -> Result<RestrictedPage, CustodyError> {
        Ok(restricted_records(&self.store, filter, after, limit).await?)
    }

    /// Returns what was set of the retention, for all and for single tenants.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn policies(&self) -> Result<PolicySet, CustodyError> {
        Ok(policy_set(&self.store).await?)
    }

    /// Sets how long records are kept, above rules file and code: of all, or of one tenant. The policy is as in the rules
    /// file, as JSON; `null` takes back what was set.
    ///
    /// Holds in this process at once, and in every other within seconds. What is set already is not recorded anew.
    ///
    /// # Errors
    ///
    /// When the policy makes no sense, or the record of the change finds no room: then nothing changes. When that is not
    /// stored in time, it may change later.
    ///
    /// # Cancel safety
    ///
    /// As [`place`](Self::place).
    pub async fn set_policy(
        &self,
        policy: &Value,
        tenant: Option<&str>,
        by: &Actor,
    ) -> Result<PolicySet, CustodyError> {
        let policy = match (policy, tenant) {
            (Value::Null, _) => Value::Null,
            (policy, None) => RetentionPolicy::from_json(policy)?.to_json(),
            (policy, Some(_)) => RetentionPolicy::keeps_from_json(policy)?,
        };
        let size = policy.to_string().len();
        if size > MAX_POLICY {
            let what = format!("the policy has {size} bytes; {MAX_POLICY} are allowed");
            return Err(CustodyError::request("policy", what));
        }
        let set = self.policies().await?;
        let before = set.of(tenant);
        let old = before.map_or(&Value::Null, |change| &change.policy);
        if *old == policy {
            return Ok(set);
        }
        let facts = json!({ "tenant": tenant, "old": old, "new": policy });
        let mut record = own::record(RETENTION_CHANGED, 4, &facts);
        record.operation = Operation::Update;
        self.tell(record, by, tenant, before.map(|change| change.at)).await?;
        let now = self.policies().await?;
        self.recorder.core().policies.take(&now)?;
        Ok(now)
    }

    /// Records it, and returns when it is committed. `after` is when that was recorded which it follows: a clock that is
    /// behind does not put it first.
    async fn tell(
        &self,
        mut record: Box<Record>,
        by: &Actor,
        tenant: Option<&str>,
        after: Option<Timestamp>,
    ) -> Result<RecordId, CustodyError> {
        let core = self.recorder.core();
        let next = after.map(|at| at.saturating_add(Duration::from_millis(1)));
        record.occurred_at = core.clock.now().max(next.unwrap_or_default());
        record.id = RecordId::from_bytes(core.ids.id(record.occurred_at));
        record.set_actor(by);
        record.tenant_id.set(tenant.unwrap_or_default());
        // Whose clock is far ahead is given another time, and with it another id.
        let Admission::Accepted(id) = self.recorder.announce(record) else {
            return Err(CustodyError::unrecorded());
        };
        let (reply, settled) = oneshot::channel();
        let sent = self.flushes.send(reply).is_ok();
        if !sent || !matches!(timeout(STORED_WITHIN, settled).await, Ok(Ok(()))) {
            return Err(CustodyError::unconfirmed());
        }
        match self.store.record(id).await {
            Ok(Some(_)) => Ok(id),
            Ok(None) | Err(_) => Err(CustodyError::unconfirmed()),
        }
    }
}

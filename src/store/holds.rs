//! Legal holds: what stays, whatever a policy says and whoever asks for it to go.
//!
//! A hold is a query with a name and a reason. That it was placed, and that it was lifted, are records of the log
//! itself, and nothing else says so: there is no table beside the log that could tell otherwise, a hold cannot be
//! taken away unseen, and a backup that is restored brings its holds along. Such records are of the class `system`,
//! which never ends, and no erasure empties what they say.

use serde_json::Value;

use super::{Evidence, Read, StoreError, StoreErrorKind, Unit, whole};
use crate::{
    query::{Expr, Filter, Form, PageRequest, ParseContext},
    record::{Category, Field, Origin, Record, RecordId},
    time::Timestamp,
};

/// The action of the record that places a hold.
pub(crate) const HELD: &str = "held";
/// The fact beside it that says, by field and value, as which pseudonyms the log holds what is asked for.
pub(crate) const PSEUDONYMS: &str = "pseudonyms";
/// The action of the record that lifts one.
pub(crate) const RELEASED: &str = "released";

const DOING: &str = "read which holds stand";
/// So many records at once.
const PAGE: usize = 500;

/// A query whose records stay, from when it is placed until it is lifted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hold {
    /// The record that places it, which is also its name for programs.
    pub id: RecordId,
    /// Its name for people.
    pub name: String,
    /// What is held, in the query language; times in it are those of when it was placed.
    pub query: String,
    /// The only tenant whose records it holds; `None` for all.
    pub tenant: Option<String>,
    /// Why.
    pub reason: String,
    /// Who placed it, as type and id; the id is empty once that person was erased.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How it ended; `None` while it stands.
    pub lifted: Option<Lifted>,
    filter: Filter,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifted {
    /// The record that lifts it.
    pub id: RecordId,
    /// Why; empty when nobody said.
    pub reason: String,
    /// Who, as type and id.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The holds of a log, those that were lifted among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Holds {
    /// The oldest first.
    all: Vec<Hold>,
    /// How many records say so.
    told: u64,
}

impl Hold {
    /// Returns what it holds, its tenant included.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Tells whether it stands.
    #[must_use]
    pub const fn stands(&self) -> bool {
        self.lifted.is_none()
    }

    fn told(record: &Record, facts: &Value) -> Result<Self, StoreError> {
        let unreadable = |why: String| {
            let what = format!("the record {} places a hold, and {why}", record.id);
            StoreError::new(StoreErrorKind::Data, DOING).with_source(what)
        };
        let text = |key: &str| facts[key].as_str().map(str::to_owned);
        let query = text("query").ok_or_else(|| unreadable("does not say of what".to_owned()))?;
        let tenant = text("tenant");
        let filter = filter(&query, tenant.as_deref(), record.occurred_at);
        // As what else the log held it when the hold was placed; who reads this may have no key.
        let others = |field: &'static Field, value: &str| -> Vec<String> {
            let others = facts[PSEUDONYMS][field.name()][value].as_array();
            others.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let filter = filter.map(|filter| {
            filter.rewritten(&mut |field, value| match others(field, value) {
                others if others.is_empty() => Form::AsItIs,
                others => Form::Also(others),
            })
        });
        Ok(Self {
            id: record.id,
            name: text("name").unwrap_or_default(),
            filter: filter.map_err(|why| unreadable(format!("its query cannot be read: {why}")))?,
            query,
            tenant,
            reason: record.reason.as_str().to_owned(),
            by: actor(record),
            at: record.occurred_at,
            lifted: None,
        })
    }
}

impl Holds {
    /// Returns all of them, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[Hold] {
        &self.all
    }

    /// Returns those that stand, the oldest first.
    pub fn standing(&self) -> impl Iterator<Item = &Hold> {
        self.all.iter().filter(|hold| hold.stands())
    }

    /// Returns one by its id.
    #[must_use]
    pub fn get(&self, id: RecordId) -> Option<&Hold> {
        self.all.iter().find(|hold| hold.id == id)
    }

    /// Returns how many records of the log place and lift holds: whoever takes something out says how many he has
    /// seen, and is refused if there are others.
    #[must_use]
    pub const fn told(&self) -> u64 {
        self.told
    }

    /// Returns the first hold that this record is under.
    #[must_use]
    pub fn held(&self, record: &Record) -> Option<&Hold> {
        self.standing().find(|hold| hold.filter.matches(record))
    }

    /// Returns the filter of everything that is held; `None` when nothing is.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        let any: Vec<Expr> = self.standing().map(|hold| hold.filter.clone().into()).collect();
        (!any.is_empty()).then(|| Expr::Any(any).into())
    }

    /// Returns the first hold that a record which passes `filter` is under.
    ///
    /// Where rows cannot be read, nobody knows whether they are held: then they are.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    pub async fn held_in<S: Read + Evidence>(
        &self,
        store: &S,
        filter: &Filter,
    ) -> Result<Option<&Hold>, StoreError> {
        match self.shown_in(store, filter).await? {
            None => self.held_aside(store, filter, |_| true).await,
            hold => Ok(hold),
        }
    }

    /// As [`held_in`](Self::held_in), of the records of a unit, which is nothing personal: of what is kept aside, only
    /// what is of the unit is put together again.
    pub(crate) async fn held_in_unit<S: Read + Evidence>(
        &self,
        store: &S,
        unit: &Unit,
    ) -> Result<Option<&Hold>, StoreError> {
        let filter = unit.filter();
        match self.shown_in(store, &filter).await? {
            None => self.held_aside(store, &filter, |kept| filter.matches(kept)).await,
            hold => Ok(hold),
        }
    }

    /// Returns the first hold that a record is under, as it was recorded: with what is kept aside of it.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or does not show what is kept aside.
    pub async fn held_whole<'h, S: Evidence>(
        &'h self,
        store: &S,
        record: &Record,
    ) -> Result<Option<&'h Hold>, StoreError> {
        Ok(self.held(whole(store, record).await?.as_ref()))
    }

    /// Looks among the records of which something is kept aside, those that `may` pass.
    async fn held_aside<S: Read + Evidence>(
        &self,
        store: &S,
        filter: &Filter,
        may: impl Fn(&Record) -> bool + Send,
    ) -> Result<Option<&Hold>, StoreError> {
        if self.standing().next().is_none() {
            return Ok(None);
        }
        let mut after = 0;
        loop {
            let page = store.restricted(after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            after = *last;
            for (_, kept) in &page {
                match &kept.kept {
                    Some(kept) if !may(kept) => continue,
                    // Nobody knows of what it is, nor whether it is held: then it is.
                    None => return Ok(self.standing().next()),
                    Some(_) => {}
                }
                let Some(record) = store.record(kept.id).await? else { continue };
                let record = whole(store, &record).await?;
                if filter.matches(&record)
                    && let Some(hold) = self.held(&record)
                {
                    return Ok(Some(hold));
                }
            }
        }
    }

    async fn shown_in<S: Read>(
        &self,
        store: &S,
        filter: &Filter,
    ) -> Result<Option<&Hold>, StoreError> {
        for hold in self.standing() {
            let both = filter.clone().and(hold.filter.clone());
            let mut request = PageRequest::oldest(1);
            loop {
                let page = store.records(&both, &request).await?;
                if !page.records.is_empty() || page.unreadable > 0 {
                    return Ok(Some(hold));
                }
                // The time was up before one was found.
                let Some(next) = page.next else { break };
                request = request.after(next);
            }
        }
        Ok(None)
    }

    fn take(&mut self, record: &Record) -> Result<(), StoreError> {
        self.told += 1;
        let facts = serde_json::from_str(record.metadata.as_str()).unwrap_or(Value::Null);
        if record.action == HELD {
            self.all.push(Hold::told(record, &facts)?);
            return Ok(());
        }
        let id = facts["hold"].as_str().and_then(|id| id.parse::<RecordId>().ok());
        let lifted = Lifted {
            id: record.id,
            reason: record.reason.as_str().to_owned(),
            by: actor(record),
            at: record.occurred_at,
        };
        // A clock that is behind may have dated it before the hold itself: see `holds`, which takes these last.
        if let Some(hold) = self.all.iter_mut().find(|hold| Some(hold.id) == id) {
            hold.lifted.get_or_insert(lifted);
        }
        Ok(())
    }
}

/// Returns the holds of a log.
///
/// # Errors
///
/// When the store cannot be asked or shows a part of the log alone, and when a record that places a hold cannot be
/// read: what it holds is not known then, and nothing may go.
pub async fn holds<S: Read + Evidence>(store: &S) -> Result<Holds, StoreError> {
    store.expect_all().await?;
    shown_holds(store).await
}

/// As [`holds`], of those that a store shows, be it held to one tenant: for that tenant's eyes, and for nothing that is
/// to go.
pub(crate) async fn shown_holds<S: Read>(store: &S) -> Result<Holds, StoreError> {
    let mut holds = Holds::default();
    for action in [HELD, RELEASED] {
        let filter = of_the_log_itself(action)?;
        let mut request = PageRequest::oldest(PAGE);
        loop {
            let page = store.records(&filter, &request).await?;
            if page.unreadable > 0 {
                let what = "rows that place or lift holds cannot be read; `activity verify` says where they are";
                return Err(StoreError::new(StoreErrorKind::Data, DOING).with_source(what));
            }
            for record in &page.records {
                holds.take(record)?;
            }
            match page.next {
                Some(next) => request = request.after(next),
                None => break,
            }
        }
    }
    Ok(holds)
}

/// Reads the query of a hold, as it means at that moment; the error is for people.
pub(crate) fn filter(
    query: &str,
    tenant: Option<&str>,
    now: Timestamp,
) -> Result<Filter, crate::query::ParseError> {
    let filter = Filter::parse(query, &ParseContext::new(now))?;
    Ok(match tenant {
        Some(tenant) => filter.any_of("tenant_id", [tenant]).expect("every record has the field"),
        None => filter,
    })
}

/// Records with which the log tells of itself.
pub(super) fn of_the_log_itself(action: &str) -> Result<Filter, StoreError> {
    let filter = Filter::new().any_of("action", [action]);
    let filter = filter.and_then(|filter| filter.any_of("category", [Category::System.as_str()]));
    let filter = filter.and_then(|filter| filter.any_of("origin", [Origin::System.as_str()]));
    filter.map_err(|error| {
        StoreError::new(StoreErrorKind::Data, "look for what the log tells of itself")
            .with_source(error)
    })
}

/// Tells whether a record of the log itself places or lifts a hold.
pub(crate) fn is_of_holds(record: &Record) -> bool {
    record.category == Category::System
        && record.origin == Origin::System
        && (record.action == HELD || record.action == RELEASED)
}

fn actor(record: &Record) -> String {
    format!("{}:{}", record.actor_type.as_str(), record.actor_id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Json;

    fn record(action: &str, n: u8, facts: &Value) -> Record {
        let at = Timestamp::from_micros(1_800_000_000_000_000);
        let mut record = Record {
            id: RecordId::new(at, [n; 10]),
            occurred_at: at,
            origin: Origin::System,
            category: Category::System,
            metadata: Json::from_stored(facts.to_string()),
            ..Record::default()
        };
        record.action.set(action);
        record
    }

    fn of(records: &[Record]) -> Result<Holds, StoreError> {
        let mut holds = Holds::default();
        records.iter().try_for_each(|record| holds.take(record))?;
        Ok(holds)
    }

    fn about(action: &str, tenant: &str) -> Record {
        let mut record = Record::default();
        record.action.set(action);
        record.tenant_id.set(tenant);
        record
    }

    #[test]
    fn what_a_hold_says_is_held_until_it_is_lifted() {
        let placed = record(HELD, 1, &serde_json::json!({ "query": "action:pay", "name": "a" }));
        let other = record(
            HELD,
            2,
            &serde_json::json!({ "query": "action:ship", "name": "b", "tenant": "t1" }),
        );
        let holds = of(&[placed.clone(), other.clone()]).unwrap();
        let name =
            |holds: &Holds, record: &Record| holds.held(record).map(|hold| hold.name.clone());
        assert_eq!(name(&holds, &about("pay", "t2")), Some("a".to_owned()));
        assert_eq!(name(&holds, &about("ship", "t1")), Some("b".to_owned()));
        assert_eq!(name(&holds, &about("ship", "t2")), None, "of another tenant");
        let whole = holds.filter().unwrap();
        assert!(whole.matches(&about("ship", "t1")) && !whole.matches(&about("ship", "t2")));

        let id = placed.id.to_string();
        let lift = record(RELEASED, 3, &serde_json::json!({ "hold": id }));
        let nobodys = record(RELEASED, 4, &serde_json::json!({ "hold": "nothing" }));
        let holds = of(&[placed, other, lift.clone(), nobodys]).unwrap();
        assert_eq!(holds.held(&about("pay", "t2")), None);
        assert_eq!((holds.told(), holds.all().len(), holds.standing().count()), (4, 2, 1));
        assert_eq!(holds.all()[0].lifted.as_ref().map(|lifted| lifted.id), Some(lift.id));
        assert_eq!(Holds::default().filter(), None);
    }

    #[test]
    fn a_hold_that_cannot_be_read_is_an_error_and_not_nothing() {
        for facts in [serde_json::json!({}), serde_json::json!({ "query": "no_field:x" })] {
            assert!(of(&[record(HELD, 1, &facts)]).is_err(), "{facts}");
        }
    }
}

//! Finding by its text what a log holds as a pseudonym.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    privacy::Keys,
    query::{Aggregate, Aggregated, Expr, Filter, Form, Page, PageRequest, Test},
    record::Field,
    store::{AnyStore, Read as _, StoreError},
};

/// Of so many tenants each has its pseudonyms looked for where a question names none: those with the most records.
const MOST_TENANTS: usize = 256;
/// A question is asked with no more pseudonyms than this; a store binds each.
const MOST_FORMS: usize = 8_192;
/// The tenants of a log are known for so long. Counting them anew for each question would cost more than the answer.
const KNOWN_FOR: Duration = Duration::from_secs(10);
const COUNTED_WITHIN: Duration = Duration::from_secs(2);
/// Where addresses are kept as pseudonyms, one of the newest records has one.
const PROBED_WITHIN: Duration = Duration::from_millis(250);

/// Finds by its text what a log holds as a pseudonym: `session_id:…` by the session's own id, `entity_id:ana@example.com`
/// among the accounts that failed logins tried.
///
/// A value that is asked for as a whole is also looked for as its pseudonym, under every key that there was, for the
/// tenants that the question is confined to, or else for those of the log (the 256 with the most records), and for none.
/// Nothing is stored for that: the pseudonyms in the records are the index, and whoever has no key finds nothing.
///
/// Cheap to clone.
///
/// ```
/// use tower_activity::{Filter, Keys, MemoryStore, pipeline::BlindIndex, record::Record, store::AnyStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let keys = Keys::ephemeral();
/// let mut tried = Record::default();
/// tried.entity_id.set(&keys.pseudonym(Keys::ACCOUNT, None, "ana@example.com"));
///
/// let asked = Filter::new().any_of("entity_id", ["ana@example.com"])?;
/// assert!(!asked.matches(&tried));
/// let blind = BlindIndex::new(AnyStore::new(MemoryStore::new()), keys);
/// assert!(blind.filter(asked).await?.matches(&tried));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct BlindIndex {
    store: AnyStore,
    keys: Keys,
    /// Whether there are any that are kept as pseudonyms; `None` where the log is asked.
    addresses: Option<bool>,
    tenants: Arc<Mutex<Option<Tenants>>>,
}

/// The tenants of the log as of a moment.
#[derive(Debug)]
struct Tenants {
    at: Instant,
    names: Vec<String>,
    /// These are all that there are.
    is_whole: bool,
}

/// What a question names as whole values, as which pseudonyms the log may hold it.
pub(super) struct Written {
    /// The pseudonyms, by field and value; `null` where there is no room for any.
    pub(super) by_field: Value,
    /// Whether they are those of every tenant that the question may be about.
    pub(super) is_whole: bool,
}

/// What a question names that may stand there as a pseudonym.
#[derive(Debug, Default)]
struct Named {
    values: usize,
    addresses: usize,
}

/// Under what a question's values are looked for.
struct Pseudonyms<'b> {
    keys: &'b Keys,
    /// None, and the tenants; what is to go first where there is too little room comes last.
    tenants: Vec<Option<String>>,
    addresses: bool,
    /// There are no other tenants that the question may be about.
    is_whole: bool,
}

impl BlindIndex {
    /// Looks into a log with its keys.
    #[must_use]
    pub fn new(store: AnyStore, keys: Keys) -> Self {
        Self { store, keys, addresses: None, tenants: Arc::default() }
    }

    /// Says whether addresses are kept as pseudonyms. By default the log is asked whether one of the newest is.
    #[must_use]
    pub const fn addresses(mut self, are_hidden: bool) -> Self {
        self.addresses = Some(are_hidden);
        self
    }

    /// Tells whether a question names, as a whole, what a log may hold as a pseudonym: only then keys are of use to it.
    #[must_use]
    pub fn concerns(asked: &Filter) -> bool {
        let Named { values, addresses } = Named::by(asked);
        values + addresses > 0
    }

    /// Returns the filter that also finds the pseudonyms of what is asked for, as a whole, in a field that may hold one.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked for its tenants.
    pub async fn filter(&self, asked: Filter) -> Result<Filter, StoreError> {
        Ok(match self.pseudonyms(&asked, KNOWN_FOR).await? {
            None => asked,
            Some(pseudonyms) => {
                asked.rewritten(&mut |field, value| match pseudonyms.of(field, value) {
                    others if others.is_empty() => Form::AsItIs,
                    others => Form::Also(others),
                })
            }
        })
    }

    /// Returns the same by field and value, for those who ask without a key later, in no more bytes than these; `None`
    /// where the question names nothing of the kind.
    pub(super) async fn written(
        &self,
        asked: &Filter,
        room: usize,
    ) -> Result<Option<Written>, StoreError> {
        // It is for long: a tenant that came a moment ago is one of those.
        let Some(mut pseudonyms) = self.pseudonyms(asked, Duration::ZERO).await? else {
            return Ok(None);
        };
        loop {
            let by_field = pseudonyms.by_field(asked);
            let is_whole = pseudonyms.is_whole;
            if by_field.to_string().len() <= room {
                return Ok(Some(Written { by_field, is_whole }));
            }
            pseudonyms.is_whole = false;
            match pseudonyms.tenants.len() / 2 {
                0 => return Ok(Some(Written { by_field: Value::Null, is_whole: false })),
                half => pseudonyms.tenants.truncate(half),
            }
        }
    }

    /// The tenants of the log may be those of so long ago.
    async fn pseudonyms(
        &self,
        asked: &Filter,
        known_for: Duration,
    ) -> Result<Option<Pseudonyms<'_>>, StoreError> {
        let named = Named::by(asked);
        let addresses = match self.addresses {
            _ if named.addresses == 0 => false,
            Some(are_hidden) => are_hidden,
            None => has_hidden_addresses(&self.store).await?,
        };
        let values = named.values + if addresses { named.addresses } else { 0 };
        if values == 0 {
            return Ok(None);
        }
        let most = MOST_FORMS / (values * self.keys.pseudonym_key_ids().count().max(1));
        let (mut tenants, mut is_whole, is_named) = match asked.tenants() {
            Some(tenants) => (tenants, true, true),
            None => {
                let (tenants, is_whole) = self.tenants(known_for).await?;
                (tenants, is_whole, false)
            }
        };
        is_whole &= tenants.len() <= most.max(1);
        tenants.truncate(most.max(1));
        let mut tenants: Vec<_> = tenants.into_iter().map(Some).collect();
        tenants.insert(if is_named { tenants.len() } else { 0 }, None);
        Ok(Some(Pseudonyms { keys: &self.keys, tenants, addresses, is_whole }))
    }

    /// Returns the tenants of the log, those with the most records first, and whether there are no others.
    async fn tenants(&self, known_for: Duration) -> Result<(Vec<String>, bool), StoreError> {
        let lock = || self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_fresh = |known: &&Tenants| now.saturating_duration_since(known.at) < known_for;
        if let Some(known) = lock().as_ref().filter(is_fresh) {
            return Ok((known.names.clone(), known.is_whole));
        }
        let ask = Aggregate {
            dimensions: Field::named("tenant_id").into_iter().collect(),
            top: MOST_TENANTS + 1,
            edges: Vec::new(),
            patience: COUNTED_WITHIN,
        };
        let (names, is_whole) = named(self.store.aggregate(&Filter::new(), &ask).await?);
        *lock() = Some(Tenants { at: now, names: names.clone(), is_whole });
        Ok((names, is_whole))
    }
}

/// Returns the tenants that were counted, and whether there are no others: who has not counted all of the log does not know.
fn named(counted: Aggregated) -> (Vec<String>, bool) {
    let names = counted.by.into_iter().flatten().map(|(tenant, _)| tenant);
    let mut names: Vec<_> = names.filter(|name| !name.is_empty()).collect();
    let is_whole = counted.exact && names.len() <= MOST_TENANTS;
    names.truncate(MOST_TENANTS);
    (names, is_whole)
}

/// Tells whether a question names, as a whole, what this log holds as a pseudonym, or may hold so.
pub(super) async fn may_be_hidden(store: &AnyStore, asked: &Filter) -> Result<bool, StoreError> {
    let Named { values, addresses } = Named::by(asked);
    Ok(values > 0 || addresses > 0 && has_hidden_addresses(store).await?)
}

/// Tells whether there are any, or may be: who has not looked at all of the log has not found that there are none.
async fn has_hidden_addresses(store: &AnyStore) -> Result<bool, StoreError> {
    let hidden = Field::named("ip_pseudonym").expect("every record has the field");
    let any = Filter::new().and(Expr::Test(Test::Present(hidden)));
    let newest = PageRequest { patience: PROBED_WITHIN, ..PageRequest::newest(1) };
    Ok(may_be_there(&store.records(&any, &newest).await?))
}

fn may_be_there(found: &Page) -> bool {
    !found.records.is_empty() || !found.complete
}

impl Named {
    fn by(asked: &Filter) -> Self {
        let mut named = Self::default();
        asked.clone().rewritten(&mut |field, value| {
            match Keys::purpose_of(field) {
                None => {}
                Some(_) if Keys::is_pseudonym(value) => {}
                Some(Keys::ADDRESS) => named.addresses += 1,
                Some(_) => named.values += 1,
            }
            Form::AsItIs
        });
        named
    }
}

impl Pseudonyms<'_> {
    fn of(&self, field: &Field, value: &str) -> Vec<String> {
        let purpose = match Keys::purpose_of(field) {
            Some(Keys::ADDRESS) if !self.addresses => return Vec::new(),
            Some(purpose) if !Keys::is_pseudonym(value) => purpose,
            _ => return Vec::new(),
        };
        let of_tenant = |tenant: &Option<String>| -> Vec<String> {
            self.keys.pseudonyms(purpose, tenant.as_deref(), value).collect()
        };
        self.tenants.iter().flat_map(of_tenant).collect()
    }

    fn by_field(&self, asked: &Filter) -> Value {
        let mut by_field = Map::new();
        asked.clone().rewritten(&mut |field, value| {
            let others = self.of(field, value);
            if !others.is_empty() {
                by_field.entry(field.name()).or_insert_with(|| Map::new().into())[value] =
                    others.into();
            }
            Form::AsItIs
        });
        by_field.into()
    }
}

#[cfg(test)]
mod tests;

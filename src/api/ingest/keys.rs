//! By what repeats are known, and whether they say the same.

use sha2::{Digest as _, Sha256};

use crate::{
    api::access::Grant,
    record::{Field, Record, Seal},
    store::IngestKey,
};

/// Who hands in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The service that he speaks for: that of his grant, else he himself.
    pub(super) service: String,
    /// The only tenant that he may write for.
    pub(super) tenant: Option<String>,
    /// Whose keys are his: replicas of one service share theirs.
    identity: [u8; 32],
}

impl Caller {
    pub(super) fn of(grant: &Grant) -> Self {
        let (actor, named) = (grant.actor(), grant.speaks_for());
        let mut hash = Sha256::new();
        hash.update([u8::from(named.is_some())]);
        match named {
            Some(service) => add(&mut hash, service.as_bytes()),
            None => {
                add(&mut hash, actor.kind().as_str().as_bytes());
                add(&mut hash, actor.id().as_bytes());
            }
        }
        let own = if actor.id().is_empty() { actor.kind().as_str() } else { actor.id() };
        Self {
            service: named.unwrap_or(own).to_owned(),
            tenant: grant.only_tenant().map(str::to_owned),
            identity: hash.finalize().into(),
        }
    }
}

/// What an item is called by whoever sends it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Called<'a> {
    /// Its own `id`.
    Id(&'a str),
    /// Its place in a request with an `Idempotency-Key`.
    Place(&'a str, usize),
}

/// Returns the key: a digest of who sends, for which tenant, under which name.
pub(super) fn key(caller: &Caller, tenant: Option<&str>, called: Called<'_>) -> IngestKey {
    let mut hash = Sha256::new();
    hash.update(b"tower-activity ingest key 1\0");
    hash.update(caller.identity);
    hash.update([u8::from(tenant.is_some())]);
    add(&mut hash, tenant.unwrap_or_default().as_bytes());
    match called {
        Called::Id(id) => {
            hash.update([0]);
            add(&mut hash, id.as_bytes());
        }
        Called::Place(name, index) => {
            hash.update([1]);
            add(&mut hash, name.as_bytes());
            hash.update((index as u64).to_be_bytes());
        }
    }
    hash.finalize().into()
}

/// With its length, so that no two inputs run into each other.
fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// What the log adds, or what differs between two times that the same is sent: by the clock, by the replica,
/// by the keys in use.
const NOT_COMPARED: &[&str] = &[
    "id",
    "recorded_at",
    "retention_class",
    "instance",
    "environment",
    "credential_id",
    "session_id",
    "ip_pseudonym",
    "redactions",
    "skewed",
    "writer_id",
    "seq",
];

fn compared(dated: bool) -> impl Iterator<Item = &'static Field> {
    Record::FIELDS.iter().filter(move |field| {
        !NOT_COMPARED.contains(&field.name()) && (dated || field.name() != "occurred_at")
    })
}

/// Returns a digest of what a prepared record says; `dated` if the item said when.
///
/// Of the record without its secrets, not of the item as it was sent: a digest of both would let whoever
/// holds the database find a short secret by trying.
pub(super) fn fingerprint(record: &Record, dated: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in compared(dated) {
        let value = field.value(record);
        if !value.is_null() {
            add(&mut hash, field.name().as_bytes());
            add(&mut hash, &serde_json::to_vec(&value).unwrap_or_default());
        }
    }
    hash.finalize().into()
}

/// Tells whether a stored record says what a prepared one does; what was erased of it is not asked.
pub(super) fn says_the_same(stored: &Record, prepared: &Record, dated: bool) -> bool {
    stored.origin == prepared.origin
        && compared(dated).all(|field| {
            matches!(stored.seals.of(field.group()), Seal::Erased(_))
                || field.value(stored) == field.value(prepared)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::access::Permissions, record::Actor};

    #[test]
    fn keys_differ_by_caller_tenant_and_name() {
        let grant = |actor| Grant::new(actor, Permissions::NONE);
        let shop = Caller::of(&grant(Actor::user("a")).service("shop"));
        let same = Caller::of(&grant(Actor::user("b")).service("shop"));
        let user = Caller::of(&grant(Actor::user("shop")));
        let id = Called::Id("1");
        assert_eq!(key(&shop, None, id), key(&same, None, id));
        let mut keys = vec![
            key(&shop, None, id),
            key(&user, None, id),
            key(&shop, Some(""), id),
            key(&shop, Some("1"), Called::Id("")),
            key(&shop, None, Called::Id("11")),
            key(&shop, None, Called::Place("1", 0)),
            key(&shop, None, Called::Place("1", 1)),
        ];
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 7);
    }

    #[test]
    fn a_repeat_says_the_same_whenever_and_wherever_it_is_sent() {
        let record = Record::by("ana").cancelled("order", "55");
        let mut again = record.clone();
        again.instance.set("b");
        again.occurred_at = crate::time::Timestamp::from_micros(9);
        assert_eq!(fingerprint(&record, false), fingerprint(&again, false));
        assert!(says_the_same(&record, &again, false) && !says_the_same(&record, &again, true));
        assert_ne!(fingerprint(&record, true), fingerprint(&again, true));
        again.entity_id.set("56");
        assert_ne!(fingerprint(&record, false), fingerprint(&again, false));
        assert!(!says_the_same(&record, &again, false));
    }
}

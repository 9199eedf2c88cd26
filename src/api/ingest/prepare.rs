//! From an item to a record that is ready for the queue, with the key by which repeats are known.

use super::{
    answer::{FOREIGN_SERVICE, FOREIGN_TENANT, Refusal},
    item::Item,
    keys::{self, Called, Caller},
    meaning,
};
use crate::{
    pipeline::Intake,
    record::{Record, RecordId},
    store::IngestKey,
    time::Timestamp,
};

/// An item that is ready.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its place among the items.
    pub(super) index: usize,
    pub(super) record: Box<Record>,
    /// The bytes that it occupies.
    pub(super) bytes: u32,
    /// Whether the item says when it happened.
    pub(super) dated: bool,
    /// Whether the record has the id that the item names.
    pub(super) named: bool,
    pub(super) claim: Option<Wish>,
}

/// The key of an item, and what it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) key: IngestKey,
    pub(super) fingerprint: [u8; 32],
}

/// What all items of a request share.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) intake: &'a Intake,
    pub(super) caller: &'a Caller,
    /// The `Idempotency-Key`.
    pub(super) key: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl Context<'_> {
    /// Prepares the item at `index`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn prepare(&self, index: usize, text: &str) -> Result<Prepared, Refusal> {
        let mut item = Item::read(text)?;
        self.scope(&mut item.record)?;
        meaning::complete(self.intake.recorder(), &mut item)?;
        let dated = item.has("occurred_at");
        let wanted = item.id.as_deref().and_then(uuid_v7);
        let wanted = wanted
            .filter(|id| !dated || id.at().as_millis() == item.record.occurred_at.as_millis());
        let Item { mut record, id, .. } = item;
        match wanted {
            Some(wanted) => {
                record.id = wanted;
                if !dated {
                    record.occurred_at = wanted.at();
                }
            }
            // Whole milliseconds, so that the id alone says when: whoever takes the claim over goes by that.
            None if !dated => {
                record.occurred_at = Timestamp::from_micros(self.now.as_millis() * 1_000);
            }
            None => {}
        }
        let bytes = self.intake.prepare(&mut record).map_err(missing)?;
        let called = match (&id, self.key) {
            (Some(id), _) => Some(Called::Id(id)),
            (None, Some(key)) => Some(Called::Place(key, index)),
            (None, None) => None,
        };
        let tenant = record.tenant_id.as_option();
        let claim = called.map(|called| Wish {
            key: keys::key(self.caller, tenant, called),
            fingerprint: keys::fingerprint(&record, dated),
        });
        // One that was clamped got an id of its own.
        let named = wanted.is_some_and(|wanted| wanted == record.id);
        Ok(Prepared { index, record, bytes, dated, named, claim })
    }

    /// Sets for whom and in whose name the record is.
    fn scope(&self, record: &mut Record) -> Result<(), Refusal> {
        let Caller { service, tenant, .. } = self.caller;
        if !record.service.is_absent() && record.service != service.as_str() {
            let detail = format!(
                "`service` is `{}` for this caller; leave it out",
                super::json::shown(service)
            );
            return Err(Refusal::new(FOREIGN_SERVICE, detail));
        }
        record.service.set(service);
        if let Some(tenant) = tenant {
            if tenant.is_empty() {
                // Without this the record would be that of no tenant, which he may not see.
                let detail = "`tenant_id`: this caller is limited to a tenant without a name; that of \
                              his grant is empty";
                return Err(Refusal::new(FOREIGN_TENANT, detail));
            }
            if !record.tenant_id.is_absent() && record.tenant_id != tenant.as_str() {
                let detail = "`tenant_id`: this caller writes for one tenant only; leave it out";
                return Err(Refusal::new(FOREIGN_TENANT, detail));
            }
            record.tenant_id.set(tenant);
        }
        Ok(())
    }
}

fn missing(field: &'static str) -> Refusal {
    let detail = match field {
        "actor_id" => {
            "`actor_id` is missing; say `\"actor_type\": \"anonymous\"` where nobody is known"
        }
        "entity_type" => "`entity_type` is missing: an `entity_id` alone names no thing",
        _ => "`action` is missing: what was done, such as `cancel`",
    };
    Refusal::new("missing-field", detail)
}

/// Returns the id of a record, if it is one: a UUIDv7 in its usual form.
fn uuid_v7(text: &str) -> Option<RecordId> {
    let id: RecordId = text.parse().ok().filter(|_| text.len() == 36)?;
    let bytes = id.as_bytes();
    (bytes[6] >> 4 == 7 && bytes[8] >> 6 == 0b10).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_of_version_7_in_its_usual_form_is_an_id() {
        let id = "019b76da-a800-7000-8000-000000000001";
        assert_eq!(uuid_v7(id).unwrap().to_string(), id);
        assert_eq!(uuid_v7(&id.to_uppercase()).unwrap().to_string(), id);
        for other in [
            "019b76da-a800-4000-8000-000000000001",
            "019b76da-a800-7000-c000-000000000001",
            "019b76daa80070008000000000000001",
            "urn:uuid:019b76da-a800-7000-8000-000000000001",
            "r-1",
        ] {
            assert_eq!(uuid_v7(other), None, "{other}");
        }
    }
}

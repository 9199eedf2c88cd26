//! The record itself: every field with its type, its erasable group and its bound, in one table.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{
    field::{Field, FieldType, Group, Slot, Value, WrongKind},
    ids::{Address, RecordId, WriterId},
    seal::{Seal, Seals},
    text::{Json, Text},
    words::{ActorType, Category, Operation, Origin, Outcome},
};
use crate::time::Timestamp;

macro_rules! record {
    ($($(#[$meta:meta])* $name:ident: $type:ty, $group:ident, $max:expr;)*) => {
        /// What happened, field by field.
        ///
        /// A record is mutable while the application builds it. Once handed to the
        /// recorder it is finished: everybody after that holds it by shared reference.
        ///
        /// Serialised, it is one flat object with every field under its own name, `null` where absent;
        /// where groups were erased, `erased` names them, and `restricted` those of them that a legal hold keeps aside.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub struct Record {
            $($(#[$meta])* pub $name: $type,)*
            /// Salts and commitments of the four erasable groups; outside the canonical bytes.
            pub seals: Seals,
        }

        impl Record {
            /// Every field, in the order of the columns.
            pub const FIELDS: &'static [Field] = &[$({
                fn value(record: &Record) -> Value<'_> {
                    FieldType::value(&record.$name)
                }
                fn set(record: &mut Record, value: Value<'_>) -> Result<(), WrongKind> {
                    FieldType::set(&mut record.$name, value)
                }
                Field {
                    name: stringify!($name),
                    kind: <$type as FieldType>::KIND,
                    group: Group::$group,
                    max_bytes: $max,
                    value,
                    set,
                }
            },)*];

            /// Makes every field absent, keeping buffers of ordinary size for the next use.
            pub fn clear(&mut self) {
                $(FieldType::clear(&mut self.$name);)*
                self.seals = Seals::default();
                self.schema_version = Self::SCHEMA_VERSION;
            }

            /// Makes this a copy of `other`, in the buffers that it has.
            pub(crate) fn copy_from(&mut self, other: &Self) {
                $(self.$name.clone_from(&other.$name);)*
                self.seals.clone_from(&other.seals);
            }

            /// Returns the bytes that the record occupies, its buffers counted by capacity.
            #[must_use]
            pub fn footprint(&self) -> usize {
                size_of::<Self>() $(+ FieldType::capacity(&self.$name))*
            }

            /// Returns the bytes of text that the record holds: roughly what a store is sent.
            #[must_use]
            pub fn text_bytes(&self) -> usize {
                0 $(+ FieldType::len(&self.$name))*
            }

            /// Shows every text that is there to `visit`, with its name and its bound.
            ///
            /// Spelt out field by field instead of walking [`FIELDS`](Self::FIELDS): it runs for each
            /// record on the request path, where a call through a pointer per field would show.
            #[inline]
            pub(crate) fn visit_texts(&mut self, mut visit: impl FnMut(&'static str, usize, Slot<'_>)) {
                $(if FieldType::len(&self.$name) > 0 && let Some(slot) = FieldType::slot(&mut self.$name) {
                    visit(stringify!($name), $max, slot);
                })*
            }
        }

        impl Default for Record {
            fn default() -> Self {
                Self {
                    $($name: Default::default(),)*
                    seals: Seals::default(),
                }.versioned()
            }
        }
    };
}

record! {
    /// Made once at capture; its milliseconds are `occurred_at`.
    id: RecordId, Sealed, 0;
    /// Version of the canonical encoding.
    schema_version: u16, Sealed, 0;
    /// Start of the request; frozen at capture.
    occurred_at: Timestamp, Sealed, 0;
    /// The writer's clock when the batch closed.
    recorded_at: Timestamp, Sealed, 0;
    /// How long it took, in microseconds of the monotonic clock.
    duration_us: Option<i64>, Sealed, 0;
    /// Where the record came from.
    origin: Origin, Sealed, 0;
    /// What kind of fact it states.
    category: Category, Sealed, 0;
    /// How long it is kept: from policy, frozen at append.
    retention_class: Text, Sealed, 64;
    /// The verb in snake case, dots allowed: `create`, `cancel`, `login_failed`.
    action: Text, Sealed, 128;
    /// The verb, normalised.
    operation: Operation, Sealed, 0;
    /// How it ended.
    outcome: Outcome, Sealed, 0;
    /// Why it ended so: `panic`, `timeout`, `client_disconnect`, `process_ended`, or a kind of error.
    outcome_reason: Text, Sealed, 128;
    /// 0–6 as in OCSF: unknown, informational, low, medium, high, critical, fatal.
    severity: u8, Sealed, 0;
    /// The tenant (also spelt workspace).
    tenant_id: Text, Sealed, 256;
    /// The organisation.
    org_id: Text, Sealed, 256;
    /// The application's module, for feeds.
    channel: Text, Sealed, 128;
    /// The type of thing that was acted on, singular and in snake case.
    entity_type: Text, Sealed, 128;
    /// The id of that thing.
    entity_id: Text, Target, 512;
    /// Its name as it was then.
    entity_name: Text, Target, 512;
    /// Further targets: `[{"type","id","name","relation"}]`.
    targets: Json, Target, 65_536;
    /// What kind of party acted; never absent.
    actor_type: ActorType, Sealed, 0;
    /// Who acted.
    actor_id: Text, Identity, 256;
    /// The actor's name as it was then.
    actor_name: Text, Identity, 256;
    /// Who really acted, when somebody acted as somebody else.
    impersonator_id: Text, Identity, 256;
    /// The impersonator's name as it was then.
    impersonator_name: Text, Identity, 256;
    /// Whose data it is, beside who acted: `["…"]`.
    subject_ids: Json, Identity, 16_384;
    /// How the actor proved who he is.
    auth_method: Text, Sealed, 64;
    /// Keyed hash of the credential.
    credential_id: Text, Identity, 128;
    /// Keyed hash of the session, never the raw id.
    session_id: Text, Identity, 128;
    /// A sentence, only if a rule or a handler wrote one.
    description: Text, Content, 2_048;
    /// The actor's own justification.
    reason: Text, Content, 2_048;
    /// What changed: `[{"op","path","old","new"}]`, paths as in RFC 6901.
    changes: Json, Content, 65_536;
    /// The application's own facts, preferably a flat object.
    metadata: Json, Content, 65_536;
    /// HTTP method.
    method: Text, Sealed, 32;
    /// Route template, `{unmatched}` where no route matched.
    route: Text, Sealed, 512;
    /// The host that was asked for.
    host: Text, Sealed, 255;
    /// `HTTP/1.1`, `HTTP/2.0`, …
    http_version: Text, Sealed, 16;
    /// The path as it was sent, with secrets masked.
    path: Text, Network, 2_048;
    /// The query string with secrets masked; off by default.
    query: Text, Network, 2_048;
    /// HTTP status.
    status: Option<u16>, Sealed, 0;
    /// gRPC status.
    grpc_status: Option<u8>, Sealed, 0;
    /// Bytes of the request body that were read.
    request_bytes: Option<i64>, Sealed, 0;
    /// Bytes of the response body that were handed on.
    response_bytes: Option<i64>, Sealed, 0;
    /// The beginning of the request body, redacted; only at its levels.
    request_body: Text, Content, 65_536;
    /// The beginning of the response body, redacted; only at its level.
    response_body: Text, Content, 65_536;
    /// The client: the rightmost untrusted hop, the peer when nothing is trusted.
    ip: Option<Address>, Network, 0;
    /// Keyed hash of the address, under the `hmac` address policy.
    ip_pseudonym: Text, Network, 128;
    /// The forwarding chain as it was sent, unverified: `["…"]`.
    forwarded: Json, Network, 4_096;
    /// `{"country","region","city"}`, where the application provides it.
    location: Json, Network, 1_024;
    /// The client's user agent.
    user_agent: Text, Network, 512;
    /// `x-request-id`, taken over or made.
    request_id: Text, Sealed, 128;
    /// The application's own id of a wider action.
    correlation_id: Text, Sealed, 128;
    /// W3C trace id, 32 hex digits.
    trace_id: Text, Sealed, 32;
    /// W3C span id, 16 hex digits.
    span_id: Text, Sealed, 16;
    /// The service that recorded it.
    service: Text, Sealed, 128;
    /// The instance of the service.
    instance: Text, Sealed, 128;
    /// The deployment: `production`, `staging`, …
    environment: Text, Sealed, 64;
    /// The rule that recorded it.
    rule: Text, Sealed, 128;
    /// What was taken out: `[{"field","path","method"}]`.
    redactions: Json, Sealed, 16_384;
    /// Which fields were cut: `["…"]`.
    truncated: Json, Sealed, 4_096;
    /// Which times were clamped, and what they were: `{"occurred_at": "…"}`.
    skewed: Json, Sealed, 1_024;
    /// The stream that numbered it.
    writer_id: WriterId, Sealed, 0;
    /// Its place in that stream, from 1 on without a gap.
    seq: i64, Sealed, 0;
}

impl Record {
    /// The version of the canonical encoding that this build writes.
    pub const SCHEMA_VERSION: u16 = 1;

    /// Returns the groups that are kept aside under a legal hold, be they shown or not; in JSON they stand under
    /// `restricted`.
    pub fn restricted(&self) -> impl Iterator<Item = Group> {
        self.seals.restricted().iter()
    }

    /// Returns the groups whose fields were erased; in JSON they stand under `erased`.
    pub fn erased(&self) -> impl Iterator<Item = Group> {
        let erased = |group: &Group| matches!(self.seals.of(*group), Seal::Erased(_));
        Group::ERASABLE.into_iter().filter(erased)
    }

    fn versioned(mut self) -> Self {
        self.schema_version = Self::SCHEMA_VERSION;
        self
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let erased: Vec<_> = self.erased().map(Group::as_str).collect();
        let restricted: Vec<_> = self.restricted().map(Group::as_str).collect();
        let more = [&erased, &restricted].into_iter().filter(|groups| !groups.is_empty()).count();
        let length = Self::FIELDS.len() + more;
        let mut map = serializer.serialize_map(Some(length))?;
        for field in Self::FIELDS {
            map.serialize_entry(field.name(), &field.value(self))?;
        }
        // Only then: absent because it never was, and absent because it was taken away, are two things.
        if !erased.is_empty() {
            map.serialize_entry("erased", &erased)?;
        }
        if !restricted.is_empty() {
            map.serialize_entry("restricted", &restricted)?;
        }
        map.end()
    }
}

impl AsRef<Self> for Record {
    fn as_ref(&self) -> &Self {
        self
    }
}

//! A record as bytes, for files that a later version of this crate may read.
//!
//! ```text
//! 1 version   2 schema_version   16 id   8 occurred_at µs                  integers are little-endian
//! 1 origin   1 category   1 operation   1 outcome   1 severity   1 actor_type       words by their place
//! then, for each field that is there, in ascending order of tags:
//! 1 tag   length (LEB128)   value: text, 8 bytes of an integer, prefix and bytes of an address, …
//! ```
//!
//! **What may change.** A field that is added takes the next free tag, a word the next place. Tags below
//! [`SKIPPABLE`] are part of what is recorded: a reader that does not know one refuses the record, since a
//! record without it would be another one. Tags from there on may be left out, and are skipped. What cannot be
//! told so is a new version, which an older reader refuses.
//!
//! Not the canonical bytes: those are hashed, never read back, and hold personal fields only as commitments.

use std::{error, fmt, net::IpAddr};

use super::{
    field::Group,
    fields::Record,
    ids::{Address, RecordId, WriterId},
    seal::Seal,
    text::{Json, Text},
    words::{ActorType, Category, Operation, Origin, Outcome},
};
use crate::time::Timestamp;

const VERSION: u8 = 1;
/// What every record begins with.
const HEAD: usize = 33;
/// From this tag on, a reader skips what it does not know.
const SKIPPABLE: u8 = 128;
/// More than any record that was bounded by the recorder, and a bound for what hostile bytes cost.
const MAX_LEN: usize = 16 << 20;
/// Room for tags, lengths and values that are no text, so that the buffer grows once at most.
const OVERHEAD: usize = HEAD + 512;

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortableError {
    /// They end before the record does.
    Cut,
    /// They are longer than any record.
    TooLong,
    /// A later version of this crate wrote them.
    Version(u8),
    /// The canonical bytes of the record are of a later version.
    Schema(u16),
    /// A field that this version does not know, and that is part of the record.
    Unknown(u8),
    /// A field that comes twice, or behind one that follows it.
    Order(u8),
    /// A value that its field cannot have.
    Value(&'static str),
}

impl fmt::Display for PortableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut => f.write_str("the bytes end before the record does"),
            Self::TooLong => write!(f, "the bytes are longer than the {MAX_LEN} of any record"),
            Self::Version(version) => {
                write!(f, "version {version} of the bytes is later than {VERSION}")
            }
            Self::Schema(version) => {
                write!(f, "schema version {version} is not within 1 and {}", Record::SCHEMA_VERSION)
            }
            Self::Unknown(tag) => write!(f, "field {tag} is not known to this version"),
            Self::Order(tag) => write!(f, "field {tag} comes twice or too late"),
            Self::Value(field) => write!(f, "the value of `{field}` is none that it can have"),
        }
    }
}

impl error::Error for PortableError {}

/// Fields with their tags, which never change and are never used again.
macro_rules! tagged {
    ($($tag:literal $name:ident,)*) => {
        impl Record {
            /// Appends the record as bytes. Allocates nothing but room in `out`.
            pub(crate) fn to_portable(&self, out: &mut Vec<u8>) {
                // Spelt out, so that a field which is added has to be given a tag.
                let Self {
                    id, schema_version, occurred_at, origin, category, operation, outcome, severity,
                    actor_type, seals, $($name,)*
                } = self;
                out.reserve(self.text_bytes() + OVERHEAD);
                let mut head = [0; HEAD];
                head[0] = VERSION;
                head[1..3].copy_from_slice(&schema_version.to_le_bytes());
                head[3..19].copy_from_slice(id.as_bytes());
                head[19..27].copy_from_slice(&occurred_at.as_micros().to_le_bytes());
                head[27..].copy_from_slice(&[
                    *origin as u8, *category as u8, *operation as u8, *outcome as u8, *severity,
                    *actor_type as u8,
                ]);
                out.extend_from_slice(&head);
                $($name.write($tag, out);)*
                for (tag, group) in (SEALS..).zip(Group::ERASABLE) {
                    write_seal(&seals.of(group), tag, out);
                }
            }

            fn read_field(&mut self, tag: u8, value: &[u8]) -> Result<(), PortableError> {
                let known = match tag {
                    $($tag => self.$name.read(value).ok_or(stringify!($name)),)*
                    SEALS..SEALS_END => {
                        let group = Group::ERASABLE[usize::from(tag - SEALS)];
                        read_seal(value)
                            .map(|seal| self.seals.set(group, seal))
                            .ok_or("seals")
                    }
                    SKIPPABLE.. => Ok(()),
                    _ => return Err(PortableError::Unknown(tag)),
                };
                known.map_err(PortableError::Value)
            }
        }
    };
}

/// The tags of the four seals.
const SEALS: u8 = 120;
const SEALS_END: u8 = SEALS + 4;

tagged! {
    1 recorded_at,
    2 duration_us,
    3 retention_class,
    4 action,
    5 outcome_reason,
    6 tenant_id,
    7 org_id,
    8 channel,
    9 entity_type,
    10 entity_id,
    11 entity_name,
    12 targets,
    13 actor_id,
    14 actor_name,
    15 impersonator_id,
    16 impersonator_name,
    17 subject_ids,
    18 auth_method,
    19 credential_id,
    20 session_id,
    21 description,
    22 reason,
    23 changes,
    24 metadata,
    25 method,
    26 route,
    27 host,
    28 http_version,
    29 path,
    30 query,
    31 status,
    32 grpc_status,
    33 request_bytes,
    34 response_bytes,
    35 request_body,
    36 response_body,
    37 ip,
    38 ip_pseudonym,
    39 forwarded,
    40 location,
    41 user_agent,
    42 request_id,
    43 correlation_id,
    44 trace_id,
    45 span_id,
    46 service,
    47 instance,
    48 environment,
    49 rule,
    50 redactions,
    51 truncated,
    52 skewed,
    53 writer_id,
    54 seq,
}

impl Record {
    /// Reads a record that [`to_portable`](Self::to_portable) wrote, into `record`, whose buffers stay in use.
    ///
    /// # Errors
    ///
    /// When the bytes are not a record, or are one of a later version. `record` is then half filled.
    pub(crate) fn from_portable(bytes: &[u8], record: &mut Self) -> Result<(), PortableError> {
        if bytes.len() > MAX_LEN {
            return Err(PortableError::TooLong);
        }
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(PortableError::Version(version)),
            None => return Err(PortableError::Cut),
        }
        let (head, mut rest) = bytes.split_first_chunk::<HEAD>().ok_or(PortableError::Cut)?;
        record.clear();
        record.read_head(head)?;
        let mut last = 0;
        while let [tag, after @ ..] = rest {
            if *tag <= last {
                return Err(PortableError::Order(*tag));
            }
            last = *tag;
            let (len, after) = read_len(after)?;
            let (value, after) = after.split_at_checked(len).ok_or(PortableError::Cut)?;
            record.read_field(*tag, value)?;
            rest = after;
        }
        Ok(())
    }

    fn read_head(&mut self, head: &[u8; HEAD]) -> Result<(), PortableError> {
        fn part<const N: usize>(head: &[u8; HEAD], at: usize) -> [u8; N] {
            std::array::from_fn(|index| head[at + index])
        }
        fn word<T: Copy>(all: &[T], byte: u8, field: &'static str) -> Result<T, PortableError> {
            all.get(usize::from(byte)).copied().ok_or(PortableError::Value(field))
        }
        self.schema_version = u16::from_le_bytes(part(head, 1));
        if !(1..=Self::SCHEMA_VERSION).contains(&self.schema_version) {
            return Err(PortableError::Schema(self.schema_version));
        }
        self.id = RecordId::from_bytes(part(head, 3));
        self.occurred_at = Timestamp::from_micros(i64::from_le_bytes(part(head, 19)));
        self.origin = word(&Origin::ALL, head[27], "origin")?;
        self.category = word(&Category::ALL, head[28], "category")?;
        self.operation = word(&Operation::ALL, head[29], "operation")?;
        self.outcome = word(&Outcome::ALL, head[30], "outcome")?;
        self.severity = head[31];
        self.actor_type = word(&ActorType::ALL, head[32], "actor_type")?;
        Ok(())
    }
}

/// A type that a tagged field may have.
trait Portable {
    /// Writes tag, length and value, unless the field is absent.
    fn write(&self, tag: u8, out: &mut Vec<u8>);
    /// Returns `None` when the bytes are no value of this type.
    fn read(&mut self, value: &[u8]) -> Option<()>;
}

#[inline]
fn put(tag: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    let mut len = value.len();
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(value);
}

fn read_len(bytes: &[u8]) -> Result<(usize, &[u8]), PortableError> {
    let mut len = 0;
    // Four bytes of seven bits are more than the longest record.
    for (index, byte) in bytes.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((len, &bytes[index + 1..]));
        }
    }
    Err(if bytes.len() < 4 { PortableError::Cut } else { PortableError::TooLong })
}

impl Portable for Text {
    #[inline]
    fn write(&self, tag: u8, out: &mut Vec<u8>) {
        if !self.is_absent() {
            put(tag, self.as_bytes(), out);
        }
    }

    fn read(&mut self, value: &[u8]) -> Option<()> {
        self.set(std::str::from_utf8(value).ok()?);
        Some(())
    }
}

impl Portable for Json {
    #[inline]
    fn write(&self, tag: u8, out: &mut Vec<u8>) {
        if !self.is_absent() {
            put(tag, self.as_str().as_bytes(), out);
        }
    }

    fn read(&mut self, value: &[u8]) -> Option<()> {
        self.buffer().push_str(std::str::from_utf8(value).ok()?);
        Some(())
    }
}

impl Portable for Option<Address> {
    fn write(&self, tag: u8, out: &mut Vec<u8>) {
        let Some(address) = self else { return };
        let mut value = [0; 17];
        value[0] = address.prefix();
        let len = match address.ip() {
            IpAddr::V4(ip) => {
                value[1..5].copy_from_slice(&ip.octets());
                5
            }
            IpAddr::V6(ip) => {
                value[1..].copy_from_slice(&ip.octets());
                17
            }
        };
        put(tag, &value[..len], out);
    }

    fn read(&mut self, value: &[u8]) -> Option<()> {
        let (prefix, ip) = value.split_first()?;
        let ip: IpAddr = match ip.len() {
            4 => <[u8; 4]>::try_from(ip).ok()?.into(),
            _ => <[u8; 16]>::try_from(ip).ok()?.into(),
        };
        *self = Some(Address::truncated(ip, *prefix));
        Some(())
    }
}

/// Integers, in as many bytes as their type has; 0 is absent where the field has no other way to say so.
macro_rules! integers {
    ($($field:ty, $integer:ty, |$get:ident| $got:expr, |$number:ident| $set:expr;)*) => {$(
        impl Portable for $field {
            #[inline]
            fn write(&self, tag: u8, out: &mut Vec<u8>) {
                let $get = self;
                let number: Option<$integer> = $got;
                if let Some(number) = number {
                    put(tag, &number.to_le_bytes(), out);
                }
            }

            fn read(&mut self, value: &[u8]) -> Option<()> {
                let $number = <$integer>::from_le_bytes(value.try_into().ok()?);
                *self = $set;
                Some(())
            }
        }
    )*};
}

integers! {
    Option<u8>, u8, |field| *field, |number| Some(number);
    Option<u16>, u16, |field| *field, |number| Some(number);
    Option<i64>, i64, |field| *field, |number| Some(number);
    i64, i64, |field| Some(*field).filter(|number| *number != 0), |number| number;
    Timestamp, i64,
        |field| Some(field.as_micros()).filter(|number| *number != 0),
        |number| Self::from_micros(number);
    WriterId, i64, |field| Some(field.get()).filter(|number| *number != 0), |number| Self::new(number);
}

fn write_seal(seal: &Seal, tag: u8, out: &mut Vec<u8>) {
    match seal {
        Seal::Empty => {}
        Seal::Salted(salt) => put(tag, salt, out),
        Seal::Erased(commitment) => put(tag, commitment, out),
    }
}

fn read_seal(value: &[u8]) -> Option<Seal> {
    Some(match value.len() {
        16 => Seal::Salted(value.try_into().ok()?),
        _ => Seal::Erased(value.try_into().ok()?),
    })
}

/// Reads hostile bytes: whatever they are, there is no panic, and what is read is written and read again as
/// the same record. The body of a fuzz target.
///
/// # Panics
///
/// When that does not hold.
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(not(test), allow(dead_code, reason = "for fuzzing"))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut record = Record::default();
    if Record::from_portable(bytes, &mut record).is_err() {
        return;
    }
    let mut written = Vec::new();
    record.to_portable(&mut written);
    let mut again = Record::default();
    let read = Record::from_portable(&written, &mut again);
    assert!(read.is_ok() && again == record, "{record:?} was read as {again:?}: {read:?}");
}

#[cfg(test)]
mod tests;

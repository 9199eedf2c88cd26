//! Cursors: where a list or a live session goes on.
//!
//! To whoever holds one it is a word without a meaning. To us it is a few bytes, authenticated under the
//! installation's key, so that nobody makes one up, and bound to the filter and the scope that it was made
//! for, so that nobody takes it elsewhere. And nobody else can read them: where the time was up, a place is
//! that of a record that was looked at and is none of the reader's, and a live one counts the commits of all.
//!
//! ```
//! use tower_activity::{
//!     query::{Binding, Cursor, Direction, Filter, Keyset, Place},
//!     record::RecordId,
//!     time::Timestamp,
//! };
//!
//! let key = [7; 32];
//! let place = Keyset { occurred_at: Timestamp::from_micros(5), id: RecordId::NIL };
//! let cursor = Cursor {
//!     place: Place::Occurred(place),
//!     order: Direction::Older,
//!     back: false,
//!     now: Timestamp::from_micros(9),
//! };
//! let (filter, scope) = (Filter::new(), Filter::new());
//! let text = cursor.seal(&key, Binding::new(&filter, &scope));
//!
//! let sealed = Cursor::open(&key, &text)?;
//! // The filter can only be read now: relative times in it hang on the cursor's `now`.
//! assert_eq!(sealed.now(), Timestamp::from_micros(9));
//! assert_eq!(sealed.bound_to(Binding::new(&filter, &scope))?, cursor);
//!
//! let other = Filter::new().any_of("tenant_id", ["acme"])?;
//! assert!(Cursor::open(&key, &text)?.bound_to(Binding::new(&filter, &other)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Format
//!
//! Base64url without padding over: version (1 byte), kind (1 byte), fields of fixed size, big-endian, the
//! [binding](super::Binding) (16 bytes), and the first 16 bytes of HMAC-SHA-256 over all that, the tag. What
//! stands between version and tag is covered (XOR) with HMAC-SHA-256 over the tag and the number of the block:
//! a synthetic IV, so that the same cursor is the same word, and no two share a cover.

use std::{error, fmt};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{
    digest::Binding,
    page::{Direction, Keyset, Place},
};
use crate::{record::RecordId, time::Timestamp};

/// The format above. Another one is another number, and old cursors are then refused as such.
const VERSION: u8 = 1;
/// A forger has one try in 2^128 for each request.
const MAC_BYTES: usize = 16;
/// Longer than any cursor of ours; what is longer is not even decoded.
const MAX_CHARS: usize = 160;

const PAGE_BY_TIME: u8 = 1;
const PAGE_BY_COMMIT: u8 = 2;
const LIVE: u8 = 3;

/// Where a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The place that the page begins strictly after.
    pub place: Place,
    /// The order of the list.
    pub order: Direction,
    /// Whether the page lies before the place, in the order of the list.
    pub back: bool,
    /// When the first page was asked for: `now-24h` means the same on every page.
    pub now: Timestamp,
}

/// Where a live session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveCursor {
    /// The ledger's entry.
    pub position: i64,
    /// How many of that entry's records are behind the cursor; all of them when it is `u32::MAX`.
    pub k: u32,
    /// When the session was begun, or the list that it goes on from.
    pub now: Timestamp,
}

/// A cursor that is ours, and not known yet to belong to this question.
#[derive(Debug, Clone, Copy)]
#[must_use = "a cursor counts only once it is known to belong to the question"]
pub struct Sealed<C> {
    cursor: C,
    now: Timestamp,
    binding: Binding,
}

impl<C> Sealed<C> {
    /// Returns the moment against which relative times in the filter are resolved.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the cursor if it was made for this filter and scope.
    ///
    /// # Errors
    ///
    /// When it was made for others.
    pub fn bound_to(self, binding: Binding) -> Result<C, CursorError> {
        if self.binding == binding { Ok(self.cursor) } else { Err(CursorError::Elsewhere) }
    }
}

impl Cursor {
    /// Writes the cursor for whoever may use it with what it is bound to.
    #[must_use]
    pub fn seal(&self, key: &[u8; 32], binding: Binding) -> String {
        let kind = match self.place {
            Place::Occurred(_) => PAGE_BY_TIME,
            Place::Committed(_) => PAGE_BY_COMMIT,
        };
        let mut out = Out::new(kind);
        out.byte(u8::from(self.order == Direction::Newer) | u8::from(self.back) << 1);
        out.number(self.now.as_micros());
        match self.place {
            Place::Occurred(Keyset { occurred_at, id }) => {
                out.number(occurred_at.as_micros());
                out.bytes(id.as_bytes());
            }
            Place::Committed(number) => out.number(number),
        }
        out.seal(key, binding)
    }

    /// Reads a cursor.
    ///
    /// # Errors
    ///
    /// When it is not one of ours, or of another version or kind.
    pub fn open(key: &[u8; 32], text: &str) -> Result<Sealed<Self>, CursorError> {
        let (kind, mut fields) = In::open(key, text)?;
        // Before anything else is read: the fields of another kind are not flags.
        if !matches!(kind, PAGE_BY_TIME | PAGE_BY_COMMIT) {
            return Err(CursorError::Kind);
        }
        let flags = fields.byte()?;
        if flags > 0b11 {
            return Err(CursorError::Forged);
        }
        let now = Timestamp::from_micros(fields.number()?);
        let place = match kind {
            PAGE_BY_TIME => {
                let occurred_at = Timestamp::from_micros(fields.number()?);
                Place::Occurred(Keyset { occurred_at, id: RecordId::from_bytes(fields.take()?) })
            }
            PAGE_BY_COMMIT => Place::Committed(fields.number()?),
            _ => return Err(CursorError::Kind),
        };
        let order = if flags & 1 == 0 { Direction::Older } else { Direction::Newer };
        let cursor = Self { place, order, back: flags & 2 != 0, now };
        Ok(Sealed { cursor, now, binding: fields.binding()? })
    }
}

impl LiveCursor {
    /// Makes the cursor that stands behind the whole of the ledger's entry at `position`.
    #[must_use]
    pub const fn behind(position: i64, now: Timestamp) -> Self {
        Self { position, k: u32::MAX, now }
    }

    /// Writes the cursor for whoever may use it with what it is bound to.
    #[must_use]
    pub fn seal(&self, key: &[u8; 32], binding: Binding) -> String {
        let mut out = Out::new(LIVE);
        out.number(self.now.as_micros());
        out.number(self.position);
        out.bytes(&self.k.to_be_bytes());
        out.seal(key, binding)
    }

    /// Reads a cursor.
    ///
    /// # Errors
    ///
    /// When it is not one of ours, or of another version or kind.
    pub fn open(key: &[u8; 32], text: &str) -> Result<Sealed<Self>, CursorError> {
        let (kind, mut fields) = In::open(key, text)?;
        if kind != LIVE {
            return Err(CursorError::Kind);
        }
        let now = Timestamp::from_micros(fields.number()?);
        let position = fields.number()?;
        let cursor = Self { position, k: u32::from_be_bytes(fields.take()?), now };
        Ok(Sealed { cursor, now, binding: fields.binding()? })
    }
}

/// Why a cursor is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CursorError {
    /// It was not made by this installation, or was damaged on its way.
    Forged,
    /// It was made by another version.
    Version,
    /// It is a live session's where a list's is needed, or the other way round.
    Kind,
    /// It was made for another filter, or for a caller who sees something else.
    Elsewhere,
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forged => {
                "the cursor was not made here, or was damaged; pass on `next`, `prev` or `live` as they are"
            }
            Self::Version => "the cursor is of another version; please begin again without it",
            Self::Kind => {
                "the cursor is of another kind: `next` and `prev` go with lists, `live` with live sessions"
            }
            Self::Elsewhere => {
                "the cursor belongs to another filter or another caller; keep the parameters as they \
                 were, or begin again without it"
            }
        })
    }
}

impl error::Error for CursorError {}

/// A cursor that is being written.
struct Out(Vec<u8>);

impl Out {
    fn new(kind: u8) -> Self {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend([VERSION, kind]);
        Self(bytes)
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    fn seal(mut self, key: &[u8; 32], binding: Binding) -> String {
        self.bytes(binding.bytes());
        let mac = mac(key, &self.0).finalize().into_bytes();
        let tag = &mac[..MAC_BYTES];
        cover(key, tag, &mut self.0[1..]);
        self.bytes(tag);
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The fields of a cursor that is ours, to be read in their order.
struct In {
    bytes: Vec<u8>,
    at: usize,
}

impl In {
    fn open(key: &[u8; 32], text: &str) -> Result<(u8, Self), CursorError> {
        if text.len() > MAX_CHARS {
            return Err(CursorError::Forged);
        }
        // Strict: there is one way to spell a cursor.
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Forged)?;
        // The version comes before the authentication, because another version may authenticate otherwise.
        if bytes.first().is_none_or(|version| *version != VERSION) {
            let version = bytes.len() > MAC_BYTES + Binding::BYTES;
            return Err(if version { CursorError::Version } else { CursorError::Forged });
        }
        let body = bytes.len().checked_sub(MAC_BYTES).ok_or(CursorError::Forged)?;
        let tag = bytes.split_off(body);
        cover(key, &tag, bytes.get_mut(1..).ok_or(CursorError::Forged)?);
        mac(key, &bytes).verify_truncated_left(&tag).map_err(|_| CursorError::Forged)?;
        let mut fields = Self { bytes, at: 1 };
        Ok((fields.byte()?, fields))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CursorError> {
        let field = self.bytes.get(self.at..self.at + N).ok_or(CursorError::Forged)?;
        self.at += N;
        field.try_into().map_err(|_| CursorError::Forged)
    }

    fn byte(&mut self) -> Result<u8, CursorError> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<i64, CursorError> {
        self.take().map(i64::from_be_bytes)
    }

    /// Reads the last field.
    fn binding(mut self) -> Result<Binding, CursorError> {
        let binding = Binding::of_bytes(self.take()?);
        if self.at == self.bytes.len() { Ok(binding) } else { Err(CursorError::Forged) }
    }
}

fn mac(key: &[u8; 32], signed: &[u8]) -> Hmac<Sha256> {
    keyed(key, &[b"tower-activity cursor\0", signed])
}

/// Covers what is open, and opens what is covered.
fn cover(key: &[u8; 32], tag: &[u8], bytes: &mut [u8]) {
    for (block, number) in bytes.chunks_mut(32).zip(0_u8..) {
        let cover = keyed(key, &[b"tower-activity cursor cover\0", tag, &[number]]);
        let cover = cover.finalize().into_bytes();
        block.iter_mut().zip(cover).for_each(|(byte, cover)| *byte ^= cover);
    }
}

fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::Filter;

    const KEY: [u8; 32] = [3; 32];

    #[test]
    fn a_live_cursor_is_of_another_kind_at_any_time() {
        for now in [i64::MIN, -1, 0, 1_778_500_800_000_000, i64::MAX] {
            let live = LiveCursor::behind(7, Timestamp::from_micros(now));
            let word = live.seal(&KEY, binding("acme"));
            assert_eq!(Cursor::open(&KEY, &word).err(), Some(CursorError::Kind), "{now}");
        }
    }

    fn binding(tenant: &str) -> Binding {
        let scope = Filter::new().any_of("tenant_id", [tenant]).unwrap();
        Binding::new(&Filter::new(), &scope)
    }

    fn place() -> impl Strategy<Value = Place> {
        let by_time = (any::<i64>(), any::<[u8; 16]>()).prop_map(|(at, id)| {
            let id = RecordId::from_bytes(id);
            Place::Occurred(Keyset { occurred_at: Timestamp::from_micros(at), id })
        });
        prop_oneof![by_time, any::<i64>().prop_map(Place::Committed)]
    }

    fn cursor() -> impl Strategy<Value = Cursor> {
        (place(), any::<bool>(), any::<bool>(), any::<i64>()).prop_map(|(place, asc, back, now)| {
            let order = if asc { Direction::Newer } else { Direction::Older };
            Cursor { place, order, back, now: Timestamp::from_micros(now) }
        })
    }

    fn live() -> impl Strategy<Value = LiveCursor> {
        (any::<i64>(), any::<u32>(), any::<i64>()).prop_map(|(position, k, now)| LiveCursor {
            position,
            k,
            now: Timestamp::from_micros(now),
        })
    }

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_was(cursor in cursor(), live in live()) {
            let text = cursor.seal(&KEY, binding("a"));
            prop_assert_eq!(Cursor::open(&KEY, &text)?.bound_to(binding("a")), Ok(cursor));
            prop_assert!(text.len() <= MAX_CHARS);
            let text = live.seal(&KEY, binding("a"));
            prop_assert_eq!(LiveCursor::open(&KEY, &text)?.bound_to(binding("a")), Ok(live));
        }

        #[test]
        fn a_cursor_with_anything_changed_is_refused(
            cursor in cursor(),
            at in any::<prop::sample::Index>(),
            other in any::<u8>(),
        ) {
            let text = cursor.seal(&KEY, binding("a"));
            // In what is written, and in the bytes that it stands for.
            let mut written = text.clone().into_bytes();
            let index = at.index(written.len());
            prop_assume!(written[index] != other);
            written[index] = other;
            if let Ok(written) = String::from_utf8(written) {
                prop_assert!(Cursor::open(&KEY, &written).is_err(), "{text} as {written}");
            }
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
            let index = at.index(bytes.len());
            bytes[index] ^= other.max(1);
            let written = BASE64_URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(Cursor::open(&KEY, &written).is_err(), "byte {index} of {text}");
        }

        #[test]
        fn a_cursor_cut_off_or_drawn_out_is_refused(cursor in cursor(), more in "[A-Za-z0-9_=+/-]{1,9}") {
            let text = cursor.seal(&KEY, binding("a"));
            for cut in 0..text.len() {
                prop_assert!(Cursor::open(&KEY, &text[..cut]).is_err());
            }
            let drawn_out = format!("{text}{more}");
            prop_assert!(Cursor::open(&KEY, &drawn_out).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}", bytes in any::<Vec<u8>>()) {
            prop_assert!(Cursor::open(&KEY, &text).is_err());
            let written = BASE64_URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(Cursor::open(&KEY, &written).is_err());
            prop_assert!(LiveCursor::open(&KEY, &written).is_err());
        }
    }

    fn some() -> Cursor {
        let now = Timestamp::from_micros(1);
        Cursor { place: Place::Committed(5), order: Direction::Older, back: false, now }
    }

    #[test]
    fn nobody_reads_in_a_cursor_where_it_stands() {
        let bytes = |number| {
            let cursor = Cursor { place: Place::Committed(number), ..some() };
            BASE64_URL_SAFE_NO_PAD.decode(cursor.seal(&KEY, binding("a"))).unwrap()
        };
        let seen = bytes(0x1122_3344_5566_7788);
        assert_eq!(seen, bytes(0x1122_3344_5566_7788), "the same cursor is the same word");
        assert!(!seen.windows(3).any(|part| part == [0x33, 0x44, 0x55]));
        // Nor how far two of them are apart.
        let next = bytes(0x1122_3344_5566_7789);
        let same = seen.iter().zip(&next).skip(1).filter(|(one, other)| one == other).count();
        assert!(same < seen.len() / 4, "{same} of {}", seen.len());
    }

    #[test]
    fn a_cursor_is_refused_under_another_key() {
        let text = some().seal(&KEY, binding("a"));
        assert_eq!(Cursor::open(&[4; 32], &text).err(), Some(CursorError::Forged));
    }

    #[test]
    fn a_cursor_is_refused_with_another_filter_or_scope() {
        let text = some().seal(&KEY, binding("a"));
        let open = || Cursor::open(&KEY, &text).unwrap();
        assert_eq!(open().bound_to(binding("b")), Err(CursorError::Elsewhere));
        let filter = Filter::new().any_of("action", ["cancel"]).unwrap();
        let scope = Filter::new().any_of("tenant_id", ["a"]).unwrap();
        assert_eq!(open().bound_to(Binding::new(&filter, &scope)), Err(CursorError::Elsewhere));
    }

    #[test]
    fn a_cursor_of_another_kind_or_version_says_so() {
        let text = some().seal(&KEY, binding("a"));
        assert_eq!(LiveCursor::open(&KEY, &text).err(), Some(CursorError::Kind));
        let live = LiveCursor { position: 1, k: 0, now: Timestamp::default() };
        let live = live.seal(&KEY, binding("a"));
        assert_eq!(Cursor::open(&KEY, &live).err(), Some(CursorError::Kind));

        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        bytes[0] = VERSION + 1;
        let newer = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(Cursor::open(&KEY, &newer).err(), Some(CursorError::Version));
    }
}

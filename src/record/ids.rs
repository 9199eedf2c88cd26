//! Ids and addresses.

use std::{fmt, net::IpAddr, num::ParseIntError, str::FromStr};

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::time::Timestamp;

/// The id of a record: a UUIDv7 (RFC 9562) whose milliseconds are those of `occurred_at`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RecordId(Uuid);

impl RecordId {
    /// The id of a record that has not got one yet.
    pub const NIL: Self = Self(Uuid::nil());

    /// Makes an id from a moment and random bytes, of which 74 bits are used.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// Returns the sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Makes an id from its sixteen bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Returns the millisecond that the id names, as the moment at its beginning.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let millis = bytes[..6].iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        Timestamp::from_micros(millis * 1_000)
    }

    /// Tells whether the record has no id yet.
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        self.0.is_nil()
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The random 63-bit name of a stream, made at the start of the process that numbers it.
///
/// Shown, and written to JSON, as a decimal string: JSON numbers are exact only below 2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WriterId(i64);

impl WriterId {
    /// Makes a writer id; the sign is dropped.
    #[must_use]
    pub const fn new(id: i64) -> Self {
        Self(id & i64::MAX)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for WriterId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self::new)
    }
}

/// A network address, possibly truncated to a prefix.
///
/// IPv4 addresses mapped into IPv6 are kept as IPv4; bits beyond the prefix are zero. A whole address is
/// shown without its prefix (`192.0.2.7`), a truncated one with it (`192.0.2.0/24`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    ip: IpAddr,
    prefix: u8,
}

impl Address {
    /// Makes a whole address.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Self { ip, prefix: if ip.is_ipv4() { 32 } else { 128 } }
    }

    /// Makes an address truncated to its first `prefix` bits; a prefix that is too long means all of them.
    #[must_use]
    pub fn truncated(ip: IpAddr, prefix: u8) -> Self {
        let whole = Self::new(ip);
        let prefix = prefix.min(whole.prefix);
        let ip = ipnet::IpNet::new(whole.ip, prefix).map_or(whole.ip, |net| net.network());
        Self { ip, prefix }
    }

    /// Makes the address of a network, whose prefix counts the bits of its own family.
    fn of_net(net: ipnet::IpNet) -> Self {
        // First cut, then looked at: what is left of a mapped address above its last 32 bits is none.
        let (ip, prefix) = (net.network(), net.prefix_len());
        let whole = Self::new(ip);
        let mapped = ip.is_ipv6() && whole.ip.is_ipv4();
        Self::truncated(ip, if mapped { prefix.saturating_sub(96) } else { prefix })
    }

    /// Returns the address, with zeros beyond the prefix.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// Returns the number of leading bits that are known: 32 or 128 for a whole address.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Tells whether every bit is known.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.prefix == if self.ip.is_ipv4() { 32 } else { 128 }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self::new(ip)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            fmt::Display::fmt(&self.ip, f)
        } else {
            write!(f, "{}/{}", self.ip, self.prefix)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = ipnet::AddrParseError;

    fn from_str(text: &str) -> Result<Self, ipnet::AddrParseError> {
        match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Self::new(ip)),
            Err(_) => text.parse().map(Self::of_net),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_the_millisecond_of_its_moment() {
        let at: Timestamp = "2026-01-31T12:04:31.123456Z".parse().unwrap();
        let id = RecordId::new(at, [0xff; 10]);
        assert_eq!(id.at().as_millis(), at.as_millis());
        assert_eq!(id.to_string().as_bytes()[14], b'7');
    }

    #[test]
    fn a_mapped_address_is_kept_as_ipv4() {
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(Address::new(mapped).to_string(), "192.0.2.7");
        assert_eq!(Address::truncated(mapped, 24).to_string(), "192.0.2.0/24");
        assert_eq!("192.0.2.9/24".parse::<Address>().unwrap(), Address::truncated(mapped, 24));
    }

    #[test]
    fn a_mapped_network_is_the_network_that_it_maps() {
        for (text, shown) in [
            ("::ffff:192.0.2.9/128", "192.0.2.9"),
            ("::ffff:192.0.2.9/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.9/97", "128.0.0.0/1"),
            ("::ffff:192.0.2.9/96", "0.0.0.0/0"),
            ("::ffff:192.0.2.9/95", "::fffe:0:0/95"),
            ("::ffff:192.0.2.9/80", "::/80"),
            ("::ffff:192.0.2.9/0", "::/0"),
            ("192.0.2.9/31", "192.0.2.8/31"),
            ("2001:db8::1/33", "2001:db8::/33"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Address>().unwrap(), address);
        }
    }
}

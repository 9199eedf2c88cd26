//! How much of an address is kept.

use std::{error, fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::Keys;

/// How much of a client's address is kept; chosen per category by the caller. Defaults to
/// [`AddressPolicy::Full`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AddressPolicy {
    /// The address.
    #[default]
    Full,
    /// The network it is in: /24 of IPv4, /48 of IPv6.
    Truncate,
    /// A keyed pseudonym; nothing when there are no keys.
    Hmac,
    /// Nothing.
    None,
}

impl AddressPolicy {
    /// Every word, in the order of declaration.
    pub const WORDS: &'static [&'static str] = &["full", "truncate", "hmac", "none"];

    /// Returns the word that is used in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Truncate => "truncate",
            Self::Hmac => "hmac",
            Self::None => "none",
        }
    }

    /// Returns what may be kept of an address.
    ///
    /// Without keys [`AddressPolicy::Hmac`] keeps nothing: an address that was to be hidden is
    /// never shown because a file is missing.
    #[must_use]
    pub fn apply(self, address: IpAddr, tenant: Option<&str>, keys: Option<&Keys>) -> KeptAddress {
        let address = address.to_canonical();
        match self {
            Self::Full => KeptAddress {
                network: Some((address, if address.is_ipv4() { 32 } else { 128 })),
                pseudonym: None,
            },
            Self::Truncate => KeptAddress { network: Some(truncate(address)), pseudonym: None },
            Self::Hmac => KeptAddress {
                network: None,
                pseudonym: keys
                    .map(|keys| keys.pseudonym(Keys::ADDRESS, tenant, &address.to_string())),
            },
            Self::None => KeptAddress::default(),
        }
    }
}

impl fmt::Display for AddressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AddressPolicy {
    type Err = UnknownAddressPolicy;

    fn from_str(word: &str) -> Result<Self, UnknownAddressPolicy> {
        match word {
            "full" => Ok(Self::Full),
            "truncate" => Ok(Self::Truncate),
            "hmac" => Ok(Self::Hmac),
            "none" => Ok(Self::None),
            _ => Err(UnknownAddressPolicy { word: word.to_owned() }),
        }
    }
}

/// A word that is no address policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAddressPolicy {
    word: String,
}

impl fmt::Display for UnknownAddressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an address policy (one of {})",
            self.word.escape_debug(),
            AddressPolicy::WORDS.join(", ")
        )
    }
}

impl error::Error for UnknownAddressPolicy {}

/// What may be kept of an address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeptAddress {
    /// The address or network and the length of its prefix.
    pub network: Option<(IpAddr, u8)>,
    /// The pseudonym.
    pub pseudonym: Option<String>,
}

/// Returns the network of an address, /24 of IPv4 and /48 of IPv6, and the length of its prefix.
///
/// An IPv4 address written as IPv6 is one of IPv4: otherwise all of IPv4 would be one network.
#[must_use]
pub fn truncate(address: IpAddr) -> (IpAddr, u8) {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { 24 } else { 48 };
    // Both lengths fit their family, so that `new` does not fail; if it did, nothing may leak.
    let unspecified = || match address {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    };
    (IpNet::new(address, prefix).map_or_else(|_| unspecified(), |net| net.network()), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn truncation_keeps_the_network() {
        assert_eq!(truncate(ip("203.0.113.77")), (ip("203.0.113.0"), 24));
        assert_eq!(truncate(ip("::ffff:203.0.113.77")), (ip("203.0.113.0"), 24));
        assert_eq!(truncate(ip("2001:db8:1:2:3::9")), (ip("2001:db8:1::"), 48));
    }

    #[test]
    fn mapped_addresses_are_ipv4_under_every_policy() {
        let (mapped, plain) = (ip("::ffff:203.0.113.77"), ip("203.0.113.77"));
        let keys = Keys::ephemeral();
        for word in AddressPolicy::WORDS {
            let policy: AddressPolicy = word.parse().unwrap();
            assert_eq!(policy.as_str(), *word);
            assert_eq!(
                policy.apply(mapped, None, Some(&keys)),
                policy.apply(plain, None, Some(&keys))
            );
        }
        assert_eq!(AddressPolicy::Full.apply(mapped, None, None).network, Some((plain, 32)));
    }

    #[test]
    fn without_keys_a_hidden_address_is_not_shown() {
        let kept = AddressPolicy::Hmac.apply(ip("203.0.113.77"), None, None);
        assert_eq!(kept, KeptAddress::default());
        let keys = Keys::ephemeral();
        let kept = AddressPolicy::Hmac.apply(ip("203.0.113.77"), None, Some(&keys));
        assert_eq!(kept.network, None);
        assert!(kept.pseudonym.unwrap().starts_with("p1."));
    }

    #[test]
    fn an_unknown_policy_is_named_with_the_known_ones() {
        assert_eq!(
            "ful".parse::<AddressPolicy>().unwrap_err().to_string(),
            "`ful` is not an address policy (one of full, truncate, hmac, none)"
        );
    }
}

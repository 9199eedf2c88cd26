//! The client's address: the rightmost hop that no trusted proxy owns.

mod forwarded;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::HeaderMap;
use ipnet::IpNet;

pub use forwarded::ForwardedHeader;
use forwarded::Hop;
pub(crate) use forwarded::{X_FORWARDED_FOR, lines};

/// The peer of a connection, for services that are not run by axum or tonic.
///
/// Put it (or a plain [`SocketAddr`]) into the request's extensions where the connection is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct PeerAddr(pub SocketAddr);

/// No chain of real proxies is longer; hops further left are not looked at.
pub(crate) const MOST_HOPS: usize = 64;

/// Whom to believe about the client's address.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub(crate) networks: Arc<[IpNet]>,
    pub(crate) header: ForwardedHeader,
}

impl Trust {
    fn trusts(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Returns the client's address, given the peer of the connection.
    ///
    /// Walks from the peer to the left over hops that are trusted, and stops at the first that is not.
    /// A hop that names no address ends the walk at the proxy that wrote it: what stands further left
    /// cannot be attributed. Without a peer nobody vouches for the headers, and there is no address; nor is there one
    /// where the application calls the header sensitive that has it.
    pub(crate) fn client(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let mut nearest = peer?.to_canonical();
        if self.networks.is_empty() || !self.trusts(nearest) {
            return Some(nearest);
        }
        // Nobody is to know who is behind the proxy, and it is not the proxy.
        if forwarded::is_sensitive(headers, &self.header) {
            return None;
        }
        for hop in forwarded::hops(headers, &self.header).take(MOST_HOPS) {
            let Hop::Known(ip) = hop else { break };
            nearest = ip;
            if !self.trusts(ip) {
                break;
            }
        }
        Some(nearest)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn trust(networks: &[&str]) -> Trust {
        Trust {
            networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
            header: ForwardedHeader::Either,
        }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn client(networks: &[&str], peer: Option<&str>, lines: &[(&'static str, &str)]) -> String {
        let peer = peer.map(|peer| peer.parse().unwrap());
        trust(networks)
            .client(&headers(lines), peer)
            .map_or_else(|| "none".to_owned(), |ip| ip.to_string())
    }

    const PROXIES: &[&str] = &["10.0.0.0/8", "fd00::/8"];

    #[test]
    fn the_rightmost_untrusted_hop_is_the_client() {
        let xff = "x-forwarded-for";
        for (lines, expected) in [
            (&[(xff, "6.6.6.6, 203.0.113.9, 10.1.1.1")][..], "203.0.113.9"),
            (&[(xff, "6.6.6.6"), (xff, "203.0.113.9"), (xff, "10.1.1.1")], "203.0.113.9"),
            (&[(xff, "203.0.113.9:5123")], "203.0.113.9"),
            (&[(xff, "::ffff:203.0.113.9")], "203.0.113.9"),
            (&[(xff, "203.0.113.9, ::ffff:10.2.2.2")], "203.0.113.9"),
            (&[(xff, "2001:db8::9, fd00::1")], "2001:db8::9"),
            (&[(xff, "10.3.3.3, 10.2.2.2")], "10.3.3.3"),
            (&[(xff, "203.0.113.9, garbage, 10.1.1.1")], "10.1.1.1"),
            (&[(xff, "garbage")], "10.0.0.1"),
            (&[(xff, "")], "10.0.0.1"),
            (&[(xff, ",,,")], "10.0.0.1"),
            (&[], "10.0.0.1"),
            (&[("forwarded", "for=6.6.6.6, for=203.0.113.9;proto=https")], "203.0.113.9"),
            (&[("forwarded", "for=\"[2001:db8::9]:80\", for=10.1.1.1")], "2001:db8::9"),
            (&[("forwarded", "for=_hidden")], "10.0.0.1"),
            (&[("forwarded", "for=6.6.6.6"), (xff, "203.0.113.9")], "203.0.113.9"),
            (&[("x-real-ip", "6.6.6.6")], "10.0.0.1"),
        ] {
            assert_eq!(client(PROXIES, Some("10.0.0.1"), lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn nothing_trusted_gives_the_peer() {
        let lies = &[("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
        assert_eq!(client(&[], Some("198.51.100.1"), lies), "198.51.100.1");
        assert_eq!(client(PROXIES, Some("198.51.100.1"), lies), "198.51.100.1");
    }

    #[test]
    fn without_a_peer_there_is_no_address() {
        assert_eq!(client(PROXIES, None, &[("x-forwarded-for", "6.6.6.6")]), "none");
    }

    #[test]
    fn what_the_application_calls_sensitive_is_not_read() {
        let mut sensitive = HeaderValue::from_static("203.0.113.9");
        sensitive.set_sensitive(true);
        let mut headers =
            headers(&[("x-forwarded-for", "203.0.113.8"), ("forwarded", "for=1.1.1.1")]);
        headers.append("x-forwarded-for", sensitive);
        let ask = |peer: &str| trust(PROXIES).client(&headers, Some(peer.parse().unwrap()));
        assert_eq!(ask("10.0.0.1"), None);
        // Who is not behind a proxy came from where he came from.
        assert_eq!(ask("198.51.100.1").unwrap().to_string(), "198.51.100.1");
        let lines: Vec<_> = forwarded::lines(&headers, &forwarded::X_FORWARDED_FOR).collect();
        assert_eq!(lines, [b"203.0.113.8"]);
    }

    #[test]
    fn a_named_header_is_believed_only_from_a_trusted_peer() {
        let mut trust = trust(PROXIES);
        trust.header = ForwardedHeader::Single(http::HeaderName::from_static("x-real-ip"));
        let headers = headers(&[("x-real-ip", "203.0.113.9"), ("x-forwarded-for", "6.6.6.6")]);
        let ask = |peer: &str| trust.client(&headers, Some(peer.parse().unwrap())).unwrap();
        assert_eq!(ask("10.0.0.1").to_string(), "203.0.113.9");
        assert_eq!(ask("198.51.100.1").to_string(), "198.51.100.1");
    }

    #[test]
    fn a_thousand_hops_are_bounded() {
        let trusted = vec!["10.9.9.9"; 1_000].join(", ");
        let line = format!("6.6.6.6, {trusted}");
        assert_eq!(client(PROXIES, Some("10.0.0.1"), &[("x-forwarded-for", &line)]), "10.9.9.9");
    }

    proptest! {
        #[test]
        fn what_the_client_writes_never_changes_what_proxies_appended(
            lies in "[ -~]{0,80}",
            forwarded in any::<bool>(),
        ) {
            let line = if forwarded {
                format!("{lies}, for=203.0.113.9")
            } else {
                format!("{lies}, 203.0.113.9")
            };
            let name = if forwarded { "forwarded" } else { "x-forwarded-for" };
            prop_assert_eq!(
                client(PROXIES, Some("10.0.0.1"), &[(name, line.as_str())]),
                "203.0.113.9"
            );
        }

        #[test]
        fn no_header_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append("x-forwarded-for", value.clone());
                headers.append("forwarded", value);
                let trust = trust(PROXIES);
                let peer = Some("10.0.0.1".parse().unwrap());
                prop_assert!(trust.client(&headers, peer).is_some());
            }
        }
    }
}

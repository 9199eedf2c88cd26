//! The client's address: the rightmost hop that no trusted proxy owns.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{Extensions, HeaderMap, HeaderValue};
use ipnet::IpNet;

use super::{
    forwarded::{self, ForwardedHeader, Hop, X_FORWARDED_FOR},
    json, with_axum,
};

/// The peer of a connection, for services that are not run by axum or tonic.
///
/// Put it (or a plain [`SocketAddr`]) into the request's extensions where the connection is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct PeerAddr(pub SocketAddr);

/// No chain of real proxies is longer; hops further left are not looked at.
const MOST_HOPS: usize = 64;

/// Of longer chains the right end is kept: the left end is whatever the client wrote.
const LONGEST_CHAIN: usize = 2 * 1024;

/// Whom to believe about the client's address.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust {
    pub(super) networks: Arc<[IpNet]>,
    pub(super) header: ForwardedHeader,
}

impl Trust {
    fn trusts(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Returns the client's address, given the peer of the connection.
    ///
    /// Walks from the peer to the left over hops that are trusted, and stops at the first that is not.
    /// A hop that names no address ends the walk at the proxy that wrote it: what stands further left
    /// cannot be attributed. Without a peer nobody vouches for the headers, and there is no address.
    pub(super) fn client(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<IpAddr> {
        let mut nearest = peer?.to_canonical();
        if self.networks.is_empty() || !self.trusts(nearest) {
            return Some(nearest);
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

/// Returns the address of the connection's other end, if whoever accepted it said so.
pub(super) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    if let Some(peer) = with_axum::connect_info(extensions) {
        return Some(peer);
    }
    #[cfg(feature = "tonic")]
    if let Some(info) = extensions.get::<tonic::transport::server::TcpConnectInfo>() {
        return info.remote_addr().map(|peer| peer.ip());
    }
    if let Some(peer) = extensions.get::<PeerAddr>() {
        return Some(peer.0.ip());
    }
    extensions.get::<SocketAddr>().map(SocketAddr::ip)
}

/// Copies the forwarding chain as it was sent into `chain`, bounded, oldest hop first.
///
/// `only` is the one line of it, if there is just one.
pub(super) fn copy_chain(
    headers: &HeaderMap,
    only: Option<&HeaderValue>,
    chain: &mut String,
) -> Chain {
    chain.clear();
    if let Some(line) = only.and_then(|only| only.to_str().ok())
        && line.len() <= LONGEST_CHAIN
    {
        chain.push_str(line);
        return Chain::Whole;
    }
    for name in [X_FORWARDED_FOR, http::header::FORWARDED] {
        let mut whole = true;
        let mut any = false;
        // Collected from the right so that the cut falls on the client's side.
        for line in forwarded::lines(headers, &name) {
            any = true;
            let room = LONGEST_CHAIN.saturating_sub(chain.len());
            let tail = &line[line.len().saturating_sub(room)..];
            let text = String::from_utf8_lossy(tail);
            if !chain.is_empty() {
                chain.insert(0, ',');
            }
            chain.insert_str(0, &text);
            if tail.len() < line.len() {
                whole = false;
                break;
            }
        }
        if any {
            return if whole { Chain::Whole } else { Chain::Cut };
        }
    }
    Chain::Absent
}

/// How much of a forwarding chain was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Chain {
    #[default]
    Absent,
    Whole,
    Cut,
}

/// Writes a copied chain as the JSON array that the record keeps.
pub(super) fn push_chain(chain: &str, out: &mut String) {
    let hops = || chain.split(',').map(str::trim).filter(|hop| !hop.is_empty());
    // A hop and its comma are two bytes at least: most chains need not be counted.
    let many = chain.len() >= 2 * MOST_HOPS;
    let first = if many { hops().count().saturating_sub(MOST_HOPS) } else { 0 };
    let mut separator = '[';
    for hop in hops().skip(first) {
        out.push(separator);
        json::push_string(out, hop);
        separator = ',';
    }
    if separator == ',' {
        out.push(']');
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

    fn chain_json(chain: &str) -> String {
        let mut out = String::new();
        push_chain(chain, &mut out);
        out
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
        let mut chain = String::new();
        let headers = headers(&[("x-forwarded-for", &line)]);
        assert_eq!(copy_chain(&headers, None, &mut chain), Chain::Cut);
        assert!(chain.len() <= LONGEST_CHAIN);
        assert!(chain_json(&chain).len() < 4_096);
    }

    #[test]
    fn the_chain_keeps_the_order_of_the_hops() {
        let mut chain = String::new();
        let headers = headers(&[("x-forwarded-for", "a, b"), ("x-forwarded-for", "c")]);
        assert_eq!(copy_chain(&headers, None, &mut chain), Chain::Whole);
        assert_eq!(chain_json(&chain), r#"["a","b","c"]"#);
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
                let mut chain = String::new();
                let trust = trust(PROXIES);
                let peer = Some("10.0.0.1".parse().unwrap());
                prop_assert!(trust.client(&headers, peer).is_some());
                copy_chain(&headers, None, &mut chain);
                let json = chain_json(&chain);
                if !json.is_empty() {
                    let parsed: Vec<String> = serde_json::from_str(&json).unwrap();
                    prop_assert!(parsed.len() <= MOST_HOPS);
                }
            }
        }
    }
}

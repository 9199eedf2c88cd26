//! Where a request comes from: the peer of its connection, and the chain that proxies wrote.

use std::net::{IpAddr, SocketAddr};

use http::{Extensions, HeaderMap, HeaderValue};

use super::{json, with_axum};
use crate::privacy::client::{MOST_HOPS, PeerAddr, X_FORWARDED_FOR, lines};

/// Of longer chains the right end is kept: the left end is whatever the client wrote.
const LONGEST_CHAIN: usize = 2 * 1024;

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
        for line in lines(headers, &name) {
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

/// Writes a copied chain as the JSON array that the record keeps; tells whether there were too many hops.
pub(super) fn push_chain(chain: &str, out: &mut String) -> bool {
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
    first > 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn a_chain_of_a_thousand_hops_is_bounded() {
        let line = vec!["10.9.9.9"; 1_000].join(", ");
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
        fn no_chain_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append("x-forwarded-for", value.clone());
                headers.append("forwarded", value);
                let mut chain = String::new();
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

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::input::Input;
use crate::privacy::{ForwardedHeader, client::Trust};

/// Forwarding headers: whatever a client writes into them, the address is the one that the proxies saw.
///
/// # Panics
///
/// Panics where that does not hold.
pub fn client(data: &[u8]) {
    let mut input = Input::new(data);
    let (seen, spelling, hops) = (input.ip(), input.byte(), input.below(4));
    let lies = input.rest();
    let proxies: Trust = Trust {
        networks: ["10.0.0.0/8", "fd00::/8"].iter().filter_map(|net| net.parse().ok()).collect(),
        header: ForwardedHeader::Either,
    };
    let peer: IpAddr = [10, 0, 0, 1].into();
    let is_proxy = match seen.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[0] == 10,
        IpAddr::V6(ip) => ip.octets()[0] == 0xfd,
    };
    for name in ["x-forwarded-for", "forwarded"] {
        let is_rfc = name == "forwarded";
        // What the client sent, a line for each line; what is no header is not sent.
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static(name);
        let mut lines: Vec<&[u8]> = lies.split(|byte| *byte == b'\n').collect();
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(line) {
                headers.append(&name, value);
            }
        }
        // What the proxies append to the last of them: where they were asked from, the nearest last.
        let mut line = last.to_vec();
        let mut append = |hop: String| {
            line.extend_from_slice(if line.is_empty() { b"" } else { b", " });
            line.extend_from_slice(hop.as_bytes());
        };
        append(if is_rfc { element(seen, spelling) } else { listed(seen, spelling) });
        for hop in 0..hops as u8 {
            let ip = IpAddr::from([10, 9, 9, hop]);
            append(if is_rfc { element(ip, spelling >> 2) } else { listed(ip, spelling >> 2) });
        }
        let Ok(value) = HeaderValue::from_bytes(&line) else { continue };
        headers.append(&name, value);
        let told = proxies.client(&headers, Some(peer));
        if !is_proxy {
            assert_eq!(told, Some(seen.to_canonical()), "{headers:?}");
        }
        assert!(told.is_some());
        // Who is not behind a proxy is who he is; and without a peer nobody vouches for anything.
        let stranger = IpAddr::from([198, 51, 100, 7]);
        assert_eq!(proxies.client(&headers, Some(stranger)), Some(stranger));
        assert_eq!(Trust::default().client(&headers, Some(peer)), Some(peer));
        assert_eq!(proxies.client(&headers, None), None);
    }
}

/// An address as proxies write it into `X-Forwarded-For`.
fn listed(ip: IpAddr, spelling: u8) -> String {
    match (ip, spelling % 3) {
        (IpAddr::V4(ip), 0) => format!("{ip}:4711"),
        (IpAddr::V6(ip), 0) => format!("[{ip}]:4711"),
        (IpAddr::V6(ip), 1) => format!("[{ip}]"),
        (ip, _) => ip.to_string(),
    }
}

/// An element of `Forwarded`.
fn element(ip: IpAddr, spelling: u8) -> String {
    let node = match ip {
        IpAddr::V4(ip) if spelling & 4 == 0 => ip.to_string(),
        IpAddr::V4(ip) => format!("\"{ip}:_port\""),
        IpAddr::V6(ip) if spelling & 4 == 0 => format!("\"[{ip}]\""),
        IpAddr::V6(ip) => format!("\"[{ip}]:4711\""),
    };
    match spelling % 3 {
        0 => format!("for={node}"),
        1 => format!("For={node};proto=https;by=\"a,;b\""),
        _ => format!("by=10.0.0.1;for={node}"),
    }
}

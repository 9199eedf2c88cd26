//! Forwarding headers, read from the right: what stands left of a trusted hop is whatever the client wrote.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Which header the trusted proxies write their hops into.
///
/// A proxy that writes one of them usually passes the other through as the client sent it. So name the
/// one that yours writes when it is not `X-Forwarded-For`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, and `Forwarded` (RFC 7239) where there is none.
    #[default]
    Either,
    /// `X-Forwarded-For` alone.
    XForwardedFor,
    /// `Forwarded` (RFC 7239) alone.
    Forwarded,
    /// A header of one address that the nearest proxy overwrites, such as `x-real-ip`.
    Single(HeaderName),
}

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// One hop as a proxy wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hop {
    /// An address.
    Known(IpAddr),
    /// `unknown`, an obfuscated identifier, or garbage.
    Opaque,
}

/// Returns the hops from the right to the left.
pub(super) fn hops<'h>(
    headers: &'h HeaderMap,
    header: &ForwardedHeader,
) -> Box<dyn Iterator<Item = Hop> + 'h> {
    match header {
        ForwardedHeader::Either if headers.contains_key(X_FORWARDED_FOR) => {
            Box::new(listed(headers, &X_FORWARDED_FOR))
        }
        ForwardedHeader::Either | ForwardedHeader::Forwarded => Box::new(
            lines(headers, &http::header::FORWARDED).flat_map(elements).map(forwarded_element),
        ),
        ForwardedHeader::XForwardedFor => Box::new(listed(headers, &X_FORWARDED_FOR)),
        // One address, not a list: of repeated lines the last is the nearest proxy's.
        ForwardedHeader::Single(name) => Box::new(listed(headers, name).take(1)),
    }
}

fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = Hop> + 'h {
    lines(headers, name)
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(|hop| std::str::from_utf8(hop).ok().and_then(address).map_or(Hop::Opaque, Hop::Known))
}

/// Returns the lines of a header, the last first: repeated lines are one list (RFC 9110, 5.3). What the application calls
/// sensitive is not among them.
pub(crate) fn lines<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h [u8]> + 'h {
    let shown = headers.get_all(name).iter().rev().filter(|value| !value.is_sensitive());
    shown.map(HeaderValue::as_bytes)
}

/// Tells whether the application calls a line sensitive of the header that the hops are read from.
pub(super) fn is_sensitive(headers: &HeaderMap, header: &ForwardedHeader) -> bool {
    let name = match header {
        ForwardedHeader::Either if !headers.contains_key(X_FORWARDED_FOR) => {
            &http::header::FORWARDED
        }
        ForwardedHeader::Either | ForwardedHeader::XForwardedFor => &X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => &http::header::FORWARDED,
        ForwardedHeader::Single(name) => name,
    };
    headers.get_all(name).iter().any(HeaderValue::is_sensitive)
}

/// Splits a `Forwarded` line into its elements, the last first.
///
/// Commas inside quoted strings do not count. Reading from the right, an open quote that a client sent
/// swallows only what stands left of it, never what a proxy appended.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        for at in (0..text.len()).rev() {
            match text[at] {
                b'"' if !escaped(text, at) => quoted = !quoted,
                b',' if !quoted => {
                    rest = Some(&text[..at]);
                    return Some(&text[at + 1..]);
                }
                _ => {}
            }
        }
        rest = None;
        Some(text)
    })
}

/// Tells whether the byte at `at` follows an odd number of backslashes.
fn escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Reads the `for` parameter of one element; an element without one hides its hop.
fn forwarded_element(element: &[u8]) -> Hop {
    let Ok(element) = std::str::from_utf8(element) else { return Hop::Opaque };
    let mut quoted = false;
    let mut escaped = false;
    let pairs = element.split(|c| {
        let inside = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == ';' && !inside
    });
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("for") {
            return address(&unquoted(value.trim())).map_or(Hop::Opaque, Hop::Known);
        }
    }
    Hop::Opaque
}

fn unquoted(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return Cow::Borrowed(value);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut chars = inner.chars();
    let mut plain = String::with_capacity(inner.len());
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}

/// No address with port, brackets and zone is longer; longer text is not looked at.
const LONGEST_ADDRESS: usize = 128;

/// Parses an address with or without port, brackets, quotes and zone; mapped IPv6 becomes IPv4.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_ADDRESS {
        return None;
    }
    let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let parsed = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let port = after.strip_prefix(':');
        if !(after.is_empty() || port.is_some_and(is_port)) {
            return None;
        }
        without_zone(inside).parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        match text.split_once(':') {
            // One colon: IPv4 and its port. More of them: IPv6 without brackets.
            Some((ip, port)) if !port.contains(':') => {
                is_port(port).then(|| ip.parse().ok().map(IpAddr::V4)).flatten()
            }
            Some(_) => without_zone(text).parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
            None => text.parse().ok().map(IpAddr::V4),
        }
    };
    parsed.map(|ip| ip.to_canonical())
}

fn without_zone(text: &str) -> &str {
    text.split_once('%').map_or(text, |(address, _)| address)
}

/// A port, or the obfuscated one that RFC 7239 allows.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
        || (text.len() > 1
            && text.starts_with('_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_spelling() {
        for (text, expected) in [
            ("192.0.2.7", Some("192.0.2.7")),
            (" 192.0.2.7 ", Some("192.0.2.7")),
            ("192.0.2.7:4711", Some("192.0.2.7")),
            ("192.0.2.7:_port", Some("192.0.2.7")),
            ("\"192.0.2.7\"", Some("192.0.2.7")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("::ffff:192.0.2.7", Some("192.0.2.7")),
            ("[::ffff:192.0.2.7]:1", Some("192.0.2.7")),
            ("192.0.2.7:99999", None),
            ("192.0.2", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]x", None),
            ("[192.0.2.7]", None),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            (",", None),
            ("😀", None),
        ] {
            let expected = expected.map(|ip| ip.parse().unwrap());
            assert_eq!(address(text), expected, "{text}");
        }
    }

    #[test]
    fn elements_are_split_outside_quotes_from_the_right() {
        let line = br#"for=1.1.1.1;by="a,b", for="[2001:db8::1]:80";proto=http,for=2.2.2.2"#;
        let hops: Vec<_> = elements(line).map(forwarded_element).collect();
        let known = |ip: &str| Hop::Known(ip.parse().unwrap());
        assert_eq!(hops, [known("2.2.2.2"), known("2001:db8::1"), known("1.1.1.1")]);
    }

    #[test]
    fn an_open_quote_of_the_client_does_not_hide_what_a_proxy_appended() {
        let line = br#"for="6.6.6.6, for=203.0.113.9"#;
        let first = elements(line).map(forwarded_element).next();
        assert_eq!(first, Some(Hop::Known("203.0.113.9".parse().unwrap())));
    }

    #[test]
    fn quoted_pairs_and_case_are_read_as_rfc_7239_says() {
        for (element, expected) in [
            (r#"FOR="\1\9\2.0.2.7""#, Some("192.0.2.7")),
            (r#"proto=https; For=192.0.2.7"#, Some("192.0.2.7")),
            (r#"by="x;for=9.9.9.9";for=192.0.2.7"#, Some("192.0.2.7")),
            ("for=unknown", None),
            ("for=_secret", None),
            ("by=10.0.0.1", None),
        ] {
            let expected = expected.map_or(Hop::Opaque, |ip| Hop::Known(ip.parse().unwrap()));
            assert_eq!(forwarded_element(element.as_bytes()), expected, "{element}");
        }
    }
}

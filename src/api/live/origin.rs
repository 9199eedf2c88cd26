//! Whose page is asking.
//!
//! A browser opens a WebSocket to anywhere for any page, with the cookies and passwords that it has for
//! that place, and leaves it to the server to look at `Origin` (RFC 6455, 10.2). So a page's origin has to be
//! the one that it asks: the host and port of `Host`, or of what a proxy says that `Host` was. No page can
//! set those headers, or leave `Origin` out: a WebSocket without it comes from a program. One that
//! nevertheless brings what only a browser has is refused.

use http::{
    HeaderMap, HeaderName,
    header::{COOKIE, FORWARDED, HOST, ORIGIN},
    request::Parts,
    uri::Authority,
};

use crate::api::problem::Problem;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// A WebSocket. Browsers always name the origin.
    Socket {
        /// Whether a ticket came along, which only browsers need.
        by_ticket: bool,
    },
    /// Anything else. Browsers name the origin when it is another, so that the page may read the answer.
    Request,
}

/// Lets in pages of the service's own, and programs.
pub(super) fn check(head: &Parts, opening: Opening) -> Result<(), Problem> {
    let origins: Vec<_> = head.headers.get_all(ORIGIN).iter().collect();
    let own = match origins[..] {
        [] => return without_origin(&head.headers, opening),
        [origin] => origin.to_str().ok().and_then(Origin::parse),
        _ => None,
    };
    if own.is_some_and(|origin| origin.is_of(head)) {
        return Ok(());
    }
    Err(Problem::foreign_origin(
        "pages of another origin may not listen: `Origin` has to be the address of this service, as in \
         `Host` or in a proxy's `X-Forwarded-Host`",
    ))
}

fn without_origin(headers: &HeaderMap, opening: Opening) -> Result<(), Problem> {
    let site = headers.get(SEC_FETCH_SITE);
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    let browser = match opening {
        Opening::Request => foreign,
        Opening::Socket { by_ticket } => {
            by_ticket || site.is_some() || headers.contains_key(COOKIE)
        }
    };
    if browser {
        return Err(Problem::foreign_origin(
            "a browser says which page is asking, and this did not: send `Origin`, or, from a program, \
             credentials in a header instead of a cookie or a ticket",
        ));
    }
    Ok(())
}

/// The origin of a page (RFC 6454): scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Self::of(secure, rest)
    }

    /// Reads `host` or `host:port`, and nothing else.
    fn of(secure: bool, authority: &str) -> Option<Self> {
        if authority.contains('@') {
            return None;
        }
        let authority: Authority = authority.trim().parse().ok()?;
        let host = authority.host();
        // `host:` and `host:0x50` have something behind the host that is no port.
        let port = match authority.as_str().strip_prefix(host)? {
            "" if secure => 443,
            "" => 80,
            _ => authority.port_u16()?,
        };
        let host = host.to_ascii_lowercase();
        Some(Self { secure, host, port })
    }

    /// Tells whether the page is of the service that `head` asks, as far as that is known.
    fn is_of(&self, head: &Parts) -> bool {
        let texts =
            |name| head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        // A page without encryption is not that of a service with it.
        let secure = texts(X_FORWARDED_PROTO).next().or_else(|| head.uri.scheme_str());
        if let Some(scheme) = secure {
            let scheme = scheme.split(',').next().unwrap_or_default().trim();
            let secure = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss");
            if secure != self.secure {
                return false;
            }
        }
        let asked = head.uri.authority().map(Authority::as_str);
        let forwarded =
            texts(FORWARDED).flat_map(|value| value.split([',', ';'])).filter_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("host").then(|| value.trim().trim_matches('"'))
            });
        asked
            .into_iter()
            .chain(texts(HOST))
            .chain(texts(X_FORWARDED_HOST).flat_map(|value| value.split(',')))
            .chain(forwarded)
            .any(|authority| Self::of(self.secure, authority).as_ref() == Some(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: Opening = Opening::Socket { by_ticket: false };

    fn let_in(opening: Opening, headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::get("/live");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0, opening).is_ok()
    }

    #[test]
    fn only_the_services_own_pages_are_let_in() {
        let host = ("host", "log.example.com");
        for own in
            ["https://log.example.com", "http://LOG.example.com:80", "http://log.example.com"]
        {
            assert!(let_in(SOCKET, &[host, ("origin", own)]), "{own}");
        }
        for foreign in [
            "null",
            "",
            "https://evil.example",
            "https://log.example.com.evil.example",
            "https://evil.example/log.example.com",
            "https://log.example.com@evil.example",
            "https://evil.example@log.example.com",
            "https://log.example.com:8443",
            "https://log.example.com:",
            "https://log.example.com.",
            "https://xlog.example.com",
            "https://example.com",
            "https://log.example.com/",
            "https://log.example.com#",
            "https://log.example.com evil",
            "file://log.example.com",
            "log.example.com",
            "//log.example.com",
            "chrome-extension://log.example.com",
            "https://lоg.example.com",
        ] {
            assert!(!let_in(SOCKET, &[host, ("origin", foreign)]), "{foreign}");
            assert!(!let_in(Opening::Request, &[host, ("origin", foreign)]), "{foreign}");
        }
        let (own, foreign) = ("https://log.example.com", "https://evil.example");
        assert!(!let_in(SOCKET, &[host, ("origin", own), ("origin", foreign)]));
        assert!(!let_in(SOCKET, &[host, ("origin", foreign), ("origin", own)]));
    }

    #[test]
    fn ports_have_to_be_the_same() {
        for (host, origin, same) in [
            ("localhost:3000", "http://localhost:3000", true),
            ("localhost:3000", "http://localhost:3001", false),
            ("localhost:3000", "http://localhost", false),
            ("localhost", "http://localhost:3000", false),
            ("localhost:443", "https://localhost", true),
            ("[::1]:3000", "http://[::1]:3000", true),
            ("127.0.0.1:3000", "http://localhost:3000", false),
        ] {
            assert_eq!(
                let_in(SOCKET, &[("host", host), ("origin", origin)]),
                same,
                "{host} {origin}"
            );
        }
    }

    #[test]
    fn a_proxy_says_what_was_asked() {
        let (inside, origin) = (("host", "app:3000"), ("origin", "https://log.example.com"));
        assert!(!let_in(SOCKET, &[inside, origin]));
        assert!(let_in(SOCKET, &[inside, origin, ("x-forwarded-host", "log.example.com")]));
        assert!(let_in(
            SOCKET,
            &[inside, origin, ("forwarded", "for=1.2.3.4;host=\"log.example.com\"")]
        ));
        let proto = |scheme| ("x-forwarded-proto", scheme);
        let host = ("x-forwarded-host", "log.example.com");
        assert!(let_in(SOCKET, &[inside, origin, host, proto("https")]));
        assert!(!let_in(SOCKET, &[inside, origin, host, proto("http")]));
        let plain = ("origin", "http://log.example.com");
        assert!(!let_in(SOCKET, &[inside, plain, host, proto("https")]));
    }

    #[test]
    fn without_an_origin_only_programs_are_let_in() {
        let host = ("host", "log.example.com");
        assert!(let_in(SOCKET, &[host, ("authorization", "Bearer x")]));
        assert!(!let_in(SOCKET, &[host, ("cookie", "session=1")]));
        assert!(!let_in(SOCKET, &[host, ("sec-fetch-site", "same-origin")]));
        assert!(!let_in(Opening::Socket { by_ticket: true }, &[host]));
        // A browser leaves it out when a page asks for what is its own.
        assert!(let_in(
            Opening::Request,
            &[host, ("sec-fetch-site", "same-origin"), ("cookie", "s=1")]
        ));
        assert!(!let_in(Opening::Request, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!let_in(Opening::Request, &[host, ("sec-fetch-site", "same-site")]));
    }
}

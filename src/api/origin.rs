//! Who sent a browser here: pages of others may link to the log, and may not act in it.
//!
//! A browser sends along what it knows the user by (cookies, Basic credentials, his place in the network),
//! whoever's page makes the request. So what changes something, and what opens a WebSocket, which no CORS
//! rule covers, must come from a page of the log's own origin or of one that was allowed by name. Programs
//! send neither `Origin` nor `Sec-Fetch-Site` and are not concerned.

use axum::extract::OriginalUri;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts, uri::Authority};

use super::problem::Problem;

const SEC_FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");

/// Origins that are allowed beside the log's own, as in `https://admin.example.com`.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins(Vec<String>);

impl Origins {
    /// Allows an origin.
    pub(super) fn allow(&mut self, origin: &str) {
        self.0.push(origin.trim_end_matches('/').to_ascii_lowercase());
    }

    /// Tells whether any origin was allowed by name.
    pub(super) const fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Returns the origin of a request, if it is one that was allowed by name.
    pub(super) fn named<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let Single::One(origin) = single(headers, &header::ORIGIN) else { return None };
        let is_named = self.0.iter().any(|allowed| origin.eq_ignore_ascii_case(allowed));
        headers.get(header::ORIGIN).filter(|_| is_named)
    }

    /// Refuses what a page of somebody else sends and what no page of somebody else may do.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), Problem> {
        let acts = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if (acts || opens_socket(parts)) && !self.is_ours(parts) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-origin",
                "a page of another origin sent this; allow it by name with `allow_origin`, also when a \
                 proxy in between changes `Host`",
            ));
        }
        Ok(())
    }

    /// Tells whether a page of the log's own, or one that was allowed, or no page at all sent this.
    pub(super) fn is_ours(&self, parts: &Parts) -> bool {
        let headers = &parts.headers;
        if self.named(headers).is_some() {
            return true;
        }
        // Browsers say it themselves, and no page can (its name begins with `Sec-`).
        match single(headers, &SEC_FETCH_SITE) {
            Single::One("same-origin" | "none") => {
                return !matches!(single(headers, &header::ORIGIN), Single::Many);
            }
            Single::One(_) | Single::Many => return false,
            Single::None => {}
        }
        match single(headers, &header::ORIGIN) {
            Single::None => true,
            Single::Many => false,
            Single::One(origin) => is_of(origin, parts),
        }
    }
}

enum Single<'a> {
    None,
    One(&'a str),
    /// Repeated, or no text: nothing that a browser sends.
    Many,
}

fn single<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Single<'h> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Single::None,
        (Some(line), None) => line.to_str().map_or(Single::Many, Single::One),
        (Some(_), Some(_)) => Single::Many,
    }
}

/// Tells whether an origin is that of the host that was asked for. Which scheme the browser spoke is not
/// known behind a proxy that ends TLS, so host and port decide; `null` is nobody's.
fn is_of(origin: &str, parts: &Parts) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let place = |authority: &str| {
        let authority: Authority = authority.parse().ok()?;
        let port = authority.port_u16().unwrap_or(default);
        Some((authority.host().to_ascii_lowercase(), port))
    };
    let Some(asked) = authority_of(parts) else { return false };
    place(authority).is_some_and(|origin| place(asked) == Some(origin))
}

/// Returns the host and port that were asked for: HTTP/2 has them in the URI, HTTP/1 in `Host`.
pub(super) fn authority_of(parts: &Parts) -> Option<&str> {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(Authority::as_str).or_else(host)
}

/// Tells whether a WebSocket is asked for: by an upgrade (RFC 6455), or by CONNECT in HTTP/2 (RFC 8441).
fn opens_socket(parts: &Parts) -> bool {
    let upgrade = parts.headers.get_all(header::UPGRADE).iter();
    upgrade.into_iter().any(|line| {
        line.to_str().is_ok_and(|line| {
            line.split(',').any(|word| word.trim().eq_ignore_ascii_case("websocket"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], method: &str, headers: &[(&str, &str)]) -> bool {
        let mut origins = Origins::default();
        allowed.iter().for_each(|origin| origins.allow(origin));
        let mut request = http::Request::builder().method(method).uri("/records");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        origins.check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn programs_and_pages_of_our_own_may_act_and_pages_of_others_may_not() {
        let host = ("host", "log.example:8443");
        for (headers, may) in [
            (&[host][..], true),
            (&[host, ("origin", "https://log.example:8443")], true),
            (&[host, ("origin", "https://LOG.example:8443")], true),
            (&[host, ("origin", "https://log.example")], false),
            (&[host, ("origin", "https://evil.example")], false),
            (&[host, ("origin", "https://log.example:8443.evil.example")], false),
            (&[host, ("origin", "null")], false),
            (&[host, ("origin", "")], false),
            (&[host, ("origin", "file://log.example:8443")], false),
            (&[host, ("origin", "https://log.example:8443"), ("origin", "https://evil")], false),
            (&[("host", "log.example"), ("origin", "https://log.example")], true),
            (&[("host", "log.example:443"), ("origin", "https://log.example")], true),
            (&[("host", "[::1]:80"), ("origin", "http://[::1]")], true),
            (&[host, ("sec-fetch-site", "cross-site")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("sec-fetch-site", "none")], true),
            // A proxy changed the host; the browser knows better.
            (
                &[host, ("sec-fetch-site", "same-origin"), ("origin", "https://public.example")],
                true,
            ),
            (&[host, ("origin", "https://admin.example")], true),
            (&[host, ("sec-fetch-site", "cross-site"), ("origin", "https://admin.example")], true),
            (&[("origin", "https://log.example")], false),
        ] {
            assert_eq!(check(&["https://admin.example/"], "POST", headers), may, "{headers:?}");
        }
    }

    #[test]
    fn anybody_may_link_here_and_only_our_own_may_open_a_socket() {
        let foreign = [("host", "log.example"), ("origin", "https://evil.example")];
        assert!(check(&[], "GET", &foreign));
        assert!(check(&[], "OPTIONS", &foreign));
        assert!(!check(&[], "DELETE", &foreign));
        let [host, origin] = foreign;
        for upgrade in ["websocket", "WebSocket", "h2c, websocket"] {
            assert!(!check(&[], "GET", &[host, origin, ("upgrade", upgrade)]));
            assert!(check(&[], "GET", &[host, ("upgrade", upgrade)]));
        }
    }
}

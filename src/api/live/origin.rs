//! Whose page is listening.
//!
//! The guard before every route refuses foreign pages that open a WebSocket or send something. Here it is
//! looked at more closely, because what is opened stays open. A page of another origin may not listen by
//! any means, also where the application's own CORS rules would let it read the answer. And a browser that
//! opens a WebSocket always says for which page (RFC 6455, 4.1), so one without `Origin` comes from a program:
//! what nevertheless brings what only a browser has, a cookie or a ticket, is refused.

use http::{
    HeaderName, StatusCode,
    header::{COOKIE, ORIGIN},
    request::Parts,
};

use crate::api::{origin::Origins, problem::Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// A WebSocket.
    Socket {
        /// Whether a ticket came along, which only browsers need.
        by_ticket: bool,
    },
    /// Server-sent events. Browsers leave `Origin` out when a page asks for what is its own.
    Events,
}

/// Lets in pages of the log's own origin, of those that were allowed by name, and programs.
pub(super) fn check(head: &Parts, origins: &Origins, opening: Opening) -> Result<(), Problem> {
    let named = head.headers.contains_key(ORIGIN);
    let browser = match opening {
        Opening::Events => false,
        Opening::Socket { by_ticket } => {
            by_ticket
                || head.headers.contains_key(COOKIE)
                || head.headers.contains_key(SEC_FETCH_SITE)
        }
    };
    let detail = if !named && browser {
        "a browser says which page is asking, and this did not: send `Origin`, or, from a program, \
         credentials in a header instead of a cookie or a ticket"
    } else if !origins.is_ours(head) {
        "a page of another origin may not listen; allow it by name with `allow_origin`, also when a proxy in \
         between changes `Host`"
    } else {
        return Ok(());
    };
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOCKET: Opening = Opening::Socket { by_ticket: false };

    fn let_in(opening: Opening, headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::get("/live").header("host", "log.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut origins = Origins::default();
        origins.allow("https://admin.example");
        check(&request.body(()).unwrap().into_parts().0, &origins, opening).is_ok()
    }

    #[test]
    fn only_the_logs_own_pages_are_let_in() {
        for opening in [SOCKET, Opening::Socket { by_ticket: true }, Opening::Events] {
            for own in ["https://log.example", "http://LOG.example:80", "https://admin.example"] {
                assert!(let_in(opening, &[("origin", own)]), "{own}");
                assert!(let_in(opening, &[("origin", own), ("cookie", "s=1")]), "{own}");
            }
            for foreign in [
                "null",
                "",
                "https://evil.example",
                "https://log.example.evil.example",
                "https://evil.example/log.example",
                "https://log.example@evil.example",
                "https://log.example:8443",
                "https://log.example.",
                "https://xlog.example",
                "https://example",
                "https://log.example evil",
                "file://log.example",
                "log.example",
                "//log.example",
                "chrome-extension://log.example",
                "https://lоg.example",
            ] {
                assert!(!let_in(opening, &[("origin", foreign)]), "{foreign}");
            }
            let (own, foreign) = ("https://log.example", "https://evil.example");
            assert!(!let_in(opening, &[("origin", own), ("origin", foreign)]));
            assert!(!let_in(opening, &[("origin", foreign), ("origin", own)]));
        }
    }

    #[test]
    fn without_an_origin_only_programs_open_a_socket() {
        assert!(let_in(SOCKET, &[("authorization", "Bearer x")]));
        assert!(!let_in(SOCKET, &[("cookie", "session=1")]));
        assert!(!let_in(SOCKET, &[("sec-fetch-site", "same-origin")]));
        assert!(!let_in(Opening::Socket { by_ticket: true }, &[]));
        let own = ("sec-fetch-site", "same-origin");
        assert!(let_in(Opening::Events, &[own, ("cookie", "session=1")]));
        assert!(!let_in(Opening::Events, &[("sec-fetch-site", "cross-site")]));
        assert!(!let_in(Opening::Events, &[("sec-fetch-site", "same-site")]));
    }
}

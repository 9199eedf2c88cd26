//! The switch for development: open, on this machine only.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Once,
};

use axum::extract::ConnectInfo;
use http::{
    HeaderName,
    header::{FORWARDED, HOST, VIA},
    request::Parts,
};

use super::{Access, Denial, Grant, Permissions, permissions::Permission};
use crate::record::Actor;

/// What proxies write: behind one, everybody comes from this machine.
const OF_PROXIES: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// Lets everybody on this machine do everything, and nobody else anything.
///
/// The connection must come from a loopback address and ask for a loopback name in `Host`: a page of
/// somebody else's, opened in a browser on this machine, reaches the port too, under a name of its own. A
/// request that a proxy has passed on is refused, since behind a proxy everybody comes from this machine. The
/// service has to be served with connect info
/// (`app.into_make_service_with_connect_info::<SocketAddr>()`).
#[must_use]
pub const fn development() -> Development {
    Development(())
}

/// The access part that [`development`] returns.
#[derive(Debug, Clone, Copy)]
pub struct Development(());

impl Access for Development {
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        static SAID: Once = Once::new();
        let refuse = |detail: &str| Err(Denial::Forbidden { detail: detail.to_owned() });
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            return refuse(
                "the log is open for development on loopback only, and the service does not say who \
                 connects: serve it with `into_make_service_with_connect_info::<SocketAddr>()`",
            );
        };
        if !peer.ip().to_canonical().is_loopback() {
            return refuse("the log is open for development on loopback only");
        }
        if OF_PROXIES.iter().any(|name| parts.headers.contains_key(name)) {
            return refuse(
                "the log is open for development on loopback only, and a proxy passed this on: behind it \
                 everybody is let in; give the router another access part",
            );
        }
        if !names_this_machine(parts) {
            return refuse(
                "the log is open for development on loopback only: ask for it as `localhost`",
            );
        }
        SAID.call_once(|| {
            tracing::warn!(
                "the activity log is open to everybody on this machine (access::development)"
            );
        });
        let permissions = Permissions::admin().with(Permission::Ingest);
        Ok(Grant::new(Actor::user("developer"), permissions))
    }
}

/// Tells whether every name that was asked for is one of this machine, and there is one at all.
fn names_this_machine(parts: &Parts) -> bool {
    let hosts = parts.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let mut names = hosts.chain(parts.uri.authority().map(http::uri::Authority::as_str)).peekable();
    names.peek().is_some() && names.all(is_loopback_name)
}

fn is_loopback_name(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for name in ["localhost", "LOCALHOST:3000", "127.0.0.1:1", "[::1]:3000", "127.9.9.9"] {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in
            ["localhost.evil.example", "evil.example:3000", "10.0.0.1", "", "localhost@evil"]
        {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[tokio::test]
    async fn nobody_else_and_no_proxy_and_no_foreign_name_is_let_in() {
        async fn may(peer: &str, headers: &[(&str, &str)]) -> bool {
            let mut request = http::Request::builder().uri("/records");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut parts = request.body(()).unwrap().into_parts().0;
            if let Ok(peer) = peer.parse::<SocketAddr>() {
                parts.extensions.insert(ConnectInfo(peer));
            }
            development().grant(&parts).await.is_ok()
        }
        let host = ("host", "localhost:3000");
        assert!(may("127.0.0.1:1", &[host]).await);
        assert!(may("[::1]:1", &[host]).await);
        assert!(may("[::ffff:127.0.0.1]:1", &[host]).await);
        assert!(!may("192.0.2.7:1", &[host]).await);
        assert!(!may("", &[host]).await);
        assert!(!may("127.0.0.1:1", &[]).await);
        assert!(!may("127.0.0.1:1", &[("host", "rebound.evil.example")]).await);
        assert!(!may("127.0.0.1:1", &[host, ("host", "rebound.evil.example")]).await);
        for name in OF_PROXIES {
            assert!(!may("127.0.0.1:1", &[host, (name.as_str(), "127.0.0.1")]).await, "{name}");
        }
    }
}

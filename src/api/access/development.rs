//! The switch for development: open, on this machine only.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{header::HOST, request::Parts};

use super::{Access, Denial, Grant, Permissions, permissions::Permission};
use crate::record::Actor;

/// Lets everybody on this machine do everything, and nobody else anything.
///
/// The connection must come from a loopback address and ask for a loopback name in `Host`: a page of
/// somebody else's, opened in a browser on this machine, reaches the port too, under a name of its own. The
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
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = parts.uri.authority().map(http::uri::Authority::as_str).or(host);
        if !host.is_some_and(is_loopback_name) {
            return refuse(
                "the log is open for development on loopback only: ask for it as `localhost`",
            );
        }
        let permissions = Permissions::admin().with(Permission::Ingest);
        Ok(Grant::new(Actor::user("developer"), permissions))
    }
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
}

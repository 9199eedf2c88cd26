//! What stands in for axum where it is not: nobody matched a route, stripped a path or knows a peer.

use std::net::IpAddr;

use http::{Extensions, Uri};

pub(super) const fn matched_path(_: &Extensions) -> Option<&str> {
    None
}

pub(super) const fn original_uri(_: &Extensions) -> Option<&Uri> {
    None
}

pub(super) const fn connect_info(_: &Extensions) -> Option<IpAddr> {
    None
}

pub(super) fn body_error<E: 'static>(
    _: impl FnOnce() -> Box<dyn std::error::Error + Send + Sync>,
) -> Option<E> {
    None
}

//! What tonic needs beside the layer.

use tonic::server::NamedService;

use super::service::ActivityService;

/// Served under the name of the inner service, so that single services can be wrapped too.
impl<S: NamedService, W> NamedService for ActivityService<S, W> {
    const NAME: &'static str = S::NAME;
}

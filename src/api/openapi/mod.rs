//! `GET /openapi.json`: this interface, described (OpenAPI 3.1), from the tables that it works by.
//!
//! Endpoints come from [`ENDPOINTS`], parameters from the tables of the query language, the fields of a record
//! from [`Record::FIELDS`](crate::record::Record::FIELDS). Addresses are relative, so that the description is
//! right wherever the router is mounted.

mod answers;
mod operations;
mod parameters;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use axum::{Router, routing::get};
use http::{HeaderValue, header};
use utoipa::openapi::{
    Components, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, SecurityRequirement, Server,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    endpoint::{ENDPOINTS, Endpoint, Guard},
    state::Api,
};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/openapi.json", get(describe))
}

/// It does not change while the program runs.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| document().to_json().expect("a description consists of text and lists"));

async fn describe() -> ([(header::HeaderName, HeaderValue); 1], &'static str) {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], DOCUMENT.as_str())
}

const ABOUT: &str = "The audit trail of this service. Errors are `application/problem+json` (RFC 9457) with a stable \
                     `type`; times are RFC 3339 in UTC with microseconds. Each caller sees the categories and \
                     the tenant that his permissions name, in every answer.";

fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tower-activity")
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .version(env!("CARGO_PKG_VERSION"));
    let mut paths = PathsBuilder::new();
    for endpoint in ENDPOINTS {
        let method = match endpoint.method {
            "POST" => HttpMethod::Post,
            "PUT" => HttpMethod::Put,
            "DELETE" => HttpMethod::Delete,
            _ => HttpMethod::Get,
        };
        let mut operation = operations::describe(endpoint)
            .summary(Some(endpoint.about))
            .operation_id(Some(operation_id(endpoint)));
        if endpoint.guard == Guard::Open {
            // Whoever may see more of it says who he is.
            operation = operation.security(SecurityRequirement::default());
        }
        paths = paths.path(endpoint.path, PathItem::new(method, operation));
    }
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new(".")]))
        .paths(paths.build())
        .components(Some(components()))
        .security(Some([
            SecurityRequirement::new("bearer", [""; 0]),
            SecurityRequirement::new("basic", [""; 0]),
        ]))
        .build()
}

/// The name of an endpoint, which two of live share, and the methods of one path do not.
fn operation_id(endpoint: &Endpoint) -> &'static str {
    if endpoint.path == "/live/sse" { "live_sse" } else { endpoint.name }
}

fn components() -> Components {
    let scheme = |scheme, about: &'static str| {
        SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(about)).build())
    };
    let mut components = Components::new();
    components.add_security_scheme(
        "bearer",
        scheme(
            HttpAuthScheme::Bearer,
            "An API key of `activity serve`, or what the application takes",
        ),
    );
    components.add_security_scheme("basic", scheme(HttpAuthScheme::Basic, "Name and password"));
    for refusal in answers::REFUSALS {
        components.responses.insert(refusal.name.to_owned(), refusal.described().into());
    }
    for (name, schema) in schemas::all() {
        components.schemas.insert(name.to_owned(), schema);
    }
    components
}

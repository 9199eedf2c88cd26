//! What goes wrong, as `application/problem+json` (RFC 9457).

use axum::{
    extract::rejection::{JsonRejection, PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::access::Denial;
use crate::{
    query::{CursorError, ParamError},
    store::StoreError,
};

/// The media type of problems.
pub(super) const CONTENT_TYPE: &str = "application/problem+json";

/// An answer that says what was wrong. `type` is stable; `detail` is for people.
///
/// In a box: it is the rare end of every handler's result.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Said>);

#[derive(Debug, Clone, Serialize)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip)]
    challenge: Option<String>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// Types are names and no addresses: nobody has to keep a site alive for them.
    pub(super) const PREFIX: &'static str = "urn:tower-activity:problem:";

    pub(super) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Said {
            kind: format!("{}{kind}", Self::PREFIX),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            column: None,
            challenge: None,
            retry_after: None,
        }))
    }

    /// A parameter that cannot be understood.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail).of(name)
    }

    /// The column in the parameter, from 1 on, where it stops making sense.
    pub(super) fn at_column(mut self, column: usize) -> Self {
        self.0.column = Some(column);
        self
    }

    /// When to come back.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    fn of(mut self, parameter: &str) -> Self {
        self.0.parameter = Some(parameter.to_owned());
        self
    }

    /// A cursor of an order that the store answered in before, and does not any more.
    pub(super) fn outdated_cursor() -> Self {
        let detail =
            "the list is in another order since the cursor was made; please begin again without it";
        Self::new(StatusCode::BAD_REQUEST, "invalid-cursor", detail).of("cursor")
    }

    /// The store takes too long.
    pub(super) fn out_of_time() -> Self {
        let detail = "the store did not answer in time; please try again, or ask for less";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(5)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(super) fn forbidden(permission: &str) -> Self {
        let detail = format!("this takes the permission `{permission}`");
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(super) fn unreadable_store() -> Self {
        let detail = "the store of this service takes records and cannot be asked";
        Self::new(StatusCode::NOT_IMPLEMENTED, "unreadable-store", detail)
    }

    /// The answer to what is not sound, though it can be read.
    pub(super) fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    }

    pub(super) fn no_keys() -> Self {
        let detail =
            "this service has no keys, under which it knows people whose names are not kept";
        Self::new(StatusCode::NOT_IMPLEMENTED, "no-keys", detail)
    }

    /// A body that is not the JSON that an endpoint takes, which `what` says.
    pub(super) fn body(refused: &JsonRejection, what: &str) -> Self {
        match refused.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "the body is JSON: send `content-type: application/json`",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body holds more than any request of this kind",
            ),
            _ => Self::new(StatusCode::BAD_REQUEST, "invalid-json", what),
        }
    }

    pub(super) fn internal() -> Self {
        let detail = "something went wrong; the service's own diagnostics say what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unauthenticated { challenge, detail } => {
                let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail);
                problem.0.challenge = challenge;
                problem
            }
            Denial::Forbidden { detail } => Self::new(StatusCode::FORBIDDEN, "forbidden", detail),
            Denial::Later { seconds, detail } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                Self::new(status, "too-many-requests", detail).retry_after(seconds)
            }
        }
    }
}

impl From<CursorError> for Problem {
    fn from(error: CursorError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-cursor", error.to_string()).of("cursor")
    }
}

impl From<ParamError> for Problem {
    fn from(error: ParamError) -> Self {
        let problem = Self::parameter(error.parameter(), error.detail());
        match error.column() {
            Some(column) => problem.at_column(column),
            None => problem,
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        let detail = "the path's percent-encoding is broken: decoded, all of it is UTF-8";
        Self::new(StatusCode::BAD_REQUEST, "invalid-path", detail)
    }
}

impl From<StoreError> for Problem {
    /// Says nothing of the database: its words go to the diagnostics.
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store did not answer");
        let detail = "the store does not answer; please try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", detail).retry_after(5)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self).unwrap_or_default();
        let kind = HeaderValue::from_static(CONTENT_TYPE);
        let mut response = (self.status(), [(header::CONTENT_TYPE, kind)], body).into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = self.0.challenge.and_then(|text| HeaderValue::try_from(text).ok())
        {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

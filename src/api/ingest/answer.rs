//! What is answered: of the whole, and of each item that is not taken.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Serialize, Serializer};

use crate::{api::problem::Problem, record::RecordId};

/// Why an item is not taken: a stable type, and a sentence that says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) kind: &'static str,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The same key is being taken in right now.
    pub(super) fn in_progress() -> Self {
        Self::new(IN_PROGRESS, "an item of this key is being taken in; send it again in a moment")
    }

    pub(super) fn conflict() -> Self {
        let detail = "another item was taken in under this key; a key names one item for ever";
        Self::new("idempotency-conflict", detail)
    }

    pub(super) fn full() -> Self {
        Self::new(QUEUE_FULL, "there is no room for it right now; send it again later")
    }

    pub(super) fn away() -> Self {
        let detail =
            "the store did not confirm it in time; send it again later, under the same key";
        Self::new(STORE_UNAVAILABLE, detail)
    }

    pub(super) fn closed() -> Self {
        Self::new(SHUTTING_DOWN, "the service is shutting down; send it again later")
    }

    /// Returns after how many seconds the same item may well be taken, if it is not refused for good.
    fn retry_after(&self) -> Option<u64> {
        match self.kind {
            IN_PROGRESS | QUEUE_FULL => Some(1),
            STORE_UNAVAILABLE | SHUTTING_DOWN => Some(5),
            _ => None,
        }
    }
}

/// The item is for a tenant that the caller may not write for.
pub(super) const FOREIGN_TENANT: &str = "foreign-tenant";
/// The item claims to come from a service that the caller does not speak for.
pub(super) const FOREIGN_SERVICE: &str = "foreign-service";
const IN_PROGRESS: &str = "in-progress";
const QUEUE_FULL: &str = "queue-full";
const STORE_UNAVAILABLE: &str = "store-unavailable";
const SHUTTING_DOWN: &str = "shutting-down";

/// What became of one item.
#[derive(Debug, Clone)]
pub(super) enum Taken {
    /// It is stored under this id; a duplicate was before.
    Stored {
        id: RecordId,
        duplicate: bool,
    },
    Refused(Refusal),
}

/// What became of all items, in their order.
#[derive(Debug)]
pub(super) struct Answer(pub(super) Vec<Taken>);

#[derive(Serialize)]
struct Body {
    accepted: usize,
    rejected: Vec<Rejected>,
    records: Vec<Accepted>,
}

#[derive(Serialize)]
struct Rejected {
    index: usize,
    #[serde(serialize_with = "with_prefix")]
    r#type: &'static str,
    detail: String,
    /// Whether the same item may be taken later.
    retry: bool,
}

#[derive(Serialize)]
struct Accepted {
    index: usize,
    id: RecordId,
    duplicate: bool,
}

fn with_prefix<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}{kind}", Problem::PREFIX))
}

impl Answer {
    /// Returns how many items were for somebody whom the caller may not write for.
    pub(super) fn foreign(&self) -> usize {
        let is_foreign = |taken: &&Taken| {
            matches!(taken, Taken::Refused(Refusal { kind: FOREIGN_TENANT | FOREIGN_SERVICE, .. }))
        };
        self.0.iter().filter(is_foreign).count()
    }

    /// Returns the status of the whole where nothing was taken, and for one reason that passes.
    fn turned_away(&self) -> Option<Problem> {
        let mut kinds = self.0.iter().map(|taken| match taken {
            Taken::Stored { .. } => None,
            Taken::Refused(refusal) => Some(refusal),
        });
        let first = kinds.next()??;
        let status = match first.kind {
            QUEUE_FULL => StatusCode::TOO_MANY_REQUESTS,
            STORE_UNAVAILABLE | SHUTTING_DOWN => StatusCode::SERVICE_UNAVAILABLE,
            _ => return None,
        };
        kinds.all(|refusal| refusal.is_some_and(|refusal| refusal.kind == first.kind)).then(|| {
            let problem = Problem::new(status, first.kind, first.detail.clone());
            problem.retry_after(first.retry_after().unwrap_or(1))
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        if let Some(problem) = self.turned_away() {
            return problem.into_response();
        }
        let (mut rejected, mut records, mut retry_after) = (Vec::new(), Vec::new(), None);
        for (index, taken) in self.0.into_iter().enumerate() {
            match taken {
                Taken::Stored { id, duplicate } => records.push(Accepted { index, id, duplicate }),
                Taken::Refused(refusal) => {
                    let after = refusal.retry_after();
                    retry_after = retry_after.max(after);
                    rejected.push(Rejected {
                        index,
                        r#type: refusal.kind,
                        detail: refusal.detail,
                        retry: after.is_some(),
                    });
                }
            }
        }
        let status =
            if rejected.is_empty() { StatusCode::CREATED } else { StatusCode::MULTI_STATUS };
        let body = Body { accepted: records.len(), rejected, records };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

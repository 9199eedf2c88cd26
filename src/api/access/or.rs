//! Two access parts as one.

use http::request::Parts;

use super::{Access, Denial, Grant};

/// The access part that [`Access::or`] returns.
#[derive(Debug, Clone)]
pub struct Or<A, B> {
    pub(super) first: A,
    pub(super) second: B,
}

impl<A: Access, B: Access> Access for Or<A, B> {
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        match self.first.grant(parts).await {
            Err(Denial::Unauthenticated { challenge, detail }) => {
                let second = self.second.grant(parts).await;
                second.map_err(|denial| match denial {
                    Denial::Unauthenticated { challenge: other, detail: other_detail } => {
                        Denial::Unauthenticated {
                            challenge: joined(challenge, other, ", "),
                            detail: joined(Some(detail), Some(other_detail), "; or ")
                                .unwrap_or_default(),
                        }
                    }
                    denial => denial,
                })
            }
            // Known, and let in or not: nobody tries again as somebody else.
            decided => decided,
        }
    }
}

fn joined(first: Option<String>, second: Option<String>, between: &str) -> Option<String> {
    match (first, second) {
        (Some(first), Some(second)) => Some(first + between + &second),
        (first, second) => first.or(second),
    }
}

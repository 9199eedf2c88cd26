//! From the way a request ended to its outcome.

use crate::{record::Outcome, rules::Ended};

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The answer was complete.
    Complete,
    /// The answer's head was seen, and nothing more is learnt later.
    ///
    /// Same outcome as a complete one; the bytes are what the body announced.
    Head { bytes: Option<u64> },
    /// Nobody waited for the complete answer.
    Dropped,
    /// A panic unwound through the handler or its body.
    Panicked,
    /// The service, or its body, failed with this kind of error.
    Failed(String),
}

impl Ending {
    /// Returns what rules are told.
    pub(super) fn ended(&self, status: Option<u16>, grpc_status: Option<u8>) -> Ended {
        let status = match self {
            // An error instead of an answer is what a server would answer 500 to.
            Self::Failed(_) => status.or(Some(500)),
            _ => status,
        };
        Ended {
            status,
            grpc_status,
            panicked: matches!(self, Self::Panicked),
            aborted: matches!(self, Self::Dropped)
                || (grpc_status == Some(CANCELLED) && self.is_complete()),
        }
    }

    /// Tells whether the handler ran to its end and its answer was handed on whole.
    pub(super) const fn is_complete(&self) -> bool {
        matches!(self, Self::Complete | Self::Head { .. })
    }

    /// Returns the outcome and the word for its reason, empty where there is none.
    ///
    /// HTTP: 1xx–3xx success; 401, 403, 429 denied; other 4xx and 5xx failure, of which 408 and 504 are
    /// timeouts. gRPC: OK success; PERMISSION_DENIED, UNAUTHENTICATED, RESOURCE_EXHAUSTED denied;
    /// CANCELLED aborted; everything else failure, DEADLINE_EXCEEDED a timeout. The reason names the
    /// code, so that an INVALID_ARGUMENT is not taken for an INTERNAL. A gRPC answer that ends without a
    /// status is what the protocol says it is: UNKNOWN.
    pub(super) fn outcome(&self, ended: &Ended, grpc: bool) -> (Outcome, &str) {
        match self {
            Self::Panicked => (Outcome::Failure, "panic"),
            Self::Dropped => (Outcome::Aborted, "client_disconnect"),
            Self::Failed(kind) => (Outcome::Failure, kind),
            Self::Complete | Self::Head { .. } => match (ended.grpc_status, ended.status) {
                (Some(code), _) => (ended.outcome(), grpc_reason(code)),
                (None, Some(200)) if grpc => (Outcome::Failure, grpc_reason(2)),
                (None, Some(408 | 504)) => (Outcome::Failure, "timeout"),
                (None, _) => (ended.outcome(), ""),
            },
        }
    }
}

const CANCELLED: u8 = 1;

const fn grpc_reason(code: u8) -> &'static str {
    match code {
        0 => "",
        1 => "cancelled",
        3 => "invalid_argument",
        4 => "timeout",
        5 => "not_found",
        6 => "already_exists",
        7 => "permission_denied",
        8 => "resource_exhausted",
        9 => "failed_precondition",
        10 => "aborted",
        11 => "out_of_range",
        12 => "unimplemented",
        13 => "internal",
        14 => "unavailable",
        15 => "data_loss",
        16 => "unauthenticated",
        _ => "unknown",
    }
}

/// Returns the severity where no rule gives one, in the steps of OCSF.
pub(super) const fn severity(outcome: Outcome, ending: &Ending, status: Option<u16>) -> u8 {
    match (outcome, ending) {
        (_, Ending::Panicked) => 4,
        (_, Ending::Failed(_)) => 3,
        (Outcome::Failure, _) => match status {
            Some(500..) => 3,
            _ => 2,
        },
        (Outcome::Denied, _) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16) -> (Outcome, String) {
        let ended = Ending::Complete.ended(Some(status), None);
        let (outcome, reason) = Ending::Complete.outcome(&ended, false);
        (outcome, reason.to_owned())
    }

    fn grpc(code: u8) -> (Outcome, String) {
        let ended = Ending::Complete.ended(Some(200), Some(code));
        let (outcome, reason) = Ending::Complete.outcome(&ended, true);
        (outcome, reason.to_owned())
    }

    #[test]
    fn http_statuses_have_their_outcomes() {
        for (status, outcome, reason) in [
            (101, Outcome::Success, ""),
            (204, Outcome::Success, ""),
            (302, Outcome::Success, ""),
            (400, Outcome::Failure, ""),
            (401, Outcome::Denied, ""),
            (403, Outcome::Denied, ""),
            (404, Outcome::Failure, ""),
            (408, Outcome::Failure, "timeout"),
            (429, Outcome::Denied, ""),
            (500, Outcome::Failure, ""),
            (504, Outcome::Failure, "timeout"),
        ] {
            assert_eq!(http(status), (outcome, reason.to_owned()), "{status}");
        }
    }

    #[test]
    fn grpc_codes_have_their_outcomes() {
        for (code, outcome, reason) in [
            (0, Outcome::Success, ""),
            (1, Outcome::Aborted, "cancelled"),
            (2, Outcome::Failure, "unknown"),
            (3, Outcome::Failure, "invalid_argument"),
            (4, Outcome::Failure, "timeout"),
            (5, Outcome::Failure, "not_found"),
            (7, Outcome::Denied, "permission_denied"),
            (8, Outcome::Denied, "resource_exhausted"),
            (13, Outcome::Failure, "internal"),
            (16, Outcome::Denied, "unauthenticated"),
            (200, Outcome::Failure, "unknown"),
        ] {
            assert_eq!(grpc(code), (outcome, reason.to_owned()), "{code}");
        }
    }

    #[test]
    fn a_grpc_answer_without_a_status_is_unknown_and_a_refusal_by_http_is_what_it_is() {
        for (status, outcome, reason) in
            [(200, Outcome::Failure, "unknown"), (403, Outcome::Denied, "")]
        {
            let ended = Ending::Complete.ended(Some(status), None);
            assert_eq!(Ending::Complete.outcome(&ended, true), (outcome, reason));
        }
    }

    #[test]
    fn the_ending_outranks_the_head() {
        let ended = Ending::Dropped.ended(Some(200), None);
        assert_eq!(Ending::Dropped.outcome(&ended, false), (Outcome::Aborted, "client_disconnect"));
        let ended = Ending::Panicked.ended(Some(200), None);
        assert_eq!(Ending::Panicked.outcome(&ended, false), (Outcome::Failure, "panic"));
    }
}

//! What a hold is asked for with.

use super::CustodyError;
use crate::{
    query::{Filter, MAX_LENGTH, ParseContext},
    record::Actor,
    store::hold_filter,
    time::Timestamp,
};

/// A name is a line in a list.
const MAX_NAME: usize = 128;
/// The record has room for so much.
const MAX_REASON: usize = 2_048;

/// What is to be held, why, and by whose word.
#[derive(Debug, Clone)]
pub struct HoldRequest {
    pub(super) query: String,
    pub(super) reason: String,
    pub(super) name: String,
    pub(super) by: Actor,
    pub(super) tenant: Option<String>,
}

impl HoldRequest {
    /// Asks for everything that passes a query, in the query language, to be held; the reason is kept with it.
    pub fn new(query: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            reason: reason.into(),
            name: String::new(),
            by: Actor::system("activity"),
            tenant: None,
        }
    }

    /// Names it for people, as in `case 4711`. Defaults to no name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Says who places it. Defaults to the system itself.
    #[must_use]
    pub fn by(mut self, by: Actor) -> Self {
        self.by = by;
        self
    }

    /// Holds the records of one tenant alone. Defaults to all.
    #[must_use]
    pub fn tenant(mut self, tenant: Option<String>) -> Self {
        self.tenant = tenant;
        self
    }

    /// Returns the query as it is kept, without anything that depends on when it is read, and its filter.
    pub(super) fn check(&self, now: Timestamp) -> Result<(String, Filter), CustodyError> {
        let wrong = |field, what: String| CustodyError::request(field, what);
        if self.query.trim().is_empty() {
            return Err(wrong("query", "a hold needs a query; `*` holds everything".to_owned()));
        }
        if self.reason.trim().is_empty() {
            return Err(wrong(
                "reason",
                "a hold needs a reason, which its record keeps".to_owned(),
            ));
        }
        for (field, text, most) in
            [("reason", &self.reason, MAX_REASON), ("name", &self.name, MAX_NAME)]
        {
            if text.len() > most {
                let what = format!("`{field}` has {} bytes; {most} are allowed", text.len());
                return Err(wrong(field, what));
            }
            if text.contains('\0') {
                return Err(wrong(field, format!("`{field}` holds a NUL character")));
            }
        }
        let query = Filter::parse(&self.query, &ParseContext::new(now))?.to_string();
        let query = if query.is_empty() { "*".to_owned() } else { query };
        // Written out it is longer, and it is read again for as long as it stands.
        let again = Filter::parse(&query, &ParseContext::new(now)).map(|filter| filter.to_string());
        if again.ok().is_none_or(|again| again != query && !(again.is_empty() && query == "*")) {
            let what = format!(
                "with its times written out, the query is longer than {MAX_LENGTH} bytes or cannot be written; \
                 please place several holds"
            );
            return Err(wrong("query", what));
        }
        let filter = hold_filter(&query, self.tenant.as_deref(), now)?;
        Ok((query, filter))
    }
}

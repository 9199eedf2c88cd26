//! How far words are looked for, and how an answer says so.
//!
//! Where no index finds words, every record of the range is read for them. So a list, numbers and facets that name no
//! beginning have the same one, and all three say it: what one of them counts, the other shows.

use std::time::Duration;

use serde::Serialize;

use super::problem::Problem;
use crate::{
    query::Filter,
    store::{AnyStore, Index, Maintain as _},
    time::Timestamp,
};

/// How far back words are looked for when nobody says how far, and no index finds them.
const WINDOW: Duration = Duration::from_hours(7 * 24);

const HINT: &str = "without a text index, words are looked for in every record of the range, and in the \
                    last 7 days when no `from` is given; to add the index: activity migrate --index text";

/// How words were looked for, as answers show it.
#[derive(Debug, Serialize)]
pub(super) struct Search {
    indexed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// The range of a search for words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    from: Option<Timestamp>,
    /// Whether an index of words is there. One may still not hold all the words that are asked for.
    pub(super) indexed: bool,
}

impl Window {
    /// Returns what the answer says of it.
    pub(super) fn told(self, indexed: bool, complete: bool) -> Search {
        Search { indexed, from: self.from, complete, hint: (!indexed).then_some(HINT) }
    }
}

/// Bounds a search for words that no index answers. There is no window where no words are looked for.
pub(super) async fn bounded(
    store: &AnyStore,
    asked: Filter,
    now: Timestamp,
) -> Result<(Filter, Option<Window>), Problem> {
    if !asked.asks_for_text() {
        return Ok((asked, None));
    }
    let (from, to) = asked.range();
    let indexed = store.indexes().await?.contains(&Index::Text);
    if from.is_some() || indexed {
        return Ok((asked, Some(Window { from, indexed })));
    }
    let from = to.unwrap_or(now).saturating_sub(WINDOW);
    Ok((asked.from(from), Some(Window { from: Some(from), indexed })))
}

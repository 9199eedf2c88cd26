//! What may be asked: data only, rendered by each store into its own SQL and evaluated in memory by the
//! same meaning.

mod aggregate;
mod cursor;
mod digest;
mod evaluate;
mod expr;
mod filter;
mod page;
mod pattern;
mod text;

pub use aggregate::{Aggregate, Aggregated, ByOutcome, Counter};
pub use cursor::{Cursor, CursorError, LiveCursor, Sealed};
pub use digest::Binding;
pub use expr::{Expr, Side, Test, Wanted, folds_case};
pub use filter::{Filter, UnknownField};
pub use page::{Count, Direction, Keyset, Page, PageRequest, Place, Relation, TextSearch, Total};
pub use pattern::Pattern;
pub use text::{Phrase, TEXT_FIELDS, texts, words};

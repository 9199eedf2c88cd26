//! What may be asked: data only, rendered by each store into its own SQL and evaluated in memory by the
//! same meaning.

mod filter;
mod page;

pub use filter::{Filter, Term, UnknownField};
pub use page::{Keyset, Page};

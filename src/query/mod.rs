//! What may be asked: data only, rendered by each store into its own SQL and evaluated in memory by the
//! same meaning.

mod aggregate;
mod cursor;
mod digest;
mod evaluate;
mod expr;
mod fields;
mod filter;
mod hidden;
mod interval;
mod json;
mod normal;
mod page;
mod params;
mod parse;
mod pattern;
mod show;
mod text;
mod zone;

pub use aggregate::{Aggregate, Aggregated, ByOutcome, Counter};
pub use cursor::{Cursor, CursorError, LiveCursor, Sealed};
pub use digest::Binding;
pub use expr::{Expr, Side, Test, Wanted, folds_case};
pub use fields::{FIELDS, QueryField, Values};
pub use filter::{Filter, UnknownField};
pub(crate) use hidden::Form;
pub use interval::Interval;
pub use page::{Count, Direction, Keyset, Page, PageRequest, Place, Relation, TextSearch, Total};
pub use params::{Extra, PARAMETERS, ParamError, Parameter, Params};
pub use parse::{
    MAX_DEPTH, MAX_LENGTH, MAX_TERMS, MAX_VALUES, ParseContext, ParseError, ParseErrorKind,
};
pub use pattern::Pattern;
pub use text::{Phrase, TEXT_FIELDS, texts, words};
pub use zone::{TimeZone, UnknownTimeZone};

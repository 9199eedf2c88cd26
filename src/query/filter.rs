//! Filters.

use std::{error, fmt};

use super::expr::{Expr, Test, folds_case};
use crate::{
    record::{Field, Kind, Record},
    time::Timestamp,
};

/// Which records are wanted.
///
/// Stores render it into SQL of their own, the live stream [evaluates](Self::matches) it in memory, by the
/// same meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    expr: Expr,
}

/// A field that does not exist, or cannot be compared for equality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField(String);

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a field that can be filtered by", self.0.escape_debug())
    }
}

impl error::Error for UnknownField {}

impl Default for Filter {
    fn default() -> Self {
        Self { expr: Expr::EVERY }
    }
}

impl From<Expr> for Filter {
    fn from(expr: Expr) -> Self {
        Self { expr }
    }
}

impl Filter {
    /// Makes a filter that every record passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) const fn from_expr(expr: Expr) -> Self {
        Self { expr }
    }

    /// Adds the condition that a text field is one of `values`.
    ///
    /// # Errors
    ///
    /// When there is no such field, or it is neither text nor a word.
    pub fn any_of<V: Into<String>>(
        self,
        field: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, UnknownField> {
        let field = Field::named(field)
            .filter(|field| matches!(field.kind(), Kind::Text | Kind::Word))
            .ok_or_else(|| UnknownField(field.to_owned()))?;
        let fold = folds_case(field);
        let values = values.into_iter().map(Into::into);
        let values = values
            .map(|value: String| if fold { value.to_ascii_lowercase() } else { value })
            .collect();
        Ok(self.and(Expr::Test(Test::OneOf(field, values))))
    }

    /// Keeps only records that occurred at `from` or later.
    #[must_use]
    pub fn from(self, from: Timestamp) -> Self {
        self.and(Expr::Test(Test::Time(occurred_at(), Some(from), None)))
    }

    /// Keeps only records that occurred before `to`.
    #[must_use]
    pub fn to(self, to: Timestamp) -> Self {
        self.and(Expr::Test(Test::Time(occurred_at(), None, Some(to))))
    }

    /// Adds a condition that must hold too.
    #[must_use]
    pub fn and(self, other: impl Into<Expr>) -> Self {
        Self { expr: self.expr.and(other.into()) }
    }

    /// Returns the whole condition.
    #[must_use]
    pub const fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Returns the range of `occurred_at` that every record which passes lies in: from, inclusive, and to,
    /// exclusive. Only what holds in any case is counted, not what stands under an or.
    #[must_use]
    pub fn range(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let (mut first, mut last) = (None::<Timestamp>, None::<Timestamp>);
        for part in self.expr.conjuncts() {
            if let Expr::Test(Test::Time(field, from, to)) = part
                && field.name() == "occurred_at"
            {
                first = first.max(*from);
                last = match (last, *to) {
                    (Some(last), Some(to)) => Some(last.min(to)),
                    (last, to) => last.or(to),
                };
            }
        }
        (first, last)
    }

    /// Tells whether words are looked for, anywhere in it.
    #[must_use]
    pub fn asks_for_text(&self) -> bool {
        self.expr.any_test(&|test| matches!(test, Test::Text(_)))
    }

    /// Tells whether `record` passes.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        self.expr.matches(record)
    }
}

impl From<Filter> for Expr {
    fn from(filter: Filter) -> Self {
        filter.expr
    }
}

fn occurred_at() -> &'static Field {
    Field::named("occurred_at").expect("every record has the field")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_compare_without_regard_to_case_and_ids_do_not() {
        let mut record = Record::default();
        record.action.set("Cancel");
        record.entity_id.set("A1");
        let by =
            |field, value: &str| Filter::new().any_of(field, [value]).unwrap().matches(&record);
        assert!(by("action", "CANCEL"));
        assert!(by("entity_id", "A1"));
        assert!(!by("entity_id", "a1"));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        assert_eq!(
            Filter::new().any_of("entitty", ["x"]).unwrap_err().to_string(),
            "`entitty` is not a field that can be filtered by"
        );
    }

    #[test]
    fn the_range_is_what_holds_in_any_case() {
        let at = Timestamp::from_micros;
        let filter = Filter::new().from(at(5)).to(at(20)).from(at(7)).to(at(30));
        assert_eq!(filter.range(), (Some(at(7)), Some(at(20))));
        let either = Expr::Any(vec![Filter::new().from(at(5)).into(), Expr::EVERY]);
        assert_eq!(Filter::new().and(either).range(), (None, None));
    }
}

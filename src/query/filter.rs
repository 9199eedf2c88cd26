//! Filters.

use std::{error, fmt};

use crate::{
    record::{Field, Kind, Record, Value},
    time::Timestamp,
};

/// Which records are wanted: all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

/// One condition: the field has one of these values.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    field: &'static Field,
    values: Vec<String>,
}

impl Term {
    /// Returns the field.
    #[must_use]
    pub const fn field(&self) -> &'static Field {
        self.field
    }

    /// Returns the values, of which one must be the field's. In lower case where case does not count.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Tells whether the comparison disregards case (ASCII): action, entity type and the closed vocabularies.
    #[must_use]
    pub fn folds_case(&self) -> bool {
        folds_case(self.field)
    }
}

fn folds_case(field: &Field) -> bool {
    field.kind() == Kind::Word || matches!(field.name(), "action" | "entity_type")
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

impl Filter {
    /// Makes a filter that every record passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the condition that a text field is one of `values`.
    ///
    /// # Errors
    ///
    /// When there is no such field, or it is neither text nor a word.
    pub fn any_of<V: Into<String>>(
        mut self,
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
        self.terms.push(Term { field, values });
        Ok(self)
    }

    /// Keeps only records that occurred at `from` or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.from = Some(from);
        self
    }

    /// Keeps only records that occurred before `to`.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.to = Some(to);
        self
    }

    /// Returns the conditions on fields.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Returns the range of `occurred_at`: from, inclusive, and to, exclusive.
    #[must_use]
    pub const fn range(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.from, self.to)
    }

    /// Tells whether `record` passes.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        self.from.is_none_or(|from| record.occurred_at >= from)
            && self.to.is_none_or(|to| record.occurred_at < to)
            && self.terms.iter().all(|term| match term.field.value(record) {
                Value::Text(text) if term.folds_case() => {
                    term.values.iter().any(|value| text.eq_ignore_ascii_case(value))
                }
                Value::Text(text) => term.values.iter().any(|value| text == value),
                _ => false,
            })
    }
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
}

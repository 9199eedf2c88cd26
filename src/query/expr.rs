//! What a filter is made of: tests of single fields, joined by and, or and not.

use super::{pattern::Pattern, text::Phrase};
use crate::{
    record::{Address, Field, Kind, RecordId},
    time::Timestamp,
};

/// A condition on a record.
///
/// Two-valued throughout: a test of an absent field fails, hence its negation holds. Stores render a negated
/// test so that it holds for NULL.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expr {
    /// Every part holds; without parts, always.
    All(Vec<Expr>),
    /// One of the parts holds; without parts, never.
    Any(Vec<Expr>),
    /// The part does not hold.
    Not(Box<Expr>),
    /// A test of a field holds.
    Test(Test),
}

impl Expr {
    /// The condition that every record meets.
    pub const EVERY: Self = Self::All(Vec::new());

    /// Returns the parts of which every one must hold, nested ones included.
    pub fn conjuncts(&self) -> impl Iterator<Item = &Self> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            loop {
                match left.pop()? {
                    Self::All(parts) => left.extend(parts.iter().rev()),
                    other => return Some(other),
                }
            }
        })
    }

    /// Tells whether `wanted` holds for one of the tests in it.
    pub fn any_test(&self, wanted: &impl Fn(&Test) -> bool) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.any_test(wanted)),
            Self::Not(part) => part.any_test(wanted),
            Self::Test(test) => wanted(test),
        }
    }

    /// Joins two conditions of which both must hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut parts), Self::All(more)) => {
                parts.extend(more);
                Self::All(parts)
            }
            (Self::All(mut parts), other) => {
                parts.push(other);
                Self::All(parts)
            }
            (first, Self::All(more)) => Self::All(std::iter::once(first).chain(more).collect()),
            (first, second) => Self::All(vec![first, second]),
        }
    }
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// The field is there.
    Present(&'static Field),
    /// A field of text, or a word of a closed vocabulary, is one of these values. Where
    /// [case does not count](folds_case), the values are in lower case and the field is compared in
    /// lower case (ASCII).
    OneOf(&'static Field, Vec<String>),
    /// A field of text matches a pattern; folded as in `OneOf`.
    Like(&'static Field, Pattern),
    /// An integer, or the number of a stream, lies between these bounds, both inclusive.
    Number(&'static Field, Option<i64>, Option<i64>),
    /// A moment lies between these bounds: from, inclusive, and to, exclusive.
    Time(&'static Field, Option<Timestamp>, Option<Timestamp>),
    /// The record has this id.
    Id(RecordId),
    /// An address lies within this network (an address alone is a network of one).
    Network(&'static Field, Address),
    /// An array of text (`subject_ids`) has an element that is one of these, exactly.
    Contains(&'static Field, Vec<String>),
    /// What stands in a JSON field under these keys, each inside the other, is as wanted. An object key
    /// that occurs twice counts by its last value; an array is entered by element, any of which may match.
    Json(&'static Field, Vec<String>, Wanted),
    /// One of the `changes` is at this path (RFC 6901), or below it, with such a value.
    Change(String, Side, Wanted),
    /// Words occur in the record's text.
    Text(Phrase),
}

/// Which side of a change is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whether it changed at all.
    Either,
    /// The value before.
    Old,
    /// The value after.
    New,
}

/// What is wanted of a value within JSON. Text is compared exactly, numbers and the words `true`, `false` and
/// `null` by how they are spelt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Wanted {
    /// Any value; the key alone counts.
    Any,
    /// One of these.
    OneOf(Vec<String>),
    /// Text of this pattern.
    Like(Pattern),
}

/// Tells whether comparisons of a field disregard case (ASCII): action, entity type and the closed
/// vocabularies.
#[must_use]
pub fn folds_case(field: &Field) -> bool {
    field.kind() == Kind::Word || matches!(field.name(), "action" | "entity_type")
}

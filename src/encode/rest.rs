//! Which fields of a record have found their place, so that the others are not lost.

use super::json::{Moments, Object};
use crate::record::{Field, Record, Value};

const _: () = assert!(Record::FIELDS.len() <= 128);

/// Returns the index of a field; when compiling, so that a name that no field has does not compile.
pub(super) const fn index_of(name: &str) -> usize {
    let mut index = 0;
    while index < Record::FIELDS.len() {
        if same(Record::FIELDS[index].name(), name) {
            return index;
        }
        index += 1;
    }
    panic!("no field of a record has this name")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Writes `const { index_of("name") }`.
macro_rules! field {
    ($name:literal) => {
        const { $crate::encode::rest::index_of($name) }
    };
}

pub(super) use field;

/// The fields of a record that have not found a place yet.
#[derive(Debug)]
pub(super) struct Rest<'r> {
    record: &'r Record,
    taken: u128,
}

impl<'r> Rest<'r> {
    pub(super) const fn of(record: &'r Record) -> Self {
        Self { record, taken: 0 }
    }

    /// Returns a value that stays among the rest.
    pub(super) fn look(&self, field: usize) -> Value<'r> {
        Record::FIELDS[field].value(self.record)
    }

    /// Returns text that stays among the rest.
    pub(super) fn look_text(&self, field: usize) -> Option<&'r str> {
        match self.look(field) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Says that the field has found its place, and that exactly.
    pub(super) const fn taken(&mut self, field: usize) {
        self.taken |= 1 << field;
    }

    /// Moves text to its place.
    pub(super) fn text(&mut self, object: &mut Object<'_>, key: &str, field: usize) {
        if let Some(text) = self.look_text(field) {
            object.text(key, text);
            self.taken(field);
        }
    }

    /// Moves an integer to its place.
    pub(super) fn integer(&mut self, object: &mut Object<'_>, key: &str, field: usize) {
        if let Value::Integer(number) = self.look(field) {
            object.integer(key, number);
            self.taken(field);
        }
    }

    /// Writes every field that is there and has found no place, under its own name.
    pub(super) fn write(&self, object: &mut Object<'_>, moments: &mut Moments) {
        let left = |index: &usize| self.taken & (1 << index) == 0;
        for field in (0..Record::FIELDS.len()).filter(left).map(|index| &Record::FIELDS[index]) {
            let value = Field::value(field, self.record);
            if !value.is_null() {
                object.value(field.name(), value, moments);
            }
        }
    }
}

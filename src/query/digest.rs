//! The canonical form of a filter, as a digest.
//!
//! Two filters have the same digest only if they are the same, part by part: every variable piece goes in
//! behind its length, and every list behind its count. What it is made of is the same on every machine, so
//! that a cursor of one replica is good at another.

use sha2::{Digest as _, Sha256};

use super::{
    expr::{Expr, Side, Test, Wanted},
    filter::Filter,
    pattern::Pattern,
};
use crate::{record::Field, time::Timestamp};

/// What a cursor belongs to: the filter that was asked, and the scope of whoever asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding([u8; Self::BYTES]);

impl Binding {
    pub(super) const BYTES: usize = 16;

    /// Makes the binding of a filter, as it was asked, and of the scope that the caller's grant adds.
    ///
    /// Both in their plainest shape: a list puts its own conditions in front of what was asked, a live session
    /// has none to put there, and a cursor of the one is good in the other.
    #[must_use]
    pub fn new(filter: &Filter, scope: &Filter) -> Self {
        let mut form = Form(Sha256::new_with_prefix(b"tower-activity filter 1\0"));
        form.expr(&filter.expr().clone().normal());
        form.expr(&scope.expr().clone().normal());
        let digest = form.0.finalize();
        Self(std::array::from_fn(|at| digest[at]))
    }

    pub(super) const fn of_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

/// Writes filters into a hash. A test of ours holds every pair of different filters apart.
struct Form(Sha256);

impl Form {
    fn tag(&mut self, tag: u8) {
        self.0.update([tag]);
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn texts<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a String>) {
        self.count(texts.len());
        texts.for_each(|text| self.text(text));
    }

    fn field(&mut self, field: &Field) {
        self.text(field.name());
    }

    fn bound(&mut self, bound: Option<i64>) {
        self.tag(u8::from(bound.is_some()));
        self.0.update(bound.unwrap_or_default().to_be_bytes());
    }

    fn pattern(&mut self, pattern: &Pattern) {
        self.texts(pattern.pieces().iter());
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::All(parts) => self.parts(0, parts),
            Expr::Any(parts) => self.parts(1, parts),
            Expr::Not(part) => {
                self.tag(2);
                self.expr(part);
            }
            Expr::Test(test) => {
                self.tag(3);
                self.test(test);
            }
        }
    }

    fn parts(&mut self, tag: u8, parts: &[Expr]) {
        self.tag(tag);
        self.count(parts.len());
        parts.iter().for_each(|part| self.expr(part));
    }

    fn test(&mut self, test: &Test) {
        match test {
            Test::Present(field) => {
                self.tag(0);
                self.field(field);
            }
            Test::OneOf(field, values) => {
                self.tag(1);
                self.field(field);
                self.texts(values.iter());
            }
            Test::Like(field, pattern) => {
                self.tag(2);
                self.field(field);
                self.pattern(pattern);
            }
            Test::Number(field, least, most) => {
                self.tag(3);
                self.field(field);
                self.bound(*least);
                self.bound(*most);
            }
            Test::Time(field, from, to) => {
                self.tag(4);
                self.field(field);
                self.bound(from.map(Timestamp::as_micros));
                self.bound(to.map(Timestamp::as_micros));
            }
            Test::Id(id) => {
                self.tag(5);
                self.0.update(id.as_bytes());
            }
            Test::Network(field, network) => {
                self.tag(6);
                self.field(field);
                self.text(&network.to_string());
            }
            Test::Contains(field, values) => {
                self.tag(7);
                self.field(field);
                self.texts(values.iter());
            }
            Test::Json(field, path, wanted) => {
                self.tag(8);
                self.field(field);
                self.texts(path.iter());
                self.wanted(wanted);
            }
            Test::Change(path, side, wanted) => {
                self.tag(9);
                self.text(path);
                self.tag(match side {
                    Side::Either => 0,
                    Side::Old => 1,
                    Side::New => 2,
                });
                self.wanted(wanted);
            }
            Test::Text(phrase) => {
                self.tag(10);
                self.texts(phrase.words().iter());
                self.tag(u8::from(phrase.is_prefix()));
            }
        }
    }

    fn wanted(&mut self, wanted: &Wanted) {
        match wanted {
            Wanted::Any => self.tag(0),
            Wanted::OneOf(values) => {
                self.tag(1);
                self.texts(values.iter());
            }
            Wanted::Like(pattern) => {
                self.tag(2);
                self.pattern(pattern);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        query::Phrase,
        record::{Address, RecordId},
    };

    #[test]
    fn filters_that_differ_in_anything_differ_in_their_digest() {
        let field = |name| Field::named(name).expect("a field");
        let texts = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let at = Timestamp::from_micros;
        let pattern = |pieces: &[&str]| Pattern::new(pieces.iter().copied());
        let tests = vec![
            Test::Present(field("action")),
            Test::Present(field("actor_id")),
            Test::OneOf(field("action"), texts(&["a", "b"])),
            Test::OneOf(field("action"), texts(&["b", "a"])),
            Test::OneOf(field("action"), texts(&["ab"])),
            Test::OneOf(field("action"), texts(&["a,b"])),
            Test::OneOf(field("actor_id"), texts(&["a", "b"])),
            Test::Like(field("action"), pattern(&["a", "b"])),
            Test::Like(field("action"), pattern(&["a", "b", ""])),
            Test::Number(field("status"), Some(0), None),
            Test::Number(field("status"), None, Some(0)),
            Test::Number(field("status"), None, None),
            Test::Time(field("occurred_at"), Some(at(0)), None),
            Test::Time(field("occurred_at"), None, Some(at(0))),
            Test::Time(field("recorded_at"), None, Some(at(0))),
            Test::Id(RecordId::NIL),
            Test::Id(RecordId::from_bytes([1; 16])),
            Test::Network(field("ip"), "10.0.0.0/8".parse::<Address>().unwrap()),
            Test::Network(field("ip"), "10.0.0.0/9".parse::<Address>().unwrap()),
            Test::Contains(field("subject_ids"), texts(&["a"])),
            Test::Json(field("metadata"), texts(&["a", "b"]), Wanted::Any),
            Test::Json(field("metadata"), texts(&["a.b"]), Wanted::Any),
            Test::Json(field("metadata"), texts(&["a"]), Wanted::OneOf(texts(&["b"]))),
            Test::Json(field("metadata"), texts(&["a"]), Wanted::Like(pattern(&["b"]))),
            Test::Change("/a".to_owned(), Side::Either, Wanted::Any),
            Test::Change("/a".to_owned(), Side::Old, Wanted::Any),
            Test::Change("/a".to_owned(), Side::New, Wanted::Any),
            Test::Text(Phrase::new("a b").unwrap()),
            Test::Text(Phrase::new("ab").unwrap()),
            Test::Text(Phrase::new("ab").unwrap().prefix()),
        ];
        let single: Vec<Expr> = tests.into_iter().map(Expr::Test).collect();
        let mut all = single.clone();
        all.extend(single.iter().map(|expr| Expr::Not(Box::new(expr.clone()))));
        all.extend([
            Expr::Any(Vec::new()),
            Expr::All(single[..2].to_vec()),
            Expr::Any(single[..2].to_vec()),
            Expr::All(vec![Expr::Any(single[..2].to_vec()), single[2].clone()]),
            Expr::Any(vec![Expr::All(single[..2].to_vec()), single[2].clone()]),
        ]);
        let every = Filter::new();
        let mut seen = std::collections::HashMap::new();
        for expr in &all {
            // What is asked and what is granted are not the same thing.
            let filter: Filter = expr.clone().into();
            for binding in [Binding::new(&filter, &every), Binding::new(&every, &filter)] {
                let before = seen.insert(*binding.bytes(), expr);
                assert!(before.is_none(), "{expr:?} and {before:?}");
            }
        }
        assert_eq!(seen.len(), 2 * all.len());
    }

    #[test]
    fn a_filter_that_is_put_together_in_another_way_is_the_same() {
        let test = Expr::Test(Test::Present(Field::named("action").expect("a field")));
        let alone: Filter = test.clone().into();
        let every = Filter::new();
        for other in [
            Filter::new().and(test.clone()),
            Filter::new().and(alone.clone()),
            Expr::All(vec![Expr::All(vec![test.clone()])]).into(),
            Expr::Any(vec![test]).into(),
        ] {
            assert_eq!(Binding::new(&alone, &every), Binding::new(&other, &every));
            assert_eq!(Binding::new(&every, &alone), Binding::new(&every, &other));
        }
    }
}

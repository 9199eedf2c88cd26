//! The one shape of conditions that mean the same by their structure, so that they can be compared and
//! written down.

use super::{
    expr::{Expr, Test, Wanted, folds_case},
    parse::MAX_VALUES,
};

impl Expr {
    /// The condition that no record meets.
    fn never() -> Self {
        Self::Not(Box::new(Self::EVERY))
    }

    /// Returns the same condition in its plainest shape: nothing nested that need not be, values of one
    /// field together, no test that always or never holds under another name.
    #[must_use]
    pub fn normal(self) -> Self {
        match self {
            Self::All(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    match part.normal() {
                        Self::All(inner) => flat.extend(inner),
                        other => flat.push(other),
                    }
                }
                single(flat, Self::All)
            }
            Self::Any(parts) => {
                let mut flat = Vec::with_capacity(parts.len());
                for part in parts {
                    match part.normal() {
                        Self::Any(inner) => {
                            inner.into_iter().for_each(|part| join(&mut flat, part))
                        }
                        other => join(&mut flat, other),
                    }
                }
                if flat.is_empty() { Self::never() } else { single(flat, Self::Any) }
            }
            Self::Not(part) => match part.normal() {
                Self::Not(inner) => *inner,
                other => Self::Not(Box::new(other)),
            },
            Self::Test(test) => test.normal(),
        }
    }
}

fn single(mut parts: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

/// Adds an alternative; values of the same field join the last that were added.
fn join(parts: &mut Vec<Expr>, part: Expr) {
    fn values(there: &mut Test, new: &Test) -> bool {
        let (there, new) = match (there, new) {
            (Test::OneOf(a, there), Test::OneOf(b, new))
            | (Test::Contains(a, there), Test::Contains(b, new))
                if a == b =>
            {
                (there, new)
            }
            (
                Test::Json(a, path, Wanted::OneOf(there)),
                Test::Json(b, other, Wanted::OneOf(new)),
            ) if a == b && path == other => (there, new),
            (
                Test::Change(path, side, Wanted::OneOf(there)),
                Test::Change(other, wanted, Wanted::OneOf(new)),
            ) if path == other && side == wanted => (there, new),
            _ => return false,
        };
        if there.len() + new.len() > MAX_VALUES {
            return false;
        }
        for value in new {
            if !there.contains(value) {
                there.push(value.clone());
            }
        }
        true
    }
    if let Expr::Test(new) = &part {
        let last = parts.iter_mut().rev().find_map(|there| match there {
            Expr::Test(test) if same_values(test, new) => Some(test),
            _ => None,
        });
        if last.is_some_and(|there| values(there, new)) {
            return;
        }
    }
    parts.push(part);
}

/// Whether both list values of the same thing.
fn same_values(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::OneOf(a, _), Test::OneOf(b, _)) | (Test::Contains(a, _), Test::Contains(b, _)) => {
            a == b
        }
        (Test::Json(a, path, Wanted::OneOf(_)), Test::Json(b, other, Wanted::OneOf(_))) => {
            a == b && path == other
        }
        (Test::Change(path, side, Wanted::OneOf(_)), Test::Change(other, s, Wanted::OneOf(_))) => {
            path == other && side == s
        }
        _ => false,
    }
}

impl Test {
    fn normal(self) -> Expr {
        let test = match self {
            Self::OneOf(field, mut values) => {
                if folds_case(field) {
                    values.iter_mut().for_each(|value| value.make_ascii_lowercase());
                }
                Self::OneOf(field, distinct(values))
            }
            Self::Contains(field, values) => Self::Contains(field, distinct(values)),
            Self::Like(field, pattern) => {
                let pattern = pattern.normal();
                match pattern.pieces() {
                    [whole] => Self::OneOf(field, vec![whole.clone()]).folded(),
                    [first, last] if first.is_empty() && last.is_empty() => Self::Present(field),
                    _ if folds_case(field) => Self::Like(field, pattern.folded()),
                    _ => Self::Like(field, pattern),
                }
            }
            Self::Number(field, None, None) | Self::Time(field, None, None) => Self::Present(field),
            Self::Json(field, path, Wanted::Any) if path.is_empty() => Self::Present(field),
            Self::Json(field, path, wanted) => Self::Json(field, path, wanted.normal()),
            Self::Change(path, side, wanted) => Self::Change(path, side, wanted.normal()),
            other => other,
        };
        let never = match &test {
            Self::OneOf(_, values)
            | Self::Contains(_, values)
            | Self::Json(_, _, Wanted::OneOf(values))
            | Self::Change(_, _, Wanted::OneOf(values)) => values.is_empty(),
            Self::Like(_, pattern) => pattern.pieces().is_empty(),
            Self::Number(_, Some(least), Some(most)) => least > most,
            Self::Time(_, Some(from), Some(to)) => from >= to,
            _ => false,
        };
        if never { Expr::never() } else { Expr::Test(test) }
    }

    fn folded(self) -> Self {
        match self {
            Self::OneOf(field, mut values) => {
                if folds_case(field) {
                    values.iter_mut().for_each(|value| value.make_ascii_lowercase());
                }
                Self::OneOf(field, values)
            }
            other => other,
        }
    }
}

impl Wanted {
    fn normal(self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::OneOf(values) => Self::OneOf(distinct(values)),
            Self::Like(pattern) => Self::Like(pattern.normal()),
        }
    }
}

fn distinct(values: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(values.len());
    // Lists are short where anybody writes them, and order is kept.
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

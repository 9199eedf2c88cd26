//! Methods as small numbers.

use http::Method;

/// The methods that have a number of their own; `OTHER` follows, then those that rules name.
const KNOWN: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::CONNECT,
    Method::TRACE,
];

/// Safe methods beyond RFC 9110 (QUERY, WebDAV): known, so that they count as the reads they are.
pub(super) const SAFE: [&str; 4] = ["QUERY", "PROPFIND", "SEARCH", "REPORT"];

/// The number of every method that nobody named: clients may make up as many as they like.
const OTHER: usize = KNOWN.len();

/// The methods of a rule set.
#[derive(Debug)]
pub(super) struct Methods {
    /// Safe extension methods, then those that rules name.
    named: Vec<Method>,
}

impl Methods {
    pub(super) fn new<'a>(named: impl IntoIterator<Item = &'a Method>) -> Self {
        let mut out = Self {
            named: SAFE
                .iter()
                .filter_map(|name| Method::from_bytes(name.as_bytes()).ok())
                .collect(),
        };
        for method in named {
            if !KNOWN.contains(method) && !out.named.contains(method) {
                out.named.push(method.clone());
            }
        }
        out
    }

    pub(super) fn count(&self) -> usize {
        OTHER + 1 + self.named.len()
    }

    /// Returns the number of a method.
    pub(super) fn index(&self, method: &Method) -> usize {
        match *method {
            Method::GET => 0,
            Method::POST => 1,
            Method::PUT => 2,
            Method::PATCH => 3,
            Method::DELETE => 4,
            Method::HEAD => 5,
            Method::OPTIONS => 6,
            Method::CONNECT => 7,
            Method::TRACE => 8,
            _ => match self.named.iter().position(|named| named == method) {
                Some(at) => OTHER + 1 + at,
                None => OTHER,
            },
        }
    }

    /// Returns the method of a number; nothing for the one that stands for all others.
    pub(super) fn at(&self, index: usize) -> Option<&Method> {
        match index {
            ..OTHER => KNOWN.get(index),
            OTHER => None,
            _ => self.named.get(index - OTHER - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_methods_share_one_number() {
        let purge = Method::from_bytes(b"PURGE").unwrap();
        let methods = Methods::new([&purge, &Method::PUT]);
        assert_eq!(methods.count(), 11 + SAFE.len());
        for index in 0..methods.count() {
            if let Some(method) = methods.at(index) {
                assert_eq!(methods.index(method), index);
            }
        }
        let odd = Method::from_bytes(b"ODD").unwrap();
        assert_eq!(methods.at(methods.index(&odd)), None);
    }
}

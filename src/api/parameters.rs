//! What stands behind the `?` of an address.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use http::{StatusCode, request::Parts};
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use crate::{query::Filter, time::Timestamp};

/// A question of that many bytes is none that a person asks; the language of `q` is bounded further.
const MAX_BYTES: usize = 16 * 1024;
/// More parameters than there are names of, each a few times over.
const MAX_COUNT: usize = 256;

/// The parameters of a request, in their order. Each endpoint takes its own; what is left is the filter.
#[derive(Debug)]
pub(super) struct Parameters {
    left: Vec<(String, String)>,
    own: Vec<&'static str>,
}

impl Parameters {
    /// Reads the query string strictly: nothing is guessed that was sent broken.
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        let text = parts.uri.query().unwrap_or_default();
        if text.len() > MAX_BYTES {
            let detail =
                format!("the question takes {} bytes; {MAX_BYTES} are allowed", text.len());
            return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", detail));
        }
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let left: Vec<_> = pairs
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let name = decoded(name).ok_or_else(|| undecodable(name))?;
                let value = decoded(value).ok_or_else(|| undecodable(&name))?;
                Ok((name, value))
            })
            .collect::<Result<_, Problem>>()?;
        if left.len() > MAX_COUNT {
            let detail = format!("there are {} parameters; {MAX_COUNT} are allowed", left.len());
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail));
        }
        Ok(Self { left, own: Vec::new() })
    }

    /// Takes a parameter of the endpoint's own; an empty one, as forms send it, is as good as none.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.own.push(name);
        let mut found = None;
        while let Some(at) = self.left.iter().position(|(other, _)| other == name) {
            if found.replace(self.left.remove(at).1).is_some() {
                return Err(Problem::parameter(name, format!("`{name}` is given twice")));
            }
        }
        Ok(found.filter(|value| !value.is_empty()))
    }

    /// Takes one that is a number within a range.
    pub(super) fn number<N: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<N>,
    ) -> Result<Option<N>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Problem::parameter(name, format!("`{name}` is a number from {least} to {most}"))
        })
    }

    /// Takes one that is one of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            Problem::parameter(name, format!("`{name}` is one of {}", words.join(", ")))
        })
    }

    /// Refuses whatever is left.
    pub(super) fn none(self) -> Result<(), Problem> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(Problem::parameter(name, "there are no parameters here")),
        }
    }

    /// Reads what is left as the filter; relative times in it are relative to `now`.
    pub(super) fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        let _ = now;
        let mut filter = Filter::new();
        for (name, value) in self.left {
            filter = filter
                .any_of(&name, value.split(','))
                .map_err(|error| Problem::parameter(&name, error.to_string()))?;
        }
        Ok(filter)
    }
}

/// Decodes `application/x-www-form-urlencoded` text; `None` when it is broken.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(is_hex(bytes.next()) && is_hex(bytes.next())) {
            return None;
        }
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn undecodable(name: &str) -> Problem {
    let detail = "the percent-encoding is broken: two hexadecimal digits follow each `%`, and all of it \
                  together is UTF-8";
    Problem::parameter(name, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Result<Parameters, Problem> {
        let uri = format!("/records?{query}");
        let request = http::Request::builder().uri(uri).body(()).expect("a request");
        Parameters::of(&request.into_parts().0)
    }

    #[test]
    fn broken_encodings_are_refused() {
        for query in ["a=%", "a=%2", "a=%zz", "a=%ff", "%c3=1", "a=%C3%28", "a=%%20"] {
            assert!(parameters(query).is_err(), "{query}");
        }
        let mut fine = parameters("&a=%41+%2B%C3%A4&&b&c=").unwrap();
        assert_eq!(fine.take("a").unwrap().as_deref(), Some("A +ä"));
        assert_eq!(fine.take("b").unwrap(), None);
        assert_eq!(fine.take("c").unwrap(), None);
    }

    #[test]
    fn what_is_given_twice_is_refused() {
        assert!(parameters("limit=1&limit=2").unwrap().take("limit").is_err());
    }

    #[test]
    fn a_question_beyond_all_measure_is_refused() {
        let long = parameters(&format!("q={}", "a".repeat(MAX_BYTES))).unwrap_err();
        assert_eq!(long.status(), StatusCode::URI_TOO_LONG);
        assert!(parameters(&"a=1&".repeat(MAX_COUNT + 1)).is_err());
    }
}

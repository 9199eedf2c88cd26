//! What stands behind the `?` of an address.

use http::{StatusCode, request::Parts};
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use crate::{
    query::{Extra, Params},
    time::Timestamp,
};

/// A question of that many bytes is none that a person asks; the language of `q` is bounded further.
const MAX_BYTES: usize = 16 * 1024;
/// More parameters than there are names of, each a few times over.
const MAX_COUNT: usize = 256;

/// The decoded parameters of a request, in their order.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query string strictly: nothing is guessed that was sent broken.
    pub(super) fn of(parts: &Parts) -> Result<Self, Problem> {
        Ok(Self(pairs(parts.uri.query().unwrap_or_default())?))
    }

    /// Returns a parameter as it was sent, before the rest can be read.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Returns every value of a parameter, as it was sent.
    pub(super) fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Refuses every parameter but these.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let detail = format!("this takes no such parameter, only {}", names.join(", "));
                Err(Problem::parameter(name, detail))
            }
        }
    }

    /// Reads them all; `extras` are those that the endpoint takes. Times in them are relative to `now`.
    pub(super) fn read(&self, extras: &[Extra], now: Timestamp) -> Result<Params, Problem> {
        Ok(Params::read(&self.0, extras, now)?)
    }
}

/// Reads the pairs of a query string.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, Problem> {
    if text.len() > MAX_BYTES {
        let detail = format!("the question takes {} bytes; {MAX_BYTES} are allowed", text.len());
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", detail));
    }
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded(name).ok_or_else(|| undecodable(name))?;
            let value = decoded(value).ok_or_else(|| undecodable(&name))?;
            Ok((name, value))
        })
        .collect::<Result<_, Problem>>()?;
    if pairs.len() > MAX_COUNT {
        let detail = format!("there are {} parameters; {MAX_COUNT} are allowed", pairs.len());
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid-parameter", detail));
    }
    Ok(pairs)
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
        let fine = parameters("&a=%41+%2B%C3%A4&&b&c=").unwrap();
        assert_eq!(fine.raw("a"), Some("A +ä"));
        assert_eq!((fine.raw("b"), fine.raw("c"), fine.raw("d")), (Some(""), Some(""), None));
    }

    #[test]
    fn a_question_beyond_all_measure_is_refused() {
        let long = parameters(&format!("q={}", "a".repeat(MAX_BYTES))).unwrap_err();
        assert_eq!(long.status(), StatusCode::URI_TOO_LONG);
        assert!(parameters(&"a=1&".repeat(MAX_COUNT + 1)).is_err());
    }
}

//! Conditions on the request head: header values and the host.

use http::{HeaderMap, HeaderName};

use super::error::Origin;
use super::pattern::Pattern;

/// What a rule asks of the head of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conditions {
    headers: Vec<(HeaderName, Glob)>,
    hosts: Vec<Glob>,
}

impl Conditions {
    pub(super) fn parse(
        headers: &[(String, String)],
        hosts: &[String],
        problems: &mut Vec<(&'static str, String)>,
    ) -> Self {
        let mut out = Self::default();
        for (name, value) in headers {
            match name.parse::<HeaderName>() {
                Ok(name) => out.headers.push((name, Glob::new(value))),
                Err(_) => problems
                    .push(("headers", format!("`{}` is not a header name", name.escape_debug()))),
            }
        }
        for host in hosts {
            let bad = host.is_empty() || host.contains(['/', ' ']) || has_port(host);
            if bad {
                problems.push((
                    "host",
                    format!(
                        "`{}` is not a host: a name without scheme, port and path, `*` for any text",
                        host.escape_debug()
                    ),
                ));
            }
            out.hosts.push(Glob::new(&host.to_ascii_lowercase()));
        }
        out
    }

    pub(super) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.hosts.is_empty()
    }

    /// Says whether whatever meets the other conditions meets these, as far as that is plain.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.headers.iter().all(|mine| other.headers.contains(mine))
            && (self.hosts.is_empty()
                || (!other.hosts.is_empty() && other.hosts.iter().all(|h| self.hosts.contains(h))))
    }

    /// Says whether the head meets them: every header, and one of the hosts.
    pub(super) fn met(&self, headers: &HeaderMap, host: Option<&str>) -> bool {
        self.headers.iter().all(|(name, glob)| {
            headers.get_all(name).iter().any(|value| glob.matches(value.as_bytes()))
        }) && (self.hosts.is_empty()
            || host.is_some_and(|host| {
                let host = without_port(host).to_ascii_lowercase();
                self.hosts.iter().any(|glob| glob.matches(host.as_bytes()))
            }))
    }
}

fn has_port(host: &str) -> bool {
    without_port(host).len() != host.len()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // An address in brackets has colons of its own.
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Text in which `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(Box<str>);

impl Glob {
    fn new(text: &str) -> Self {
        Self(text.into())
    }

    fn matches(&self, text: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut p, mut t) = (0, 0);
        // Where the last `*` was, and how much it has taken: going back there once per
        // character keeps the time quadratic at worst, whatever the pattern.
        let mut star = None;
        while t < text.len() {
            if p < pattern.len() && pattern[p] == b'*' {
                star = Some((p, t));
                p += 1;
            } else if p < pattern.len() && pattern[p] == text[t] {
                p += 1;
                t += 1;
            } else if let Some((at, taken)) = star {
                star = Some((at, taken + 1));
                p = at + 1;
                t = taken + 1;
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|b| *b == b'*')
    }
}

/// A candidate's question that only the request itself answers.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) conditions: Conditions,
    /// Set when the router's template alone does not tell whether the rule's route matches.
    pub(super) path: Option<Pattern>,
}

impl Question {
    pub(super) fn answer(&self, headers: &HeaderMap, host: Option<&str>, path: &str) -> bool {
        self.conditions.met(headers, host)
            && self.path.as_ref().is_none_or(|pattern| pattern.matches_path(path))
    }
}

/// A rule's place together with the rule, as the checks need it.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) rule: super::Rule,
    pub(super) origin: Origin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (glob, text, fits) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("*bot*", "Googlebot/2", true),
            ("x", "X", false),
            ("a**b*", "a123bc", true),
        ] {
            assert_eq!(Glob::new(glob).matches(text.as_bytes()), fits, "{glob} {text}");
        }
    }

    #[test]
    fn one_of_repeated_header_lines_is_enough() {
        let wanted = [("x-purpose".to_owned(), "audit".to_owned())];
        let asked = Conditions::parse(&wanted, &[], &mut Vec::new());
        let mut headers = HeaderMap::new();
        assert!(!asked.met(&headers, None));
        headers.append("x-purpose", "care".parse().unwrap());
        headers.append("x-purpose", "audit".parse().unwrap());
        assert!(asked.met(&headers, None));
    }

    #[test]
    fn hosts_compare_without_port_and_case() {
        let asked = Conditions::parse(&[], &["admin.example.com".to_owned()], &mut Vec::new());
        let none = HeaderMap::new();
        assert!(asked.met(&none, Some("Admin.Example.com:8443")));
        assert!(!asked.met(&none, Some("www.example.com")));
        assert!(!asked.met(&none, None));
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("::1"), "::1");
    }
}

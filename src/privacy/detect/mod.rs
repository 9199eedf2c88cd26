//! Values that are secrets whatever they are called: small scanners over text, written by hand so
//! that their time is linear in the text whatever the text is.
//!
//! Each scanner looks at one place and either says where the secret ends, or gives up after a
//! bounded number of bytes (or remembers how far it looked, so that no byte is looked at again
//! and again). A text that was cut may end inside a secret: at its end, a beginning suffices.

mod place;

use self::place::Place;
use super::{
    MARKER, Method,
    words::{Folded, KeySet},
};

/// Beginnings of well-known keys: the prefix, how many bytes must follow, and whether dots belong.
const PREFIXES: &[(&str, usize, bool)] = &[
    ("ghp_", 6, false),
    ("gho_", 6, false),
    ("ghu_", 6, false),
    ("ghs_", 6, false),
    ("ghr_", 6, false),
    ("github_pat_", 6, false),
    ("glpat-", 10, false),
    ("xoxa-", 6, false),
    ("xoxb-", 6, false),
    ("xoxc-", 6, false),
    ("xoxd-", 6, false),
    ("xoxe-", 6, false),
    ("xoxe.", 6, true),
    ("xoxo-", 6, false),
    ("xoxp-", 6, false),
    ("xoxr-", 6, false),
    ("xoxs-", 6, false),
    ("xapp-", 10, false),
    ("sk_live_", 4, false),
    ("sk_test_", 4, false),
    ("rk_live_", 4, false),
    ("rk_test_", 4, false),
    ("whsec_", 6, false),
    ("sk-", 20, false),
    ("AIza", 30, false),
    ("ya29.", 20, true),
    ("npm_", 20, false),
    ("pypi-", 20, false),
    ("dop_v1_", 20, false),
    ("SG.", 20, true),
    ("hvs.", 20, true),
];

/// The shortest secret of letters, digits, `-`, `_` and `.` that has no prefix of its own: a token of
/// `eyJ`, five more, a dot and two. Cards and keys of AWS are longer, everything else has other characters.
const SHORTEST: usize = 11;

/// How far back a name is looked for before `=`.
const LONGEST_NAME: usize = 64;

/// A secret in a text.
#[derive(Debug, PartialEq)]
struct Finding {
    start: usize,
    end: usize,
    method: Method,
}

/// A byte that a secret may begin with.
const FIRST: u8 = 1;
/// A byte inside of words.
const PART: u8 = 2;

/// The scanners that are switched on.
#[derive(Debug, Clone)]
pub(super) struct Detectors {
    /// By their first bytes: every word of every text is asked for them.
    prefixes: [Vec<(String, usize, bool)>; 256],
    off: Vec<Method>,
    /// What each byte is: nearly all are passed over by this alone.
    classes: [u8; 256],
    /// No secret of letters, digits, `-`, `_` and `.` alone has fewer bytes.
    shortest: usize,
}

impl Detectors {
    /// The detectors that can be switched off, in words.
    pub(super) const ALL: &'static [Method] = &[
        Method::Jwt,
        Method::Pem,
        Method::KeyPrefix,
        Method::Card,
        Method::UserInfo,
        Method::Bearer,
        Method::Pair,
    ];

    pub(super) fn new() -> Self {
        let mut detectors = Self {
            prefixes: std::array::from_fn(|_| Vec::new()),
            off: Vec::new(),
            classes: std::array::from_fn(|byte| match u8::try_from(byte) {
                Ok(byte) if byte.is_ascii_alphanumeric() => PART,
                _ => 0,
            }),
            shortest: SHORTEST,
        };
        for first in b"e-:=bBA23456789" {
            detectors.classes[usize::from(*first)] |= FIRST;
        }
        for (prefix, least, dots) in PREFIXES {
            detectors.insert(prefix, *least, *dots);
        }
        detectors
    }

    pub(super) fn add_prefix(&mut self, prefix: &str, least: usize) {
        self.insert(prefix, least, false);
    }

    fn insert(&mut self, prefix: &str, least: usize, dots: bool) {
        if let Some(first) = prefix.bytes().next() {
            self.classes[usize::from(first)] |= FIRST;
            self.prefixes[usize::from(first)].push((prefix.to_owned(), least, dots));
            self.shortest = self.shortest.min(prefix.len() + least);
        }
    }

    pub(super) fn switch_off(&mut self, method: Method) {
        self.off.push(method);
    }

    pub(super) const fn shortest(&self) -> usize {
        self.shortest
    }

    fn is_on(&self, method: Method) -> bool {
        !self.off.contains(&method)
    }
}

/// What a text is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    pub(super) detectors: &'a Detectors,
    /// Names whose `name=value` is a secret in any text.
    pub(super) keys: &'a KeySet,
    /// The same, but only where the text is that of a URL.
    pub(super) query: &'a KeySet,
    /// Further names, of the rule.
    pub(super) extra: &'a KeySet,
    /// Whether the text is one of broken JSON or something like it, where `name: value` is a
    /// secret too. In prose that would take away more than secrets.
    pub(super) colons: bool,
}

impl Scan<'_> {
    /// Writes the text with each secret replaced and returns true; writes nothing if there is none.
    pub(super) fn mask(
        &self,
        text: &str,
        cut: bool,
        out: &mut String,
        mut found: impl FnMut(Method),
    ) -> bool {
        let mut place = Place::new(text, cut);
        let mut written = 0;
        let mut at = 0;
        while let Some(finding) = self.next(&mut place, at) {
            // Findings begin and end beside ASCII bytes or at the end of the text.
            let (Some(before), true) =
                (text.get(written..finding.start), text.is_char_boundary(finding.end))
            else {
                at = finding.start + 1;
                continue;
            };
            out.push_str(before);
            out.push_str(MARKER);
            found(finding.method);
            written = finding.end;
            at = finding.end;
        }
        if written > 0 {
            out.push_str(&text[written..]);
        }
        written > 0
    }

    fn next(&self, place: &mut Place<'_>, from: usize) -> Option<Finding> {
        let classes = &self.detectors.classes;
        let text = place.text;
        // Nearly all bytes that may begin a secret stand inside of words, where none begins.
        let mut before = if from > 0 { classes[usize::from(text[from - 1])] } else { 0 };
        for (at, &byte) in text.iter().enumerate().skip(from) {
            let class = classes[usize::from(byte)];
            if class & FIRST != 0
                && (class & before & PART == 0 || place.escapes)
                && let Some(finding) = self.look(place, from, at, byte)
            {
                return Some(finding);
            }
            // A run of digits is looked at as one: its inside begins no card.
            before = class;
        }
        None
    }

    fn look(&self, place: &mut Place<'_>, from: usize, at: usize, byte: u8) -> Option<Finding> {
        let on = |method| self.detectors.is_on(method);
        let found = |end: Option<usize>, method| end.map(|end| Finding { start: at, end, method });
        match byte {
            b':' => {
                let value = |(start, end), method| Finding { start, end, method };
                let user_info = place.user_info(at).filter(|_| on(Method::UserInfo));
                return user_info.map(|range| value(range, Method::UserInfo)).or_else(|| {
                    let range = self.colon(place, from, at).filter(|_| on(Method::Pair));
                    range.map(|range| value(range, Method::Pair))
                });
            }
            b'=' if on(Method::Pair) => {
                return self.pair(place, from, at).map(|(start, end)| Finding {
                    start,
                    end,
                    method: Method::Pair,
                });
            }
            b'-' if on(Method::Pem)
                && let Some(finding) = found(place.pem(at), Method::Pem) =>
            {
                return Some(finding);
            }
            _ => {}
        }
        if !place.is_start(at) {
            return None;
        }
        match byte {
            b'e' if on(Method::Jwt)
                && let Some(finding) = found(place.jwt(at), Method::Jwt) =>
            {
                return Some(finding);
            }
            b'b' | b'B'
                if on(Method::Bearer)
                    && let Some((start, end)) = place.bearer(at) =>
            {
                return Some(Finding { start, end, method: Method::Bearer });
            }
            b'2'..=b'9'
                if on(Method::Card)
                    && let Some(finding) = found(place.card(at), Method::Card) =>
            {
                return Some(finding);
            }
            _ => {}
        }
        if !on(Method::KeyPrefix) {
            return None;
        }
        let known = || {
            self.detectors.prefixes[usize::from(byte)]
                .iter()
                .find_map(|(prefix, least, dots)| place.prefixed(at, prefix, *least, *dots))
        };
        let aws = (byte == b'A').then(|| place.aws(at)).flatten();
        found(aws.or_else(known), Method::KeyPrefix)
    }

    /// `name: value`, with or without quotes of any kind, escaped or not; `at` is the colon.
    fn colon(&self, place: &Place<'_>, from: usize, at: usize) -> Option<(usize, usize)> {
        if !self.colons {
            return None;
        }
        let text = place.text;
        let is_quote = |byte: &u8| matches!(byte, b'"' | b'\'' | b'`' | b'\\');
        let before = |end: usize, belongs: &dyn Fn(&u8) -> bool| {
            end - text[from..end].iter().rev().take(8).take_while(|byte| belongs(byte)).count()
        };
        let end = before(before(at, &u8::is_ascii_whitespace), &is_quote);
        let name = folded(&text[name_before(text, from, end)..end])?;
        if !self.keys.hit(&name) && !self.extra.hit(&name) {
            return None;
        }
        let after = |start: usize, belongs: &dyn Fn(&u8) -> bool| {
            start + text[start..].iter().take(8).take_while(|byte| belongs(byte)).count()
        };
        let opening = after(at + 1, &u8::is_ascii_whitespace);
        let start = after(opening, &is_quote);
        let rest = &text[start..];
        if rest.starts_with(MARKER.as_bytes()) {
            return None;
        }
        let end = match text[opening..start].last() {
            Some(quote) => rest.iter().position(|byte| byte == quote),
            // The end of a container is not looked for: it is not known to have one.
            None if matches!(rest.first(), Some(b'{' | b'[')) => None,
            None => rest.iter().position(|byte| b",}]\n\r".contains(byte)),
        };
        let end = end.map_or(text.len(), |end| start + end);
        (end > start).then(|| (start, place.beyond(start, end)))
    }

    /// `name=value` with a name on the list; `at` is the `=`. Gives the value.
    fn pair(&self, place: &Place<'_>, from: usize, at: usize) -> Option<(usize, usize)> {
        let text = place.text;
        let name = name_before(text, from, at);
        let before = (name > from).then(|| text[name - 1]);
        let in_url = matches!(before, Some(b'?' | b'&' | b'#'));
        let may_be_url = in_url || before == Some(b';') || name == 0;
        let folded = folded(&text[name..at])?;
        let listed = self.keys.hit(&folded) || self.extra.hit(&folded);
        let listed = listed || (may_be_url && self.query.hit(&folded));
        if !listed {
            return None;
        }
        let start = at + 1;
        let end_at = |ends: &dyn Fn(u8) -> bool| {
            text[start..].iter().position(|byte| ends(*byte)).map_or(text.len(), |n| start + n)
        };
        let end = match text.get(start) {
            Some(&quote @ (b'"' | b'\'')) => {
                let after = start + 1;
                text[after..]
                    .iter()
                    .position(|byte| *byte == quote)
                    .map_or(text.len(), |n| after + n + 1)
            }
            _ if in_url => end_at(&|byte| byte.is_ascii_whitespace() || b"&#\"'<>".contains(&byte)),
            _ => end_at(&|byte| byte.is_ascii_whitespace() || b"&;\"'<>".contains(&byte)),
        };
        if end == start || &text[start..end] == MARKER.as_bytes() {
            return None;
        }
        Some((start, place.beyond(start, end)))
    }
}

/// Where the name begins that ends at `at`; not in what was masked before.
fn name_before(text: &[u8], from: usize, at: usize) -> usize {
    let least = from.max(at.saturating_sub(LONGEST_NAME));
    let is_name =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-%[]$".contains(byte) || *byte >= 0x80;
    at - text[least..at].iter().rev().take_while(|byte| is_name(byte)).count()
}

fn folded(name: &[u8]) -> Option<Folded> {
    let mut decoded = String::new();
    super::form::decode(name, &mut decoded);
    (!decoded.is_empty()).then(|| Folded::new(&decoded))
}

//! Values that are secrets whatever they are called: small scanners over text, written by hand so
//! that their time is linear in the text whatever the text is.
//!
//! Each scanner looks at one place and either says where the secret ends, or gives up after a
//! bounded number of bytes (or remembers how far it looked, so that no byte is looked at again
//! and again). A text that was cut may end inside a secret: at its end, a beginning suffices.

use super::{
    Method,
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

/// Access key ids of AWS: the prefix and 16 capitals or digits.
const AWS: &[&str] = &["AKIA", "ASIA"];

/// How far back a name is looked for before `=`.
const LONGEST_NAME: usize = 64;

/// How far the `@` may be behind a `/`, `?` or `#` that a password should not hold, and does.
const LONGEST_STRAY: usize = 256;

/// A secret in a text.
#[derive(Debug, PartialEq)]
struct Finding {
    start: usize,
    end: usize,
    method: Method,
}

/// The scanners that are switched on.
#[derive(Debug, Clone)]
pub(super) struct Detectors {
    prefixes: Vec<(String, usize, bool)>,
    off: Vec<Method>,
    /// Which bytes a secret may begin with: all others are passed over at once.
    first: [bool; 256],
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
        let prefixes =
            PREFIXES.iter().map(|&(prefix, least, dots)| (prefix.to_owned(), least, dots));
        let mut detectors =
            Self { prefixes: prefixes.collect(), off: Vec::new(), first: [false; 256] };
        for first in b"e-:=bBA123456789".iter().chain(PREFIXES.iter().map(|p| &p.0.as_bytes()[0])) {
            detectors.first[usize::from(*first)] = true;
        }
        detectors
    }

    pub(super) fn add_prefix(&mut self, prefix: &str, least: usize) {
        if let Some(first) = prefix.bytes().next() {
            self.first[usize::from(first)] = true;
            self.prefixes.push((prefix.to_owned(), least, false));
        }
    }

    pub(super) fn switch_off(&mut self, method: Method) {
        self.off.push(method);
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
}

impl Scan<'_> {
    /// Writes the text with each secret replaced; returns whether there was one.
    pub(super) fn mask(
        &self,
        text: &str,
        cut: bool,
        out: &mut String,
        mut found: impl FnMut(Method),
    ) -> bool {
        let mut place = Place { text: text.as_bytes(), cut, no_jwt_before: 0 };
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
            out.push_str(super::MARKER);
            found(finding.method);
            written = finding.end;
            at = finding.end;
        }
        out.push_str(&text[written..]);
        written > 0
    }

    fn next(&self, place: &mut Place<'_>, from: usize) -> Option<Finding> {
        let first = &self.detectors.first;
        let mut at = from;
        while let Some(&byte) = place.text.get(at) {
            if first[usize::from(byte)]
                && let Some(finding) = self.look(place, from, at, byte)
            {
                return Some(finding);
            }
            // A run of digits is looked at as one: its inside begins no card.
            at += 1;
        }
        None
    }

    fn look(&self, place: &mut Place<'_>, from: usize, at: usize, byte: u8) -> Option<Finding> {
        let on = |method| self.detectors.is_on(method);
        let found = |end: Option<usize>, method| end.map(|end| Finding { start: at, end, method });
        match byte {
            b':' if on(Method::UserInfo) => {
                return place.user_info(at).map(|(start, end)| Finding {
                    start,
                    end,
                    method: Method::UserInfo,
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
            b'1'..=b'9'
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
            self.detectors
                .prefixes
                .iter()
                .find_map(|(prefix, least, dots)| place.prefixed(at, prefix, *least, *dots))
        };
        found(place.aws(at).or_else(known), Method::KeyPrefix)
    }

    /// `name=value` with a name on the list; `at` is the `=`. Gives the value.
    fn pair(&self, place: &Place<'_>, from: usize, at: usize) -> Option<(usize, usize)> {
        let text = place.text;
        // Not into what was masked before.
        let least = from.max(at.saturating_sub(LONGEST_NAME));
        let is_name =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-%[]$".contains(byte) || *byte >= 0x80;
        let name = text[least..at].iter().rev().take_while(|byte| is_name(byte)).count();
        let name = at - name;
        let in_url = name > from && matches!(text[name - 1], b'?' | b'&' | b'#' | b';');
        let mut decoded = String::new();
        super::form::decode(&text[name..at], &mut decoded);
        if decoded.is_empty() {
            return None;
        }
        let folded = Folded::new(&decoded);
        let listed = self.keys.hit(&folded) || self.extra.hit(&folded);
        if !listed && !((in_url || name == 0) && self.query.hit(&folded)) {
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
        (end > start && &text[start..end] != super::MARKER.as_bytes()).then_some((start, end))
    }
}

/// A text under the scanners.
struct Place<'a> {
    text: &'a [u8],
    cut: bool,
    /// No JWT begins before this: a scan that failed has seen as far.
    no_jwt_before: usize,
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl Place<'_> {
    /// The end of the run of bytes from `at` on.
    fn run(&self, at: usize, belongs: impl Fn(u8) -> bool) -> usize {
        self.text[at..].iter().position(|b| !belongs(*b)).map_or(self.text.len(), |n| at + n)
    }

    /// The end of the text, if it was cut: what reaches it may go on.
    fn is_open(&self, end: usize) -> bool {
        self.cut && end == self.text.len()
    }

    /// Whether a word may begin here.
    fn is_start(&self, at: usize) -> bool {
        let back = |n| at.checked_sub(n).map(|at| self.text[at]);
        match back(1) {
            Some(before) if before.is_ascii_alphanumeric() => {
                // `\n` and `%20` of text that is escaped once more end a word too.
                (back(2) == Some(b'\\') && b"nrtbf".contains(&before)) || back(3) == Some(b'%')
            }
            _ => true,
        }
    }

    fn jwt(&mut self, at: usize) -> Option<usize> {
        if at < self.no_jwt_before || !self.text[at..].starts_with(b"eyJ") {
            return None;
        }
        let header = self.run(at, is_token);
        if self.is_open(header) {
            return Some(header);
        }
        let payload = (self.text.get(header) == Some(&b'.') && header - at >= 8)
            .then(|| self.run(header + 1, is_token));
        let Some(payload) = payload.filter(|end| end - header > 2 || self.is_open(*end)) else {
            self.no_jwt_before = header;
            return None;
        };
        // A signature, or the three further parts of an encrypted one.
        let mut end = payload;
        for _ in 0..3 {
            if self.text.get(end) == Some(&b'.') {
                end = self.run(end + 1, is_token);
            }
        }
        Some(end)
    }

    fn pem(&self, at: usize) -> Option<usize> {
        if !self.text[at..].starts_with(b"-----BEGIN ") {
            return None;
        }
        let find = |from: usize, needle: &[u8]| {
            self.text[from..].windows(needle.len()).position(|w| w == needle).map(|n| from + n)
        };
        // Without an end, all that follows may be the key.
        let end = find(at, b"-----END ")
            .and_then(|end| find(end + 9, b"-----"))
            .map_or(self.text.len(), |end| end + 5);
        Some(end)
    }

    fn prefixed(&self, at: usize, prefix: &str, least: usize, dots: bool) -> Option<usize> {
        if !self.text[at..].starts_with(prefix.as_bytes()) {
            return None;
        }
        let start = at + prefix.len();
        let belongs = |byte| is_token(byte) || (dots && byte == b'.');
        // Whether it is long enough is asked first, so that failing is cheap.
        let enough = self.text[start..].iter().take(least).take_while(|b| belongs(**b)).count();
        (enough == least || (enough > 0 && self.is_open(start + enough)))
            .then(|| self.run(start, belongs))
    }

    fn aws(&self, at: usize) -> Option<usize> {
        if !AWS.iter().any(|prefix| self.text[at..].starts_with(prefix.as_bytes())) {
            return None;
        }
        let belongs = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let start = at + 4;
        let enough = self.text[start..].iter().take(16).take_while(|b| belongs(**b)).count();
        (enough == 16 || (enough > 0 && self.is_open(start + enough)))
            .then(|| self.run(start, belongs))
    }

    /// The token after the word `Bearer`.
    fn bearer(&self, at: usize) -> Option<(usize, usize)> {
        let word = self.text.get(at..at + 6)?;
        if !word.eq_ignore_ascii_case(b"bearer") {
            return None;
        }
        let spaces = self.text[at + 6..].iter().take(4).take_while(|b| **b == b' ').count();
        let start = at + 6 + spaces;
        if spaces == 0 {
            return None;
        }
        let belongs = |byte: u8| is_token(byte) || b".~+/=".contains(&byte);
        let looked = &self.text[start..self.text.len().min(start + 16)];
        let enough = looked.iter().take_while(|byte| belongs(**byte)).count();
        // Sixteen small letters are a word of prose.
        let is_word = looked.iter().all(u8::is_ascii_lowercase);
        ((enough == 16 && !is_word) || (enough > 0 && self.is_open(start + enough)))
            .then(|| (start, self.run(start, belongs)))
    }

    /// The user information of a URL; `at` is the colon of `://`.
    fn user_info(&self, at: usize) -> Option<(usize, usize)> {
        let text = self.text;
        let has_scheme = at > 0 && text[at - 1].is_ascii_alphanumeric();
        if !has_scheme || !text[at..].starts_with(b"://") {
            return None;
        }
        let start = at + 3;
        let is_end = |byte: u8| byte.is_ascii_whitespace() || b"\"'<>\\`".contains(&byte);
        let end = self.run(start, |byte| !is_end(byte) && !b"/?#".contains(&byte));
        let last_at = |part: &[u8]| part.iter().rposition(|byte| *byte == b'@');
        // After the colon of an authority stands a port. If it is no number, it is a password, and
        // the authority ends only at the `@`.
        let authority = &text[start..end];
        let odd = !authority.starts_with(b"[")
            && authority
                .iter()
                .position(|byte| *byte == b':')
                .is_some_and(|colon| !authority[colon + 1..].iter().all(u8::is_ascii_digit));
        if let Some(host) = last_at(authority) {
            return (host > 0 && &authority[..host] != super::MARKER.as_bytes())
                .then_some((start, start + host));
        }
        if self.is_open(end) && end > start {
            return Some((start, end));
        }
        if !odd {
            return None;
        }
        let stray = &text[end..text.len().min(end + LONGEST_STRAY)];
        let stray = &stray[..stray.iter().position(|byte| is_end(*byte)).unwrap_or(stray.len())];
        Some((start, end + last_at(stray).unwrap_or(0)))
    }

    /// 13 to 19 digits, in one run or in groups, that pass Luhn.
    fn card(&self, at: usize) -> Option<usize> {
        let text = self.text;
        let back = |n: usize| at.checked_sub(n).map(|at| text[at]);
        // The fraction of a number is none, and no issuer begins with 1.
        let fraction = back(1) == Some(b'.') && back(2).is_some_and(|byte| byte.is_ascii_digit());
        if fraction || text[at] == b'1' {
            return None;
        }
        let mut digits = [0_u8; 19];
        let (mut count, mut end, mut found) = (0, at, None);
        let mut separator = None;
        loop {
            let group = end;
            while let Some(digit) = text.get(end).filter(|byte| byte.is_ascii_digit()) {
                if count == digits.len() {
                    return found;
                }
                digits[count] = digit - b'0';
                count += 1;
                end += 1;
            }
            let whole = group == at && end - group >= 13;
            let next = text.get(end).copied();
            let ends = next.is_none_or(|byte| !byte.is_ascii_alphanumeric());
            if count >= 13 && ends && luhn(&digits[..count]) {
                found = Some(end);
            }
            // Seven digits and more at the end of a text that was cut may be the most of a card.
            if count >= 7 && self.is_open(end) {
                return Some(end);
            }
            // Groups have three to seven digits (the last may have fewer) and one separator, which
            // tells them from dates.
            let goes_on = !whole
                && matches!(next, Some(b' ' | b'-'))
                && (3..=7).contains(&(end - group))
                && separator.is_none_or(|before| Some(before) == next)
                && text.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !goes_on {
                return found;
            }
            separator = next;
            end += 1;
        }
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(n, digit)| {
            let digit = u32::from(*digit);
            match (n % 2, digit) {
                (0, _) => digit,
                (_, 5..) => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

//! One text and the scanners that look at one place in it.

use super::super::MARKER;

/// Access key ids of AWS: the prefix and 16 capitals or digits.
const AWS: &[&str] = &["AKIA", "ASIA"];

/// How far the `@` may be behind a `/`, `?` or `#` that a password should not hold, and does.
const LONGEST_STRAY: usize = 256;

/// A text under the scanners.
pub(super) struct Place<'a> {
    pub(super) text: &'a [u8],
    cut: bool,
    /// Whether a word may begin inside of what looks like another.
    pub(super) escapes: bool,
    /// No JWT begins before this: a scan that failed has seen as far.
    no_jwt_before: usize,
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl<'a> Place<'a> {
    pub(super) fn new(text: &'a str, cut: bool) -> Self {
        let text = text.as_bytes();
        let escapes = text.contains(&b'\\') || text.contains(&b'%');
        Self { text, cut, escapes, no_jwt_before: 0 }
    }

    /// The end of the run of bytes from `at` on.
    fn run(&self, at: usize, belongs: impl Fn(u8) -> bool) -> usize {
        self.text[at..].iter().position(|b| !belongs(*b)).map_or(self.text.len(), |n| at + n)
    }

    /// The end of the text, if it was cut: what reaches it may go on.
    fn is_open(&self, end: usize) -> bool {
        self.cut && end == self.text.len()
    }

    /// Whether a word may begin here.
    pub(super) fn is_start(&self, at: usize) -> bool {
        let back = |n| at.checked_sub(n).map(|at| self.text[at]);
        match back(1) {
            Some(before) if before.is_ascii_alphanumeric() => {
                // `\n` and `%20` of text that is escaped once more end a word too.
                (back(2) == Some(b'\\') && b"nrtbf".contains(&before)) || back(3) == Some(b'%')
            }
            _ => true,
        }
    }

    /// The end of a value that goes beyond the white space at which it seemed to end: a card
    /// number in groups, a PEM block, a scheme of authentication and what follows it.
    pub(super) fn beyond(&self, start: usize, end: usize) -> usize {
        let value = &self.text[start..end];
        let is_scheme = [&b"bearer"[..], b"basic", b"digest", b"negotiate", b"token"]
            .iter()
            .any(|scheme| value.eq_ignore_ascii_case(scheme));
        let credentials = is_scheme.then(|| {
            let word = self.run(end, |byte| byte == b' ');
            self.run(word, |byte| !byte.is_ascii_whitespace() && !b"&\"'<>".contains(&byte))
        });
        let card = value[0].is_ascii_digit().then(|| self.card(start)).flatten();
        [self.pem(start), card, credentials].into_iter().flatten().fold(end, usize::max)
    }

    pub(super) fn jwt(&mut self, at: usize) -> Option<usize> {
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

    pub(super) fn pem(&self, at: usize) -> Option<usize> {
        let rest = self.text[at..].strip_prefix(b"-----BEGIN")?;
        // The space may be one of a form that was encoded twice.
        if !matches!(rest.first(), Some(b' ' | b'+' | b'%')) {
            return None;
        }
        let find = |from: usize, needle: &[u8]| {
            self.text[from..].windows(needle.len()).position(|w| w == needle).map(|n| from + n)
        };
        // Without an end, all that follows may be the key.
        let end = find(at, b"-----END")
            .and_then(|end| find(end + 8, b"-----"))
            .map_or(self.text.len(), |end| end + 5);
        Some(end)
    }

    pub(super) fn prefixed(
        &self,
        at: usize,
        prefix: &str,
        least: usize,
        dots: bool,
    ) -> Option<usize> {
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

    pub(super) fn aws(&self, at: usize) -> Option<usize> {
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
    pub(super) fn bearer(&self, at: usize) -> Option<(usize, usize)> {
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
    pub(super) fn user_info(&self, at: usize) -> Option<(usize, usize)> {
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
            return (host > 0 && &authority[..host] != MARKER.as_bytes())
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
    pub(super) fn card(&self, at: usize) -> Option<usize> {
        let text = self.text;
        let back = |n: usize| at.checked_sub(n).map(|at| text[at]);
        // The fraction of a number is none.
        let fraction = back(1) == Some(b'.') && back(2).is_some_and(|byte| byte.is_ascii_digit());
        if fraction || self.ends_uuid(at) {
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
            if ends && is_card(&digits[..count]) {
                found = Some(end);
            }
            // Seven digits and more at the end of a text that was cut may be the most of a card.
            let separated = usize::from(matches!(next, Some(b' ' | b'-')));
            if count >= 7 && self.is_open(end + separated) {
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

    /// Whether the last two groups of a UUID begin here. One in 25,000 would pass for a card there, and an id that is
    /// masked names nothing any more. Those groups begin with 8 or 9 where they are digits (RFC 9562), and no card that
    /// people have does.
    fn ends_uuid(&self, at: usize) -> bool {
        if !matches!(self.text[at], b'8' | b'9') {
            return false;
        }
        let uuid = at.checked_sub(19).and_then(|start| self.text.get(start..start + 36));
        let is_uuid = |uuid: &[u8]| {
            uuid.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
        };
        uuid.is_some_and(is_uuid)
            && self.is_start(at - 19)
            && self.text.get(at + 17).is_none_or(|byte| !byte.is_ascii_alphanumeric())
    }
}

/// Whether a card may have this number: lengths by the first digit (ISO/IEC 7812), then Luhn.
/// Ids of 64 bits are as long, and one in ten passes Luhn; the lengths spare most of them.
fn is_card(digits: &[u8]) -> bool {
    let fits = match (digits.first(), digits.len()) {
        (Some(4), 13 | 16 | 19) | (Some(5 | 6), 13..=19) | (Some(3), 14..=16) => true,
        (Some(2 | 7 | 8 | 9), length) => length == 16,
        _ => false,
    };
    fits && luhn(digits)
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

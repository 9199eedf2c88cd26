//! JSON without a parser: a tokenizer that never recurses, never fails, and keeps the text.
//!
//! A body is captured up to a bound, so that JSON which ends in the middle is the normal case, and
//! JSON that is none has to be expected. Hence a string (or a bare word) followed by `:` is a key
//! wherever it stands, and what follows a sensitive key is passed over whether it ends or not. The
//! grammar is checked alongside, and only decides whether the text is searched once more as a
//! whole.

use super::{
    MARKER, Method,
    log::{FieldLog, PathText},
    redactor::Context,
    words::Folded,
};

/// What a text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonShape {
    /// One JSON value; what was written is one too.
    Valid,
    /// The beginning of one.
    Cut,
    /// Something else: JSON Lines, or no JSON at all.
    Invalid,
}

/// What the grammar allows next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// An open container.
enum Frame {
    Array {
        index: usize,
    },
    /// Where its latest key stands in the output.
    Object {
        start: usize,
        end: usize,
    },
}

/// A string as it stands in the input, its quotes apart.
struct Quoted<'a> {
    raw: &'a str,
    closed: bool,
    escaped: bool,
}

pub(super) fn rewrite(
    context: &Context<'_>,
    input: &str,
    cut: bool,
    out: &mut String,
    log: &mut FieldLog<'_>,
) -> JsonShape {
    let input = input.strip_prefix('\u{feff}').unwrap_or(input);
    // JSON holds no NUL. Between the letters of UTF-16 it would hide every key.
    let without;
    let (input, valid) = if input.contains('\0') {
        without = input.replace('\0', "");
        (without.as_str(), false)
    } else {
        (input, true)
    };
    let start = out.len();
    let mut rewriter = Rewriter {
        context,
        text: input,
        bytes: input.as_bytes(),
        at: 0,
        cut,
        out,
        stack: Vec::new(),
        expect: Expect::Value,
        valid,
        after_value: false,
        folded: Folded::default(),
        decoded: String::new(),
    };
    rewriter.run(log);
    let shape = match (rewriter.valid, rewriter.expect) {
        (false, _) => JsonShape::Invalid,
        (true, Expect::Nothing) => JsonShape::Valid,
        (true, _) => JsonShape::Cut,
    };
    if shape == JsonShape::Invalid {
        // What crosses the tokens of no JSON: `scheme://user:password@`, for one.
        if let Some((masked, _)) = context.text_masked(&out[start..], true) {
            log.add("", Method::Key);
            out.truncate(start);
            out.push_str(&masked);
        }
    }
    shape
}

struct Rewriter<'a, 'c> {
    context: &'a Context<'c>,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    cut: bool,
    out: &'a mut String,
    stack: Vec<Frame>,
    expect: Expect,
    valid: bool,
    /// Whether the last token written is one that must not touch a further value.
    after_value: bool,
    folded: Folded,
    decoded: String,
}

impl<'a> Rewriter<'a, '_> {
    fn run(&mut self, log: &mut FieldLog<'_>) {
        loop {
            self.skip_whitespace();
            let Some(&byte) = self.bytes.get(self.at) else { return };
            match byte {
                b'{' | b'[' => self.open(byte),
                b'}' | b']' => self.close(byte),
                b':' | b',' => self.punctuation(byte),
                b'"' => {
                    let quoted = self.quoted();
                    self.token(&quoted, true, log);
                }
                _ => {
                    let raw = self.bare();
                    self.token(&Quoted { raw, closed: true, escaped: false }, false, log);
                }
            }
        }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn demand(&mut self, allowed: &[Expect]) {
        self.valid &= allowed.contains(&self.expect);
    }

    /// Keeps apart what was apart; in valid JSON there is always punctuation between values.
    fn separate(&mut self) {
        if self.after_value {
            self.out.push(if self.stack.is_empty() { '\n' } else { ' ' });
            self.after_value = false;
        }
    }

    fn open(&mut self, byte: u8) {
        self.demand(&[Expect::Value, Expect::ValueOrEnd]);
        self.separate();
        self.out.push(char::from(byte));
        self.at += 1;
        if byte == b'{' {
            self.stack.push(Frame::Object { start: 0, end: 0 });
            self.expect = Expect::KeyOrEnd;
        } else {
            self.stack.push(Frame::Array { index: 0 });
            self.expect = Expect::ValueOrEnd;
        }
    }

    fn close(&mut self, byte: u8) {
        match self.stack.pop() {
            Some(Frame::Object { .. }) if byte == b'}' => {
                self.demand(&[Expect::KeyOrEnd, Expect::CommaOrEnd]);
            }
            Some(Frame::Array { .. }) if byte == b']' => {
                self.demand(&[Expect::ValueOrEnd, Expect::CommaOrEnd]);
            }
            _ => self.valid = false,
        }
        self.out.push(char::from(byte));
        self.at += 1;
        self.value_ended();
    }

    fn value_ended(&mut self) {
        self.after_value = true;
        self.expect = if self.stack.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd };
    }

    fn punctuation(&mut self, byte: u8) {
        self.at += 1;
        self.out.push(char::from(byte));
        self.after_value = false;
        if byte == b':' {
            self.demand(&[Expect::Colon]);
            self.expect = Expect::Value;
            return;
        }
        self.demand(&[Expect::CommaOrEnd]);
        self.expect = match self.stack.last_mut() {
            Some(Frame::Object { .. }) => Expect::Key,
            Some(Frame::Array { index }) => {
                *index += 1;
                Expect::Value
            }
            None => {
                self.valid = false;
                Expect::Value
            }
        };
    }

    /// A string or a bare word: a key if a colon follows, else a value.
    fn token(&mut self, token: &Quoted<'a>, quoted: bool, log: &mut FieldLog<'_>) {
        self.separate();
        let after = self.at;
        self.skip_whitespace();
        if self.bytes.get(self.at) == Some(&b':') {
            self.key(token, quoted, log);
        } else {
            self.at = after;
            self.value(token, quoted, log);
        }
    }

    fn key(&mut self, key: &Quoted<'a>, quoted: bool, log: &mut FieldLog<'_>) {
        self.demand(&[Expect::Key, Expect::KeyOrEnd]);
        self.valid &= quoted;
        let mut decoded = std::mem::take(&mut self.decoded);
        let odd = self.decode(key, quoted, &mut decoded);
        self.folded.fold(&decoded);
        let secret = self.context.is_secret(&self.folded);
        // A key may be a secret itself, where somebody files things under their tokens.
        let masked = self.context.text_masked(&decoded, false);
        let start = self.out.len() + usize::from(quoted);
        match &masked {
            Some((masked, _)) => self.write(masked, quoted, true),
            None if odd => self.write(&decoded, quoted, true),
            None => self.write_raw(key.raw, quoted, true),
        }
        let end = self.out.len() - usize::from(quoted);
        if let Some(Frame::Object { start: s, end: e }) = self.stack.last_mut() {
            (*s, *e) = (start, end);
        }
        if let Some((_, method)) = masked {
            self.log(log, method);
        }
        self.decoded = decoded;
        // The colon, which the caller has seen.
        self.at += 1;
        self.out.push(':');
        self.expect = Expect::Value;
        if !secret {
            return;
        }
        self.skip_whitespace();
        if self.skip_value() {
            self.out.push('"');
            self.out.push_str(MARKER);
            self.out.push('"');
            self.log(log, Method::Key);
            self.value_ended();
        }
    }

    /// Passes over a value; says whether there was one.
    fn skip_value(&mut self) -> bool {
        let Some(&byte) = self.bytes.get(self.at) else { return false };
        match byte {
            b',' | b'}' | b']' => return false,
            b'"' => {
                self.quoted();
            }
            b'{' | b'[' => self.skip_container(),
            // No JSON, but what some languages print.
            b'\'' => {
                self.valid = false;
                let rest = &self.bytes[self.at + 1..];
                let end = rest.iter().position(|byte| matches!(byte, b'\'' | b'\n'));
                self.at = end.map_or(self.bytes.len(), |end| self.at + 1 + end + 1);
            }
            _ => {
                let raw = self.bare();
                self.valid &= is_literal(raw) || self.at == self.bytes.len();
            }
        }
        // An unescaped quote in a password leaves its rest behind: it goes too.
        let after = self.at;
        self.skip_whitespace();
        match self.bytes.get(self.at) {
            None | Some(b',' | b'}' | b']') => {}
            Some(_) if self.bytes[after..self.at].contains(&b'\n') => {
                self.valid = false;
                self.at = after;
            }
            Some(_) => {
                self.valid = false;
                let rest = &self.bytes[self.at..];
                let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b'\n'));
                self.at = end.map_or(self.bytes.len(), |end| self.at + end);
            }
        }
        true
    }

    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.quoted();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
        // It did not end: the text is cut at best.
        self.stack.push(Frame::Array { index: 0 });
    }

    fn value(&mut self, value: &Quoted<'a>, quoted: bool, log: &mut FieldLog<'_>) {
        // A string where a key should stand is one that was cut before its colon.
        let at_end = self.at == self.bytes.len();
        let unfinished_key =
            quoted && at_end && matches!(self.expect, Expect::Key | Expect::KeyOrEnd);
        if !unfinished_key {
            self.demand(&[Expect::Value, Expect::ValueOrEnd]);
        }
        let unfinished = if quoted {
            !value.closed
        } else {
            let may_go_on = at_end && (self.cut || !self.stack.is_empty());
            self.valid &= is_literal(value.raw) || at_end;
            may_go_on
        };
        let mut decoded = std::mem::take(&mut self.decoded);
        let odd = self.decode(value, quoted, &mut decoded);
        let mut methods = Vec::new();
        let masked = self.context.value_masked(&decoded, unfinished, |method| methods.push(method));
        match masked {
            // A number with a secret in it becomes a string.
            Some(masked) => self.write(&masked, true, value.closed),
            None if odd => self.write(&decoded, quoted, value.closed),
            None => self.write_raw(value.raw, quoted, value.closed),
        }
        self.decoded = decoded;
        for method in methods {
            self.log(log, method);
        }
        if unfinished_key {
            self.after_value = true;
            self.expect = Expect::Colon;
        } else if quoted && !value.closed || !quoted && !is_literal(value.raw) {
            self.after_value = true;
            self.expect = Expect::Value;
        } else {
            self.value_ended();
        }
    }

    /// Reads a string; `at` is its quote, and afterwards what follows it.
    fn quoted(&mut self) -> Quoted<'a> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            match self.bytes.get(at) {
                None => break,
                Some(b'"') => {
                    self.at = at + 1;
                    return Quoted { raw: &self.text[start..at], closed: true, escaped };
                }
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(0..=0x1f) => {
                    self.valid = false;
                    at += 1;
                }
                Some(_) => at += 1,
            }
        }
        self.at = self.bytes.len();
        Quoted { raw: &self.text[start..], closed: false, escaped }
    }

    /// Reads what is neither a string nor punctuation.
    fn bare(&mut self) -> &'a str {
        let start = self.at;
        let rest = &self.bytes[start..];
        let end = rest.iter().position(|byte| {
            matches!(
                byte,
                b' ' | b'\t' | b'\n' | b'\r' | b'{' | b'}' | b'[' | b']' | b':' | b',' | b'"'
            )
        });
        self.at = end.map_or(self.bytes.len(), |end| start + end);
        // Cut before ASCII bytes, or at the end.
        &self.text[start..self.at]
    }

    /// Decodes the escapes; returns whether the text cannot stay as it is written.
    fn decode(&mut self, token: &Quoted<'_>, quoted: bool, out: &mut String) -> bool {
        out.clear();
        if !quoted || !token.escaped {
            out.push_str(token.raw);
            return false;
        }
        let mut odd = false;
        let mut rest = token.raw;
        while let Some((before, after)) = rest.split_once('\\') {
            out.push_str(before);
            let mut chars = after.chars();
            let plain = match chars.next() {
                Some(c @ ('"' | '\\' | '/')) => Some(c),
                Some('b') => Some('\u{8}'),
                Some('f') => Some('\u{c}'),
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                Some('t') => Some('\t'),
                Some('u') => {
                    let (c, length) = unicode_escape(chars.as_str());
                    match c {
                        Some(c) => {
                            odd |= c == '\u{fffd}' && length <= 4;
                            out.push(c);
                        }
                        // Four digits did not follow.
                        None => self.valid &= !token.closed && chars.as_str().len() < 4,
                    }
                    rest = &chars.as_str()[length..];
                    continue;
                }
                None => {
                    rest = "";
                    break;
                }
                Some(other) => {
                    self.valid = false;
                    Some(other)
                }
            };
            out.extend(plain);
            rest = chars.as_str();
        }
        out.push_str(rest);
        odd
    }

    fn write_raw(&mut self, raw: &str, quoted: bool, closed: bool) {
        if quoted {
            self.out.push('"');
        }
        self.out.push_str(raw);
        if quoted && closed {
            self.out.push('"');
        }
    }

    fn write(&mut self, text: &str, quoted: bool, closed: bool) {
        if !quoted {
            self.out.push_str(text);
            return;
        }
        self.out.push('"');
        escape(text, self.out);
        if closed {
            self.out.push('"');
        }
    }

    fn log(&self, log: &mut FieldLog<'_>, method: Method) {
        log.add_with(method, |path| {
            for frame in &self.stack {
                if path.is_full() {
                    return;
                }
                match *frame {
                    Frame::Array { index } => path.index(index),
                    Frame::Object { start, end } => self.log_key(path, start, end),
                }
            }
        });
    }

    /// Adds a key as it was written out; what is longer than a path is not decoded.
    fn log_key(&self, path: &mut PathText, start: usize, end: usize) {
        let raw = self.out.get(start..end).unwrap_or_default();
        let raw = &raw[..raw.floor_char_boundary(1024)];
        match serde_json::from_str::<String>(&format!("\"{raw}\"")) {
            Ok(key) => path.key(&key),
            Err(_) => path.key(raw),
        }
    }
}

/// Reads what follows `\u`: the character and how many bytes it took. Surrogates that stand alone
/// and NUL are U+FFFD.
fn unicode_escape(text: &str) -> (Option<char>, usize) {
    let unit = |text: &str| {
        text.get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    match unit(text) {
        None => (None, 0),
        Some(0) => (Some('\u{fffd}'), 4),
        Some(high @ 0xd800..=0xdbff) => {
            let low = text[4..].strip_prefix("\\u").and_then(unit);
            match low {
                Some(low @ 0xdc00..=0xdfff) => {
                    let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(code), 10)
                }
                _ => (Some('\u{fffd}'), 4),
            }
        }
        // Only a low surrogate is no character here.
        Some(code) => (Some(char::from_u32(code).unwrap_or('\u{fffd}')), 4),
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(DIGITS[c as usize >> 4]));
                out.push(char::from(DIGITS[c as usize & 15]));
            }
            _ => out.push(c),
        }
    }
}

/// `true`, `false`, `null`, or a number of RFC 8259.
fn is_literal(text: &str) -> bool {
    if matches!(text, "true" | "false" | "null") {
        return true;
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.as_bytes();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut text = &text[whole..];
    if let Some(fraction) = text.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        text = &fraction[count..];
    }
    if let Some(exponent) = text.strip_prefix(b"e").or_else(|| text.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        text = &exponent[count..];
    }
    text.is_empty()
}

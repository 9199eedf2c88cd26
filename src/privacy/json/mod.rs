//! JSON without a parser: a tokenizer that never recurses, never fails, and keeps the text.
//!
//! A body is captured up to a bound, so that JSON which ends in the middle is the normal case, and
//! JSON that is none has to be expected. Hence a string (or a bare word) followed by `:` is a key
//! wherever it stands, and what follows a sensitive key is passed over whether it ends or not. The
//! grammar is checked alongside, and only decides whether the text is searched once more as a
//! whole.

mod lexical;
mod read;

use self::lexical::{begins_literal, decode, escape, is_literal};
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
        spaced: false,
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
        if let Some((masked, method)) = context.raw_masked(&out[start..]) {
            log.add("", method);
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
    /// Whether the last token written ended a value.
    after_value: bool,
    /// Whether white space stood before the token that is read.
    spaced: bool,
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
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.spaced = self.at > start;
    }

    fn demand(&mut self, allowed: &[Expect]) {
        self.valid &= allowed.contains(&self.expect);
    }

    /// Keeps apart what was apart; in valid JSON there is always punctuation between values.
    fn separate(&mut self) {
        if self.after_value && self.spaced {
            let lines = self.stack.is_empty() && self.out.ends_with(['}', ']']);
            self.out.push(if lines { '\n' } else { ' ' });
        }
        self.after_value = false;
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
            // Only white space follows: a string is where it ends, a bare word ended before.
            if !quoted || self.at < self.bytes.len() {
                self.at = after;
            }
            self.value(token, quoted, log);
        }
    }

    fn key(&mut self, key: &Quoted<'a>, quoted: bool, log: &mut FieldLog<'_>) {
        self.demand(&[Expect::Key, Expect::KeyOrEnd]);
        self.valid &= quoted;
        let mut decoded = std::mem::take(&mut self.decoded);
        let odd = self.decode(key, &mut decoded);
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
            self.valid &= is_literal(value.raw) || (at_end && begins_literal(value.raw));
            at_end && (self.cut || !self.stack.is_empty())
        };
        let mut decoded = std::mem::take(&mut self.decoded);
        let odd = self.decode(value, &mut decoded);
        let mut methods = Vec::new();
        let masked = self.context.value_masked(&decoded, unfinished, |method| methods.push(method));
        match masked {
            Some(masked) if quoted => self.write(&masked, true, value.closed),
            // A number that is a secret becomes a string.
            Some(_) => self.write(MARKER, true, true),
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

    /// Gives the text of a token; returns whether it cannot stay as it is written.
    fn decode(&mut self, token: &Quoted<'_>, out: &mut String) -> bool {
        out.clear();
        if !token.escaped {
            out.push_str(token.raw);
            return false;
        }
        let decoded = decode(token.raw, token.closed, out);
        self.valid &= decoded.is_valid;
        decoded.is_odd
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

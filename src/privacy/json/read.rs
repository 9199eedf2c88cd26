//! Reading tokens, and passing over values that nobody may see.

use super::{
    Quoted, Rewriter,
    lexical::{begins_literal, is_literal},
};

impl<'a> Rewriter<'a, '_> {
    /// Reads a string; `at` is its quote, and afterwards what follows it.
    pub(super) fn quoted(&mut self) -> Quoted<'a> {
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
    pub(super) fn bare(&mut self) -> &'a str {
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

    /// Passes over a value; says whether there was one.
    pub(super) fn skip_value(&mut self) -> bool {
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
                let at_end = self.at == self.bytes.len();
                self.valid &= is_literal(raw) || (at_end && begins_literal(raw));
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
    }
}

//! Lines of files that anybody may have made.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use super::ReadError;

/// No line of ours is longer: a record has at most 16 MiB, and some of it stands there twice and with escapes.
const LONGEST: u64 = 64 << 20;

/// Reads lines one at a time, each of which may be anything.
#[derive(Debug)]
pub(super) struct Lines<R> {
    name: String,
    from: R,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn of(name: impl Into<String>, from: R) -> Self {
        Self { name: name.into(), from, number: 0, buffer: Vec::new() }
    }

    /// Returns where the next line stands, and the line without its end, or why it is no text; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Result<&str, String>)>, ReadError> {
        self.buffer.clear();
        let mut bounded = (&mut self.from).take(LONGEST + 1);
        let read = bounded.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| ReadError::reading(&self.name, error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.buffer.len() as u64 > LONGEST {
            return Err(ReadError::new(format!(
                "{}, line {} is longer than {} MiB, and no record is",
                self.name,
                self.number,
                LONGEST >> 20
            )));
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| "it is not UTF-8".to_owned());
        Ok(Some((self.number, text)))
    }

    /// Says where a line stands.
    pub(super) fn at(&self, number: u64) -> String {
        format!("{}, line {number}", self.name)
    }
}

/// So many texts at most: more are not read, as a line has room for millions.
#[derive(Debug, Default)]
pub(super) struct AtMost<const MOST: usize>(pub(super) Vec<String>);

impl<'de, const MOST: usize> Deserialize<'de> for AtMost<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts<const MOST: usize>;
        impl<'de, const MOST: usize> Visitor<'de> for Texts<MOST> {
            type Value = AtMost<MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "up to {MOST} texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Self::Value, A::Error> {
                let mut read = Vec::new();
                while let Some(text) = texts.next_element()? {
                    if read.len() == MOST {
                        return Err(A::Error::custom(format!("there are more than {MOST} texts")));
                    }
                    read.push(text);
                }
                Ok(AtMost(read))
            }
        }
        deserializer.deserialize_seq(Texts)
    }
}

/// Reads a short file whole.
pub(super) fn short(name: &str, from: impl Read) -> Result<String, ReadError> {
    const LONGEST: u64 = 1 << 20;
    let mut text = String::new();
    let read = from.take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => ReadError::new(format!("{name} is not UTF-8")),
        _ => ReadError::reading(name, error),
    })?;
    match text.len() as u64 > LONGEST {
        true => Err(ReadError::new(format!("{name} is longer than any that is made"))),
        false => Ok(text),
    }
}

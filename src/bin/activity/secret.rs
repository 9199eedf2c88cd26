//! The secret that a program shows: `ak_<id>_<secret>`.
//!
//! The id is public and finds the key; of the secret the store keeps the SHA-256 alone. It has 256 random bits,
//! so a slow hash would protect nothing.

use std::fmt::{self, Write as _};

use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

const PREFIX: &str = "ak_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// A key as it is shown, once.
pub(crate) struct Shown {
    id: String,
    secret: String,
}

impl Shown {
    /// Makes a key.
    pub(crate) fn generate() -> Self {
        let mut rng = rand::rng();
        let (id, secret): ([u8; ID_BYTES], [u8; SECRET_BYTES]) = (rng.random(), rng.random());
        Self { id: hex(&id), secret: hex(&secret) }
    }

    /// Reads what a program sent; `None` when it is no key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let plain = |part: &str, bytes: usize| {
            part.len() == 2 * bytes && part.bytes().all(|b| b.is_ascii_hexdigit())
        };
        (plain(id, ID_BYTES) && plain(secret, SECRET_BYTES))
            .then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns what the store keeps of the secret.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.secret).into()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_{}", self.id, self.secret)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        let key = Shown::generate();
        let read = Shown::parse(&key.to_string()).unwrap();
        assert_eq!((read.id(), read.hash()), (key.id(), key.hash()));
    }

    #[test]
    fn anything_else_is_no_key() {
        let key = Shown::generate().to_string();
        for text in
            ["", "ak_", "ak__", &key[..key.len() - 1], &format!("{key}0"), &key[3..], "ak_ä_ö"]
        {
            assert!(Shown::parse(text).is_none(), "{text}");
        }
    }
}

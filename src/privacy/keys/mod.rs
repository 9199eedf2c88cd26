//! The secrets of an installation, and the pseudonyms made under them.

mod error;
mod file;
mod rotate;

use std::{fmt, path::Path, str::FromStr, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};

pub use error::{KeysError, KeysErrorKind, UnknownKeyUse};
pub(crate) use rotate::own_alike;

use crate::record::{Field, hex};

type Secret = [u8; 32];

/// The keys of an installation: for pseudonyms, cursors and checkpoints.
///
/// They live in one file, not in the database, so that whoever holds the database alone can
/// neither reverse a pseudonym nor sign a checkpoint. Cloning is cheap.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    /// The epoch in use.
    current: Epoch,
    /// The ones before, oldest first.
    past: Vec<Epoch>,
    cursor: Secret,
    /// The one in use, and those that sign beside it while keys change.
    signing: Vec<Secret>,
}

/// A pseudonym key and the name under which pseudonyms tell it.
struct Epoch {
    id: String,
    key: Secret,
}

impl Epoch {
    fn new(key: Secret) -> Self {
        Self { id: key_id(&key), key }
    }
}

/// The public name of a key: it tells epochs apart, and proves that a line of the file is whole.
fn key_id(key: &Secret) -> String {
    let digest =
        Sha256::new().chain_update(b"tower-activity key id\0").chain_update(key).finalize();
    hex(&digest[..4])
}

fn secret() -> Result<Secret, rand::rngs::SysError> {
    let mut secret = [0; 32];
    SysRng.try_fill_bytes(&mut secret).map(|()| secret)
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyUse {
    /// Pseudonyms, and the list of who was erased.
    Pseudonym,
    /// Cursors: the places that lists and live sessions go on from.
    Cursor,
    /// Checkpoints.
    Signing,
}

impl KeyUse {
    /// Every use.
    pub const ALL: [Self; 3] = [Self::Pseudonym, Self::Cursor, Self::Signing];

    /// Returns the word that the key file has for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pseudonym => "pseudonym",
            Self::Cursor => "cursor",
            Self::Signing => "signing",
        }
    }
}

impl FromStr for KeyUse {
    type Err = UnknownKeyUse;

    fn from_str(word: &str) -> Result<Self, UnknownKeyUse> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == word);
        found.ok_or_else(|| UnknownKeyUse { word: word.to_owned() })
    }
}

impl Keys {
    /// The purpose of pseudonyms of sessions.
    pub const SESSION: &'static str = "session";
    /// The purpose of pseudonyms of credentials: tokens, keys, certificates.
    pub const CREDENTIAL: &'static str = "credential";
    /// The purpose of pseudonyms of accounts, such as the one a failed login tried.
    pub const ACCOUNT: &'static str = "account";
    /// The purpose of pseudonyms of addresses.
    pub const ADDRESS: &'static str = "address";

    /// Reads the key file, or makes it with fresh keys and mode 0600 if there is none.
    ///
    /// Two processes that start together end with the same keys: the file appears whole, and the
    /// later one reads what the first one made. This is blocking I/O on a small file.
    ///
    /// # Errors
    /// The file cannot be read or made, others may read it, or its text is not that of a key
    /// file; each says which file and what to do. No error holds a key.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, KeysError> {
        file::open(path.as_ref())
    }

    /// Makes keys that live as long as the process, for tests.
    ///
    /// Pseudonyms made under them cannot be compared after a restart.
    ///
    /// # Panics
    /// If the operating system has no random numbers; [`Keys::open`] reports that as an error.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::generate().expect("the operating system gives random numbers")
    }

    /// Puts new keys into the key file, for these uses, and returns all that it holds then.
    ///
    /// The old ones stay: pseudonyms made under them are found and erased as ever, and every checkpoint is signed with the
    /// new key and the old one until the old one is taken out of the file by hand. Only the key of cursors is replaced.
    /// The file appears as a whole, under the mode that it had. Processes that run go on with the keys that they have read
    /// until they are started again.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and when there is no file, or it cannot be replaced: then it is as it was.
    pub fn rotate(path: impl AsRef<Path>, uses: &[KeyUse]) -> Result<Self, KeysError> {
        rotate::rotate(path.as_ref(), uses)
    }

    /// Returns the public name of each key with its use, and whether it is the one in use: pseudonyms first, then the
    /// key of cursors, then those that sign; of each the one in use first.
    pub fn ids(&self) -> impl Iterator<Item = (KeyUse, String, bool)> {
        let inner = &self.0;
        let newest_first = |what, ids: Vec<String>| {
            ids.into_iter().enumerate().map(move |(n, id)| (what, id, n == 0))
        };
        newest_first(KeyUse::Pseudonym, self.pseudonym_key_ids().map(str::to_owned).collect())
            .chain(newest_first(KeyUse::Cursor, vec![key_id(&inner.cursor)]))
            .chain(newest_first(KeyUse::Signing, inner.signing.iter().map(key_id).collect()))
    }

    fn generate() -> Result<Self, rand::rngs::SysError> {
        Ok(Self(Arc::new(Inner {
            current: Epoch::new(secret()?),
            past: Vec::new(),
            cursor: secret()?,
            signing: vec![secret()?],
        })))
    }

    /// Returns the pseudonym of a value under the epoch in use: `p1.<key id>.<43 characters>`,
    /// 55 bytes.
    ///
    /// The same value gives the same pseudonym for the same purpose, tenant and epoch, and an
    /// unrelated one otherwise: tenants cannot be joined, and a session id that equals an
    /// account name is not recognised. `None` is not the tenant with the empty name. It is
    /// HMAC-SHA-256 under a key derived per tenant and epoch; pseudonymous, not anonymous.
    #[must_use]
    pub fn pseudonym(&self, purpose: &str, tenant: Option<&str>, value: &str) -> String {
        under(&self.0.current, purpose, tenant, value)
    }

    /// Tells whether a text has the form of a pseudonym, made under whatever keys.
    #[must_use]
    pub fn is_pseudonym(text: &str) -> bool {
        let parts: Option<(&str, &str)> =
            text.strip_prefix("p1.").and_then(|rest| rest.split_once('.'));
        parts.is_some_and(|(id, digest)| {
            let base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            id.len() == 8
                && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && digest.len() == 43
                && digest.bytes().all(base64url)
        })
    }

    /// Returns the pseudonyms of a value under every epoch, the one in use first: a search for it
    /// asks for any of them.
    pub fn pseudonyms<'a>(
        &'a self,
        purpose: &'a str,
        tenant: Option<&'a str>,
        value: &'a str,
    ) -> impl Iterator<Item = String> + 'a {
        self.epochs().map(move |epoch| under(epoch, purpose, tenant, value))
    }

    /// Returns the purpose under which a field of the record keeps pseudonyms, if it may keep any: `session_id`,
    /// `credential_id` and `ip_pseudonym` keep nothing else, and where accounts stand there may be the one that a failed
    /// login tried.
    #[must_use]
    pub fn purpose_of(field: &Field) -> Option<&'static str> {
        match field.name() {
            "session_id" => Some(Self::SESSION),
            "credential_id" => Some(Self::CREDENTIAL),
            "ip_pseudonym" => Some(Self::ADDRESS),
            "actor_id" | "impersonator_id" | "entity_id" | "subject_ids" | "targets" => {
                Some(Self::ACCOUNT)
            }
            _ => None,
        }
    }

    /// Returns the names of the pseudonym keys, the one in use first; pseudonyms carry them.
    pub fn pseudonym_key_ids(&self) -> impl Iterator<Item = &str> {
        self.epochs().map(|epoch| epoch.id.as_str())
    }

    /// The one in use first.
    fn epochs(&self) -> impl Iterator<Item = &Epoch> {
        std::iter::once(&self.0.current).chain(self.0.past.iter().rev())
    }

    /// Returns the key that authenticates cursors.
    #[must_use]
    pub fn cursor_key(&self) -> &[u8; 32] {
        &self.0.cursor
    }

    /// Returns the seed of the Ed25519 key that signs checkpoints.
    #[must_use]
    pub fn signing_seed(&self) -> &[u8; 32] {
        // There is always one: neither a file without it is read, nor keys are made without it.
        &self.0.signing[0]
    }

    /// Returns the seeds of all keys that sign checkpoints, the one in use first. While keys change there are
    /// several, and each checkpoint is signed with each of them.
    #[must_use]
    pub fn signing_seeds(&self) -> &[[u8; 32]] {
        &self.0.signing
    }
}

impl fmt::Debug for Keys {
    /// Names the pseudonym keys by their ids and shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("pseudonym", &self.pseudonym_key_ids().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn under(epoch: &Epoch, purpose: &str, tenant: Option<&str>, value: &str) -> String {
    // Everything variable goes in with its length: no two inputs can spell the same bytes.
    let mut key = mac(&epoch.key);
    key.update(b"tower-activity pseudonym key 1\0");
    key.update(&[u8::from(tenant.is_some())]);
    with_length(&mut key, tenant.unwrap_or_default());
    let key: Secret = key.finalize().into_bytes().into();
    let mut digest = mac(&key);
    with_length(&mut digest, purpose);
    with_length(&mut digest, value);
    let digest: Secret = digest.finalize().into_bytes().into();
    format!("p1.{}.{}", epoch.id, base64url(&digest))
}

fn mac(key: &Secret) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn with_length(mac: &mut Hmac<Sha256>, text: &str) {
    mac.update(&(text.len() as u64).to_be_bytes());
    mac.update(text.as_bytes());
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests;

//! Passwords, as they are kept and compared.

#[cfg(feature = "argon2")]
use std::sync::{Mutex, PoisonError};
use std::{error, fmt, sync::LazyLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::api::access::Denial;

type Tag = [u8; 32];

/// The key of this process: what is kept in its memory is of no use anywhere else.
static KEY: LazyLock<Tag> = LazyLock::new(rand::random);

/// A password, in a form that does not give it away.
///
/// One that the process is told as it is ([`plain`](Self::plain)) is kept as an HMAC under a key that only this
/// process has; where it came from (a secret of the environment) is where it must be guarded. One in a
/// settings file belongs there as an Argon2id hash (`text.parse()`, feature `argon2`), as
/// `argon2 "$(openssl rand -hex 8)" -id -e` prints it.
#[derive(Clone)]
pub struct Password(Kept);

#[derive(Clone)]
enum Kept {
    Tag(Tag),
    #[cfg(feature = "argon2")]
    Argon2(Box<str>),
}

impl Password {
    /// Takes a password as it is.
    ///
    /// # Errors
    ///
    /// When it is empty, or holds a control character, which cannot be sent.
    pub fn plain(password: &str) -> Result<Self, BadPassword> {
        if password.is_empty() {
            return Err(BadPassword("is empty"));
        }
        if password.contains(char::is_control) {
            return Err(BadPassword("holds a control character, which cannot be sent"));
        }
        Ok(Self(Kept::Tag(tag(password))))
    }
}

#[cfg(feature = "argon2")]
impl std::str::FromStr for Password {
    type Err = BadPassword;

    /// Reads an Argon2id hash in PHC form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
    fn from_str(hash: &str) -> Result<Self, BadPassword> {
        use argon2::password_hash::phc::PasswordHash;

        let parsed = PasswordHash::new(hash)
            .map_err(|_| BadPassword("is no hash in PHC form, as in `$argon2id$v=19$…`"))?;
        if parsed.algorithm.as_str() != "argon2id" {
            return Err(BadPassword("is a hash of another kind; Argon2id is taken"));
        }
        let params = argon2::Params::try_from(&parsed)
            .map_err(|_| BadPassword("is a hash with parameters that Argon2 does not have"))?;
        // Each attempt of anybody costs this much.
        if params.m_cost() > argon2_bounds::MEMORY || params.t_cost() > argon2_bounds::PASSES {
            return Err(BadPassword("is a hash that takes too much memory or time to compare"));
        }
        if parsed.hash.is_none() || parsed.salt.is_none() {
            return Err(BadPassword("is a hash without its salt or without itself"));
        }
        Ok(Self(Kept::Argon2(hash.into())))
    }
}

#[cfg(feature = "argon2")]
mod argon2_bounds {
    /// In KiB: 256 MiB.
    pub(super) const MEMORY: u32 = 256 * 1_024;
    pub(super) const PASSES: u32 = 16;
    /// So many are compared at once: each takes a core, and its memory.
    pub(super) const AT_ONCE: usize = 2;
    /// How long an attempt waits for its turn.
    pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A password, or a hash of one, that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPassword(&'static str);

impl fmt::Display for BadPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the password {}", self.0)
    }
}

impl error::Error for BadPassword {}

/// A password that attempts are compared with.
pub(super) struct Known {
    password: Password,
    /// The tag of the last password that a slow hash took for right, so that it is slow once.
    #[cfg(feature = "argon2")]
    right: Mutex<Option<Tag>>,
}

impl Known {
    pub(super) fn new(password: Password) -> Self {
        Self {
            password,
            #[cfg(feature = "argon2")]
            right: Mutex::default(),
        }
    }

    /// Returns what takes as long and is never right for anybody.
    pub(super) fn decoy(&self) -> Self {
        Self::new(self.password.clone())
    }

    pub(super) const fn is_slow(&self) -> bool {
        !matches!(self.password.0, Kept::Tag(_))
    }

    /// Compares, in constant time.
    pub(super) async fn verify(&self, attempt: String) -> Result<bool, Denial> {
        match &self.password.0 {
            Kept::Tag(tag) => Ok(is_tag_of(tag, &attempt)),
            #[cfg(feature = "argon2")]
            Kept::Argon2(hash) => {
                let known = *self.right.lock().unwrap_or_else(PoisonError::into_inner);
                if known.is_some_and(|tag| is_tag_of(&tag, &attempt)) {
                    return Ok(true);
                }
                let tag = tag(&attempt);
                let is_right = slowly(hash.clone(), attempt).await?;
                if is_right {
                    *self.right.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
                }
                Ok(is_right)
            }
        }
    }
}

/// Compares with a slow hash, where it does not hold up requests, and few at once.
#[cfg(feature = "argon2")]
async fn slowly(hash: Box<str>, attempt: String) -> Result<bool, Denial> {
    use argon2::password_hash::{PasswordVerifier as _, phc::PasswordHash};
    use tokio::sync::Semaphore;

    static TURNS: Semaphore = Semaphore::const_new(argon2_bounds::AT_ONCE);
    let busy = || Denial::Later {
        seconds: 5,
        detail: "too many log in at once; please try again".to_owned(),
    };
    let turn = tokio::time::timeout(argon2_bounds::PATIENCE, TURNS.acquire());
    let Ok(Ok(turn)) = turn.await else { return Err(busy()) };
    let compared = tokio::task::spawn_blocking(move || {
        // Goes when the work is done, not when the client is gone.
        let _turn = turn;
        PasswordHash::new(&hash).is_ok_and(|hash| {
            argon2::Argon2::default().verify_password(attempt.as_bytes(), &hash).is_ok()
        })
    });
    compared.await.map_err(|_| busy())
}

fn mac(text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&*KEY).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

fn tag(text: &str) -> Tag {
    mac(text).finalize().into_bytes().into()
}

fn is_tag_of(tag: &Tag, text: &str) -> bool {
    mac(text).verify_slice(tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plain_password_is_right_and_no_other_and_is_not_shown() {
        let password = Password::plain("open sesame").unwrap();
        assert!(!format!("{password:?}").contains("sesame"));
        let known = Known::new(password);
        assert!(known.verify("open sesame".to_owned()).await.unwrap());
        for wrong in ["", "open", "open sesame ", "Open sesame"] {
            assert!(!known.verify(wrong.to_owned()).await.unwrap());
        }
        assert!(Password::plain("").is_err() && Password::plain("a\nb").is_err());
    }

    /// Of `open sesame`, by the command `argon2`.
    #[cfg(feature = "argon2")]
    #[tokio::test]
    async fn a_hashed_password_is_right_and_no_other_and_slow_once() {
        use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};

        let argon2 =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let hash = argon2.hash_password_with_salt(b"open sesame", b"saltsaltsalt").unwrap();
        let known = Known::new(hash.to_string().parse().unwrap());
        assert!(!known.verify("open".to_owned()).await.unwrap());
        assert!(known.verify("open sesame".to_owned()).await.unwrap());
        assert!(known.right.lock().unwrap().is_some());
        assert!(known.verify("open sesame".to_owned()).await.unwrap());
        assert!(!known.verify("open".to_owned()).await.unwrap());
        for bad in
            ["", "open sesame", "$2b$12$abc", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA"]
        {
            assert!(bad.parse::<Password>().is_err(), "{bad}");
        }
        let greedy = hash.to_string().replace("m=64", "m=4000000");
        assert!(greedy.parse::<Password>().unwrap_err().to_string().contains("too much"));
    }
}

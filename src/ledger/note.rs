//! Signed notes: text with signatures below it, as <https://c2sp.org/signed-note> has them.
//!
//! Ed25519 alone (signature type 1). A note of ours can be checked with any implementation of the format, and
//! may carry signatures of others, which are kept and not looked at.

use std::{error, fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// The signature type of Ed25519.
const ED25519: u8 = 1;
/// A note is a few hundred bytes; what is larger is none of ours.
const LARGEST: usize = 64 * 1024;
const SIGNATURES: usize = 100;

/// A key that signs notes under a name.
pub struct NoteSigner {
    key: SigningKey,
    public: NoteKey,
}

/// A key that tells whose note it is; reads and is written as a verifier key of the format:
/// `name+hash+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    hash: [u8; 4],
    key: VerifyingKey,
}

/// A note: text, and signatures that nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NoteSignature {
    name: String,
    hash: [u8; 4],
    signature: Vec<u8>,
}

/// Why something is no note, no key, or not signed as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteError {
    /// It is not written as a note is.
    Malformed,
    /// It is not written as a verifier key is.
    MalformedKey,
    /// A key's name is empty, or has blanks or a plus sign in it.
    Name,
    /// A signature under the key's name is not the key's.
    Forged,
    /// None of the keys signed it.
    Unsigned,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is no signed note",
            Self::MalformedKey => "this is no verifier key: it reads `name+hash+base64`",
            Self::Name => "a key's name is not empty and has neither blanks nor a plus sign",
            Self::Forged => "a signature is not that of the key whose name it bears",
            Self::Unsigned => "none of the known keys signed it",
        })
    }
}

impl error::Error for NoteError {}

fn checked_name(name: &str) -> Result<&str, NoteError> {
    let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(wrong) { Err(NoteError::Name) } else { Ok(name) }
}

fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

impl NoteSigner {
    /// Makes a signer from the seed of an Ed25519 key.
    ///
    /// # Errors
    ///
    /// When no key can have this name.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifying = key.verifying_key();
        let name = checked_name(name)?.to_owned();
        let public = NoteKey { hash: key_hash(&name, &verifying), name, key: verifying };
        Ok(Self { key, public })
    }

    /// Returns the key that tells its notes.
    #[must_use]
    pub const fn key(&self) -> &NoteKey {
        &self.public
    }
}

impl fmt::Debug for NoteSigner {
    /// Shows no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner").field("key", &self.public.to_string()).finish_non_exhaustive()
    }
}

impl NoteKey {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.hash), STANDARD.encode(key))
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::MalformedKey;
        // The key itself may have plus signs in it.
        let mut parts = text.splitn(3, '+');
        let name = checked_name(parts.next().ok_or(malformed)?)?;
        let hash = parts.next().filter(|hash| hash.len() == 8).ok_or(malformed)?;
        let hash = u32::from_str_radix(hash, 16).map_err(|_| malformed)?.to_be_bytes();
        let key = STANDARD.decode(parts.next().ok_or(malformed)?).map_err(|_| malformed)?;
        let (&ED25519, key) = key.split_first().ok_or(malformed)? else { return Err(malformed) };
        let key = <[u8; 32]>::try_from(key).map_err(|_| malformed)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| malformed)?;
        if key_hash(name, &key) != hash {
            return Err(malformed);
        }
        Ok(Self { name: name.to_owned(), hash, key })
    }
}

impl Note {
    /// Signs a text with each of some keys.
    ///
    /// # Errors
    ///
    /// When the text does not end with a line, or has control characters in it.
    pub fn sign(text: &str, signers: &[NoteSigner]) -> Result<Self, NoteError> {
        check_text(text)?;
        let sign = |signer: &NoteSigner| NoteSignature {
            name: signer.public.name.clone(),
            hash: signer.public.hash,
            signature: signer.key.sign(text.as_bytes()).to_bytes().to_vec(),
        };
        Ok(Self { text: text.to_owned(), signatures: signers.iter().map(sign).collect() })
    }

    /// Returns the text. Nobody vouches for it before [`verify`](Self::verify) did.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the keys among `keys` that signed it.
    ///
    /// # Errors
    ///
    /// When none did, or a signature that claims to be of one of them is not.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k NoteKey>,
    ) -> Result<Vec<&'k NoteKey>, NoteError> {
        let mut signed = Vec::new();
        for key in keys {
            let own = |signature: &&NoteSignature| {
                signature.name == key.name && signature.hash == key.hash
            };
            let Some(found) = self.signatures.iter().find(own) else { continue };
            let signature =
                Signature::from_slice(&found.signature).map_err(|_| NoteError::Forged)?;
            let verified = key.key.verify_strict(self.text.as_bytes(), &signature);
            verified.map_err(|_| NoteError::Forged)?;
            signed.push(key);
        }
        if signed.is_empty() { Err(NoteError::Unsigned) } else { Ok(signed) }
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    let wrong = |byte: u8| byte < 0x20 && byte != b'\n';
    if !text.ends_with('\n') || text.bytes().any(wrong) {
        return Err(NoteError::Malformed);
    }
    Ok(())
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for NoteSignature { name, hash, signature } in &self.signatures {
            let bytes = [&hash[..], signature].concat();
            writeln!(f, "\u{2014} {name} {}", STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        if note.len() > LARGEST {
            return Err(malformed);
        }
        check_text(note)?;
        let end = note.rfind("\n\n").ok_or(malformed)?;
        let (text, below) = (&note[..=end], &note[end + 2..]);
        let signature = |line: &str| {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = STANDARD.decode(encoded).ok()?;
            let (hash, signature) = bytes.split_first_chunk::<4>()?;
            if signature.is_empty() {
                return None;
            }
            let name = checked_name(name).ok()?.to_owned();
            Some(NoteSignature { name, hash: *hash, signature: signature.to_vec() })
        };
        let signatures: Option<Vec<_>> = below.lines().map(signature).collect();
        let signatures = signatures.filter(|all| (1..=SIGNATURES).contains(&all.len()));
        Ok(Self { text: text.to_owned(), signatures: signatures.ok_or(malformed)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the format's first implementation, golang.org/x/mod/sumdb/note.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn a_note_that_others_signed_is_read_and_verified() {
        let key: NoteKey = KEY.parse().unwrap();
        assert_eq!((key.name(), key.to_string().as_str()), ("PeterNeumann", KEY));
        let note: Note = NOTE.parse().unwrap();
        assert_eq!(note.verify([&key]), Ok(vec![&key]));
        assert_eq!(note.to_string(), NOTE);
        assert!(note.text().ends_with("problem is.\n"));
    }

    #[test]
    fn each_key_of_an_overlap_tells_the_note() {
        let signer = |seed| NoteSigner::new("log", &[seed; 32]).unwrap();
        let note = Note::sign("head\n", &[signer(1), signer(2)]).unwrap();
        let read: Note = note.to_string().parse().unwrap();
        let (one, two, other) = (signer(1).public, signer(2).public, signer(3).public);
        assert_eq!(read.verify([&one]), Ok(vec![&one]));
        assert_eq!(read.verify([&other, &two]), Ok(vec![&two]));
        assert_eq!(read.verify([&other]), Err(NoteError::Unsigned));
        assert_eq!(read.verify([]), Err(NoteError::Unsigned));
    }

    #[test]
    fn a_signature_under_another_name_or_number_is_not_that_of_the_key() {
        let signer = NoteSigner::new("log", &[1; 32]).unwrap();
        let note = Note::sign("head\n", std::slice::from_ref(&signer)).unwrap();
        let mut named = note.clone();
        named.signatures[0].name = "another".to_owned();
        let mut numbered = note.clone();
        numbered.signatures[0].hash = [7; 4];
        for other in [named, numbered] {
            assert_eq!(other.verify([signer.key()]), Err(NoteError::Unsigned));
        }
        let mut forged = note;
        forged.text.push_str("more\n");
        assert_eq!(forged.verify([signer.key()]), Err(NoteError::Forged));
    }

    #[test]
    fn what_is_no_note_and_no_key_is_refused() {
        let signer = NoteSigner::new("log", &[1; 32]).unwrap();
        assert!(Note::sign("no line", &[signer]).is_err());
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
            assert_eq!(NoteSigner::new(name, &[1; 32]).unwrap_err(), NoteError::Name, "{name}");
        }
        for text in [
            "",
            "\n",
            "\n\n",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} log\n",
            "text\n\n\u{2014} log AAAA\n",
            "text\n\n- log AAAAAAAA\n",
            "text\n\n\u{2014} log AAAAAAAA",
            "te\tt\n\n\u{2014} log AAAAAAAA\n",
            "text\n\n\u{2014} log AAAAAAAB=\n",
        ] {
            assert!(text.parse::<Note>().is_err(), "{text:?}");
        }
        for text in ["", "log", "log+00000000", "log+00000000+AQ==", "log+c74f20a3+AQ"] {
            assert!(text.parse::<NoteKey>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_note_with_any_byte_changed_is_rejected(
            text in "[a-z \n]{0,40}\n",
            seed in any::<[u8; 32]>(),
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let signer = NoteSigner::new("log", &seed).unwrap();
            let note = Note::sign(&text, std::slice::from_ref(&signer)).unwrap().to_string();
            let verified = |bytes: &[u8]| {
                let note: Note = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                note.verify([signer.key()]).ok().map(|keys| keys.len())
            };
            prop_assert_eq!(verified(note.as_bytes()), Some(1));
            let mut bytes = note.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            prop_assert_eq!(verified(&bytes), None);
        }
    }
}

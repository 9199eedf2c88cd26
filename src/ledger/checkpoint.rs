//! Checkpoints: the head of a ledger, to be signed, as <https://c2sp.org/tlog-checkpoint> has it.
//!
//! ```text
//! activity/4f1c09ab77d0aa10
//! 1830
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! epoch 1
//! time 2026-11-21T12:00:00.000000Z
//!
//! — activity/4f1c09ab77d0aa10 x08go/ZJkuBS9UG/…
//! ```

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    entry::Entry,
    note::{Note, NoteError, NoteSigner},
    tree::Hash,
};
use crate::{record::hex, time::Timestamp};

/// The head of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Which ledger: [`origin_of`] its first entry.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The epoch of the last one.
    pub epoch: i64,
    /// When the head was this.
    pub at: Timestamp,
}

/// Returns the name under which a ledger is known, and its checkpoints are signed: it follows from the first
/// entry, so that no two have one, and a ledger that comes back from a backup has its own again.
#[must_use]
pub fn origin_of(first: &Entry) -> String {
    format!("activity/{}", hex(&first.leaf_hash()[..8]))
}

impl Checkpoint {
    /// Makes the head of a ledger.
    #[must_use]
    pub const fn new(origin: String, size: u64, root: Hash, epoch: i64, at: Timestamp) -> Self {
        Self { origin, size, root, epoch, at }
    }

    /// Returns the text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { origin, size, root, epoch, at } = self;
        let mut text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        // Writing to memory cannot fail.
        let _infallible = write!(text, "epoch {epoch}\ntime {at}\n");
        text
    }

    /// Reads the text of a note. Lines that are not known are passed over, as the format asks.
    ///
    /// # Errors
    ///
    /// When it is not the text of a checkpoint.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let mut lines = text.lines();
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(malformed);
        let origin = line()?.to_owned();
        let digits = line()?;
        let size: u64 = digits.parse().map_err(|_| malformed)?;
        if size.to_string() != digits {
            return Err(malformed);
        }
        let root = STANDARD.decode(line()?).map_err(|_| malformed)?;
        let root = root.try_into().map_err(|_| malformed)?;
        let (mut epoch, mut at) = (1, Timestamp::default());
        for line in lines {
            match line.split_once(' ') {
                Some(("epoch", value)) => epoch = value.parse().map_err(|_| malformed)?,
                Some(("time", value)) => at = value.parse().map_err(|_| malformed)?,
                _ => {}
            }
        }
        Ok(Self { origin, size, root, epoch, at })
    }

    /// Signs it with each of some keys.
    ///
    /// # Errors
    ///
    /// When its origin cannot be the name of a key.
    pub fn sign(&self, seeds: &[[u8; 32]]) -> Result<Note, NoteError> {
        let signers: Result<Vec<_>, _> =
            seeds.iter().map(|seed| NoteSigner::new(&self.origin, seed)).collect();
        Note::sign(&self.text(), &signers?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_read_again() {
        let at = "2026-11-21T12:00:00.000001Z".parse().unwrap();
        let head = Checkpoint::new("activity/00".to_owned(), 1_830, [7; 32], 2, at);
        let note = head.sign(&[[1; 32]]).unwrap().to_string();
        let note: Note = note.parse().unwrap();
        assert_eq!(Checkpoint::parse(note.text()), Ok(head.clone()));
        // Of others, with lines that are not ours.
        let text = format!("example.com/log\n0\n{}\nextension\n", STANDARD.encode([0; 32]));
        assert_eq!(Checkpoint::parse(&text).unwrap().size, 0);
        for wrong in [
            "".to_owned(),
            head.text().replace("1830", "01830"),
            head.text().replace("1830", "-1"),
            head.text().replace("1830", ""),
            head.text().replace("BwcHBw", "BwcH"),
            head.text().replace("epoch 2", "epoch x"),
        ] {
            assert!(Checkpoint::parse(&wrong).is_err(), "{wrong}");
        }
    }
}

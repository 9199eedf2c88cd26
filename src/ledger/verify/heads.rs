//! The heads that were signed, against the ledger as it is.

use std::collections::VecDeque;

use super::{
    Verifier,
    report::{AlterationKind, Place, Shortfall},
};
use crate::ledger::{Checkpoint, Note, Trust};

/// Where a head comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The database itself.
    Kept,
    /// A place outside of it.
    Anchor,
    /// An earlier verification, which nobody signed.
    Earlier,
}

/// A head that was signed, or claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Where it comes from.
    pub source: Source,
    /// Which it is among those of its source, from 1 on.
    pub number: i64,
    /// The head, or why it is none that is trusted.
    pub head: Result<Checkpoint, String>,
}

impl Head {
    /// Reads a head from a signed note; without keys that are trusted, it counts as what it says.
    #[must_use]
    pub fn read(source: Source, number: i64, note: &str, trust: Option<&Trust>) -> Self {
        let read = || {
            let note: Note = note.parse()?;
            match trust {
                Some(trust) => trust.head(&note),
                None => Checkpoint::parse(note.text()),
            }
        };
        Self { source, number, head: read().map_err(|error| error.to_string()) }
    }
}

/// The heads that are still to be compared, the smallest first.
#[derive(Debug, Default)]
pub(super) struct Heads {
    waiting: VecDeque<(Source, Checkpoint)>,
    /// The size up to which a head agreed, from where on one did not.
    agreed: u64,
    /// Those that did not agree, each with the size up to which one had. What a rollback explains is known only when the
    /// records have told of it.
    disagreed: Vec<(Source, Checkpoint, u64)>,
}

impl Verifier {
    /// Takes the heads that the ledger is to be compared with, before the first entry.
    pub fn heads(&mut self, heads: impl IntoIterator<Item = Head>) {
        let mut known = Vec::new();
        for Head { source, number, head } in heads {
            match head {
                Ok(head) => known.push((source, head)),
                Err(why) => {
                    let of = match source {
                        Source::Kept => "checkpoint",
                        Source::Anchor => "anchored checkpoint",
                        Source::Earlier => "verification",
                    };
                    let detail = format!("{of} {number}: {why}");
                    self.found(AlterationKind::HeadForged, Place::default(), detail);
                }
            }
        }
        known.sort_by_key(|(_, head)| (head.size, head.at));
        self.heads.waiting = known.into();
    }

    /// Compares the heads of the size that the ledger has now.
    pub(super) fn compare_heads(&mut self) {
        let size = self.frontier.size();
        // An entry that is missing was told of, and nothing behind it can agree.
        if !self.whole {
            return;
        }
        while let Some((source, head)) =
            self.heads.waiting.pop_front_if(|(_, head)| head.size <= size)
        {
            self.report.heads += u64::from(source != Source::Earlier);
            if head.size == size && head.root == self.frontier.root() {
                self.agrees(source, &head);
            } else {
                let agreed = self.heads.agreed;
                self.heads.disagreed.push((source, head, agreed));
            }
        }
    }

    fn agrees(&mut self, source: Source, head: &Checkpoint) {
        let place = Some((i64::try_from(head.size).unwrap_or(i64::MAX), head.at));
        self.heads.agreed = head.size;
        if source == Source::Earlier {
            return;
        }
        self.report.signed = self.report.signed.max(place);
        if source == Source::Anchor {
            self.report.anchored = self.report.anchored.max(place);
        }
    }

    /// Tells of the first head that nothing explains.
    pub(super) fn heads_that_differ(&mut self) {
        let disagreed = std::mem::take(&mut self.heads.disagreed);
        let mut unexplained =
            disagreed.iter().filter(|(_, head, _)| !self.rolled_back_before(head));
        if let Some((source, head, agreed)) = unexplained.next() {
            self.differs(*source, head, *agreed);
        }
    }

    /// Sets those aside that are of an epoch which ended before what they cover, where the record that would tell of it was
    /// not shown, and returns how many.
    pub(super) fn heads_of_rollbacks(&mut self) -> u64 {
        let disagreed = std::mem::take(&mut self.heads.disagreed);
        let (explained, others): (Vec<_>, Vec<_>) =
            disagreed.into_iter().partition(|(_, head, _)| {
                self.rolled_back(head, false) && !self.rolled_back_before(head)
            });
        self.heads.disagreed = others;
        let unclear = explained.len() as u64;
        self.report.heads = self.report.heads.saturating_sub(unclear);
        unclear
    }

    fn differs(&mut self, source: Source, head: &Checkpoint, agreed: u64) {
        let did =
            if source == Source::Earlier { "that were verified" } else { "whose head was signed" };
        let detail = format!(
            "the entries up to {} are not those {did} at {}; those up to {} are",
            head.size, head.at, agreed
        );
        let first = i64::try_from(agreed).unwrap_or(i64::MAX).saturating_add(1);
        self.found(AlterationKind::HistoryRewritten, Place::entry(first), detail);
    }

    /// Tells whether the store was found behind this head and went on in another epoch, which a record tells of.
    fn rolled_back_before(&self, head: &Checkpoint) -> bool {
        self.rolled_back(head, true)
    }

    fn rolled_back(&self, head: &Checkpoint, is_told: bool) -> bool {
        self.rollbacks.iter().any(|rollback| {
            (rollback.lost.is_some() || !is_told)
                && head.epoch < rollback.epoch
                && i64::try_from(head.size).is_ok_and(|size| rollback.position < size)
        })
    }

    /// Tells that no key that is trusted signed a head, where one should have.
    pub(crate) fn expect_signed(&mut self) {
        if self.report.signed.is_none() {
            self.report.incomplete.push(Shortfall::Unsigned);
        }
    }

    /// Tells that the ledger begins with another entry than the one after which the trusted keys are named.
    pub(crate) fn is_of_another_log(&mut self) {
        let detail = "it is not the entry after which the keys of the trust file are named: the log was written anew, or the \
                      trust file is of another log";
        self.found(AlterationKind::HistoryRewritten, Place::entry(1), detail);
    }

    /// Tells of heads that cover more entries than there are.
    pub(super) fn heads_beyond(&mut self) {
        let last = self.report.position;
        let waiting = std::mem::take(&mut self.heads.waiting);
        let beyond = |head: &Checkpoint| i64::try_from(head.size).is_ok_and(|size| size > last);
        let lost = waiting.into_iter().filter(|(_, head)| beyond(head));
        let lost = lost.filter(|(_, head)| !self.rolled_back_before(head));
        if let Some((source, head)) = lost.max_by_key(|(_, head)| head.size) {
            let (at, size) = (head.at, head.size);
            let detail = match source {
                Source::Earlier => {
                    format!("{size} entries were verified at {at}, and there are {last}")
                }
                Source::Kept | Source::Anchor => {
                    format!(
                        "a head that was signed at {at} covers {size} entries, and there are {last}"
                    )
                }
            };
            let place = Place::entry(last.saturating_add(1));
            self.found(AlterationKind::EntryMissing, place, detail);
        }
    }
}

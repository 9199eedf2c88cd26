//! Some of the erasable groups.

use std::fmt;

use super::field::Group;

/// Some of the four erasable groups, written as their first letters: `inc` are identity, network and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Groups(u8);

impl Groups {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All four.
    pub const ALL: Self = Self(0b1111);

    /// Returns one group; none for the sealed fields, which cannot be erased.
    #[must_use]
    pub const fn of(group: Group) -> Self {
        Self(match group {
            Group::Sealed => 0,
            Group::Identity => 1,
            Group::Network => 2,
            Group::Target => 4,
            Group::Content => 8,
        })
    }

    /// Returns these and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Returns those of these that are among others.
    #[must_use]
    pub const fn within(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Tells whether a group is among them.
    #[must_use]
    pub const fn has(self, group: Group) -> bool {
        self.0 & Self::of(group).0 != 0
    }

    /// Tells whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns them in the order of the record's seals.
    pub fn iter(self) -> impl Iterator<Item = Group> {
        Group::ERASABLE.into_iter().filter(move |group| self.has(*group))
    }

    /// Reads the letters; `None` where one is of no group.
    #[must_use]
    pub fn parse(letters: &str) -> Option<Self> {
        letters.chars().try_fold(Self::NONE, |groups, letter| {
            let group = Group::ERASABLE.into_iter().find(|group| group.letter() == letter)?;
            Some(groups.and(Self::of(group)))
        })
    }
}

impl Group {
    /// Returns the letter by which lists name it: that of its name.
    const fn letter(self) -> char {
        match self {
            Self::Sealed => 's',
            Self::Identity => 'i',
            Self::Network => 'n',
            Self::Target => 't',
            Self::Content => 'c',
        }
    }
}

impl FromIterator<Group> for Groups {
    fn from_iter<I: IntoIterator<Item = Group>>(groups: I) -> Self {
        groups.into_iter().fold(Self::NONE, |all, group| all.and(Self::of(group)))
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|group| write!(f, "{}", group.letter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_back_from_their_letters() {
        for bits in 0..16 {
            let groups = Groups(bits);
            assert_eq!(Groups::parse(&groups.to_string()), Some(groups));
        }
        assert_eq!(Groups::ALL.to_string(), "intc");
        assert_eq!(Groups::parse("s"), None);
    }
}

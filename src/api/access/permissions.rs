//! What may be done with the log.

use std::{fmt, str::FromStr};

/// One thing that may be done with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Permission {
    /// `logs.auth.view`: read records of category `authentication`.
    ViewAuthentication,
    /// `logs.actions.view`: read records of every other category but `system`.
    ViewActions,
    /// `logs.export`: export what may be read.
    Export,
    /// `logs.delete`: erase.
    Delete,
    /// `logs.configure`: read `system` records, see health, change retention.
    Configure,
    /// `logs.ingest`: hand in records.
    Ingest,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 6] = [
        Self::ViewAuthentication,
        Self::ViewActions,
        Self::Export,
        Self::Delete,
        Self::Configure,
        Self::Ingest,
    ];

    /// Returns its name, as in `logs.auth.view`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ViewAuthentication => "logs.auth.view",
            Self::ViewActions => "logs.actions.view",
            Self::Export => "logs.export",
            Self::Delete => "logs.delete",
            Self::Configure => "logs.configure",
            Self::Ingest => "logs.ingest",
        }
    }

    /// Returns what it allows, in a few words.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::ViewAuthentication => "to read records of category `authentication`",
            Self::ViewActions => "to read records of every other category but `system`",
            Self::Export => "to export what may be read",
            Self::Delete => "to erase people",
            Self::Configure => {
                "to read `system` records and all of `/health`, to place holds and to set policies"
            }
            Self::Ingest => "to hand in records",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.as_str() == name)
            .ok_or_else(|| UnknownPermission(name.to_owned()))
    }
}

/// A name that is no permission's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPermission(String);

impl fmt::Display for UnknownPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Permission::ALL.into_iter().map(Permission::as_str).collect();
        write!(f, "`{}` is no permission; there are {}", self.0.escape_debug(), names.join(", "))
    }
}

impl std::error::Error for UnknownPermission {}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Permissions(u8);

impl Permissions {
    /// Nothing at all.
    pub const NONE: Self = Self(0);

    /// Reading what is not `system`: `logs.auth.view` and `logs.actions.view`.
    #[must_use]
    pub const fn viewer() -> Self {
        Self::NONE.with(Permission::ViewAuthentication).with(Permission::ViewActions)
    }

    /// Everything but handing in: that is for programs.
    #[must_use]
    pub const fn admin() -> Self {
        Self::viewer().with(Permission::Export).with(Permission::Delete).with(Permission::Configure)
    }

    /// Adds a permission.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// Takes a permission away.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Self {
        Self(self.0 & !permission.bit())
    }

    /// Tells whether it is among them.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Returns them in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// `UPDATE_DOCS=1 cargo test --lib permission` writes it anew.
    #[test]
    fn every_permission_is_documented() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/access.md");
        let there = std::fs::read_to_string(&path).unwrap();
        let mut table = "| permission | `viewer()` | `admin()` | allows |\n\
                         | --- | --- | --- | --- |\n"
            .to_owned();
        for permission in Permission::ALL {
            let has = |all: Permissions| if all.contains(permission) { "●" } else { "" };
            let (viewer, admin) = (has(Permissions::viewer()), has(Permissions::admin()));
            let about = permission.about();
            writeln!(table, "| `{permission}` | {viewer} | {admin} | {about} |").unwrap();
        }
        let (before, rest) = there.split_once("<!-- permissions -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /permissions -->").unwrap();
        let text = format!("{before}<!-- permissions -->\n{table}<!-- /permissions -->{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(
            text == there || std::env::var_os("UPDATE_DOCS").is_some(),
            "docs/access.md is behind"
        );
    }
}

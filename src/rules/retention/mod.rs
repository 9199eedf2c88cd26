//! How long records are kept: a policy by category, and by group of tenants.
//!
//! The policy gives each record its retention class when it is stored, which never changes afterwards: its
//! category, or `category.group` for a tenant of a group. What is kept for how long is said of classes, so that
//! whole months of a class end at once. A class that the policy does not know is kept.

mod json;
mod keep;
mod preset;
mod size;

use std::{borrow::Cow, collections::BTreeMap, error, fmt};

pub(super) use json::{ADDRESSES, FORCE, MAX_SIZE};
pub use keep::Keep;
pub use preset::Preset;
pub use size::{Fullness, SizeLimit};

use crate::record::{Category, Record};

/// Names of groups are part of names of classes.
const MAX_NAME: usize = 32;

/// How long records are kept.
///
/// ```
/// use tower_activity::{record::Category, rules::{Keep, RetentionPolicy, TenantGroup}};
///
/// let policy = RetentionPolicy::default()
///     .keep(Category::Authentication, Keep::Days(180))?
///     .group(
///         TenantGroup::new("health", ["clinic", "lab"])
///             .keep(Category::Activity, "6y".parse()?),
///     )?;
/// assert_eq!(policy.keeps("authentication"), Some(Keep::Days(180)));
/// assert_eq!(policy.keeps("activity.health"), Some(Keep::Days(6 * 366)));
/// assert_eq!(policy.keeps("somebody's own"), None);
/// # Ok::<(), tower_activity::rules::RetentionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    keeps: Keeps,
    /// Of every category.
    addresses: Keep,
    max_size: Option<SizeLimit>,
    groups: Vec<TenantGroup>,
    /// What was set for one tenant alone, each with a class of its own.
    own: BTreeMap<String, TenantGroup>,
}

/// Tenants whose records are kept for another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantGroup {
    name: String,
    tenants: Vec<String>,
    keeps: Vec<(Category, Keep)>,
    addresses: Option<Keep>,
}

/// For each category, in the order of [`Category::WORDS`].
type Keeps = [Keep; Category::WORDS.len()];

/// A policy that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionError(String);

impl RetentionError {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for RetentionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for RetentionError {}

impl Default for RetentionPolicy {
    /// Returns [`Preset::Default`].
    fn default() -> Self {
        Self::preset(Preset::Default)
    }
}

impl TenantGroup {
    /// Makes a group; what is not said of it holds as for everybody.
    pub fn new(
        name: impl Into<String>,
        tenants: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let tenants = tenants.into_iter().map(Into::into).collect();
        Self { name: name.into(), tenants, keeps: Vec::new(), addresses: None }
    }

    /// Sets how long records of a category are kept for these tenants.
    #[must_use]
    pub fn keep(mut self, category: Category, keep: Keep) -> Self {
        self.keeps.retain(|(known, _)| *known != category);
        self.keeps.push((category, keep));
        self
    }

    /// Sets how long the addresses in their records are kept: see [`RetentionPolicy::keep_addresses`].
    #[must_use]
    pub const fn keep_addresses(mut self, keep: Keep) -> Self {
        self.addresses = Some(keep);
        self
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its tenants.
    #[must_use]
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    fn keeps(&self, category: Category) -> Option<Keep> {
        self.keeps.iter().find(|(known, _)| *known == category).map(|(_, keep)| *keep)
    }
}

impl RetentionPolicy {
    /// Makes a policy that many others begin with.
    #[must_use]
    pub const fn preset(preset: Preset) -> Self {
        Self {
            keeps: preset.keeps(),
            addresses: preset.addresses(),
            max_size: None,
            groups: Vec::new(),
            own: BTreeMap::new(),
        }
    }

    /// Sets how long records of a category are kept.
    ///
    /// # Errors
    ///
    /// When it is to end what verification rests on: `system` is what the log says of itself.
    pub fn keep(mut self, category: Category, keep: Keep) -> Result<Self, RetentionError> {
        may_end(category, keep)?;
        self.keeps[index(category)] = keep;
        Ok(self)
    }

    /// Sets how long the addresses in records are kept, where they are to go before the records: all that a record says
    /// of whence ([`Group::Network`](crate::record::Group::Network)), of whole months, as records do. `Forever` is as long
    /// as the record. Defaults to what the preset says.
    ///
    /// # Errors
    ///
    /// When the number of days makes no sense.
    pub fn keep_addresses(mut self, keep: Keep) -> Result<Self, RetentionError> {
        keep.check()?;
        self.addresses = keep;
        Ok(self)
    }

    /// Sets how large the log may get. Defaults to as large as it gets.
    #[must_use]
    pub const fn max_size(mut self, limit: Option<SizeLimit>) -> Self {
        self.max_size = limit;
        self
    }

    /// Returns how large the log may get.
    #[must_use]
    pub const fn size_limit(&self) -> Option<SizeLimit> {
        self.max_size
    }

    /// Adds a group of tenants.
    ///
    /// # Errors
    ///
    /// When its name is taken or is no plain word, when it has no tenant, when a tenant is in another group, and
    /// when it is to end what [`keep`](Self::keep) does not.
    pub fn group(mut self, group: TenantGroup) -> Result<Self, RetentionError> {
        let TenantGroup { name, tenants, keeps, addresses } = &group;
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(RetentionError::new(format!(
                "the group of tenants `{}` needs a name of a-z, 0-9, `_` and `-`, of {MAX_NAME} characters at most",
                name.escape_debug()
            )));
        }
        if self.groups.iter().any(|other| other.name == *name) {
            return Err(RetentionError::new(format!("there is another group `{name}`")));
        }
        if tenants.is_empty() {
            return Err(RetentionError::new(format!("the group `{name}` has no tenants")));
        }
        for (n, tenant) in tenants.iter().enumerate() {
            let mut others = self.groups.iter().filter(|other| other.tenants.contains(tenant));
            let other = others.next().map(TenantGroup::name);
            let other = other.or_else(|| tenants[..n].contains(tenant).then_some(name));
            if let Some(other) = other {
                let tenant = tenant.escape_debug();
                let what =
                    format!("the tenant `{tenant}` of the group `{name}` is in `{other}` too");
                return Err(RetentionError::new(what));
            }
        }
        keeps.iter().try_for_each(|(category, keep)| may_end(*category, *keep))?;
        addresses.map_or(Ok(()), Keep::check)?;
        self.groups.push(group);
        Ok(self)
    }

    /// Returns the groups.
    #[must_use]
    pub fn groups(&self) -> &[TenantGroup] {
        &self.groups
    }

    /// Returns the class of a record. What the log says of itself is in one class, whoever the tenant.
    #[must_use]
    pub fn class_of(&self, record: &Record) -> Cow<'static, str> {
        let category = record.category.as_str();
        if record.category == Category::System || record.tenant_id.is_absent() {
            return Cow::Borrowed(category);
        }
        let tenant = record.tenant_id.as_str();
        match self.own.get(tenant).or_else(|| self.group_of(tenant)) {
            Some(group) => Cow::Owned(format!("{category}.{}", group.name)),
            None => Cow::Borrowed(category),
        }
    }

    /// Returns how long a class is kept; `None` when the policy does not know it.
    #[must_use]
    pub fn keeps(&self, class: &str) -> Option<Keep> {
        let (category, whose) = self.read_class(class)?;
        Some(match whose {
            Whose::All => self.general(category),
            Whose::Tenant(tenant) => self.keep_of(tenant, category),
            Whose::Group(group) => group.keeps(category).unwrap_or_else(|| self.general(category)),
        })
    }

    /// Returns how long the addresses in the records of a class are kept; `None` when the policy does not know it.
    #[must_use]
    pub fn keeps_addresses(&self, class: &str) -> Option<Keep> {
        let (_, whose) = self.read_class(class)?;
        Some(match whose {
            Whose::All => self.addresses,
            Whose::Tenant(tenant) => self.addresses_of(tenant),
            Whose::Group(group) => group.addresses.unwrap_or(self.addresses),
        })
    }

    /// Returns of which category a class is, and of whom.
    fn read_class<'c>(&'c self, class: &str) -> Option<(Category, Whose<'c>)> {
        let (category, group) = match class.split_once('.') {
            Some((category, group)) => (category, Some(group)),
            None => (class, None),
        };
        let category: Category =
            category.parse().ok().filter(|word: &Category| word.as_str() == category)?;
        let Some(name) = group else { return Some((category, Whose::All)) };
        if let Some((tenant, _)) = self.own.iter().find(|(_, own)| own.name == name) {
            return Some((category, Whose::Tenant(tenant)));
        }
        let group = self.groups.iter().find(|group| group.name == name)?;
        Some((category, Whose::Group(group)))
    }

    /// Tells whether a class is that of one tenant for which something was set.
    #[must_use]
    pub fn is_of_one_tenant(&self, class: &str) -> bool {
        let name = class.split_once('.').map(|(_, name)| name);
        self.own.values().any(|own| Some(&*own.name) == name)
    }

    /// Returns how long records of one tenant are kept that are stored from now on.
    fn keep_of(&self, tenant: &str, category: Category) -> Keep {
        let own = self.own.get(tenant).and_then(|own| own.keeps(category));
        let group = || self.group_of(tenant).and_then(|group| group.keeps(category));
        own.or_else(group).unwrap_or_else(|| self.general(category))
    }

    fn addresses_of(&self, tenant: &str) -> Keep {
        let own = self.own.get(tenant).and_then(|own| own.addresses);
        let group = || self.group_of(tenant).and_then(|group| group.addresses);
        own.or_else(group).unwrap_or(self.addresses)
    }

    fn general(&self, category: Category) -> Keep {
        self.keeps[index(category)]
    }

    fn group_of(&self, tenant: &str) -> Option<&TenantGroup> {
        self.groups.iter().find(|group| group.tenants.iter().any(|one| one == tenant))
    }
}

/// Whose class it is.
enum Whose<'p> {
    All,
    /// One for whom something was set.
    Tenant(&'p str),
    Group(&'p TenantGroup),
}

/// Refuses to end the records that proofs of everything else need.
fn may_end(category: Category, keep: Keep) -> Result<(), RetentionError> {
    if category == Category::System && keep != Keep::Forever {
        return Err(RetentionError::new(
            "`system` is what the log says of itself, which verification needs: it is kept for ever (`never`)",
        ));
    }
    keep.check()
}

fn index(category: Category) -> usize {
    let words = Category::WORDS.iter();
    words.take_while(|word| **word != category.as_str()).count().min(Category::WORDS.len() - 1)
}

#[cfg(test)]
mod tests;

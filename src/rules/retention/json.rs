//! Policies as JSON: as in the rules file.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Keep, RetentionError, RetentionPolicy, TenantGroup, may_end};
use crate::{
    record::{Category, hex},
    rules::file,
};

/// How long the addresses in records are kept.
pub(in crate::rules) const ADDRESSES: &str = "addresses";
/// How large the log may get.
pub(in crate::rules) const MAX_SIZE: &str = "max_size";
/// Whether months go before their time when it is larger.
pub(in crate::rules) const FORCE: &str = "force";

/// How long records of single categories, and the addresses in all of them, are kept.
type Said = (Vec<(Category, Keep)>, Option<Keep>);

impl RetentionPolicy {
    /// Reads a policy that is written as `[retention]` of the rules file, in JSON.
    ///
    /// # Errors
    ///
    /// Tells what does not fit, and where.
    pub fn from_json(policy: &Value) -> Result<Self, RetentionError> {
        file::retention_of(policy).map_err(RetentionError::new)
    }

    /// Reads how long single categories are kept, as JSON, and returns it as it is kept.
    pub(crate) fn keeps_from_json(keeps: &Value) -> Result<Value, RetentionError> {
        let (said, addresses) = read(keeps)?;
        let mut said: Map<_, _> = said
            .into_iter()
            .map(|(category, keep)| (category.as_str().to_owned(), keep.to_string().into()))
            .collect();
        said.extend(addresses.map(|keep| (ADDRESSES.to_owned(), keep.to_string().into())));
        Ok(said.into())
    }

    /// Returns it as JSON that [`from_json`](Self::from_json) reads. What was set for single tenants is not in it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        for category in Category::ALL {
            json.insert(category.as_str().to_owned(), self.general(category).to_string().into());
        }
        json.insert(ADDRESSES.to_owned(), self.addresses.to_string().into());
        if let Some(limit) = self.max_size {
            json.insert(MAX_SIZE.to_owned(), limit.to_string().into());
            json.insert(FORCE.to_owned(), limit.is_forced().into());
        }
        let groups: Vec<_> = self.groups.iter().map(TenantGroup::to_json).collect();
        if !groups.is_empty() {
            json.insert("tenant".to_owned(), groups.into());
        }
        json.into()
    }

    /// Returns how long the records of one tenant are kept, by category, as JSON.
    #[must_use]
    pub fn to_json_of(&self, tenant: &str) -> Value {
        let keep = |category| self.keep_of(tenant, category).to_string().into();
        let said = Category::ALL.map(|category| (category.as_str().to_owned(), keep(category)));
        let addresses = (ADDRESSES.to_owned(), self.addresses_of(tenant).to_string().into());
        Value::Object(said.into_iter().chain([addresses]).collect())
    }

    /// Gives one tenant a class of its own, whichever group it is in, and says how long its records are kept; what is
    /// not said, or all of it if this is null, holds as without it.
    pub(crate) fn tenant(mut self, tenant: &str, keeps: &Value) -> Result<Self, RetentionError> {
        let (said, addresses) = if keeps.is_null() { Said::default() } else { read(keeps)? };
        let mut group = TenantGroup::new(own_name(tenant), [tenant]);
        for (category, keep) in said {
            group = group.keep(category, keep);
        }
        group.addresses = addresses;
        self.own.insert(tenant.to_owned(), group);
        Ok(self)
    }
}

impl TenantGroup {
    fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("name".to_owned(), self.name.as_str().into());
        json.insert("tenants".to_owned(), self.tenants.clone().into());
        for (category, keep) in &self.keeps {
            json.insert(category.as_str().to_owned(), keep.to_string().into());
        }
        if let Some(keep) = self.addresses {
            json.insert(ADDRESSES.to_owned(), keep.to_string().into());
        }
        json.into()
    }
}

/// No group of a policy can have such a name.
fn own_name(tenant: &str) -> String {
    format!("~{}", hex(&Sha256::digest(tenant)[..8]))
}

fn read(keeps: &Value) -> Result<Said, RetentionError> {
    let Value::Object(said) = keeps else {
        return Err(RetentionError::new(
            "the policy of one tenant is an object of categories, as in {\"authentication\": \"180d\"}",
        ));
    };
    let mut read = Said::default();
    for (key, value) in said {
        let category = Category::ALL.into_iter().find(|category| category.as_str() == key);
        if category.is_none() && key != ADDRESSES {
            let words = Category::WORDS.join(", ");
            let key = key.escape_debug();
            return Err(RetentionError::new(format!("`{key}` is none of {words}, {ADDRESSES}")));
        }
        let keep = match value {
            Value::Number(days) => {
                days.as_u64().and_then(|days| u32::try_from(days).ok()).map(Keep::Days)
            }
            Value::String(text) => Some(text.parse()?),
            _ => None,
        };
        let keep = keep.ok_or_else(|| {
            RetentionError::new(format!(
                "`{key}` is a number of days, or text such as `90d`, `6y`, `never`"
            ))
        })?;
        match category {
            Some(category) => {
                may_end(category, keep)?;
                read.0.push((category, keep));
            }
            None => {
                keep.check()?;
                read.1 = Some(keep);
            }
        }
    }
    Ok(read)
}

//! Policies as JSON: as in the rules file.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Keep, RetentionError, RetentionPolicy, TenantGroup, may_end};
use crate::{
    record::{Category, hex},
    rules::file,
};

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
        let said: Map<_, _> = read(keeps)?
            .into_iter()
            .map(|(category, keep)| (category.as_str().to_owned(), keep.to_string().into()))
            .collect();
        Ok(said.into())
    }

    /// Returns it as JSON that [`from_json`](Self::from_json) reads. What was set for single tenants is not in it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        for category in Category::ALL {
            json.insert(category.as_str().to_owned(), self.general(category).to_string().into());
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
        Value::Object(said.into_iter().collect())
    }

    /// Gives one tenant a class of its own, whichever group it is in, and says how long its records are kept; what is
    /// not said, or all of it if this is null, holds as without it.
    pub(crate) fn tenant(mut self, tenant: &str, keeps: &Value) -> Result<Self, RetentionError> {
        let said = if keeps.is_null() { Vec::new() } else { read(keeps)? };
        let mut group = TenantGroup::new(own_name(tenant), [tenant]);
        for (category, keep) in said {
            group = group.keep(category, keep);
        }
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
        json.into()
    }
}

/// No group of a policy can have such a name.
fn own_name(tenant: &str) -> String {
    format!("~{}", hex(&Sha256::digest(tenant)[..8]))
}

fn read(keeps: &Value) -> Result<Vec<(Category, Keep)>, RetentionError> {
    let Value::Object(said) = keeps else {
        return Err(RetentionError::new(
            "the policy of one tenant is an object of categories, as in {\"authentication\": \"180d\"}",
        ));
    };
    let mut read = Vec::new();
    for (key, value) in said {
        let category = Category::ALL.into_iter().find(|category| category.as_str() == key);
        let category = category.ok_or_else(|| {
            let words = Category::WORDS.join(", ");
            RetentionError::new(format!("`{}` is none of {words}", key.escape_debug()))
        })?;
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
        may_end(category, keep)?;
        read.push((category, keep));
    }
    Ok(read)
}

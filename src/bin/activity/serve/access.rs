//! Access by API key: `Authorization: Bearer ak_…`.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{header::AUTHORIZATION, request::Parts};
use tokio::sync::Mutex;
use tower_activity::{
    access::{Access, Denial, Grant, Permission},
    record::Actor,
    store::{AnyStore, ApiKey, Register as _, StoreError},
};

use crate::secret::Shown;

/// A key that was revoked works no longer than this.
const FRESH: Duration = Duration::from_secs(2);

/// The API keys of the store, read anew every two seconds while somebody calls.
pub(super) struct ApiKeys {
    store: AnyStore,
    cache: Mutex<Option<Cache>>,
}

#[derive(Clone)]
struct Cache {
    read: Instant,
    by_id: Arc<HashMap<String, ApiKey>>,
}

impl ApiKeys {
    pub(super) fn of(store: AnyStore) -> Self {
        Self { store, cache: Mutex::default() }
    }

    /// Tells whether there is a key that is not revoked.
    pub(super) async fn any(&self) -> Result<bool, StoreError> {
        Ok(self.store.api_keys().await?.iter().any(|key| key.revoked_at.is_none()))
    }

    async fn keys(&self) -> Result<Arc<HashMap<String, ApiKey>>, StoreError> {
        // Held across the reading: of many callers one reads.
        let mut cache = self.cache.lock().await;
        if let Some(cache) = cache.as_ref().filter(|cache| cache.read.elapsed() < FRESH) {
            return Ok(Arc::clone(&cache.by_id));
        }
        let keys = self.store.api_keys().await?;
        let by_id = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
        let fresh = cache.insert(Cache { read: Instant::now(), by_id: Arc::new(by_id) });
        Ok(Arc::clone(&fresh.by_id))
    }
}

impl Access for ApiKeys {
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        let refused = |detail: &str| Denial::Unauthenticated {
            challenge: Some("Bearer realm=\"activity\"".to_owned()),
            detail: detail.to_owned(),
        };
        let shown = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .and_then(|(_, token)| Shown::parse(token.trim()))
            .ok_or_else(|| refused("send an API key, as in `Authorization: Bearer ak_…`"))?;
        let keys = self.keys().await.map_err(|error| {
            tracing::error!(%error, "the API keys could not be read");
            Denial::Forbidden { detail: "the API keys cannot be read; please try again".to_owned() }
        })?;
        let key = keys
            .get(shown.id())
            // Hashes are compared, not secrets: how long that takes says nothing about the secret.
            .filter(|key| key.hash == shown.hash() && key.revoked_at.is_none())
            .ok_or_else(|| refused("this API key is unknown, or was revoked"))?;
        let permissions =
            key.permissions.iter().filter_map(|name| name.parse::<Permission>().ok()).collect();
        let actor = Actor::api_key(&key.id).named(&key.name);
        let grant = Grant::new(actor, permissions).service(&key.name);
        Ok(match &key.tenant {
            Some(tenant) => grant.tenant(tenant),
            None => grant,
        })
    }
}

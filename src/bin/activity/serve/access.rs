//! Access by API key: `Authorization: Bearer ak_…`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use http::{header::AUTHORIZATION, request::Parts};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tower_activity::{
    access::{self, Access, Denial, Development, Grant, Permission},
    record::Actor,
    store::{AnyStore, ApiKey, Register as _, StoreError},
};

use crate::secret::Shown;

/// A key that was revoked works no longer than this.
const FRESH: Duration = Duration::from_secs(2);
/// How long reading the keys may hold up those who call.
const PATIENCE: Duration = Duration::from_secs(5);
/// When the keys could not be read, nobody asks the store again for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Who is let in: whoever brings a key; and, on loopback, everybody until the first key is made.
pub(super) struct Door {
    keys: ApiKeys,
    /// On loopback.
    open: Option<Development>,
}

impl Door {
    pub(super) fn new(keys: ApiKeys, loopback: bool) -> Self {
        Self { keys, open: loopback.then(access::development) }
    }
}

impl Access for Door {
    async fn grant(&self, parts: &Parts) -> Result<Grant, Denial> {
        let keys = self.keys.read().await.map_err(|Unknown| Denial::Later {
            seconds: FRESH.as_secs(),
            detail: "the API keys cannot be read now; please try again".to_owned(),
        })?;
        match &self.open {
            // A key that was revoked counts too: taking the last one away must not open the door.
            Some(open) if keys.is_empty() => open.grant(parts).await,
            _ => with_key(&keys, parts),
        }
    }
}

fn with_key(keys: &HashMap<String, ApiKey>, parts: &Parts) -> Result<Grant, Denial> {
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

/// The API keys of the store, read anew every two seconds while somebody calls.
pub(super) struct ApiKeys {
    store: AnyStore,
    cache: Mutex<Option<Cache>>,
}

type ById = Arc<HashMap<String, ApiKey>>;

/// The keys cannot be read.
#[derive(Debug, Clone, Copy)]
struct Unknown;

#[derive(Clone)]
struct Cache {
    until: Instant,
    keys: Result<ById, Unknown>,
}

impl ApiKeys {
    pub(super) fn of(store: AnyStore) -> Self {
        Self { store, cache: Mutex::default() }
    }

    pub(super) async fn count(&self) -> Result<KeyCount, StoreError> {
        let keys = self.store.api_keys().await?;
        let working = keys.iter().filter(|key| key.revoked_at.is_none()).count();
        Ok(KeyCount { all: keys.len(), working })
    }

    async fn read(&self) -> Result<ById, Unknown> {
        // Held across the reading: of many callers one reads.
        let mut cache = self.cache.lock().await;
        let now = Instant::now();
        if let Some(cache) = cache.as_ref().filter(|cache| now < cache.until) {
            return cache.keys.clone();
        }
        let (keys, fresh) = match timeout(PATIENCE, self.store.api_keys()).await {
            Ok(Ok(keys)) => {
                let by_id = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
                // Counted from before the reading: what was revoked in the middle of it is refused in time.
                (Ok(Arc::new(by_id)), now + FRESH)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the API keys could not be read");
                (Err(Unknown), Instant::now() + AFTER_FAILURE)
            }
            Err(_elapsed) => {
                tracing::error!("the API keys could not be read within 5 s");
                (Err(Unknown), Instant::now() + AFTER_FAILURE)
            }
        };
        *cache = Some(Cache { until: fresh, keys: keys.clone() });
        keys
    }
}

/// How many keys there are.
pub(super) struct KeyCount {
    all: usize,
    pub(super) working: usize,
}

impl KeyCount {
    /// Says who may come in.
    pub(super) fn said(&self) -> String {
        match (self.all, self.working) {
            (0, _) => {
                "open to everybody on this machine until the first API key is made".to_owned()
            }
            (_, 0) => {
                "every API key is revoked, so nobody may call; `activity key new` makes another"
                    .to_owned()
            }
            (_, 1) => "1 API key".to_owned(),
            (_, working) => format!("{working} API keys"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use http::{Request, header::HOST};
    use tokio::time::advance;
    use tower_activity::{MemoryStore, store::Append as _, time::Timestamp};

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn store() -> AnyStore {
        MemoryStore::new().reader().unwrap()
    }

    async fn make(store: &AnyStore, name: &str) -> Shown {
        let shown = Shown::generate();
        let key = ApiKey {
            id: shown.id().to_owned(),
            name: name.to_owned(),
            hash: shown.hash(),
            permissions: vec!["logs.actions.view".to_owned()],
            tenant: None,
            created_at: Timestamp::default(),
            revoked_at: None,
        };
        store.add_api_key(&key).await.unwrap();
        shown
    }

    /// Asks on this machine, without a key or with this one.
    async fn is_let_in(door: &Door, key: Option<&Shown>) -> bool {
        let mut request = Request::get("/records").header(HOST, "localhost").body(()).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5_000))));
        if let Some(key) = key {
            let value = format!("Bearer {key}").parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        door.grant(&request.into_parts().0).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_key_is_refused_after_two_seconds_and_the_others_are_not() {
        let store = store();
        let (one, other) = (make(&store, "support").await, make(&store, "other").await);
        let door = Door::new(ApiKeys::of(store.clone()), true);
        assert!(is_let_in(&door, Some(&one)).await);
        assert!(store.revoke_api_key(one.id(), Timestamp::default()).await.unwrap());
        advance(FRESH - MOMENT).await;
        assert!(is_let_in(&door, Some(&one)).await, "not every caller asks the store");
        advance(MOMENT).await;
        assert!(!is_let_in(&door, Some(&one)).await);
        assert!(is_let_in(&door, Some(&other)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_key_closes_the_door_within_two_seconds_for_good() {
        let store = store();
        let door = Door::new(ApiKeys::of(store.clone()), true);
        assert!(is_let_in(&door, None).await, "on loopback");
        let key = make(&store, "support").await;
        advance(FRESH).await;
        assert!(!is_let_in(&door, None).await);
        assert!(is_let_in(&door, Some(&key)).await);
        assert!(store.revoke_api_key(key.id(), Timestamp::default()).await.unwrap());
        advance(FRESH).await;
        assert!(!is_let_in(&door, Some(&key)).await);
        assert!(!is_let_in(&door, None).await, "taking the last key away opens nothing");
        let elsewhere = Door::new(ApiKeys::of(self::store()), false);
        assert!(!is_let_in(&elsewhere, None).await, "not on loopback");
    }
}

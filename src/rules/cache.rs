//! Plans by route template and method: a hash to read, a copy to write.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher, RandomState},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::Plan;

/// More templates than any router has; what comes after them is planned anew each time.
///
/// Templates come from the router or from the rules, so this bound is for routers that hand out raw
/// paths as their templates.
const MOST_PLANS: usize = 8_192;
/// Routes that a client named itself, as in gRPC. There are as many as it cares to make up, so they have
/// tables of their own, small ones that begin anew when they are full: nobody can fill up the others.
const MOST_NAMED: usize = 256;

type Table = HashMap<Arc<str>, Arc<Plan>, BuildHasherDefault<TextHasher>>;
/// Keyed at random: whoever makes the names up must not know where they fall.
type Named = HashMap<Arc<str>, Arc<Plan>, RandomState>;

/// Plans that were made already; read without a lock and without an allocation.
#[derive(Debug)]
pub(super) struct Cache {
    tables: Box<[ArcSwap<Table>]>,
    named: Box<[ArcSwap<Named>]>,
    /// The most plans per method.
    most: usize,
}

impl Cache {
    /// Makes a cache with this many methods.
    pub(super) fn new(methods: usize) -> Self {
        Self::bounded(methods, MOST_PLANS)
    }

    fn bounded(methods: usize, most: usize) -> Self {
        Self {
            most,
            tables: (0..methods).map(|_| ArcSwap::default()).collect(),
            named: (0..methods).map(|_| ArcSwap::default()).collect(),
        }
    }

    /// Shows the plan, made on the first call, to `take`: most often it is looked at and left where it is.
    pub(super) fn with<T>(
        &self,
        method: usize,
        template: &str,
        make: impl FnOnce() -> Plan,
        take: impl FnOnce(&Arc<Plan>) -> T,
    ) -> T {
        let Some(table) = self.tables.get(method) else {
            return take(&Arc::new(make()));
        };
        if let Some(plan) = table.load().get(template) {
            return take(plan);
        }
        let plan = Arc::new(make());
        let key: Arc<str> = template.into();
        // Two threads may make the same plan: plans are pure, either is right.
        table.rcu(|table| {
            if table.len() >= self.most {
                return Arc::clone(table);
            }
            let mut copy = Table::clone(table);
            copy.insert(Arc::clone(&key), Arc::clone(&plan));
            Arc::new(copy)
        });
        take(&plan)
    }

    /// Returns the plan of a route that nobody but the client vouches for.
    pub(super) fn plan_named(
        &self,
        method: usize,
        name: &str,
        make: impl FnOnce() -> Plan,
    ) -> Arc<Plan> {
        let Some(table) = self.named.get(method) else {
            return Arc::new(make());
        };
        if let Some(plan) = table.load().get(name) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(make());
        let key: Arc<str> = name.into();
        table.rcu(|table| {
            let mut copy = if table.len() >= MOST_NAMED {
                Named::with_hasher(table.hasher().clone())
            } else {
                Named::clone(table)
            };
            copy.insert(Arc::clone(&key), Arc::clone(&plan));
            Arc::new(copy)
        });
        plan
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.tables.iter().map(|table| table.load().len()).sum()
    }
}

/// A fast hash for short trusted texts: eight bytes at a time, folded multiplication.
#[derive(Debug, Default)]
struct TextHasher(u64);

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl TextHasher {
    fn mix(&mut self, word: u64) {
        // The map takes its bits from both ends: the halves are folded into each other.
        let wide = u128::from(self.0 ^ word ^ MULTIPLIER) * u128::from(MULTIPLIER);
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_made_once_and_the_table_is_bounded() {
        let cache = Cache::bounded(1, 2);
        let make = || Plan::new(Vec::new(), Vec::new());
        let first = cache.with(0, "/a", make, Arc::clone);
        let again = cache.with(0, "/a", || panic!("made twice"), Arc::clone);
        assert!(Arc::ptr_eq(&first, &again));
        for n in 0..5 {
            cache.with(0, &format!("/{n}"), make, |_| ());
        }
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn names_that_clients_make_up_fill_nothing_but_a_small_table() {
        let cache = Cache::bounded(1, 2);
        for n in 0..10_000 {
            cache.plan_named(0, &format!("/a.B/C{n}"), || Plan::new(Vec::new(), Vec::new()));
            assert!(cache.named[0].load().len() <= MOST_NAMED);
        }
        assert_eq!(cache.len(), 0);
        let first = cache.plan_named(0, "/a.B/Real", || Plan::new(Vec::new(), Vec::new()));
        let again = cache.plan_named(0, "/a.B/Real", || panic!("made twice"));
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn texts_of_a_router_spread_over_the_table() {
        let hash = |text: &str| {
            let mut hasher = TextHasher::default();
            hasher.write(text.as_bytes());
            hasher.finish()
        };
        let mut seen: Vec<u64> =
            (0..1_000).map(|n| hash(&format!("/api/things/{n}/{{id}}")) & 0x3FF).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 550, "{} of 1,024 buckets", seen.len());
    }
}

//! The questions, asked of a store of ours through its own interface, records decoded.

use std::time::Duration;

use tower_activity::{
    query::{Aggregate, Count, Expr, Filter, Keyset, PageRequest, Phrase, Place, Test},
    record::{Field, RecordId},
    store::{AnyStore, Erase, Evidence, Maintain, Read, Register, Retain},
    time::Timestamp,
};

use super::{
    PAGE, Question,
    skewed::{COMMON, RARE, SPAN, begins},
};

pub struct Ours {
    store: AnyStore,
    rows: u64,
}

impl Ours {
    pub fn new(
        store: impl Read + Maintain + Register + Evidence + Erase + Retain,
        rows: u64,
    ) -> Self {
        Self { store: AnyStore::new(store), rows }
    }

    /// Asks, and says how many records or values were found.
    pub async fn ask(&mut self, question: Question, n: u64) -> u64 {
        let all = Filter::new;
        let any = |field: &str, value: String| Filter::new().any_of(field, [value]).unwrap();
        match question {
            Question::Newest => self.page(all(), None).await,
            Question::ByActor => self.page(any("actor_id", actor(n)), None).await,
            Question::ByEntity => {
                let of = any("entity_type", "order".into()).any_of("entity_id", [entity(n)]);
                self.page(of.unwrap(), None).await
            }
            Question::ActionInDay => {
                let (from, to) = day(n);
                self.page(any("action", "cancel".into()).from(from).to(to), None).await
            }
            Question::ByTenant => self.page(any("tenant_id", tenant(n)), None).await,
            Question::ByAddress => {
                let address = address(n).parse().unwrap();
                let field = Field::named("ip").unwrap();
                let test = Test::Network(field, tower_activity::record::Address::new(address));
                self.page(all().and(Expr::Test(test)), None).await
            }
            Question::Deep => {
                let place = Keyset { occurred_at: middle(n, self.rows), id: RecordId::NIL };
                self.page(all(), Some(Place::Occurred(place))).await
            }
            Question::RareWord => self.page(word(RARE), None).await,
            Question::CommonWord => self.page(word(COMMON), None).await,
            Question::CountOfAction => {
                let filter = any("action", "cancel".into());
                self.store.count(&filter, Count::UpTo(Count::CAP)).await.unwrap().value
            }
            Question::CountOfActor => {
                let filter = any("actor_id", actor(n));
                self.store.count(&filter, Count::UpTo(Count::CAP)).await.unwrap().value
            }
            Question::Estimate => {
                let filter = any("route", "/api/v1/orders/{id}/cancel".into());
                self.store.count(&filter, Count::Estimate).await.unwrap().value
            }
            Question::StatsDay => {
                let (from, to) = day(n);
                self.stats(all().from(from).to(to)).await
            }
            Question::StatsAll => self.stats(all()).await,
            Question::Facets => {
                let ask = Aggregate {
                    dimensions: fields(&["action", "entity_type", "outcome", "tenant_id"]),
                    top: 20,
                    edges: Vec::new(),
                    patience: Duration::from_secs(60),
                };
                let counted = self.store.aggregate(&all(), &ask).await.unwrap();
                counted.by.iter().map(|values| values.len() as u64).sum()
            }
        }
    }

    async fn page(&self, filter: Filter, after: Option<Place>) -> u64 {
        let request =
            PageRequest { after, patience: Duration::from_secs(600), ..PageRequest::newest(PAGE) };
        self.store.records(&filter, &request).await.unwrap().records.len() as u64
    }

    async fn stats(&self, filter: Filter) -> u64 {
        let ask = Aggregate {
            dimensions: fields(&["action", "entity_type", "outcome", "category"]),
            top: 20,
            edges: Vec::new(),
            patience: Duration::from_secs(60),
        };
        self.store.aggregate(&filter, &ask).await.unwrap().total
    }
}

fn fields(names: &[&str]) -> Vec<&'static Field> {
    names.iter().map(|name| Field::named(name).unwrap()).collect()
}

fn word(word: &str) -> Filter {
    Filter::new().and(Expr::Test(Test::Text(Phrase::new(word).unwrap())))
}

/// Neither the busiest nor the rarest.
pub fn actor(n: u64) -> String {
    format!("user-{}", 40 + n * 7)
}

pub fn entity(n: u64) -> String {
    (60 + n * 11).to_string()
}

pub fn tenant(n: u64) -> String {
    format!("tenant-{}", 5 + n)
}

pub fn address(n: u64) -> String {
    let rank = 30 + n as u32 * 3;
    std::net::Ipv4Addr::from(0x0B00_0000 + rank.wrapping_mul(2_654_435) % 0xFF_FFFF).to_string()
}

/// A day late in the year, from midnight.
pub fn day(n: u64) -> (Timestamp, Timestamp) {
    let day = Duration::from_secs(24 * 60 * 60);
    let from = begins().saturating_add(day * (300 + n as u32));
    (from, from.saturating_add(day))
}

/// The moment in the middle of the year, and how many records are newer.
pub fn middle(n: u64, rows: u64) -> Timestamp {
    let step = SPAN.as_micros() as u64 / rows;
    begins().saturating_add(Duration::from_micros((rows / 2 + n * 1_000) * step))
}

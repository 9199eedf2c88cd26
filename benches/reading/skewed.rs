//! A year of records, skewed as those of a real service are: few actors, tenants and things make up most of
//! them, most requests succeed, some words are everywhere and some are rare.

use std::{sync::OnceLock, time::Duration};

use tower_activity::{
    record::{ActorType, Address, Category, Json, Operation, Outcome, Record, RecordId, WriterId},
    time::{Clock as _, SystemClock, Timestamp},
};

/// One in so many records holds the rare word.
pub const RARE_EVERY: u64 = 50_000;
pub const RARE: &str = "zanzibar";
/// One in three holds the common word.
pub const COMMON: &str = "checkout";

pub const ACTORS: u64 = 20_000;
pub const ENTITIES: u64 = 200_000;
pub const TENANTS: u64 = 60;
pub const ADDRESSES: u64 = 50_000;

/// Weights out of a hundred: entity, action, operation, category, path.
const KINDS: [(u64, &str, &str, Operation, Category, &str); 9] = [
    (30, "order", "update", Operation::Update, Category::Activity, "/api/v1/orders/{id}"),
    (20, "order", "create", Operation::Create, Category::Activity, "/api/v1/orders"),
    (8, "order", "cancel", Operation::Update, Category::Activity, "/api/v1/orders/{id}/cancel"),
    (14, "product", "update", Operation::Update, Category::Activity, "/api/v1/products/{id}"),
    (4, "product", "delete", Operation::Delete, Category::Activity, "/api/v1/products/{id}"),
    (10, "document", "download", Operation::Read, Category::Activity, "/api/v1/documents/{id}"),
    (9, "user", "login", Operation::Authenticate, Category::Authentication, "/auth/login"),
    (3, "user", "login_failed", Operation::Authenticate, Category::Authentication, "/auth/login"),
    (2, "role", "update", Operation::Update, Category::Administration, "/api/v1/roles/{id}"),
];

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
];

static BEGINS: OnceLock<Timestamp> = OnceLock::new();

/// Returns the moment at which the year of records begins: so that it ends today, as a log does that is in use.
pub fn begins() -> Timestamp {
    *BEGINS.get_or_init(|| {
        let now = SystemClock::default().now();
        let day = Duration::from_secs(24 * 60 * 60).as_micros() as i64;
        let today = now.as_micros() - now.as_micros().rem_euclid(day);
        Timestamp::from_micros(today).saturating_sub(SPAN)
    })
}

/// Of a log that was filled before, the year begins with its first record.
pub fn begins_with(first: Timestamp) {
    BEGINS.set(first).expect("it is set before it is asked for");
}

/// How long the records last.
pub const SPAN: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Makes `rows` records, in batches ready to be appended.
pub struct Skewed {
    rows: u64,
    made: u64,
    seq: i64,
    random: u64,
}

impl Skewed {
    pub fn new(rows: u64) -> Self {
        Self { rows, made: 0, seq: 0, random: 0x9E37_79B9_7F4A_7C15 }
    }

    /// Returns the next batch; empty at the end.
    #[allow(clippy::vec_box, reason = "what a batch is made of")]
    pub fn batch(&mut self, rows: u64) -> Vec<Box<Record>> {
        let mut batch: Vec<Box<Record>> =
            (0..rows.min(self.rows - self.made)).map(|_| Box::new(self.record())).collect();
        // Records of one leaf stand together, as the pipeline arranges them.
        batch.sort_by_cached_key(|record| {
            (record.occurred_at.month().index(), record.retention_class.as_str().to_owned())
        });
        for record in &mut batch {
            self.seq += 1;
            record.writer_id = WriterId::new(1);
            record.seq = self.seq;
            record.seal([[self.seq as u8; 16]; 4]);
        }
        batch
    }

    fn random(&mut self) -> u64 {
        // splitmix64: the same records in every run.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a rank below `n`: the first are far more frequent than the last (Zipf with exponent 1).
    fn rank(&mut self, n: u64) -> u64 {
        let unit = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
        ((n as f64 + 1.0).powf(unit) as u64 - 1).min(n - 1)
    }

    fn record(&mut self) -> Record {
        let step = SPAN.as_micros() as u64 / self.rows;
        let at = begins().saturating_add(Duration::from_micros(self.made * step));
        self.made += 1;
        let r = self.random();
        let mut record = Record::default();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&r.to_le_bytes());
        record.id = RecordId::new(at, random);
        record.occurred_at = at;
        record.recorded_at = at;
        record.duration_us = Some((r % 40_000) as i64);
        let mut weight = r % 100;
        let kind = KINDS.iter().find(|kind| {
            let here = weight < kind.0;
            weight = weight.saturating_sub(kind.0);
            here
        });
        let (_, entity, action, operation, category, route) = *kind.unwrap_or(&KINDS[0]);
        record.category = category;
        record.retention_class.set(category.as_str());
        record.entity_type.set(entity);
        record.action.set(action);
        record.operation = operation;
        let (outcome, status) = match (action, (r >> 8) % 1_000) {
            ("login_failed", _) => (Outcome::Denied, 401),
            (_, 0..=29) => (Outcome::Denied, 403),
            (_, 30..=44) => (Outcome::Failure, 500),
            (_, 45..=49) => (Outcome::Aborted, 200),
            _ => (Outcome::Success, 200),
        };
        record.outcome = outcome;
        record.status = Some(status);
        record.severity = 1;
        let actor = self.rank(ACTORS);
        record.actor_type = ActorType::User;
        record.actor_id.set(&format!("user-{actor}"));
        record.actor_name.set(&format!("Person {actor}"));
        let thing = self.rank(ENTITIES).to_string();
        record.entity_id.set(&thing);
        // A person belongs to one tenant.
        record.tenant_id.set(&format!("tenant-{}", actor % TENANTS));
        record.method.set(if operation == Operation::Read { "GET" } else { "PUT" });
        record.route.set(route);
        record.path.set(&route.replace("{id}", &thing));
        record.host.set("shop.example.com");
        record.http_version.set("HTTP/1.1");
        record.request_bytes = Some((r % 4_000) as i64);
        record.response_bytes = Some((r % 9_000) as i64);
        let address = self.rank(ADDRESSES) as u32;
        let address =
            std::net::Ipv4Addr::from(0x0B00_0000 + address.wrapping_mul(2_654_435) % 0xFF_FFFF);
        record.ip = Some(Address::new(address.into()));
        record.user_agent.set(AGENTS[(r >> 20) as usize % AGENTS.len()]);
        record.request_id.set(&format!("{r:016x}"));
        record.trace_id.set(&format!("{r:032x}"));
        record.service.set("shop");
        record.instance.set("shop-1");
        record.environment.set("production");
        record.rule.set("rest");
        let word = if self.made.is_multiple_of(RARE_EVERY) {
            RARE
        } else if r.is_multiple_of(3) {
            COMMON
        } else {
            "basket"
        };
        record.metadata = Json::of(&serde_json::json!({
            "step": word, "cart": r % 9_999, "ui": { "theme": if r.is_multiple_of(2) { "dark" } else { "light" } },
        }))
        .expect("an object");
        record
    }
}

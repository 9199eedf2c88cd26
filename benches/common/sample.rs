//! Records as an ordinary request leaves them.

use std::time::Duration;

use tower_activity::{
    record::{Address, Category, Json, Operation, Outcome, Record, RecordId, WriterId},
    time::Timestamp,
};

/// A numbered run of records of one stream, sealed, as the writer hands it to a store.
pub struct Stream {
    writer_id: WriterId,
    seq: i64,
    at: Timestamp,
    random: u64,
}

impl Stream {
    pub fn new(writer_id: i64) -> Self {
        let at = "2026-03-01T00:00:00Z".parse().expect("a time");
        Self { writer_id: WriterId::new(writer_id), seq: 0, at, random: writer_id as u64 | 1 }
    }

    fn random(&mut self) -> u64 {
        // xorshift64: the same records in every run.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    #[allow(clippy::vec_box, reason = "what a batch is made of")]
    pub fn batch(&mut self, rows: usize) -> Vec<Box<Record>> {
        (0..rows).map(|_| Box::new(self.record())).collect()
    }

    fn record(&mut self) -> Record {
        self.seq += 1;
        self.at = self.at.saturating_add(Duration::from_micros(1_137));
        let r = self.random();
        let mut record = Record::default();
        let mut random = [0; 10];
        random[..8].copy_from_slice(&r.to_le_bytes());
        record.id = RecordId::new(self.at, random);
        record.occurred_at = self.at;
        record.recorded_at = self.at;
        record.duration_us = Some((r % 20_000) as i64);
        record.category = Category::Activity;
        record.retention_class.set("activity");
        let (entity, action, operation) = match r % 4 {
            0 => ("order", "create", Operation::Create),
            1 => ("order", "cancel", Operation::Execute),
            2 => ("product", "update", Operation::Update),
            _ => ("user", "update", Operation::Update),
        };
        record.action.set(action);
        record.operation = operation;
        record.outcome = if r.is_multiple_of(50) { Outcome::Denied } else { Outcome::Success };
        record.severity = 1;
        record.entity_type.set(entity);
        record.entity_id.set(&(r % 100_000).to_string());
        record.actor_type = "user".parse().expect("an actor type");
        record.actor_id.set(&format!("user-{}", r % 1_000));
        record.tenant_id.set("acme");
        record.method.set("PUT");
        record.route.set("/api/v1/orders/{id}");
        record.host.set("shop.example.com");
        record.http_version.set("HTTP/1.1");
        record.path.set(&format!("/api/v1/orders/{}", r % 100_000));
        record.status = Some(200);
        record.request_bytes = Some(312);
        record.response_bytes = Some(518);
        record.ip = Some(Address::new(std::net::Ipv4Addr::from((r >> 32) as u32).into()));
        record
            .user_agent
            .set("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
        record.request_id.set(&format!("{r:016x}"));
        record.trace_id.set(&format!("{r:032x}"));
        record.span_id.set(&format!("{r:016x}"));
        record.service.set("shop");
        record.instance.set("shop-1");
        record.environment.set("production");
        record.rule.set("rest");
        record.metadata = Json::of(&serde_json::json!({"cart": r % 9_999})).expect("an object");
        record.writer_id = self.writer_id;
        record.seq = self.seq;
        let salt = [r as u8; 16];
        record.seal([salt; 4]);
        record
    }
}

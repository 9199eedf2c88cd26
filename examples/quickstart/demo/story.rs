//! Thirty days of two small tenants: work by day, programs by night, and what an auditor looks for.

use serde_json::{Value, json};
use tower_activity::{
    privacy::Keys,
    record::{ActorType, Category, Json, Operation, Origin, Outcome, Record, RecordId},
    time::Timestamp,
};

use super::{
    Dice, later,
    people::{BILLING, PEOPLE, Person, Role, WAREHOUSE},
};

const SEED: u64 = 0x00ac_7171;
const DAYS: u64 = 30;
/// Those up to this one were placed before the story begins.
const FIRST_ORDER: u64 = 1_000;
const DAY: u64 = 24 * 60 * 60;

/// What is being told.
pub(super) struct Story<'k> {
    now: Timestamp,
    keys: &'k Keys,
    dice: Dice,
    records: Vec<Box<Record>>,
    /// When each order was placed, from number 1,001 on.
    orders: Vec<Timestamp>,
    last_product: u64,
    session: Option<String>,
}

impl<'k> Story<'k> {
    pub(super) fn new(now: Timestamp, keys: &'k Keys) -> Self {
        Self {
            now,
            keys,
            dice: Dice(SEED),
            records: Vec::new(),
            orders: Vec::new(),
            last_product: 40,
            session: None,
        }
    }

    /// Tells it, oldest first.
    pub(super) fn tell(mut self) -> Vec<Box<Record>> {
        let today = u64::try_from(self.now.as_micros()).unwrap_or(0) / 1_000_000 / DAY;
        for day in 0..DAYS {
            let date = (today + 1 + day).saturating_sub(DAYS);
            let midnight = later(Timestamp::default(), date * DAY);
            // The first of January 1970 was a Thursday; Monday counts as 0.
            let weekend = (date + 3) % 7 >= 5;
            for person in PEOPLE {
                let sessions = if weekend { self.dice.below(2) } else { 1 + self.dice.below(2) };
                for _ in 0..sessions {
                    let start = later(midnight, 8 * 3_600 + self.dice.below(9 * 3_600));
                    self.work(person, start);
                }
            }
            self.night(later(midnight, 2 * 3_600));
            match day {
                9 => self.gap(later(midnight, 11 * 3_600)),
                16 => self.guessing(later(midnight, 3 * 3_600 + 420)),
                21 => self.acting_as(later(midnight, 15 * 3_600)),
                25 => self.mass_delete(later(midnight, 17 * 3_600 + 2_940)),
                _ => {}
            }
        }
        // Today is not over.
        self.records.retain(|record| record.occurred_at < self.now);
        self.records.sort_by_key(|record| (record.occurred_at, record.id));
        for record in &mut self.records {
            sizes(record, &mut self.dice);
        }
        self.records
    }

    /// Somebody logs in, works, and mostly logs out.
    fn work(&mut self, who: &Person, start: Timestamp) {
        let mut at = start;
        self.session = None;
        if self.dice.chance(6) {
            self.failed_login(at, who.id, who.ip, who.agent, who.tenant);
            at = later(at, 9);
        }
        let session = format!("{}-{}", who.id, at.as_micros());
        self.session = Some(self.keys.pseudonym("session", Some(who.tenant), &session));
        self.authentication(who, at, "login", "rest:login");
        for _ in 0..3 + self.dice.below(7) {
            at = later(at, 20 + self.dice.below(600));
            match who.role {
                Role::Sales => self.sell(who, &mut at),
                Role::Admin => self.administer(who, at),
                Role::Support | Role::Program => self.support(who, at),
            }
        }
        if self.dice.chance(70) {
            self.authentication(who, later(at, 60), "logout", "rest:logout");
        }
        self.session = None;
    }

    fn sell(&mut self, who: &Person, at: &mut Timestamp) {
        match self.dice.below(20) {
            0..8 => self.order(who, at),
            8..13 => {
                let id = self.old_order(*at);
                let (old, new) = (
                    *self.dice.pick(&["standard", "pickup"]),
                    *self.dice.pick(&["express", "freight"]),
                );
                let record =
                    self.http(who, *at, "PUT", "/api/orders/{id}", &id, ("order", "update"));
                change(record, "/shipping", json!(old), json!(new));
                if id.ends_with(['2', '4', '5', '8']) {
                    moved(record, old, new);
                }
            }
            13..15 => {
                let id = self.old_order(*at);
                let record = self.http(
                    who,
                    *at,
                    "POST",
                    "/api/orders/{id}/cancel",
                    &id,
                    ("order", "cancel"),
                );
                record.reason.set("the customer called");
                change(record, "/status", json!("open"), json!("cancelled"));
            }
            15 => {
                let id = (self.last_order() + 500).to_string();
                let record =
                    self.http(who, *at, "PUT", "/api/orders/{id}", &id, ("order", "update"));
                ends(record, 404, Outcome::Failure);
            }
            16 => {
                let id = self.old_product();
                let record =
                    self.http(who, *at, "DELETE", "/api/products/{id}", &id, ("product", "delete"));
                ends(record, 403, Outcome::Denied);
            }
            17 => {
                let cut = self.dice.chance(30);
                let record = self.http(
                    who,
                    *at,
                    "GET",
                    "/api/reports/{id}",
                    "sales",
                    ("report", "download"),
                );
                (record.duration_us, record.response_bytes) = (Some(2_031_400), Some(184_320));
                record.rule.set("report");
                if cut {
                    record.outcome = Outcome::Aborted;
                    record.outcome_reason.set("client_disconnect");
                    (record.duration_us, record.response_bytes) = (Some(611_900), Some(49_152));
                }
            }
            18 => drop(self.http(
                who,
                *at,
                "PUT",
                "/api/users/{id}/avatar",
                who.id,
                ("user", "update_avatar"),
            )),
            _ => {
                let record = self.http(
                    who,
                    *at,
                    "PUT",
                    "/api/users/{id}/password",
                    who.id,
                    ("user", "update_password"),
                );
                record.category = Category::Authentication;
                record.retention_class.set("authentication");
            }
        }
    }

    /// An order from its creation to its payment.
    fn order(&mut self, who: &Person, at: &mut Timestamp) {
        self.orders.push(*at);
        let id = self.last_order().to_string();
        let record = self.http(who, *at, "POST", "/api/orders", &id, ("order", "create"));
        record.path.set("/api/orders");
        record.status = Some(201);
        for item in 0..1 + self.dice.below(2) {
            *at = later(*at, 15 + self.dice.below(30));
            let product = self.old_product();
            let record =
                self.http(who, *at, "POST", "/api/orders/{id}/items", &id, ("item", "create"));
            record.status = Some(201);
            record.entity_id.set(&format!("{}", item + 1));
            record.targets = json_text(&json!([
                { "type": "order", "id": id, "relation": "parent" },
                { "type": "product", "id": product, "relation": "contains" },
            ]));
        }
        if self.dice.chance(25) {
            *at = later(*at, 20);
            let record = self.http(
                who,
                *at,
                "POST",
                "/api/orders/{id}/promotions",
                &id,
                ("order", "apply_promotion"),
            );
            record.rule.set("promotion");
            record.status = Some(201);
            record.metadata = json_text(&json!({ "code": "SPRING" }));
        }
        *at = later(*at, 40 + self.dice.below(90));
        let (amount, refused) = (1_900 + self.dice.below(40_000), self.dice.chance(4));
        let record = self.http(
            who,
            *at,
            "POST",
            "/api/orders/{id}/payments",
            &id,
            ("order", "process_payment"),
        );
        record.rule.set("payment");
        record.status = Some(201);
        record.metadata = json_text(&json!({ "amount": amount, "currency": "EUR" }));
        if refused {
            ends(record, 502, Outcome::Failure);
        }
    }

    fn administer(&mut self, who: &Person, at: Timestamp) {
        let id = self.old_product();
        let price = 900 + 100 * self.dice.below(90);
        match self.dice.below(12) {
            0 => {
                self.last_product += 1;
                let id = self.last_product.to_string();
                let record =
                    self.http(who, at, "POST", "/api/products", &id, ("product", "create"));
                record.path.set("/api/products");
                record.status = Some(201);
                record.entity_name.set("Reading lamp");
            }
            1..6 => {
                let record =
                    self.http(who, at, "PUT", "/api/products/{id}", &id, ("product", "update"));
                change(record, "/price", json!(price), json!(price + 300));
            }
            6..8 => {
                let record = self.http(
                    who,
                    at,
                    "POST",
                    "/api/products/{id}/stock",
                    &id,
                    ("product", "update_stock"),
                );
                change(record, "/stock", json!(price % 17), json!(price % 17 + 40));
            }
            8 => {
                self.http(who, at, "DELETE", "/api/products/{id}", &id, ("product", "delete"));
                if self.dice.chance(40) {
                    let at = later(at, 12);
                    self.http(
                        who,
                        at,
                        "POST",
                        "/api/products/{id}/restore",
                        &id,
                        ("product", "restore"),
                    );
                }
            }
            9 => {
                let record = self.http(
                    who,
                    at,
                    "PUT",
                    "/api/settings/{id}",
                    "vat_rate",
                    ("setting", "update"),
                );
                administrative(record);
                change(record, "/value", json!("0.19"), json!("0.20"));
            }
            10 => {
                let id = self.dice.pick(PEOPLE).id;
                let record =
                    self.http(who, at, "PUT", "/api/users/{id}/role", id, ("user", "update_role"));
                administrative(record);
                change(record, "/role", json!("sales"), json!("lead"));
            }
            _ => {
                let record = self.http(
                    who,
                    at,
                    "PATCH",
                    "/api/categories/{id}",
                    "2",
                    ("category", "update"),
                );
                change(record, "/name", json!("Chairs"), json!("Chairs and stools"));
            }
        }
    }

    fn support(&mut self, who: &Person, at: Timestamp) {
        let id = self.old_order(at);
        let record =
            self.http(who, at, "PATCH", "/api/orders/{id}/status", &id, ("order", "update_status"));
        change(record, "/status", json!("open"), json!("on_hold"));
    }

    /// Programs settle at night what the day has left.
    fn night(&mut self, start: Timestamp) {
        for (who, new) in [(&BILLING, "invoiced"), (&WAREHOUSE, "shipped")] {
            for step in 0..8 {
                let at = later(start, step * 2);
                let id = self.old_order(at);
                let record = self.http(
                    who,
                    at,
                    "PATCH",
                    "/api/orders/{id}/status",
                    &id,
                    ("order", "update_status"),
                );
                record.channel.set("nightly");
                change(record, "/status", json!("paid"), json!(new));
            }
        }
    }

    /// Somebody guesses passwords for a while, and gets none.
    fn guessing(&mut self, start: Timestamp) {
        for attempt in 0..260 {
            let account = PEOPLE[usize::try_from(attempt % 4).unwrap_or(0)].id;
            let at = later(start, attempt + self.dice.below(2));
            self.failed_login(at, account, "203.0.113.66", "python-requests/2.32", "north");
        }
    }

    /// Support looks into a customer's account in the customer's name.
    fn acting_as(&mut self, start: Timestamp) {
        let (ana, mira) = (&PEOPLE[0], &PEOPLE[5]);
        for (step, action) in ["update", "apply_promotion", "cancel"].into_iter().enumerate() {
            let at = later(start, 90 * u64::try_from(step).unwrap_or(0));
            let id = self.old_order(at);
            let (method, route) = match action {
                "update" => ("PUT", "/api/orders/{id}"),
                "cancel" => ("POST", "/api/orders/{id}/cancel"),
                _ => ("POST", "/api/orders/{id}/promotions"),
            };
            let record = self.http(ana, at, method, route, &id, ("order", action));
            record.impersonator_id.set(mira.id);
            record.impersonator_name.set(mira.name);
            record.reason.set("ticket 4711");
            record.ip = mira.ip.parse().ok();
            if action == "apply_promotion" {
                record.rule.set("promotion");
                record.status = Some(201);
            }
        }
    }

    /// One request that deletes forty products, shortly before somebody leaves for the day.
    fn mass_delete(&mut self, at: Timestamp) {
        let olaf = &PEOPLE[9];
        let targets: Vec<Value> = (1..=40)
            .map(|id| json!({ "type": "product", "id": id.to_string(), "relation": "deleted" }))
            .collect();
        let record = self.http(olaf, at, "DELETE", "/api/products", "", ("product", "delete"));
        record.targets = json_text(&targets);
        record.severity = 4;
        record.duration_us = Some(412_000);
    }

    /// The log admits that it is incomplete.
    fn gap(&mut self, at: Timestamp) {
        let first = Timestamp::from_micros(at.as_micros() - 4_200_000);
        let mut record = self.record(at, Category::System);
        record.origin = Origin::System;
        record.actor_type = ActorType::System;
        record.action.set("gap");
        record.duration_us = None;
        record.outcome = Outcome::Failure;
        record.outcome_reason.set("queue_full");
        record.severity = 4;
        record.metadata = json_text(&json!({
            "count": 312, "reason": "queue_full", "first_at": first, "last_at": at,
            "by_category": { "activity": 312 },
        }));
        self.records.push(record);
    }

    fn authentication(&mut self, who: &Person, at: Timestamp, action: &str, rule: &str) {
        let route = format!("/{action}");
        let record = self.http(who, at, "POST", &route, who.id, ("user", action));
        record.category = Category::Authentication;
        record.retention_class.set("authentication");
        record.operation = Operation::Authenticate;
        record.auth_method.set("password");
        record.rule.set(rule);
    }

    fn failed_login(&mut self, at: Timestamp, account: &str, ip: &str, agent: &str, tenant: &str) {
        let account = self.keys.pseudonym("account", Some(tenant), account);
        let mut record = self.record(at, Category::Authentication);
        record.tenant_id.set(tenant);
        record.action.set("login_failed");
        record.operation = Operation::Authenticate;
        record.entity_type.set("user");
        record.entity_id.set(&account);
        request(&mut record, "POST", "/login", "/login");
        record.ip = ip.parse().ok();
        record.user_agent.set(agent);
        record.rule.set("rest:login");
        ends(&mut record, 401, Outcome::Denied);
        self.records.push(record);
    }

    fn http(
        &mut self,
        who: &Person,
        at: Timestamp,
        method: &str,
        route: &str,
        id: &str,
        (entity, action): (&str, &str),
    ) -> &mut Record {
        let mut record = self.record(at, Category::Activity);
        record.tenant_id.set(who.tenant);
        record.actor_type = who.kind;
        record.actor_id.set(who.id);
        record.actor_name.set(who.name);
        record.session_id.set(self.session.as_deref().unwrap_or_default());
        record.entity_type.set(entity);
        record.entity_id.set(id);
        record.action.set(action);
        record.operation = match (action, method) {
            ("restore", _) => Operation::Restore,
            ("create", _) => Operation::Create,
            (_, "DELETE") => Operation::Delete,
            (_, "GET") => Operation::Read,
            ("process_payment", _) => Operation::Execute,
            _ => Operation::Update,
        };
        request(&mut record, method, route, &route.replace("{id}", id));
        record.ip = who.ip.parse().ok();
        record.user_agent.set(who.agent);
        record.rule.set("rest");
        ends(&mut record, 200, Outcome::Success);
        self.records.push(record);
        let last = self.records.len() - 1;
        &mut self.records[last]
    }

    /// A record of the shop, with what every one of them has.
    fn record(&mut self, at: Timestamp, category: Category) -> Box<Record> {
        let at = Timestamp::from_micros(
            at.as_micros() + i64::try_from(self.dice.below(1_000_000)).unwrap_or(0),
        );
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.dice.roll().to_le_bytes());
        random[8..].copy_from_slice(&self.dice.roll().to_le_bytes()[..2]);
        let mut record = Box::new(Record::default());
        record.id = RecordId::new(at, random);
        record.occurred_at = at;
        record.category = category;
        record.retention_class.set(category.as_str());
        record.severity = 1;
        record.service.set("shop");
        record.environment.set("demo");
        record.duration_us = Some(i64::try_from(900 + self.dice.below(11_000)).unwrap_or(0));
        record
    }

    fn last_order(&self) -> u64 {
        FIRST_ORDER + self.orders.len() as u64
    }

    /// Returns an order that was placed before `at`: a day is told person by person, and what one of them sells in the
    /// afternoon another cannot have cancelled in the morning.
    fn old_order(&mut self, at: Timestamp) -> String {
        let mut number = self.last_order() - self.dice.below(60);
        let placed = |number: u64| {
            let index = usize::try_from(number.checked_sub(FIRST_ORDER + 1)?).ok()?;
            self.orders.get(index)
        };
        while placed(number).is_some_and(|placed| *placed >= at) {
            number -= 1;
        }
        number.to_string()
    }

    fn old_product(&mut self) -> String {
        (1 + self.dice.below(self.last_product)).to_string()
    }
}

fn request(record: &mut Record, method: &str, route: &str, path: &str) {
    record.method.set(method);
    record.route.set(route);
    record.path.set(path);
    record.host.set("shop.example");
    record.http_version.set("HTTP/2.0");
    let request_id = record.id.to_string();
    record.request_id.set(&request_id);
}

/// What the shop answers, and how much of it, where the story has not said so.
fn sizes(record: &mut Record, dice: &mut Dice) {
    let Some(method) = record.method.as_option() else { return };
    let ended = record.action == "logout" || method == "DELETE";
    let mut bytes = |least, most| i64::try_from(least + dice.below(most - least)).ok();
    record.request_bytes = if ended || method == "GET" { Some(0) } else { bytes(24, 320) };
    let (sent, status) = match record.outcome {
        Outcome::Success if ended => (Some(0), Some(204)),
        Outcome::Success => (bytes(44, 900), record.status),
        _ => (bytes(24, 60), record.status),
    };
    record.status = status;
    record.response_bytes = record.response_bytes.or(sent);
}

fn ends(record: &mut Record, status: u16, outcome: Outcome) {
    (record.status, record.outcome) = (Some(status), outcome);
    if outcome != Outcome::Success {
        record.severity = 2;
    }
}

fn administrative(record: &mut Record) {
    record.category = Category::Administration;
    record.retention_class.set("administration");
}

fn change(record: &mut Record, path: &str, old: Value, new: Value) {
    record.changes = json_text(&json!([{ "op": "replace", "path": path, "old": old, "new": new }]));
}

/// The customer moved, and said more than one thing.
fn moved(record: &mut Record, old: &str, new: &str) {
    record.reason.set("the customer moved");
    record.changes = json_text(&json!([
        { "op": "replace", "path": "/shipping", "old": old, "new": new },
        { "op": "replace", "path": "/note", "old": "Please leave it at the front door, before noon",
          "new": "Please leave it at the back door, after noon" },
        { "op": "replace", "path": "/address",
          "old": { "street": "Rua Augusta 1", "city": "Lisbon", "zip": "1100-048", "country": "PT",
                   "contact": { "name": "I. Sousa", "phone": "[REDACTED]" } },
          "new": { "street": "Rua das Flores 12", "city": "Porto", "zip": "4050-262", "country": "PT",
                   "contact": { "name": "I. Sousa", "phone": "[REDACTED]" } } },
        { "op": "add", "path": "/gift", "new": true },
        { "op": "replace", "path": "/card", "old": "[REDACTED]", "new": "[REDACTED]" },
    ]));
}

fn json_text<T: serde::Serialize>(value: &T) -> Json {
    // Values made of literals are JSON already.
    Json::of(value).unwrap_or_default()
}

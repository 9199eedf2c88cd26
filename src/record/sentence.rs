//! A record as a sentence: "ana cancelled order 55", "ana tried to delete product 3: denied".

use std::fmt;

use serde_json::Value;

use super::{
    Record,
    verb::Phrase,
    visible::visible,
    words::{ActorType, Category, Outcome},
};

impl Record {
    /// Returns the record as one sentence for people, safe to print on a terminal.
    ///
    /// The description, where a rule or a handler wrote one; otherwise a sentence made of actor, action,
    /// entity and outcome. It is rendered when it is read and never stored, so its wording may improve.
    ///
    /// # Examples
    ///
    /// ```
    /// use tower_activity::record::{Outcome, Record};
    ///
    /// let mut record = Record::default();
    /// record.actor_id.set("ana");
    /// record.action.set("cancel");
    /// record.entity_type.set("order");
    /// record.entity_id.set("55");
    /// record.outcome = Outcome::Success;
    /// assert_eq!(record.sentence().to_string(), "ana cancelled order 55");
    ///
    /// record.outcome = Outcome::Denied;
    /// assert_eq!(record.sentence().to_string(), "ana tried to cancel order 55: denied");
    /// ```
    #[must_use]
    pub const fn sentence(&self) -> Sentence<'_> {
        Sentence(self)
    }
}

/// What [`Record::sentence`] returns.
#[derive(Debug, Clone, Copy)]
pub struct Sentence<'r>(&'r Record);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        if let Some(description) = record.description.as_option() {
            return visible(description).fmt(f);
        }
        if record.category == Category::System && write_system(f, record)? {
            return Ok(());
        }
        let phrase = Phrase::of(&record.action);
        write_actor(f, record)?;
        if record.outcome == Outcome::Success {
            write!(f, " {}", visible(&phrase.past()))?;
        } else {
            write!(f, " tried to {}", visible(&phrase.verb))?;
        }
        if !phrase.particle.is_empty() {
            write!(f, " {}", phrase.particle)?;
        }
        if !phrase.object.is_empty() {
            write!(f, " {}", visible(&phrase.object))?;
        }
        write_entity(f, record, &phrase)?;
        write_outcome(f, record)
    }
}

fn write_actor(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    let acting = |name: &str, id: &str| {
        let shown = if name.is_empty() { id } else { name };
        (!shown.is_empty()).then(|| visible(shown).to_string())
    };
    if let Some(real) = acting(&record.impersonator_name, &record.impersonator_id) {
        write!(f, "{real} acting as ")?;
    }
    match acting(&record.actor_name, &record.actor_id) {
        Some(actor) => f.write_str(&actor),
        None => f.write_str(match record.actor_type {
            ActorType::Anonymous | ActorType::User => "someone",
            ActorType::Service => "a service",
            ActorType::ApiKey => "an API key",
            ActorType::System => "the system",
            ActorType::Agent => "an agent",
        }),
    }
}

fn write_entity(f: &mut fmt::Formatter<'_>, record: &Record, phrase: &Phrase<'_>) -> fmt::Result {
    let logs_in = phrase.verb == "log" && !phrase.particle.is_empty();
    let (id, name) = (record.entity_id.as_str(), record.entity_name.as_str());
    if logs_in {
        // "logged in" says it all, unless the account is another than the actor.
        return if id.is_empty() || id == record.actor_id.as_str() {
            Ok(())
        } else {
            write!(f, " as {}", shown(id))
        };
    }
    let words = record.entity_type.replace(['_', '.'], " ");
    if words.is_empty() {
        return write_place(f, record);
    }
    if phrase.object == words {
        // `user`/`update_user` names its entity itself.
        if !id.is_empty() {
            write!(f, " {}", shown(id))?;
        }
        return write_parent(f, record);
    }
    if !phrase.object.is_empty() {
        write!(f, " {}", phrase.preposition())?;
    }
    let words = visible(&words).to_string();
    match (id, name) {
        ("", "") => match same_targets(record) {
            count @ 2.. => write!(f, " {count} {}", pluralizer::pluralize(&words, 2, false)),
            _ if matches!(&*phrase.verb, "list" | "search" | "query") => {
                write!(f, " {}", pluralizer::pluralize(&words, 2, false))
            }
            _ => write!(f, " {} {words}", article(&words)),
        },
        (id, "") => write!(f, " {words} {}", shown(id)),
        ("", name) => write!(f, " {words} “{}”", visible(name)),
        (id, name) => write!(f, " {words} {} “{}”", shown(id), visible(name)),
    }?;
    write_parent(f, record)
}

/// Writes an id; of a pseudonym only as much as tells it from others.
fn shown(id: &str) -> String {
    const ENOUGH: usize = 20;
    match id.get(..ENOUGH) {
        Some(start) if id.len() > ENOUGH && id.starts_with("p1.") => format!("{}…", visible(start)),
        _ => visible(id).to_string(),
    }
}

/// Names the thing that contains the one that was acted on.
fn write_parent(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    let targets = targets(record);
    let mut parents = targets.iter().filter(|target| target["relation"] == "parent");
    match parents.next_back().map(|parent| (parent["type"].as_str(), parent["id"].as_str())) {
        Some((Some(kind), Some(id))) => {
            write!(f, " of {} {}", visible(&kind.replace(['_', '.'], " ")), shown(id))
        }
        _ => Ok(()),
    }
}

fn targets(record: &Record) -> Vec<Value> {
    record.targets.as_option().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Where a request went that named no thing.
fn write_place(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    let route = record.route.as_str();
    let place = if route.starts_with('/') { route } else { record.path.as_str() };
    if place.is_empty() { Ok(()) } else { write!(f, " {}", visible(place)) }
}

fn article(words: &str) -> &'static str {
    match words.as_bytes() {
        [b'u', b's' | b'n', b'e' | b'i', ..] => "a",
        [b'a' | b'e' | b'i' | b'o' | b'u', ..] => "an",
        _ => "a",
    }
}

/// Counts the further targets of the entity's own type: a bulk operation has many.
fn same_targets(record: &Record) -> usize {
    let same = |target: &&Value| target["type"].as_str() == Some(record.entity_type.as_str());
    targets(record).iter().filter(same).count()
}

fn write_outcome(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    f.write_str(match record.outcome {
        Outcome::Success => return Ok(()),
        Outcome::Denied => ": denied",
        Outcome::Failure => ": failed",
        Outcome::Aborted => ": aborted",
        Outcome::Unknown => ": outcome unknown",
    })?;
    match record.outcome_reason.as_option() {
        Some(reason) => write!(f, " ({})", visible(&reason.replace('_', " "))),
        None => Ok(()),
    }
}

/// Writes what this crate recorded about itself; returns false when it is like any other record.
fn write_system(f: &mut fmt::Formatter<'_>, record: &Record) -> Result<bool, fmt::Error> {
    let metadata: Value = record
        .metadata
        .as_option()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let count = metadata["count"].as_i64().unwrap_or(0);
    match record.action.as_str() {
        "gap" => {
            let (noun, verb) = if count == 1 { ("record", "is") } else { ("records", "are") };
            write!(f, "{count} {noun} {verb} missing here")?;
            if let Some(reason) = metadata["reason"].as_str() {
                write!(f, ": {}", visible(&reason.replace('_', " ")))?;
            }
        }
        "folded" => {
            write!(f, "{count} more requests")?;
            for (before, key) in [(" to ", "route"), (" from ", "prefix")] {
                if let Some(text) = metadata[key].as_str() {
                    write!(f, "{before}{}", visible(text))?;
                }
            }
            if let Some(status) = metadata["status"].as_u64() {
                write!(f, ", answered {status},")?;
            }
            f.write_str(" were counted and not recorded one by one")?;
        }
        "started" => f.write_str("recording started")?,
        "stopped" => f.write_str("recording stopped")?,
        "restored" => f.write_str("the store was found behind what it had held before")?,
        action @ ("log_viewed" | "log_exported" | "log_ingested") => {
            return write_use(f, record, action, &metadata, count);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Writes what somebody did with the log itself.
fn write_use(
    f: &mut fmt::Formatter<'_>,
    record: &Record,
    action: &str,
    metadata: &Value,
    count: i64,
) -> Result<bool, fmt::Error> {
    let denied = record.outcome == Outcome::Denied;
    let endpoint = metadata["endpoint"].as_str();
    let did = match (action, denied) {
        ("log_viewed", false) if endpoint == Some("live_end") => "stopped following the log",
        ("log_exported", false) => "exported the log",
        ("log_exported", true) => "was refused an export of the log",
        ("log_ingested", false) => "handed in records",
        ("log_ingested", true) => "was refused when handing in records",
        (_, false) => "viewed the log",
        (_, true) => "was refused a view of the log",
    };
    let name = [&record.actor_name, &record.actor_id].into_iter().find_map(|name| name.as_option());
    write!(f, "{} {did}", visible(name.unwrap_or("someone")))?;
    if let Some(endpoint) = endpoint.filter(|endpoint| *endpoint != "live_end") {
        write!(f, " ({})", visible(endpoint))?;
    }
    if count > 1 {
        write!(f, ", {count} more times")?;
    } else if metadata["first_at"].is_string() {
        f.write_str(", once more")?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Json;

    fn record(action: &str, entity: &str, id: &str) -> Record {
        let mut record = Record { outcome: Outcome::Success, ..Record::default() };
        record.actor_type = ActorType::User;
        record.actor_id.set("ana");
        record.action.set(action);
        record.entity_type.set(entity);
        record.entity_id.set(id);
        record
    }

    #[track_caller]
    fn reads(record: &Record, sentence: &str) {
        assert_eq!(record.sentence().to_string(), sentence);
    }

    #[test]
    fn what_was_done_reads_in_the_past() {
        reads(&record("cancel", "order", "55"), "ana cancelled order 55");
        reads(&record("create", "order_item", "7"), "ana created order item 7");
        reads(&record("create", "order", ""), "ana created an order");
        reads(&record("register", "user", ""), "ana registered a user");
        reads(&record("apply_promotion", "order", "55"), "ana applied promotion to order 55");
        reads(&record("process_payment", "order", "55"), "ana processed payment for order 55");
        reads(&record("update_password", "user", "3"), "ana updated password of user 3");
        reads(&record("status_changed", "order", "5"), "ana changed status of order 5");
        reads(&record("login", "user", "ana"), "ana logged in");
        reads(&record("list", "order", ""), "ana listed orders");
        let mut item = record("create", "item", "1");
        item.targets = Json::from_stored(r#"[{"type":"order","id":"55","relation":"parent"}]"#);
        reads(&item, "ana created item 1 of order 55");
        reads(&record("logout", "session", ""), "ana logged out");
    }

    #[test]
    fn what_was_tried_reads_with_its_outcome() {
        let mut denied = record("delete", "product", "3");
        denied.actor_name.set("Ana");
        denied.outcome = Outcome::Denied;
        reads(&denied, "Ana tried to delete product 3: denied");

        let mut panicked = record("read", "", "");
        panicked.outcome = Outcome::Failure;
        panicked.outcome_reason.set("panic");
        panicked.route.set("/api/panic");
        reads(&panicked, "ana tried to read /api/panic: failed (panic)");

        let mut cut = record("download", "report", "");
        cut.outcome = Outcome::Aborted;
        cut.outcome_reason.set("client_disconnect");
        reads(&cut, "ana tried to download a report: aborted (client disconnect)");

        let mut login = record("login_failed", "user", "");
        login.actor_id.clear();
        login.actor_type = ActorType::Anonymous;
        login.outcome = Outcome::Denied;
        reads(&login, "someone tried to log in: denied");
        login.entity_id.set("p1.416eb3ef.h-TsZaiFzb_ly6yo-lDjtgDAUa2f4w83Uwv3Kvz7TJI");
        reads(&login, "someone tried to log in as p1.416eb3ef.h-TsZaiF…: denied");
    }

    #[test]
    fn bulk_and_borrowed_identities_are_told() {
        let mut bulk = record("delete", "product", "");
        bulk.targets = Json::from_stored(
            r#"[{"type":"product","id":"1"},{"type":"product","id":"2"},{"type":"shop","id":"9"}]"#,
        );
        bulk.impersonator_id.set("root");
        reads(&bulk, "root acting as ana deleted 2 products");
    }

    #[test]
    fn what_is_missing_is_told_with_its_number() {
        let mut gap = record("gap", "", "");
        gap.category = Category::System;
        gap.metadata = Json::from_stored(r#"{"count":12,"reason":"queue_full"}"#);
        reads(&gap, "12 records are missing here: queue full");

        gap.action.set("folded");
        gap.metadata = Json::from_stored(
            r#"{"count":240,"route":"/login","status":401,"prefix":"203.0.113.0/24"}"#,
        );
        reads(
            &gap,
            "240 more requests to /login from 203.0.113.0/24, answered 401, were counted and not \
             recorded one by one",
        );
    }

    #[test]
    fn hostile_names_cannot_leave_the_line() {
        let mut hostile = record("cancel\u{1b}[2J", "order\n", "5\r5");
        hostile.entity_name.set("\u{202e}x");
        reads(&hostile, r"ana cancel\u{1b}[2Jed order\n 5\r5 “\u{202e}x”");
    }
}

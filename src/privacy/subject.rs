//! Which groups of a record are about somebody.

use serde_json::{Value, value::RawValue};

use super::{asked, keys::Keys};
use crate::record::{ActorType, Category, Group, Groups, Json, Origin, Record};

/// The actions of the records that tell of erasures, and of what holds keep of them.
const ERASED: [&str; 2] = ["erased", "restricted"];

/// Returns the groups of a record that are about the person whose names `is` knows, there or not.
///
/// Who acted, acted as somebody else, or whose data it is: `identity` and `content`, and of the first two `network`,
/// from where they came. Whom it was done to, being a thing of one of `types`, or the account that a failed login tried:
/// `target` and `content`. `instead` names the groups whatever the part; empty where the part decides.
///
/// A service, a key and the application itself are programs, and none of them is a person of the same id, unless `types`
/// has the word for it (`api_key`).
///
/// A consent is evidence that is kept, and so is who erased somebody. What else the log says of itself is about nobody:
/// of it only who acted goes, and from where; and what was asked about him, `content`, of whoever used the log.
pub(crate) fn concerned(
    record: &Record,
    types: &[String],
    instead: Groups,
    is: impl Fn(&str) -> bool,
) -> Groups {
    let of_the_log = record.origin == Origin::System && record.category == Category::System;
    if record.category == Category::Consent
        || (of_the_log && ERASED.contains(&record.action.as_str()))
    {
        return Groups::NONE;
    }
    let groups = instead_of(part(record, types, &is), instead);
    if !of_the_log {
        return groups;
    }
    let own = Groups::of(Group::Identity).and(Groups::of(Group::Network));
    groups.within(own).and(instead_within(asked_about(record, &is), instead))
}

/// As [`concerned`], of evidence too, and of whatever the log says of itself.
#[cfg(feature = "api")]
pub(crate) fn concerns(record: &Record, types: &[String], is: impl Fn(&str) -> bool) -> Groups {
    part(record, types, &is).and(asked_about(record, &is))
}

/// Returns what the part that somebody has in a record makes his.
fn part(record: &Record, types: &[String], is: &impl Fn(&str) -> bool) -> Groups {
    let is = |text: &str| !text.is_empty() && is(text);
    let of = Groups::of;
    let mut groups = Groups::NONE;
    let acted = !is_program(record, types) && is(&record.actor_id);
    if acted || is(&record.impersonator_id) {
        let from = of(Group::Network).and(of(Group::Content));
        groups = groups.and(of(Group::Identity)).and(from);
    }
    if subjects(record).iter().any(|id| is(id)) {
        groups = groups.and(of(Group::Identity)).and(of(Group::Content));
    }
    let person = |kind: &str| types.iter().any(|one| one.eq_ignore_ascii_case(kind));
    // What stands there as the pseudonym of an account is nothing else than that, whatever a rule calls it.
    let thing = person(&record.entity_type) || Keys::is_pseudonym(&record.entity_id);
    let target = (thing && is(&record.entity_id))
        || targets(record).iter().any(|target| person(&target.kind) && is(&target.id));
    if target {
        groups = groups.and(of(Group::Target)).and(of(Group::Content));
    }
    groups
}

/// Tells whether whoever acted is no person.
fn is_program(record: &Record, types: &[String]) -> bool {
    let kind = record.actor_type;
    matches!(kind, ActorType::Service | ActorType::ApiKey | ActorType::System)
        && !types.iter().any(|one| one.eq_ignore_ascii_case(kind.as_str()))
}

/// Returns `content` where somebody who used the log asked about him.
fn asked_about(record: &Record, is: &impl Fn(&str) -> bool) -> Groups {
    match asked::words(record).iter().any(|word| is(word)) {
        true => Groups::of(Group::Content),
        false => Groups::NONE,
    }
}

fn instead_of(groups: Groups, instead: Groups) -> Groups {
    if groups.is_empty() || instead.is_empty() { groups } else { instead }
}

fn instead_within(groups: Groups, instead: Groups) -> Groups {
    if instead.is_empty() { groups } else { groups.within(instead) }
}

/// Returns every id in a record that may be a person's.
pub(crate) fn ids(record: &Record) -> Vec<String> {
    let own = [&record.actor_id, &record.impersonator_id, &record.entity_id];
    let own = own.into_iter().filter_map(|id| id.as_option()).map(str::to_owned);
    let targets = targets(record).into_iter().map(|target| target.id);
    let mut ids: Vec<_> =
        own.chain(subjects(record)).chain(targets).chain(asked::words(record)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

pub(super) fn subjects(record: &Record) -> Vec<String> {
    elements(&record.subject_ids).iter().filter_map(text).collect()
}

struct Target {
    kind: String,
    id: String,
}

fn targets(record: &Record) -> Vec<Target> {
    let target = |target: &Value| {
        Some(Target { kind: text(&target["type"]).unwrap_or_default(), id: text(&target["id"])? })
    };
    elements(&record.targets).iter().filter_map(target).collect()
}

/// Reads one by one what an application may have put there: what is of no use beside a name does not hide it.
pub(super) fn elements(json: &Json) -> Vec<Value> {
    match json.is_absent() {
        true => Vec::new(),
        false => {
            let all: Vec<&RawValue> = serde_json::from_str(json.as_str()).unwrap_or_default();
            // A number beyond all bounds hides nobody beside it.
            let read = |one: &&RawValue| {
                serde_json::from_str(one.get()).unwrap_or_else(|_| Value::from(one.get()))
            };
            all.iter().map(read).collect()
        }
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ana(record: &Record) -> String {
        concerned(record, &["user".to_owned()], Groups::NONE, |id| id == "ana").to_string()
    }

    #[test]
    fn the_part_that_somebody_has_decides_what_is_about_him() {
        let mut record = Record::default();
        assert_eq!(of_ana(&record), "");
        record.actor_id.set("ana");
        assert_eq!(of_ana(&record), "inc");
        let all = concerned(&record, &[], Groups::ALL, |id| id == "ana");
        assert_eq!(all, Groups::ALL);
        record.category = Category::Consent;
        assert_eq!(of_ana(&record), "");

        let subject_ids = Json::from_stored("[\"bob\",\"ana\"]");
        let record = Record { subject_ids, ..Record::default() };
        assert_eq!(of_ana(&record), "ic");
        let mut record = Record::default();
        record.entity_id.set("ana");
        record.entity_type.set("order");
        assert_eq!(of_ana(&record), "");
        record.entity_type.set("User");
        assert_eq!(of_ana(&record), "tc");
        let targets = Json::from_stored("[{\"type\":\"user\",\"id\":\"ana\",\"relation\":\"x\"}]");
        let record = Record { targets, ..Record::default() };
        assert_eq!(of_ana(&record), "tc");
        // Beside what names nobody.
        let subject_ids = Json::from_stored("[7,null,\"ana\"]");
        let targets = Json::from_stored(
            "[{\"type\":\"user\",\"id\":null},1,{\"type\":\"user\",\"id\":\"ana\"}]",
        );
        let record = Record { subject_ids, targets, ..Record::default() };
        assert_eq!(of_ana(&record), "itc");
        assert_eq!(ids(&record), ["7", "ana"]);
    }

    #[test]
    fn a_program_of_the_same_id_is_another() {
        let mut record = Record::default();
        record.actor_id.set("ana");
        let types = |also: &str| ["user".to_owned(), also.to_owned()];
        let about = |record: &Record, also: &str| {
            concerned(record, &types(also), Groups::NONE, |id| id == "ana").to_string()
        };
        for (kind, groups) in [
            (ActorType::User, "inc"),
            (ActorType::Agent, "inc"),
            (ActorType::Anonymous, "inc"),
            (ActorType::ApiKey, ""),
            (ActorType::Service, ""),
            (ActorType::System, ""),
        ] {
            record.actor_type = kind;
            assert_eq!(about(&record, "customer"), groups, "{kind:?}");
            assert_eq!(about(&record, kind.as_str()), "inc", "{kind:?}");
        }
        // Who sent it is somebody all the same, and so is whose data it is.
        record.actor_type = ActorType::Service;
        record.subject_ids = Json::from_stored("[\"ana\"]");
        assert_eq!(about(&record, "customer"), "ic");
        record.impersonator_id.set("ana");
        assert_eq!(about(&record, "customer"), "inc");
    }

    #[test]
    fn the_account_that_a_login_tried_is_a_person_whatever_a_rule_calls_it() {
        let keys = Keys::ephemeral();
        let account = keys.pseudonym(Keys::ACCOUNT, None, "ana");
        let mut record = Record::default();
        record.entity_id.set(&account);
        record.entity_type.set("session");
        let about = |record: &Record| {
            concerned(record, &["user".to_owned()], Groups::NONE, |id| id == account).to_string()
        };
        assert_eq!(about(&record), "tc");
        record.entity_id.set("ana");
        assert_eq!(about(&record), "");
    }

    #[test]
    fn what_the_log_says_of_itself_stays() {
        let mut record =
            Record { origin: Origin::System, category: Category::System, ..Record::default() };
        record.actor_id.set("ana");
        assert_eq!(of_ana(&record), "in");
        // But for what was asked about her.
        record.actor_id.set("bob");
        record.metadata = Json::from_stored(r#"{"asked":"/records?actor_id=ana"}"#);
        assert_eq!(of_ana(&record), "");
        record.action.set("log_viewed");
        assert_eq!(of_ana(&record), "c");
        assert!(ids(&record).contains(&"ana".to_owned()));
        record.actor_id.set("ana");
        assert_eq!(of_ana(&record), "inc");
    }
}

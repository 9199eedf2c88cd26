//! What is about other people in a record that is shown to one of them.
//!
//! **Goes in:** a record, and whose it is to be. **Comes out:** the record without what is about others, and which of
//! its groups are not as they were: of those no proof can be opened without showing what was masked.

use std::collections::BTreeSet;

use serde_json::Value as Any;

use super::{asked, keys::Keys, subject};
use crate::record::{ActorType, Group, Groups, Json, Record, Text};

/// What stands where something about somebody else stood.
pub const MASKED: &str = "[MASKED]";

/// Shorter names are masked only where they stand alone: `7` is in every text.
const SHORT: usize = 3;

/// Masks whatever a record has about others than the person whose names `is` knows; things of one of `types` are
/// persons. Returns the groups that lost something, and tells of it among the record's `redactions`.
///
/// - Whoever acted and is somebody else, and with him his session, his credential and the `network` from where he came.
///   Programs are nobody.
/// - Things and targets that are other persons, and other persons whose data it is.
/// - What was changed, said and sent (`changes`, `metadata`, bodies) where it is about another person and not about
///   this one; elsewhere, and in description, reason, path and query, the names and ids of the others.
pub(crate) fn mask(record: &mut Record, types: &[String], is: impl Fn(&str) -> bool) -> Groups {
    let before = record.clone();
    let others = Others::in_record(record, types, &is);
    others.mask_identity(record);
    others.mask_network(record);
    others.mask_targets(record);
    others.mask_content(record);
    let mut said = Vec::new();
    let mut groups = Groups::NONE;
    for field in Record::FIELDS.iter().filter(|field| field.group() != Group::Sealed) {
        if field.value(record) != field.value(&before) {
            groups = groups.and(Groups::of(field.group()));
            said.push(serde_json::json!({ "field": field.name(), "path": "", "method": "masked" }));
        }
    }
    if !said.is_empty() {
        let mut all: Vec<Any> =
            serde_json::from_str(record.redactions.as_str()).unwrap_or_default();
        all.extend(said);
        record.redactions = Json::of(&all).unwrap_or_default();
    }
    groups
}

/// The others in a record.
struct Others<'t, F> {
    types: &'t [String],
    is: F,
    actor: bool,
    impersonator: bool,
    /// Whoever really acted is this person, or a program.
    came_himself: bool,
    /// It is about another person, and not about this one.
    about_another: bool,
    /// Their ids and names, the longest first.
    names: Vec<String>,
}

impl<'t, F: Fn(&str) -> bool> Others<'t, F> {
    fn in_record(record: &Record, types: &'t [String], is: F) -> Self {
        let other = |id: &Text| !id.is_absent() && !is(id);
        let program = matches!(record.actor_type, ActorType::Service | ActorType::System);
        let actor = other(&record.actor_id) && !program;
        let impersonator = other(&record.impersonator_id);
        let mut names = BTreeSet::new();
        let mut add = |texts: &[&Text]| {
            names.extend(texts.iter().filter_map(|text| text.as_option()).map(str::to_owned));
        };
        if actor {
            add(&[&record.actor_id, &record.actor_name]);
        }
        if impersonator {
            add(&[&record.impersonator_id, &record.impersonator_name]);
        }
        let person = is_thing(types, record);
        let (mut himself, mut another) = (person && is(&record.entity_id), false);
        if person && other(&record.entity_id) {
            another = true;
            add(&[&record.entity_id, &record.entity_name]);
        }
        for id in subject::subjects(record) {
            if is(&id) {
                himself = true;
            } else {
                another = true;
                names.insert(id);
            }
        }
        for target in subject::elements(&record.targets) {
            let text = |name: &str| subject::text(&target[name]).unwrap_or_default();
            let id = text("id");
            if is_person(types, &text("type")) && !id.is_empty() {
                if is(&id) {
                    himself = true;
                } else {
                    another = true;
                    names.extend([id, text("name")]);
                }
            }
        }
        let came_himself = match record.impersonator_id.as_option() {
            Some(id) => is(id),
            None => program || is(&record.actor_id),
        };
        let mut names: Vec<_> =
            names.into_iter().filter(|name| !name.trim().is_empty() && !is(name)).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let about_another = another && !himself;
        Self { types, is, actor, impersonator, came_himself, about_another, names }
    }

    fn mask_identity(&self, record: &mut Record) {
        if self.actor {
            hide(&mut [&mut record.actor_id, &mut record.actor_name]);
        }
        if self.impersonator {
            hide(&mut [&mut record.impersonator_id, &mut record.impersonator_name]);
        }
        if !self.came_himself {
            hide(&mut [&mut record.credential_id, &mut record.session_id]);
        }
        let mut subjects = subject::elements(&record.subject_ids);
        let mut masked = false;
        for id in subjects.iter_mut().filter(|id| !id.is_null()) {
            // What is no id at all may hold one.
            if !subject::text(id).is_some_and(|id| (self.is)(&id)) {
                *id = MASKED.into();
                masked = true;
            }
        }
        if masked {
            record.subject_ids = Json::of(&subjects).unwrap_or_default();
        }
    }

    fn mask_network(&self, record: &mut Record) {
        if self.came_himself {
            self.mask_place(&mut record.path, &['/']);
            self.mask_place(&mut record.query, &['&', '=']);
            return;
        }
        record.ip = None;
        hide(&mut [
            &mut record.ip_pseudonym,
            &mut record.user_agent,
            &mut record.path,
            &mut record.query,
        ]);
        hide_json(&mut [&mut record.forwarded, &mut record.location]);
    }

    fn mask_targets(&self, record: &mut Record) {
        if is_thing(self.types, record) && !(self.is)(&record.entity_id) {
            hide(&mut [&mut record.entity_id, &mut record.entity_name]);
        }
        let mut targets = subject::elements(&record.targets);
        let mut masked = false;
        for target in &mut targets {
            if !target.is_object() && !target.is_null() {
                *target = MASKED.into();
                masked = true;
                continue;
            }
            let text = |name: &str| subject::text(&target[name]).unwrap_or_default();
            if is_person(self.types, &text("type")) && !(self.is)(&text("id")) {
                for name in ["id", "name"] {
                    if let Some(value) = target.get_mut(name).filter(|value| !value.is_null()) {
                        *value = MASKED.into();
                        masked = true;
                    }
                }
            }
        }
        if masked {
            record.targets = Json::of(&targets).unwrap_or_default();
        }
    }

    fn mask_content(&self, record: &mut Record) {
        self.mask_names(&mut record.description);
        self.mask_names(&mut record.reason);
        // Of questions about the log nobody knows which of their words are other people.
        if self.about_another || asked::is_use(record) {
            hide(&mut [&mut record.request_body, &mut record.response_body]);
            hide_json(&mut [&mut record.changes, &mut record.metadata]);
            return;
        }
        for json in [&mut record.changes, &mut record.metadata] {
            match self.masked_json(json.as_str()) {
                Masked::Not => {}
                Masked::As(masked) => *json = Json::from_stored(masked),
                Masked::Unreadable => hide_json(&mut [json]),
            }
        }
        for body in [&mut record.request_body, &mut record.response_body] {
            match self.masked_json(body) {
                Masked::As(masked) => body.set(&masked),
                Masked::Not | Masked::Unreadable => self.mask_names(body),
            }
        }
    }

    /// Returns JSON without the names.
    fn masked_json(&self, text: &str) -> Masked {
        if self.names.is_empty() || text.is_empty() {
            return Masked::Not;
        }
        let Ok(mut value) = serde_json::from_str::<Any>(text) else { return Masked::Unreadable };
        match self.mask_value(&mut value) {
            true => Masked::As(value.to_string()),
            false => Masked::Not,
        }
    }

    /// Masks what stands between `ends` and is a name, as it was sent or decoded (RFC 3986), and names as words.
    fn mask_place(&self, text: &mut Text, ends: &[char]) {
        if self.names.is_empty() || text.is_absent() {
            return;
        }
        let mut out = String::new();
        for part in text.split_inclusive(ends) {
            let (part, end) = match part.strip_suffix(ends) {
                Some(inner) => (inner, &part[inner.len()..]),
                None => (part, ""),
            };
            let spaced = part.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy();
            // An id that is short, too: it is all there is between the ends.
            let is_name = self.names.iter().any(|name| *name == decoded || name == part);
            let masked = if is_name { Some(MASKED.to_owned()) } else { self.masked(&decoded) };
            out.push_str(masked.as_deref().unwrap_or(part));
            out.push_str(end);
        }
        if out != text.as_str() {
            text.set(&out);
        }
    }

    fn mask_value(&self, value: &mut Any) -> bool {
        match value {
            Any::String(text) => match self.masked(text) {
                Some(masked) => {
                    *text = masked;
                    true
                }
                None => false,
            },
            // An id may be a number.
            Any::Number(number) if self.names.contains(&number.to_string()) => {
                *value = MASKED.into();
                true
            }
            Any::Array(values) => {
                values.iter_mut().fold(false, |any, one| self.mask_value(one) | any)
            }
            Any::Object(members) => {
                let mut any = false;
                let was = std::mem::take(members);
                for (key, mut value) in was {
                    any |= self.mask_value(&mut value);
                    let masked = self.masked(&key);
                    any |= masked.is_some();
                    members.insert(masked.unwrap_or(key), value);
                }
                any
            }
            Any::Null | Any::Bool(_) | Any::Number(_) => false,
        }
    }

    fn mask_names(&self, text: &mut Text) {
        if let Some(masked) = self.masked(text) {
            text.set(&masked);
        }
    }

    /// Returns a text without the names; `None` where there was none in it.
    fn masked(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for name in &self.names {
            let now = masked.as_deref().unwrap_or(text);
            if let Some(without) = replaced(now, name) {
                masked = Some(without);
            }
        }
        masked
    }
}

/// What came of JSON that may have names in it.
enum Masked {
    Not,
    As(String),
    /// It is none that can be read.
    Unreadable,
}

/// Replaces a name wherever it stands as a word.
fn replaced(text: &str, name: &str) -> Option<String> {
    if name.chars().count() < SHORT {
        return (text == name).then(|| MASKED.to_owned());
    }
    let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut out, mut from) = (String::new(), 0);
    for (at, _) in text.match_indices(name) {
        let end = at + name.len();
        if is_part(text[..at].chars().next_back()) || is_part(text[end..].chars().next()) {
            continue;
        }
        out.push_str(&text[from..at]);
        out.push_str(MASKED);
        from = end;
    }
    (from > 0).then(|| out + &text[from..])
}

/// Tells whether what something was done to is a person; the account that a login tried is, whatever a rule calls it.
fn is_thing(types: &[String], record: &Record) -> bool {
    is_person(types, &record.entity_type) || Keys::is_pseudonym(&record.entity_id)
}

fn is_person(types: &[String], kind: &str) -> bool {
    types.iter().any(|one| one.eq_ignore_ascii_case(kind))
}

fn hide(texts: &mut [&mut Text]) {
    for text in texts.iter_mut().filter(|text| !text.is_absent()) {
        text.set(MASKED);
    }
}

fn hide_json(texts: &mut [&mut Json]) {
    for json in texts.iter_mut().filter(|json| !json.is_absent()) {
        **json = Json::from_stored(format!("\"{MASKED}\""));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::{Category, Origin};

    fn types() -> Vec<String> {
        vec!["user".to_owned()]
    }

    fn for_ana(record: &Record) -> (Record, String) {
        let mut shown = record.clone();
        let groups = mask(&mut shown, &types(), |id| id == "ana");
        (shown, groups.to_string())
    }

    fn of_bob() -> Record {
        let mut record = Record { actor_type: ActorType::User, ..Record::default() };
        record.actor_id.set("bob");
        record.actor_name.set("Bob Ross");
        record.session_id.set("p1.x");
        record.ip = "192.0.2.7".parse().ok();
        record.user_agent.set("curl");
        record.forwarded = Json::of(&["192.0.2.7"]).unwrap();
        record.entity_type.set("user");
        record.entity_id.set("ana");
        record.entity_name.set("Ana");
        record.description.set("Bob Ross (bob) renamed ana");
        record.metadata = Json::of(&json!({ "by": "bob", "n": 1.50, "who": "ana" })).unwrap();
        record
    }

    #[test]
    fn of_what_somebody_did_to_her_she_sees_what_and_not_who() {
        let (shown, groups) = for_ana(&of_bob());
        assert_eq!(groups, "inc");
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains("bob") && !text.contains("Bob"), "{text}");
        assert!(!text.contains("192.0.2.7") && !text.contains("curl") && !text.contains("p1.x"));
        assert_eq!((shown.entity_id.as_str(), shown.entity_name.as_str()), ("ana", "Ana"));
        assert_eq!(shown.description, "[MASKED] ([MASKED]) renamed ana");
        assert_eq!(shown.metadata.as_str(), r#"{"by":"[MASKED]","n":1.5,"who":"ana"}"#);
        let said = shown.redactions.as_str();
        assert!(said.contains(r#""field":"actor_name""#) && said.contains("\"masked\""), "{said}");
    }

    #[test]
    fn of_what_she_did_to_somebody_she_sees_all_but_him() {
        let mut record = of_bob();
        record.actor_id.set("ana");
        record.actor_name.set("Ana");
        record.entity_id.set("bob");
        record.entity_name.set("Bob Ross");
        record.path.set("/users/bob");
        record.changes =
            Json::of(&json!([{ "op": "replace", "path": "/email", "new": "x@y" }])).unwrap();
        let (shown, groups) = for_ana(&record);
        assert_eq!(groups, "ntc");
        assert_eq!((shown.actor_id.as_str(), shown.session_id.as_str()), ("ana", "p1.x"));
        assert!(shown.ip.is_some());
        assert_eq!((shown.path.as_str(), shown.entity_id.as_str()), ("/users/[MASKED]", MASKED));
        assert_eq!(shown.changes.as_str(), "\"[MASKED]\"");
        assert_eq!(shown.description, "[MASKED] ([MASKED]) renamed ana");
    }

    #[test]
    fn whoever_acted_as_her_is_somebody_else_and_so_are_others_beside_her() {
        let mut record = of_bob();
        record.actor_id.set("ana");
        record.impersonator_id.set("support-7");
        record.entity_type.set("team");
        record.subject_ids = Json::of(&["eve", "ana"]).unwrap();
        record.targets = Json::of(
            &json!([{ "type": "user", "id": "eve", "name": "Eve" }, { "type": "user", "id": "ana" },
            { "type": "file", "id": "7" }]),
        )
        .unwrap();
        record.metadata = Json::of(&json!({ "eve": [7, "ana"] })).unwrap();
        let (shown, groups) = for_ana(&record);
        assert_eq!(groups, "intc");
        assert_eq!((shown.actor_id.as_str(), shown.impersonator_id.as_str()), ("ana", MASKED));
        assert!(shown.ip.is_none() && shown.session_id == MASKED);
        assert_eq!(shown.subject_ids.as_str(), r#"["[MASKED]","ana"]"#);
        assert!(
            !shown.targets.as_str().contains("ve\"") && shown.targets.as_str().contains("\"7\"")
        );
        assert_eq!(shown.metadata.as_str(), r#"{"[MASKED]":[7,"ana"]}"#);
    }

    #[test]
    fn what_an_application_put_there_in_its_own_way_hides_nobody() {
        let mut record = of_bob();
        record.actor_id.set("ana");
        record.subject_ids = Json::from_stored(r#"["ana",null,70007,{"id":"bob"}]"#);
        record.targets =
            Json::from_stored(r#"[{"type":"user","id":70007,"name":"Eve"},{"id":null},"bob"]"#);
        let (shown, groups) = for_ana(&record);
        assert_eq!(groups, "it");
        assert_eq!(shown.subject_ids.as_str(), r#"["ana",null,"[MASKED]","[MASKED]"]"#);
        let targets: serde_json::Value = serde_json::from_str(shown.targets.as_str()).unwrap();
        let eve = json!({ "type": "user", "id": MASKED, "name": MASKED });
        assert_eq!(targets, json!([eve, { "id": null }, MASKED]));
    }

    #[test]
    fn a_name_is_masked_however_it_is_spelt_in_an_address() {
        let mut record = of_bob();
        record.actor_id.set("ana");
        record.actor_name.set("Ana");
        record.entity_id.set("Bob Ross");
        record.entity_name.clear();
        record.path.set("/users/Bob%20Ross/orders/Bob%20Ross-7");
        record.query.set("of=Bob+Ross&by=ana&n=100");
        let (shown, _) = for_ana(&record);
        assert_eq!(shown.path.as_str(), "/users/[MASKED]/orders/[MASKED]-7");
        assert_eq!(shown.query.as_str(), "of=[MASKED]&by=ana&n=100");
        // A short id is masked where it is all there is.
        record.entity_id.set("42");
        record.path.set("/users/42/orders/420");
        record.query.set("user=42&n=420");
        let (shown, _) = for_ana(&record);
        assert_eq!(shown.path.as_str(), "/users/[MASKED]/orders/420");
        assert_eq!(shown.query.as_str(), "user=[MASKED]&n=420");
    }

    #[test]
    fn what_cannot_be_read_or_told_apart_is_masked_whole() {
        let mut record = of_bob();
        record.metadata = Json::from_stored(r#"{"n":1e999,"by":"bob"}"#);
        record.subject_ids = Json::from_stored(r#"[1e999,"ana"]"#);
        let (shown, _) = for_ana(&record);
        assert_eq!(shown.metadata.as_str(), "\"[MASKED]\"");
        assert_eq!(shown.subject_ids.as_str(), r#"["[MASKED]","ana"]"#);
        // Somebody asked the log for her, and in the same minute for another.
        let mut record = of_bob();
        (record.origin, record.category) = (Origin::System, Category::System);
        record.action.set("log_viewed");
        record.entity_type.clear();
        record.entity_id.clear();
        record.metadata = Json::from_stored(r#"{"asked":["/actors/ana","/actors/eve"],"count":2}"#);
        let (shown, groups) = for_ana(&record);
        assert_eq!((shown.metadata.as_str(), groups.contains('c')), ("\"[MASKED]\"", true));
    }

    #[test]
    fn what_is_hers_alone_stays_to_the_letter() {
        let mut record = of_bob();
        record.actor_id.set("ana");
        record.metadata = Json::from_stored(r#"{"a":1.50,"a":2}"#);
        let (shown, groups) = for_ana(&record);
        assert_eq!((groups.as_str(), shown), ("", record.clone()));
        // A program is nobody.
        let mut record = of_bob();
        record.actor_type = ActorType::Service;
        assert_eq!(for_ana(&record).1, "");
        // Nobody known may be somebody.
        record.actor_type = ActorType::Anonymous;
        record.actor_id.clear();
        assert_eq!(for_ana(&record).1, "in");
    }

    #[test]
    fn a_name_is_masked_as_a_word() {
        assert_eq!(
            replaced("bob, bobby and Jim-bob", "bob").unwrap(),
            "[MASKED], bobby and Jim-[MASKED]"
        );
        assert_eq!(replaced("70 of 7", "7"), None);
        assert_eq!(replaced("7", "7").unwrap(), MASKED);
        assert_eq!(replaced("Zoë saw Zoëy", "Zoë").unwrap(), "[MASKED] saw Zoëy");
    }
}

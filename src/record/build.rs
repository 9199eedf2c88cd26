//! Building a record by hand: what happened outside of a request.

use serde::Serialize;

use super::{
    Record,
    actor::Actor,
    diff::diff,
    text::Json,
    words::{Category, Operation, Outcome},
};
use crate::time::Timestamp;

/// Builders for manual records.
///
/// ```
/// use tower_activity::record::{Actor, Record};
///
/// let shipped = Record::by(Actor::service("warehouse"))
///     .verb("ship")
///     .on("order", "55")
///     .tenant("acme")
///     .metadata(&serde_json::json!({"parcels": 2}))
///     .describe("parcel handed to the carrier");
/// assert_eq!(shipped.action, "ship");
/// assert_eq!(shipped.entity_id, "55");
/// ```
impl Record {
    /// Begins a record of something that `actor` did, with outcome `success` until told otherwise.
    #[must_use]
    pub fn by(actor: impl Into<Actor>) -> Self {
        let mut record = Self { outcome: Outcome::Success, ..Self::default() };
        record.set_actor(&actor.into());
        record
    }

    /// Sets who acted, replacing what was set before.
    pub fn set_actor(&mut self, actor: &Actor) {
        self.actor_type = actor.kind();
        self.actor_id.set(actor.id().trim());
        self.actor_name.set(actor.name().trim());
    }

    /// Sets what was done: a verb in snake case, such as `ship`. Required.
    #[must_use]
    pub fn verb(mut self, action: &str) -> Self {
        self.set_verb(action);
        self
    }

    /// As [`verb`](Self::verb), in place.
    pub(crate) fn set_verb(&mut self, action: &str) {
        self.action.set(action.trim());
        self.operation = operation_of(self.action.as_str());
    }

    /// Sets the thing that it was done to.
    #[must_use]
    pub fn on(mut self, entity_type: &str, entity_id: &str) -> Self {
        self.entity_type.set(entity_type.trim());
        self.entity_id.set(entity_id.trim());
        self
    }

    /// Sets the thing's name as it is now.
    #[must_use]
    pub fn titled(mut self, entity_name: &str) -> Self {
        self.entity_name.set(entity_name.trim());
        self
    }

    /// Sets the application's module, for feeds.
    #[must_use]
    pub fn channel(mut self, channel: &str) -> Self {
        self.channel.set(channel.trim());
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn tenant(mut self, tenant_id: &str) -> Self {
        self.tenant_id.set(tenant_id.trim());
        self
    }

    /// Sets the organisation.
    #[must_use]
    pub fn org(mut self, org_id: &str) -> Self {
        self.org_id.set(org_id.trim());
        self
    }

    /// Sets when it happened. Defaults to the moment of recording.
    #[must_use]
    pub fn occurred_at(mut self, at: Timestamp) -> Self {
        self.occurred_at = at;
        self
    }

    /// Sets what kind of fact it is. Defaults to `activity`.
    #[must_use]
    pub fn category(mut self, category: Category) -> Self {
        self.category = category;
        self
    }

    /// Sets how it ended, with a word for the reason where there is one.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome, reason: &str) -> Self {
        self.outcome = outcome;
        self.outcome_reason.set(reason.trim());
        self
    }

    /// Sets a sentence that says what happened.
    #[must_use]
    pub fn describe(mut self, description: &str) -> Self {
        self.description.set(description.trim());
        self
    }

    /// Sets the actor's own justification.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason.set(reason.trim());
        self
    }

    /// Sets the application's own facts, preferably a flat object.
    ///
    /// A value that cannot be written as JSON leaves a note of that in its place.
    #[must_use]
    pub fn metadata<T: Serialize + ?Sized>(mut self, facts: &T) -> Self {
        self.metadata = written(facts);
        self
    }

    /// Keeps what changed between two states of the thing, field by field, as a list of
    /// `{"op","path","old","new"}` with JSON pointers (RFC 6901) for paths. Equal states leave it empty.
    ///
    /// A state that cannot be written as JSON leaves a note of that in its place.
    ///
    /// ```
    /// use serde_json::json;
    /// use tower_activity::Record;
    ///
    /// let (before, after) = (json!({"state": "open"}), json!({"state": "paid"}));
    /// let record = Record::by("ana").verb("pay").on("order", "55").changes(&before, &after);
    /// assert_eq!(
    ///     record.changes.as_str(),
    ///     r#"[{"op":"replace","path":"/state","old":"open","new":"paid"}]"#
    /// );
    /// ```
    #[must_use]
    pub fn changes<B, A>(self, before: &B, after: &A) -> Self
    where
        B: Serialize + ?Sized,
        A: Serialize + ?Sized,
    {
        let mut record = self;
        match changed(before, after) {
            Ok(changes) => record.changes = changes,
            Err(error) => {
                let note = serde_json::json!([{ "[NOT WRITTEN]": error.to_string() }]);
                record.changes = Json::from_stored(note.to_string());
            }
        }
        record
    }

    /// As [`changes`](Self::changes), for whoever would rather know of states that cannot be written.
    pub(crate) fn try_changes<B, A>(
        mut self,
        before: &B,
        after: &A,
    ) -> Result<Self, serde_json::Error>
    where
        B: Serialize + ?Sized,
        A: Serialize + ?Sized,
    {
        self.changes = changed(before, after)?;
        Ok(self)
    }

    /// Says that the thing was created.
    #[must_use]
    pub fn created(self, entity_type: &str, entity_id: &str) -> Self {
        self.verb("create").on(entity_type, entity_id)
    }

    /// Says that the thing was changed.
    #[must_use]
    pub fn updated(self, entity_type: &str, entity_id: &str) -> Self {
        self.verb("update").on(entity_type, entity_id)
    }

    /// Says that the thing was deleted.
    #[must_use]
    pub fn deleted(self, entity_type: &str, entity_id: &str) -> Self {
        self.verb("delete").on(entity_type, entity_id)
    }

    /// Says that the thing was brought back.
    #[must_use]
    pub fn restored(self, entity_type: &str, entity_id: &str) -> Self {
        self.verb("restore").on(entity_type, entity_id)
    }

    /// Says that the thing was completed.
    #[must_use]
    pub fn completed(self, entity_type: &str, entity_id: &str) -> Self {
        self.verb("complete").on(entity_type, entity_id)
    }

    /// Says that the thing was cancelled.
    #[must_use]
    pub fn cancelled(self, entity_type: &str, entity_id: &str) -> Self {
        self.verb("cancel").on(entity_type, entity_id)
    }

    /// Says that the thing was assigned to somebody.
    #[must_use]
    pub fn assigned(self, entity_type: &str, entity_id: &str, to: &str) -> Self {
        self.verb("assign").on(entity_type, entity_id).target("user", to, "assignee")
    }

    /// Says that the thing was taken from somebody.
    #[must_use]
    pub fn unassigned(self, entity_type: &str, entity_id: &str, from: &str) -> Self {
        self.verb("unassign").on(entity_type, entity_id).target("user", from, "assignee")
    }

    /// Says that somebody became a member of the thing.
    #[must_use]
    pub fn member_added(self, entity_type: &str, entity_id: &str, member: &str) -> Self {
        self.verb("add_member").on(entity_type, entity_id).target("user", member, "member")
    }

    /// Says that somebody is no longer a member of the thing.
    #[must_use]
    pub fn member_removed(self, entity_type: &str, entity_id: &str, member: &str) -> Self {
        self.verb("remove_member").on(entity_type, entity_id).target("user", member, "member")
    }

    /// Says that the thing's status changed, and keeps both.
    #[must_use]
    pub fn status_changed(self, entity_type: &str, entity_id: &str, old: &str, new: &str) -> Self {
        let mut record = self.verb("update_status").on(entity_type, entity_id);
        record.changes = written(&[Replaced { op: "replace", path: "/status", old, new }]);
        record
    }

    /// Adds a further target, with the part that it plays.
    #[must_use]
    pub fn target(mut self, entity_type: &str, id: &str, relation: &str) -> Self {
        let target = written(&Target { r#type: entity_type.trim(), id: id.trim(), relation });
        let targets = self.targets.buffer();
        match targets.pop() {
            // The list is ours: it ends in `]`, and taking that away leaves room for one more.
            Some(']') => targets.push(','),
            _ => targets.push('['),
        }
        targets.push_str(target.as_str());
        targets.push(']');
        self
    }
}

#[derive(Serialize)]
struct Target<'a> {
    r#type: &'a str,
    id: &'a str,
    relation: &'a str,
}

#[derive(Serialize)]
struct Replaced<'a> {
    op: &'static str,
    path: &'static str,
    old: &'a str,
    new: &'a str,
}

/// Returns what changed; absent when nothing did.
fn changed<B, A>(before: &B, after: &A) -> Result<Json, serde_json::Error>
where
    B: Serialize + ?Sized,
    A: Serialize + ?Sized,
{
    let changes = diff(serde_json::to_value(before)?, serde_json::to_value(after)?);
    if changes.is_empty() { Ok(Json::default()) } else { Json::of(&changes) }
}

fn written<T: Serialize + ?Sized>(value: &T) -> Json {
    Json::of(value).unwrap_or_else(|error| {
        let note = serde_json::json!({ "[NOT WRITTEN]": error.to_string() });
        Json::from_stored(note.to_string())
    })
}

/// The normalised verb behind a word; the first part of it counts, as in `update_password`.
///
/// What records by hand use most; the rules know many more, and a test of theirs holds the two together.
fn operation_of(action: &str) -> Operation {
    match action.split(['_', '.']).next().unwrap_or(action) {
        "create" | "add" | "register" | "insert" | "upload" | "publish" | "invite" => {
            Operation::Create
        }
        "read" | "view" | "list" | "search" | "export" | "download" => Operation::Read,
        "update" | "change" | "set" | "complete" | "cancel" | "edit" | "rename" | "assign"
        | "unassign" | "approve" | "reject" | "close" | "reopen" | "enable" | "disable"
        | "activate" | "deactivate" | "confirm" | "reset" => Operation::Update,
        "delete" | "remove" | "purge" | "revoke" => Operation::Delete,
        "login" | "logout" | "authenticate" => Operation::Authenticate,
        "transfer" | "move" => Operation::Transfer,
        "restore" | "undelete" => Operation::Restore,
        _ => Operation::Execute,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_the_verb_is_normalised() {
        let record = Record::by(" ana ").verb(" remove_member ").on(" team ", " 7 ");
        assert_eq!((&*record.actor_id, &*record.action), ("ana", "remove_member"));
        assert_eq!((&*record.entity_type, &*record.entity_id), ("team", "7"));
        assert_eq!(record.operation, Operation::Delete);
    }

    #[test]
    fn targets_add_up_to_one_list() {
        let record = Record::by("ana").assigned("task", "1", "bob").target("task", "0", "parent");
        let targets: serde_json::Value = serde_json::from_str(record.targets.as_str()).unwrap();
        assert_eq!(targets[0]["id"], "bob");
        assert_eq!(targets[1]["relation"], "parent");
    }

    #[test]
    fn metadata_that_cannot_be_written_leaves_a_note() {
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        let record = Record::by("ana").metadata(&odd);
        assert!(record.metadata.as_str().contains("NOT WRITTEN"));
    }

    #[test]
    fn a_status_change_keeps_both_values() {
        let record = Record::by("ana").status_changed("order", "5", "open", "paid");
        assert_eq!(
            record.changes.as_str(),
            r#"[{"op":"replace","path":"/status","old":"open","new":"paid"}]"#
        );
    }
}

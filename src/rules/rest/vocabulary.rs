//! The words that conventions know. Words of English and of HTTP APIs, never of one API.

use crate::record::{Category, Operation};

/// What a word does when it stands where an action may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Always an action.
    Verb,
    /// An action after an item (`/posts/{id}/like`), a thing elsewhere (`/likes`).
    Either,
    /// A question: nothing changes.
    Question,
}

use Kind::{Either, Question, Verb};
use Operation::{Authenticate, Create, Delete, Execute, Read, Restore, Transfer, Update};

/// Verbs, with their normalised operation.
#[rustfmt::skip]
const VERBS: &[(Kind, Operation, &str)] = &[
    (Verb, Create, "add append attach clone create duplicate enqueue enroll fork generate grant \
        initialize insert invite issue join make mint onboard open post provision publish push \
        register reserve submit subscribe upload"),
    (Verb, Update, "accept acknowledge activate adjust allocate allow apply approve assign associate \
        bind calibrate cancel change claim close collapse commit complete configure confirm connect \
        customize deactivate decline decrement defer demote deny deploy deprecate dequeue detach \
        disable disallow disassociate disconnect dismiss downgrade edit enable end escalate exclude \
        expand expire extend fail failback failover finalize finish fix flag forgot fulfill fund hide hold \
        include increment install instantiate invalidate kick link map mark merge migrate modify \
        mute name opt overwrite pause permit postpone prioritize promote quarantine reassign \
        rebuild recycle redeem reduce refine refund refresh regenerate reject release rename \
        renew reorder reopen replace reprocess reschedule reset resize resolve resume return \
        revise rotate save scale select set settle share shift show sign skip solve split start stop \
        submit suspend swap switch sync synchronize terminate toggle tune unassign unassociate \
        unblock uninstall unlink unlock unmerge unmute unpublish unregister unshare unsubscribe \
        unsuspend update upgrade upsert void withdraw write patch put consume crosspost"),
    (Verb, Delete, "clear delete deprovision destroy discard drop empty erase evict expunge \
        forget leave purge remove revoke truncate unassign unban unbind undeploy unenroll \
        unfavorite unfollow unlike unstar wipe"),
    (Verb, Restore, "recover reinstate restore revert rollback undelete undo unarchive"),
    (Verb, Transfer, "delegate handover move reassign relocate transfer forward"),
    (Verb, Execute, "ask begin bootstrap broadcast call charge checkout compact compile crawl \
        dispatch emit encrypt decrypt execute extract flush ignore import ingest initiate invoke \
        kill launch login logout notify perform ping play pay poke prepare probe process prune \
        publish reboot reconcile reindex rerun send remind render replay resend restart retry run schedule \
        seed shutdown simulate snooze spawn trigger unwatch verify warm tokenize translate \
        transcribe summarize infer train mount unmount"),
    (Verb, Authenticate, "authenticate authorize impersonate signin signout deauthenticate"),
    (Either, Update, "approval archive ban block bookmark capture favorite favourite fill follow \
        like lock maintenance order pin rate rating review star tag trash vote watch stake boost \
        downvote upvote freeze report"),
    (Either, Create, "copy comment import message order snapshot backup reply request"),
    (Either, Execute, "build download dump email export ping print prompt scan test \
        typing callback"),
    (Either, Transfer, "account_transfer forward"),
    (Question, Read, "autocomplete calculate check compare count describe diff dryrun estimate \
        evaluate exists explain fetch filter find get inspect list lookup peek predict preview propose query \
        quote resolve retrieve search simulate suggest typeahead validate view"),
];

/// Before another verb they turn or repeat it: `reactivate`, `unsuspend`.
const PREFIXES: &[&str] = &["re", "un", "de", "dis"];

/// Returns what a word is as a verb.
pub(super) fn verb(word: &str) -> Option<(Kind, Operation)> {
    let known = |word: &str| {
        VERBS
            .iter()
            .find(|(_, _, words)| words.split_whitespace().any(|known| known == word))
            .map(|(kind, operation, _)| (*kind, *operation))
    };
    known(word).or_else(|| {
        PREFIXES
            .iter()
            .filter_map(|prefix| word.strip_prefix(prefix))
            .filter(|rest| rest.len() >= 4)
            .find_map(known)
            .filter(|(kind, _)| *kind == Verb)
            .map(|(kind, operation)| match operation {
                Create => (kind, Update),
                other => (kind, other),
            })
    })
}

/// Says whether a word asks without changing anything, alone at the end of a route.
pub(super) fn is_question(word: &str) -> bool {
    VERBS
        .iter()
        .any(|(kind, _, words)| *kind == Question && words.split_whitespace().any(|w| w == word))
}

/// Returns the word that undoes a word: `DELETE /posts/{id}/like` is `unlike`.
pub(super) fn undone(word: &str) -> Option<String> {
    const UNDONE: &str = "ban block bookmark favorite favourite follow freeze like link lock mute \
        pin publish register share star subscribe tag vote watch archive upvote downvote assign \
        enroll suspend hide flag mark";
    UNDONE.split_whitespace().any(|known| known == word).then(|| format!("un{word}"))
}

/// Actions that are written as things: `POST /orders/{id}/cancellation`.
const NOMINALS: &[(&str, &str)] = &[
    ("acknowledgement", "acknowledge"),
    ("activation", "activate"),
    ("approval", "approve"),
    ("authorization", "authorize"),
    ("cancellation", "cancel"),
    ("confirmation", "confirm"),
    ("deactivation", "deactivate"),
    ("publication", "publish"),
    ("reactivation", "reactivate"),
    ("rejection", "reject"),
    ("renewal", "renew"),
    ("restoration", "restore"),
    ("rotation", "rotate"),
    ("suspension", "suspend"),
    ("termination", "terminate"),
    ("verification", "verify"),
];

/// Returns the verb behind a thing that is an action.
pub(super) fn nominal(word: &str) -> Option<&'static str> {
    NOMINALS.iter().find(|(noun, _)| *noun == word).map(|(_, verb)| *verb)
}

/// Verbs that before a plural are part of a name: `/push-providers`, `/login_links`.
pub(super) const NOUNISH: &[&str] = &[
    "access", "add", "address", "apply", "archive", "backup", "block", "build", "call", "change",
    "charge", "check", "comment", "compare", "copy", "deploy", "dispatch", "download", "export",
    "feature", "filter", "hold", "import", "invite", "issue", "job", "link", "list", "login",
    "logout", "map", "merge", "message", "open", "order", "patch", "pay", "pin", "ping", "play",
    "post", "process", "prompt", "push", "quote", "read", "release", "report", "request",
    "reserve", "return", "review", "schedule", "search", "set", "share", "sign", "split", "start",
    "sync", "tag", "test", "train", "transfer", "trigger", "upload", "view", "vote", "watch",
    "work", "write",
];

/// What there is one of even where no item stands before it.
pub(super) const CONFIGURATIONS: &[&str] = &[
    "config",
    "configuration",
    "options",
    "plan",
    "preference",
    "preferences",
    "profile",
    "setting",
    "settings",
    "setup",
    "state",
    "status",
    "subscription",
];

/// Segments that say "an action follows", and name nothing.
pub(super) const ACTION_MARKS: &[&str] =
    &["action", "actions", "command", "do", "lifecycle", "operation", "operations", "transitions"];

/// Of these, the ones that are collections of actions themselves: `POST /droplets/{id}/actions`.
pub(super) const ACTION_LISTS: &[&str] = &["actions", "operations", "transitions"];

/// Parameters that name an action: `/features/{id}/{lifecycle}`.
pub(super) const ACTION_PARAMS: &[&str] =
    &["action", "command", "event", "lifecycle", "method", "operation", "transition", "verb"];

/// Segments that stand for an item that needs no id.
pub(super) const ALIASES: &[&str] = &[
    "me", "current", "default", "latest", "mine", "myself", "original", "own", "primary", "self",
    "active", "whoami", "this",
];

/// Of these, the ones that mean whoever asks.
pub(super) const SELF_ALIASES: &[&str] =
    &["me", "mine", "myself", "self", "own", "whoami", "current"];

/// Segments that say "many at once", and name nothing.
pub(super) const BULK: &[&str] = &["bulk", "batch", "all", "mass", "multi", "multiple"];

/// What people upload.
pub(super) const MEDIA: &[&str] = &[
    "attachment",
    "audio",
    "avatar",
    "background",
    "banner",
    "content",
    "cover",
    "document",
    "favicon",
    "file",
    "icon",
    "image",
    "logo",
    "media",
    "photo",
    "picture",
    "thumbnail",
    "upload",
    "video",
];

/// What an item has one of and `POST` changes rather than makes.
pub(super) const ATTRIBUTES: &[&str] = &[
    "address",
    "amount",
    "availability",
    "balance",
    "config",
    "configuration",
    "currency",
    "description",
    "email",
    "flags",
    "language",
    "level",
    "limit",
    "limits",
    "locale",
    "metadata",
    "mode",
    "name",
    "owner",
    "options",
    "password",
    "permissions",
    "phone",
    "pin",
    "plan",
    "position",
    "preference",
    "preferences",
    "price",
    "priority",
    "privacy",
    "profile",
    "quantity",
    "quota",
    "rank",
    "role",
    "schedule",
    "secret",
    "setting",
    "settings",
    "setup",
    "stage",
    "state",
    "status",
    "stock",
    "subscription",
    "theme",
    "tier",
    "timezone",
    "title",
    "username",
    "visibility",
    "weight",
];

/// Plurals that are one thing to their owner.
pub(super) const ONE_THING: &[&str] = &[
    "credentials",
    "details",
    "flags",
    "limits",
    "metrics",
    "options",
    "permissions",
    "preferences",
    "properties",
    "settings",
];

/// People and parties in a relation to an item: a link, not a thing of its own.
pub(super) const PARTIES: &[&str] = &[
    "admin",
    "administrator",
    "approver",
    "assignee",
    "attendee",
    "collaborator",
    "contributor",
    "follower",
    "guest",
    "maintainer",
    "manager",
    "member",
    "moderator",
    "owner",
    "participant",
    "recipient",
    "reviewer",
    "subscriber",
    "viewer",
    "watcher",
];

/// Things that hold others without owning them.
pub(super) const CONTAINERS: &[&str] = &[
    "bundle",
    "channel",
    "circle",
    "class",
    "collection",
    "department",
    "group",
    "list",
    "lobby",
    "organisation",
    "organization",
    "playlist",
    "room",
    "set",
    "squad",
    "team",
    "unit",
];

/// Things that are held by others and live on without them.
pub(super) const HELD: &[&str] = &["account", "contact", "device", "group", "person", "user"];

/// What is granted to people and parties: a link too.
pub(super) const GRANTED: &[&str] = &["entitlement", "permission", "privilege", "role", "scope"];

/// Who is granted something.
pub(super) const GRANTEES: &[&str] =
    &["account", "client", "employee", "group", "member", "team", "user"];

/// What people say about messages: `PUT /notifications/{id}/read`.
pub(super) const MARKS: &[&str] = &["read", "seen", "unread"];

/// Words that qualify what stands before them, alone at the end of a route.
pub(super) const QUALIFIERS: &[&str] = &[
    "async",
    "custom",
    "customized",
    "dangerous",
    "draft",
    "force",
    "global",
    "immediate",
    "local",
    "now",
    "partial",
    "permanent",
    "permanently",
    "selective",
    "sync",
    "v1",
    "v2",
];

/// Parameters whose value lets its holder in: never the id of a record.
pub(super) const SECRETS: &[&str] =
    &["token", "secret", "signature", "sig", "hash", "password", "hmac"];

/// Parameters that the client chooses, so that `POST` on the item makes it.
pub(super) const CHOSEN: &[&str] = &["key", "name", "type", "slug", "code", "label"];

/// Words of those who name an action themselves, and mean that something is taken out or looked at. At
/// the end of a `POST` they start work instead: `POST /reports/{id}/export`.
const READS: &[&str] = &["access", "download", "dump", "export", "print", "read"];

/// Returns the normalised operation of an action as rules and conventions write it.
pub(in crate::rules) fn operation_of(action: &str) -> Option<Operation> {
    match action {
        "login" | "login_failed" | "login_success" | "logout" | "sign_in" | "sign_out" => {
            return Some(Authenticate);
        }
        _ => {}
    }
    let mut words = action.split(['_', '.', '-', ':']);
    let first = words.next()?;
    let word = if BULK.contains(&first) { words.next()? } else { first };
    if is_question(word) || READS.contains(&word) {
        return Some(Read);
    }
    verb(word).map(|(_, operation)| operation)
}

/// Returns the category that an action alone tells.
pub(in crate::rules) fn category_of(action: &str) -> Option<Category> {
    let words: Vec<&str> = action.split(['_', '.', '-', ':']).collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    if has(&[
        "login",
        "logout",
        "signin",
        "signout",
        "password",
        "passkey",
        "mfa",
        "otp",
        "totp",
        "2fa",
        "authenticate",
        "impersonate",
        "lockout",
        "factors",
    ]) {
        Some(Category::Authentication)
    } else if has(&["consent"]) {
        Some(Category::Consent)
    } else if has(&["role", "roles", "permission", "permissions"]) {
        Some(Category::Administration)
    } else {
        None
    }
}

/// Returns the category that a kind of thing alone tells.
pub(super) fn category_of_entity(entity: &str) -> Option<Category> {
    let last = entity.rsplit('_').next().unwrap_or(entity);
    match last {
        "token" | "credential" | "passkey" | "password" | "authenticator" | "mfa" => {
            Some(Category::Authentication)
        }
        "role" | "permission" | "setting" => Some(Category::Administration),
        "consent" => Some(Category::Consent),
        _ if matches!(entity, "api_key" | "access_key" | "ssh_key" | "service_key") => {
            Some(Category::Authentication)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_keep_their_operation_behind_a_prefix() {
        assert_eq!(verb("activate"), Some((Verb, Update)));
        assert_eq!(verb("reactivate"), Some((Verb, Update)));
        assert_eq!(verb("unsuspend"), Some((Verb, Update)));
        assert_eq!(verb("repost"), Some((Verb, Update)));
        assert_eq!(verb("report"), Some((Either, Update)));
        assert_eq!(verb("invoice"), None);
        assert_eq!(verb("record"), None);
        assert_eq!(verb("device"), None);
    }

    #[test]
    fn actions_tell_their_operation() {
        for (action, operation) in [
            ("cancel", Some(Update)),
            ("bulk_delete", Some(Delete)),
            ("update_password", Some(Update)),
            ("login_failed", Some(Authenticate)),
            ("search", Some(Read)),
            ("transfer_account", Some(Transfer)),
            ("download", Some(Read)),
            ("export_orders", Some(Read)),
            ("bulk_export", Some(Read)),
            ("read", Some(Read)),
            ("login_success", Some(Authenticate)),
            ("frobnicate", None),
            ("bulk", None),
        ] {
            assert_eq!(operation_of(action), operation, "{action}");
        }
    }
}

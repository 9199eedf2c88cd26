//! What is recorded by hand reads like what is recorded by convention.

use http::Method;

use super::super::{Ended, Route, Rules, rest};
use crate::record::{Actor, Record};

#[test]
fn the_helpers_of_a_record_write_the_words_of_the_same_routes() {
    let rules = Rules::rest().compile().unwrap();
    let by = || Record::by(Actor::user("ana"));
    for (record, method, route) in [
        (by().created("order", "1"), Method::POST, "/orders"),
        (by().updated("order", "1"), Method::PUT, "/orders/{id}"),
        (by().deleted("order", "1"), Method::DELETE, "/orders/{id}"),
        (by().restored("order", "1"), Method::POST, "/orders/{id}/restore"),
        (by().completed("task", "1"), Method::POST, "/tasks/{id}/complete"),
        (by().cancelled("order", "1"), Method::POST, "/orders/{id}/cancel"),
        (by().assigned("task", "1", "bob"), Method::POST, "/tasks/{id}/assign"),
        (by().unassigned("task", "1", "bob"), Method::POST, "/tasks/{id}/unassign"),
        (by().member_added("team", "1", "bob"), Method::POST, "/teams/{id}/members"),
        (by().member_added("team", "1", "bob"), Method::PUT, "/teams/{id}/members/{user}"),
        (by().member_removed("team", "1", "bob"), Method::DELETE, "/teams/{id}/members/{user}"),
        (by().status_changed("order", "1", "a", "b"), Method::PATCH, "/orders/{id}/status"),
    ] {
        let plan = rules.plan(&method, Route::Template(route));
        let mask = plan.applicable(&http::HeaderMap::new(), None, "/");
        let meaning = plan.decide(&mask, &Ended::with_status(200)).unwrap();
        assert_eq!(
            (&*record.action, record.operation, Some(&*record.entity_type), record.category),
            (&*meaning.action, meaning.operation, meaning.entity_type.as_deref(), meaning.category),
            "{method} {route}"
        );
        for related in &meaning.related {
            let played = format!("\"relation\":\"{}\"", related.relation);
            assert!(record.targets.as_str().contains(&played), "{method} {route}");
        }
    }
}

#[test]
fn a_word_means_the_same_operation_by_hand_and_in_a_rule() {
    for action in [
        "create",
        "add_note",
        "register",
        "insert",
        "upload",
        "publish",
        "invite",
        "read",
        "view",
        "list",
        "search",
        "export",
        "download",
        "update",
        "change",
        "set",
        "complete",
        "cancel",
        "edit",
        "rename",
        "assign",
        "unassign",
        "approve",
        "reject",
        "close",
        "reopen",
        "enable",
        "disable",
        "activate",
        "deactivate",
        "confirm",
        "reset_password",
        "delete",
        "remove",
        "purge",
        "revoke",
        "login",
        "login_failed",
        "logout",
        "authenticate",
        "transfer",
        "move",
        "restore",
        "undelete",
        "send",
        "run",
        "notify",
        "charge",
        "execute",
    ] {
        let by_hand = Record::by("ana").verb(action).operation;
        assert_eq!(rest::operation_of(action), Some(by_hand), "{action}");
    }
}

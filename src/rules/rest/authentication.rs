//! Logins and what belongs to them, as most APIs cut them.

use std::sync::Arc;

use super::{
    Reading,
    segments::{Part, Path},
};
use crate::{
    record::{Category, Operation},
    rules::{EntityIdFrom, How, meaning::Pointer, status::StatusSet},
};

/// Where a login names its account, in a JSON body, in order.
const ACCOUNTS: &[&str] = &[
    "/user",
    "/username",
    "/email",
    "/login",
    "/user/email",
    "/user/username",
    "/user/login",
    "/identifier",
    "/account",
    "/phone",
];

/// Reads a route as one of authentication; nothing if it is none.
///
/// The readings come in order and are each for some endings; what they leave, REST takes.
pub(super) fn read(method: &str, path: &Path) -> Vec<Reading> {
    if path.custom.is_some() || !matches!(method, "GET" | "POST" | "PUT" | "DELETE") {
        return Vec::new();
    }
    let joined: Vec<String> = path
        .parts
        .iter()
        .map(|part| match part {
            Part::Thing(words) => words.join("_"),
            Part::Id(_) => "{}".to_owned(),
            Part::Alias(_) => "@".to_owned(),
        })
        .collect();
    let names: Vec<&str> = joined.iter().map(String::as_str).collect();
    // A login belongs to nobody yet: below an item it is something else.
    if names.iter().rev().skip(1).any(|name| *name == "{}") {
        return Vec::new();
    }
    let before = names.len().checked_sub(2).map(|at| names[at]);
    let under_auth = before.is_none_or(|name| {
        matches!(
            name,
            "auth"
                | "oauth"
                | "oauth2"
                | "account"
                | "accounts"
                | "user"
                | "users"
                | "identity"
                | "public"
                | "admin"
                | "session"
                | "sessions"
                | "@"
        )
    });
    match (method, *names.last().unwrap_or(&"")) {
        ("POST", "login" | "signin" | "sign_in" | "log_in" | "logon" | "authenticate") => {
            login("login")
        }
        ("POST", "session" | "sessions")
            if before.is_none_or(|name| {
                matches!(name, "auth" | "user" | "users" | "account" | "identity" | "admin")
            }) =>
        {
            login("session")
        }
        ("POST", "callback" | "saml" | "sso")
            if matches!(
                before,
                Some("auth" | "login" | "sso" | "saml" | "oauth" | "oauth2" | "oidc")
            ) =>
        {
            login("callback")
        }
        // A link in a page logs out as well as a form does: many applications take GET.
        (
            "GET" | "POST" | "PUT" | "DELETE",
            "logout" | "signout" | "sign_out" | "log_out" | "logoff",
        ) => {
            vec![reading(
                "rest:logout",
                "user",
                "logout",
                Operation::Authenticate,
                EntityIdFrom::Actor,
                &[],
            )]
        }
        ("DELETE", "session") if before.is_none() || before == Some("auth") => {
            vec![reading(
                "rest:logout",
                "user",
                "logout",
                Operation::Authenticate,
                EntityIdFrom::Actor,
                &[],
            )]
        }
        ("DELETE", "@") if matches!(before, Some("session" | "sessions")) => {
            vec![reading(
                "rest:logout",
                "user",
                "logout",
                Operation::Authenticate,
                EntityIdFrom::Actor,
                &[],
            )]
        }
        ("POST", "register" | "signup" | "sign_up" | "registration" | "registrations")
            if under_auth =>
        {
            vec![reading(
                "rest:register",
                "user",
                "register",
                Operation::Create,
                EntityIdFrom::Created,
                &[],
            )]
        }
        ("POST", "token")
            if matches!(
                before,
                Some("auth" | "oauth" | "oauth2" | "openid" | "oidc" | "connect")
            ) =>
        {
            vec![reading(
                "rest:token",
                "token",
                "create",
                Operation::Authenticate,
                EntityIdFrom::Nothing,
                &[],
            )]
        }
        ("POST", "refresh" | "refresh_token" | "token_refresh")
            if before.is_none()
                || matches!(
                    before,
                    Some("auth" | "oauth" | "oauth2" | "token" | "tokens" | "session" | "jwt")
                ) =>
        {
            vec![reading(
                "rest:token",
                "token",
                "refresh",
                Operation::Authenticate,
                EntityIdFrom::Nothing,
                &[],
            )]
        }
        (
            "POST",
            "forgot_password" | "password_reset" | "reset_password" | "forgot" | "recover",
        ) if under_auth || matches!(before, Some("password" | "passwords")) => {
            vec![reading(
                "rest:password",
                "user",
                "reset_password",
                Operation::Update,
                EntityIdFrom::Nothing,
                &[],
            )]
        }
        ("POST", "reset") if matches!(before, Some("password" | "passwords")) => {
            vec![reading(
                "rest:password",
                "user",
                "reset_password",
                Operation::Update,
                EntityIdFrom::Nothing,
                &[],
            )]
        }
        ("POST" | "PUT", "password" | "change_password" | "update_password") if under_auth => {
            vec![reading(
                "rest:password",
                "user",
                "update_password",
                Operation::Update,
                EntityIdFrom::Actor,
                &[],
            )]
        }
        ("POST", "verify_email" | "confirm_email" | "email_verification" | "verify_account")
            if under_auth =>
        {
            vec![reading(
                "rest:verify",
                "user",
                "verify_email",
                Operation::Update,
                EntityIdFrom::Actor,
                &[],
            )]
        }
        _ => Vec::new(),
    }
}

/// A login that was answered with success, one that was not, and one that broke.
fn login(what: &str) -> Vec<Reading> {
    let step = format!("`{what}` is where one logs in");
    let mut failed = reading(
        "rest:login",
        "user",
        "login_failed",
        Operation::Authenticate,
        EntityIdFrom::Nothing,
        &["4xx", "denied", "grpc:unauthenticated"],
    );
    failed.accounts = accounts();
    failed.steps = vec![step.clone(), "an answer of 4xx is a failed login".to_owned()];
    let mut success =
        reading("rest:login", "user", "login", Operation::Authenticate, EntityIdFrom::Actor, &[]);
    success.accounts = Arc::default();
    success.steps = vec![step];
    vec![failed, success]
}

fn reading(
    which: &'static str,
    entity: &str,
    action: &str,
    operation: Operation,
    entity_id: EntityIdFrom,
    status: &[&str],
) -> Reading {
    Reading {
        which,
        how: How::Convention,
        authentication: true,
        status: StatusSet::of(status),
        entity_type: Some(entity.to_owned()),
        action: action.to_owned(),
        operation,
        category: Category::Authentication,
        entity_id,
        parents: Vec::new(),
        accounts: Arc::default(),
        steps: vec![format!("a route of authentication: {entity}/{action}")],
    }
}

fn accounts() -> Arc<[Pointer]> {
    ACCOUNTS.iter().filter_map(|text| Pointer::parse(text).ok()).collect()
}

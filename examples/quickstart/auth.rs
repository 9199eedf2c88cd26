//! Who is calling: logins, opaque tokens, and the one place where the log learns the actor's name.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::json;
use tower_activity::Activity;

use crate::shop::User;

/// Who is logged in, by token.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<String, User>>>);

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets only those through who bring a token of a login, and names them to the log.
pub(crate) async fn members(
    State(sessions): State<Sessions>,
    activity: Activity,
    mut request: Request,
    next: Next,
) -> Response {
    let token = token(&request).unwrap_or_default();
    let Some(user) = sessions.lock().get(token).cloned() else {
        return refuse("log in first");
    };
    activity.actor(user.0.as_str()).session(token);
    request.extensions_mut().insert(user);
    next.run(request).await
}

/// `POST /login`, `POST /logout`, and what answers where no route does.
pub(crate) fn router(sessions: &Sessions) -> Router {
    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .fallback(nowhere)
        .with_state(sessions.clone())
}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

async fn login(
    State(sessions): State<Sessions>,
    activity: Activity,
    Json(login): Json<Login>,
) -> Response {
    if login.user.is_empty() || login.password != "secret" {
        return refuse("wrong user or password");
    }
    let token = format!("{:032x}", rand::random::<u128>());
    activity.actor(login.user.as_str()).session(&token).auth_method("password");
    sessions.lock().insert(token.clone(), User(login.user));
    Json(json!({ "token": token })).into_response()
}

async fn logout(
    State(sessions): State<Sessions>,
    activity: Activity,
    request: Request,
) -> Response {
    let token = token(&request).unwrap_or_default();
    let Some(User(name)) = sessions.lock().remove(token) else {
        return refuse("log in first");
    };
    activity.actor(name).session(token);
    StatusCode::NO_CONTENT.into_response()
}

/// Tells strangers nothing of what is there and what is not.
async fn nowhere(
    State(sessions): State<Sessions>,
    activity: Activity,
    request: Request,
) -> Response {
    let token = token(&request).unwrap_or_default();
    let user = sessions.lock().get(token).cloned();
    let path = request.uri().path();
    match user {
        None if path == "/api" || path.starts_with("/api/") => return refuse("log in first"),
        None => {}
        Some(User(name)) => {
            activity.actor(name).session(token);
        }
    }
    (StatusCode::NOT_FOUND, Json(json!({ "error": "no such route" }))).into_response()
}

fn token(request: &Request) -> Option<&str> {
    request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn refuse(why: &str) -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "error": why }))).into_response()
}

//! cargo run --example access --features argon2
//!
//! Who may see what of the log: people by the sessions of the application, with a role and a tenant, and
//! guests by name and password. In another terminal, with the address it prints:
//!
//! ```sh
//! curl -u 'guest:look around' localhost:3000/activity/records        # sees what happened, exports nothing
//! token=$(curl -s -X POST 'localhost:3000/login?as=olga')             # or ines, or carl, of tenant south
//! curl -H "Authorization: Bearer $token" localhost:3000/activity/export
//! ```

use std::{
    collections::HashMap,
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
    routing::post,
};
use tokio::net::TcpListener;
use tower_activity::{
    Activity, ActivityLayer, MemoryStore, Pipeline,
    access::{self, Access, Denial, Grant, Login, Permission, Permissions},
    record::Actor,
};

/// What the application knows about who is logged in. Yours has this already.
#[derive(Clone)]
struct User {
    name: &'static str,
    role: Role,
    tenant: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Role {
    Owner,
    Auditor,
    Clerk,
}

impl Role {
    /// The one place that says what a role may do with the log.
    const fn permissions(self) -> Permissions {
        match self {
            Self::Owner => Permissions::admin(),
            Self::Auditor => Permissions::viewer().with(Permission::Export),
            Self::Clerk => Permissions::NONE,
        }
    }
}

const USERS: [User; 3] = [
    User { name: "olga", role: Role::Owner, tenant: None },
    User { name: "ines", role: Role::Auditor, tenant: Some("south") },
    User { name: "carl", role: Role::Clerk, tenant: Some("south") },
];

/// Sessions by token: a table, a cache, or the claims of a JWT that was checked.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<String, User>>>);

impl Sessions {
    fn begin(&self, user: &User) -> String {
        let token = format!("{:032x}", rand::random::<u128>());
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(token.clone(), user.clone());
        token
    }

    fn of(&self, parts: &Parts) -> Option<User> {
        let token = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// From a session to what its owner may see. It is asked once for each request to the log.
fn by_session(sessions: Sessions) -> impl Access {
    access::from_fn(move |parts| {
        let user = sessions.of(parts);
        async move {
            let Some(user) = user else {
                // Nobody said who he is: 401, and whatever comes after `or` is asked.
                return Err(Denial::Unauthenticated {
                    challenge: Some("Bearer realm=\"shop\"".to_owned()),
                    detail: "log in to the shop".to_owned(),
                });
            };
            let permissions = user.role.permissions();
            if permissions == Permissions::NONE {
                // He is known: 403, and nobody else is asked.
                let detail = format!("{} may not see the log", user.name);
                return Err(Denial::Forbidden { detail });
            }
            let grant = Grant::new(Actor::user(user.name), permissions);
            // Lists, numbers, exports and live sessions hold this tenant alone.
            Ok(match user.tenant {
                Some(tenant) => grant.tenant(tenant),
                None => grant,
            })
        }
    })
}

/// Hashes belong in the settings: `argon2 "$(openssl rand -hex 8)" -id -e` makes one.
const GUEST: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2hvcC1sb2ctZ3Vlc3QtMQ$WWyLsYPqj5G25F1FPF7SZlP2rTS+i3fo3wpZx6HTGKQ";

async fn log_in(
    State(sessions): State<Sessions>,
    activity: Activity,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<String, StatusCode> {
    // Where a password is asked for; left out here.
    let name = asked.get("as").map_or("", String::as_str);
    let user = USERS.iter().find(|user| user.name == name).ok_or(StatusCode::UNAUTHORIZED)?;
    activity.actor(Actor::user(user.name));
    if let Some(tenant) = user.tenant {
        activity.tenant(tenant);
    }
    Ok(sessions.begin(user))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let activity = Pipeline::builder(MemoryStore::new()).start().await?;
    let sessions = Sessions::default();
    let guests = access::basic([Login::new("guest", GUEST.parse()?, Permissions::viewer())])?;
    let log = activity.router(by_session(sessions.clone()).or(guests));
    let app = Router::new()
        .route("/login", post(log_in))
        .with_state(sessions)
        // Also answers `/activity/`, which `nest` does not.
        .nest_service("/activity", log)
        .layer(ActivityLayer::new(activity.recorder()));

    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("the log is at http://{}/activity/", listener.local_addr()?);
    let stopped = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    // Connect info is the client's address in the records of who looked.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stopped)
        .await?;
    println!("{}", activity.shutdown(Duration::from_secs(5)).await);
    Ok(())
}

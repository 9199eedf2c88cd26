//! The example `access`: who sees what of the log.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    live::{Live, PATIENCE},
    running::{Running, example},
};

/// Asks with these credentials; returns the status, the head and the body.
async fn ask(shop: &Running, path: &str, credentials: &str) -> (u16, String, Value) {
    let mut socket = TcpStream::connect(&shop.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\n{credentials}connection: close\r\n\r\n",
        shop.address
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
}

fn basic(password: &str) -> String {
    let credentials = BASE64_STANDARD.encode(format!("guest:{password}"));
    format!("authorization: Basic {credentials}\r\n")
}

async fn log_in(shop: &Running, name: &str) -> String {
    let (status, token) = shop.send("POST", &format!("/login?as={name}"), None, None).await;
    assert_eq!(status, 200, "{token}");
    format!("authorization: Bearer {}\r\n", token.as_str().expect("a token"))
}

/// Asks until these are the actors of what is answered, again whenever there is more to see: records are
/// committed a moment after they are made.
async fn actors(shop: &Running, filter: &str, credentials: &str, wanted: &[&str]) {
    let (_, authorization) = credentials.trim().split_once(": ").expect("a header");
    let asking = async {
        loop {
            let (status, _, answer) =
                ask(shop, &format!("/activity/records?{filter}"), credentials).await;
            assert_eq!(status, 200, "{answer}");
            let records = answer["records"].as_array().expect("records").iter();
            let actor = |record: &Value| record["actor_id"].as_str().unwrap_or_default().to_owned();
            let found: BTreeSet<_> = records.map(actor).collect();
            if found.iter().eq(wanted) {
                return;
            }
            let cursor = answer["live"].as_str().expect("a cursor");
            let parameters = format!("{filter}&cursor={cursor}");
            Live::open_as(shop, &parameters, authorization).await.until(|_| true).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("they come");
}

#[tokio::test]
async fn sessions_and_guests_see_what_they_may() {
    let folder = TempDir::new().unwrap();
    let shop = Running::start(example("access", folder.path())).await;
    let (olga, ines, carl) =
        (log_in(&shop, "olga").await, log_in(&shop, "ines").await, log_in(&shop, "carl").await);
    let (guest, wrong) = (basic("look around"), basic("look away"));

    for (path, credentials, status) in [
        ("/activity/records", "", 401),
        ("/activity/records", &*wrong, 401),
        ("/activity/records", "authorization: Bearer nobody\r\n", 401),
        ("/activity/records", &*carl, 403),
        ("/activity/records", &*guest, 200),
        ("/activity/export", &*guest, 403),
        ("/activity/export", &*ines, 200),
        ("/activity/export", &*olga, 200),
        ("/activity/records?category=system", &*olga, 200),
        // Mounted as a service, both are the same place.
        ("/activity", "", 200),
        ("/activity/", "", 200),
    ] {
        let (found, _, body) = ask(&shop, path, credentials).await;
        assert_eq!(found, status, "{path} {credentials:?}: {body}");
    }
    // Both ways in are offered.
    let (_, head, _) = ask(&shop, "/activity/records", "").await;
    assert!(head.contains("bearer realm=\"shop\", basic realm=\"activity\""), "{head}");

    let logins = "action=login";
    actors(&shop, logins, &ines, &["carl", "ines"]).await;
    actors(&shop, logins, &guest, &["carl", "ines", "olga"]).await;
    // Who looked, and who was not let in, is in the log; whoever may not configure it does not see that.
    let looks = "action=log_viewed&actor_id";
    actors(&shop, &format!("{looks}=guest"), &olga, &["guest"]).await;
    actors(&shop, "q=action:log_viewed%20outcome:denied%20status:401", &olga, &[""]).await;
    actors(&shop, &format!("{looks}=guest"), &ines, &[]).await;
    let (_, status) = shop.stop("INT").await;
    assert!(status.success(), "{status}");
}

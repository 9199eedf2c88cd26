//! `kill -9` with a spool: whoever has seen a response finds its record, once.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tempfile::TempDir;
use tokio::{process::Command, sync::watch, time::timeout};

use crate::{
    live::{Live, PATIENCE},
    running::{Running, example},
};

const ROUNDS: usize = 4;
const CLIENTS: usize = 4;
/// What the clients leave in the log.
const ASKED: &str = "method=POST&route=/api/products";

fn shop(folder: &Path) -> Command {
    let mut command = example("quickstart", folder);
    command.env("ACTIVITY_SPOOL", "spool");
    command
}

/// What a client wrote down: the requests that it sent, and those whose whole response it has seen.
#[derive(Debug, Default)]
struct Notes {
    sent: BTreeSet<String>,
    seen: BTreeSet<String>,
}

/// Sends requests until the server is gone.
async fn client(
    name: String,
    address: String,
    token: String,
    notes: Arc<Mutex<Notes>>,
    count: watch::Sender<usize>,
) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    for n in 0.. {
        let id = format!("{name}-{n}");
        let request = Request::post(format!("http://{address}/api/products"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-request-id", &id)
            .body(Full::from("{\"name\":\"x\"}"))
            .unwrap();
        notes.lock().unwrap().sent.insert(id.clone());
        let Ok(answer) = client.request(request).await else { return };
        assert_eq!(answer.status(), StatusCode::CREATED);
        if answer.into_body().collect().await.is_err() {
            return;
        }
        notes.lock().unwrap().seen.insert(id);
        count.send_modify(|count| *count += 1);
    }
}

fn stored(folder: &Path) -> Vec<String> {
    let file = rusqlite::Connection::open(folder.join("activity.db")).unwrap();
    let mut rows = file
        .prepare("SELECT request_id FROM activity_records WHERE request_id LIKE 'round-%'")
        .unwrap();
    let ids = rows.query_map([], |row| row.get(0)).unwrap();
    ids.map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_response_was_seen_is_stored_once_whenever_the_process_was_killed() {
    let folder = TempDir::new().unwrap();
    let notes = Arc::new(Mutex::new(Notes::default()));
    let mut from_the_start = String::new();
    for round in 0..ROUNDS {
        let shop = Running::start(shop(folder.path())).await;
        if round == 0 {
            let path = format!("/activity/records?{ASKED}");
            let (_, page) = shop.send("GET", &path, None, None).await;
            from_the_start = page["live"].as_str().expect("a cursor").to_owned();
        }
        let token = shop.log_in("admin").await;
        let (count, mut counted) = watch::channel(0);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let name = format!("round-{round}-{number}");
                let (address, token) = (shop.address.clone(), token.clone());
                tokio::spawn(client(name, address, token, Arc::clone(&notes), count.clone()))
            })
            .collect();
        // In the middle of things: the first rounds before anything is stored.
        let enough = counted.wait_for(|count| *count >= 5 + 60 * round);
        timeout(PATIENCE, enough).await.expect("answers come").unwrap();
        let (_, status) = shop.stop("KILL").await;
        assert!(!status.success());
        for client in clients {
            client.await.unwrap();
        }
    }
    // The next process stores what the others left. Whoever follows the log finds all of it.
    let shop = Running::start(shop(folder.path())).await;
    let Notes { sent, seen } = std::mem::take(&mut *notes.lock().unwrap());
    let mut live = Live::open(&shop, &format!("{ASKED}&cursor={from_the_start}")).await;
    let mut missing = seen.clone();
    live.until(|record| {
        missing.remove(record["request_id"].as_str().expect("a request"));
        missing.is_empty()
    })
    .await;
    drop(live);
    let (line, status) = shop.stop("INT").await;
    assert!(status.success() && line.contains(" · spooled 0 · dropped 0 · gaps 0"), "{line}");
    let stored = stored(folder.path());
    let once: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), once.len(), "none is stored twice");
    assert!(once.is_subset(&sent), "none is made up");
    assert!(seen.len() >= ROUNDS * 5 && seen.is_subset(&once));
}

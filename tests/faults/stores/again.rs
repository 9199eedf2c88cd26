//! What arrives again: segments that are sent a second time (25), and a database that lost its tail and is sent it
//! anew (69).

use std::{fs, path::Path, process::Command};

use tower_activity::{PostgresStore, SqliteStore};

use super::{
    PATIENCE,
    app::App,
    child::Settings,
    cluster::Cluster,
    load::{Book, send},
    oracle::{Log, Verdict, judge},
    proxy::{Proxy, Trick},
    server::Database,
    soon, until,
};
use crate::{process::signal, table::times};

/// Copies a folder with the rights of its files.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Returns how many streams have a folder in a spool.
fn streams(spool: &Path) -> usize {
    let entries = fs::read_dir(spool).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.len() == 16).count()
}

/// Leaves records of so many requests in a spool, by a process that was killed.
async fn left_in(spool: &Path, folder: &Path, count: usize) -> Book {
    // Nobody listens there.
    let away = Settings::new("postgres://postgres@127.0.0.1:9/away", spool);
    let app = App::start(&away, folder).await;
    let book = Book::default();
    send(app.address, count, &book).await;
    assert_eq!(app.tally().await["spooled"], count as u64);
    app.kill().await;
    book
}

/// (25) Copies of one spool, two of them at the same time and then one after the other: its records are stored once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_that_are_sent_again_are_stored_once() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let log = Log::Postgres(database.url());
    PostgresStore::open(&database.url()).await.unwrap();
    let spool = folder.path().join("spool");
    let count = times(500, 10_000);
    let book = left_in(&spool, folder.path(), count).await;

    let copies: Vec<_> =
        (0..times(3, 10)).map(|copy| folder.path().join(format!("copy-{copy}"))).collect();
    let settings = |spool| {
        let mut settings = Settings::new(database.url(), spool);
        // What is stored goes at once: so it can be seen that there is nothing left to send.
        settings.spool_keep = 1;
        settings
    };
    let mut running = Vec::new();
    for to in &copies {
        copy(&spool, to);
        running.push((App::start(&settings(to), folder.path()).await, to));
        if running.len() < 2 {
            continue;
        }
        for (app, spool) in running.drain(..) {
            until("nothing is left to send", async || streams(spool) == 1).await;
            assert_eq!(app.stop().await["dropped"], 0);
        }
    }
    for (app, spool) in running {
        until("nothing is left to send", async || streams(spool) == 1).await;
        app.stop().await;
    }
    assert_eq!(log.count().await, count);
    judge("25 delivered again", copies.len(), &book, &log).await;
}

/// (25) A copy that was at its work when another one had sent all of it: it goes on behind that, and nobody says that
/// anything was lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_overtaken_sends_nothing_again_and_alarms_nobody() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let log = Log::Postgres(database.url());
    PostgresStore::open(&database.url()).await.unwrap();
    let spool = folder.path().join("spool");
    let book = left_in(&spool, folder.path(), times(120, 10_000)).await;
    let named = |entry: fs::DirEntry| {
        u64::from_str_radix(entry.file_name().to_str()?, 16).ok().map(u64::cast_signed)
    };
    let stream = fs::read_dir(&spool).unwrap().flatten().find_map(named).unwrap();

    // It has read a batch, one of several, and its append stops before it has begun.
    let proxy = Proxy::before(&database, format!("pg_advisory_xact_lock({stream})")).await;
    proxy.play([Trick::Hold]);
    let copied = folder.path().join("copy");
    copy(&spool, &copied);
    let settings = |url: String, spool: &Path| {
        let mut settings = Settings::new(url, spool).deadline(2 * PATIENCE);
        (settings.spool_keep, settings.batch_rows) = (1, 50);
        settings
    };
    let slow = App::start(&settings(proxy.url(&database), &copied), folder.path()).await;
    soon("its append begins", proxy.held()).await;
    let fast = App::start(&settings(database.url(), &spool), folder.path()).await;
    until("nothing is left to send", async || streams(&spool) == 1).await;
    proxy.let_go();
    until("nor of the copy", async || streams(&copied) == 1).await;

    let said = slow.said();
    assert!(said.contains("somebody else has sent a copy of the spool"), "{said}");
    for app in [slow, fast] {
        assert!(!app.said().contains("does not hold what was committed"), "{}", app.said());
        assert_eq!(app.stop().await["dropped"], 0);
    }
    let verdict = judge("25 copy overtaken", 2, &book, &log).await;
    assert_eq!(verdict.of("restored").count(), 0);
}

/// Asserts that a loss was said aloud, and that the ledger goes on in another epoch for each.
fn assert_told(verdict: &Verdict, losses: usize, apps: &[App]) {
    assert!(verdict.of("restored").count() >= losses);
    for restored in verdict.of("restored") {
        assert!(restored.facts()["count"].as_u64().unwrap() > 0, "{restored:?}");
    }
    let epochs: Vec<_> = verdict.entries.iter().map(|entry| entry.epoch).collect();
    assert!(epochs.is_sorted(), "{epochs:?}");
    assert_eq!(epochs.last(), Some(&(1 + losses as i64)), "one loss, one epoch: {epochs:?}");
    for app in apps {
        assert!(app.said().contains("does not hold what was committed"), "{}", app.said());
    }
}

/// (69) The server comes back with the files of an earlier day: what it lost is sent again from the folders of two
/// services, in another epoch, and said aloud.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_lost_its_tail_is_sent_it_again() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let (mut apps, book) = (Vec::new(), Book::default());
    for name in ["one", "two"] {
        let settings = Settings::new(cluster.url(), folder.path().join(name));
        apps.push(App::start(&settings, folder.path()).await);
    }
    // By each of them: whoever committed nothing since the copy has lost nothing.
    let stored = async |more: usize| {
        for app in &apps {
            let before = app.tally().await["stored"];
            send(app.address, more, &book).await;
            let all = async || app.tally().await["stored"] >= before + more as u64;
            until("more is stored", all).await;
        }
    };
    let losses = times(1, 30);
    for _ in 0..losses {
        stored(20).await;
        cluster.stop().await;
        cluster.back_up().await;
        cluster.up().await;
        stored(40).await;
        // Requests come in all the while.
        let meanwhile = async {
            for app in &apps {
                send(app.address, 40, &book).await;
            }
        };
        let replaced = async {
            cluster.stop().await;
            cluster.restore().await;
            cluster.up().await;
        };
        tokio::join!(meanwhile, replaced);
        cluster.log().arrived(&book).await;
    }
    for app in &apps {
        app.settled().await;
    }
    let verdict = judge("69 failover without the tail", losses, &book, &cluster.log()).await;
    assert_told(&verdict, losses, &apps);
    for app in apps {
        let report = app.stop().await;
        assert_eq!((report["dropped"], report["stored"]), (0, report["received"]));
    }
}

/// (69) A backup of the file is put in its place under the running service, or while it is stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_by_an_older_one_is_sent_its_tail_again() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup.db"));
    fs::create_dir(&data).unwrap();
    let file = data.join("activity.db");
    let log = Log::Sqlite(file.clone());
    let store = format!("sqlite:{}", file.display());
    SqliteStore::open(&store).await.unwrap();
    let settings = Settings::new(&store, folder.path().join("spool"));
    let (book, losses) = (Book::default(), times(2, 60));
    let mut app = App::start(&settings, folder.path()).await;
    let mut under_way = 0;
    for loss in 0..losses {
        send(app.address, 40, &book).await;
        app.settled().await;
        // As `sqlite3 activity.db "vacuum into …"` does.
        let by_hand = rusqlite::Connection::open(&file).unwrap();
        by_hand.busy_timeout(super::PATIENCE).unwrap();
        by_hand.execute("vacuum into ?", [backup.to_str().unwrap()]).unwrap();
        drop(by_hand);
        send(app.address, 40, &book).await;
        app.settled().await;
        let stops = loss % 2 == 1;
        let put_back = || {
            for beside in ["activity.db-wal", "activity.db-shm"] {
                let gone = fs::remove_file(data.join(beside));
                assert!(gone.is_ok() || stops, "{gone:?}");
            }
            fs::rename(&backup, &file).unwrap();
        };
        if stops {
            assert_eq!(app.stop().await["spooled"], 0);
            put_back();
            app = App::start(&settings, folder.path()).await;
        } else {
            // Whoever opens the file between these steps would give the old one's log to the new one.
            assert!(signal(app.pid(), "STOP").await);
            put_back();
            assert!(signal(app.pid(), "CONT").await);
            under_way += 1;
        }
        send(app.address, 40, &book).await;
        log.arrived(&book).await;
        app.settled().await;
        if !stops {
            assert!(app.said().contains("does not hold what was committed"), "{}", app.said());
            // Whoever reads sees the new file.
            let path = "/log/records?count=exact&limit=1&action=update";
            let (status, body) = app.ask("GET", path).await;
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((status, &body["total"]["value"]), (200, &book.seen().into()));
        }
    }
    app.stop().await;
    let verdict = judge("69 file replaced by an older one", losses, &book, &log).await;
    assert!(verdict.of("restored").count() >= under_way);
}

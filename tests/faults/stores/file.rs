//! SQLite files that cannot be written: locked by another process, or on a disk that is full.

use std::{fs, path::Path, process::Command, time::Duration};

use tower_activity::SqliteStore;

use super::{
    app::App,
    child::Settings,
    load::{Book, send, send_with},
    oracle::{Log, judge},
};
use crate::table::times;

/// (6) Another process holds the lock of the file for long: calls end with their deadline, and no request hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_else_has_locked_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("activity.db");
    let store = format!("sqlite:{}", file.display());
    SqliteStore::open(&store).await.unwrap();
    let (book, rounds) = (Book::default(), times(1, 30));
    for round in 0..rounds {
        for mode in ["durable", "strict"] {
            let settings = Settings::new(&store, folder.path().join(format!("{mode}-{round}")));
            let settings = settings.mode(mode).deadline(Duration::from_secs(1));
            let app = App::start(&settings, folder.path()).await;
            send(app.address, 20, &book).await;
            app.settled().await;
            let by_hand = rusqlite::Connection::open(&file).unwrap();
            by_hand.busy_timeout(super::PATIENCE).unwrap();
            by_hand.execute_batch("begin exclusive").unwrap();
            let count = times(60, 2_000);
            send(app.address, count, &book).await;
            app.retried(2).await;
            assert_eq!(app.tally().await["spooled"], count as u64);
            by_hand.execute_batch("rollback").unwrap();
            app.settled().await;
            let report = app.stop().await;
            assert_eq!((report["stored"], report["dropped"]), (count as u64 + 20, 0));
        }
    }
    judge("6 file locked", 2 * rounds, &book, &Log::Sqlite(file)).await;
}

/// A small disk; gone when dropped.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// `None` where nobody may mount one.
    fn mount(at: &'a Path, bytes: usize) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = format!("size={bytes},mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    fn enlarge(&self, bytes: usize) {
        let options = format!("remount,size={bytes}");
        let done = Command::new("mount").args(["-o", &options]).arg(self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is about to end.
        let gone = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(std::thread::panicking() || gone.unwrap().success());
    }
}

/// (15) The disk of the database is full, that of the spool is not: records wait until somebody makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_file_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..times(1, 20) {
        let data = folder.path().join(format!("data-{round}"));
        let Some(disk) = Disk::mount(&data, 2 << 20) else {
            eprintln!("SKIPPED: a full disk under the database: nobody may mount one here");
            return;
        };
        let file = data.join("activity.db");
        let store = format!("sqlite:{}", file.display());
        let settings = Settings::new(&store, folder.path().join(format!("spool-{round}")));
        let app = App::start(&settings, folder.path()).await;
        let book = Book::default();
        let count = 200;
        send_with(app.address, count, &book, |client| client.header("x-pad", 20_000)).await;
        app.retried(3).await;
        let tally = app.tally().await;
        assert!(tally["spooled"] > 0, "{tally:?}");
        assert_eq!((tally["dropped"], tally["quarantined"]), (0, 0));
        disk.enlarge(64 << 20);
        app.settled().await;
        let report = app.stop().await;
        assert_eq!((report["stored"], report["quarantined"]), (count as u64, 0));
        judge("15 disk of the database full", 1, &book, &Log::Sqlite(file)).await;
        drop(disk);
    }
}

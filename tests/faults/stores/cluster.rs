//! A Postgres of a test's own: stopped, frozen, copied and put back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tower_activity::PostgresStore;

use super::{
    blocking,
    oracle::Log,
    server::{Server, execute, run, unprivileged},
};
use crate::process::signal;

/// A server with a log in it.
pub(crate) struct Cluster(Arc<Server>);

impl Cluster {
    pub(crate) async fn start() -> Self {
        let server = blocking(Server::start).await;
        PostgresStore::open(&server.url()).await.unwrap();
        Self(Arc::new(server))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) fn log(&self) -> Log {
        Log::Postgres(self.url())
    }

    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url(), sql).await;
    }

    async fn work(&self, work: impl FnOnce(&Server) + Send + 'static) {
        let server = Arc::clone(&self.0);
        blocking(move || work(&server)).await;
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn crash(&self) {
        self.work(Server::crash).await;
    }

    /// Ends it in good order.
    pub(crate) async fn stop(&self) {
        let stop = |server: &Server| {
            run(server.program("pg_ctl").args(["-D", "data", "-m", "fast", "-w", "stop"]));
        };
        self.work(stop).await;
    }

    pub(crate) async fn up(&self) {
        self.work(Server::up).await;
    }

    pub(crate) async fn reload(&self, hba: &str) {
        let hba = hba.to_owned();
        self.work(move |server| {
            server.write("pg_hba.conf", &hba);
            server.reload();
        })
        .await;
    }

    /// Copies the files of the stopped server, in the place of an earlier copy.
    pub(crate) async fn back_up(&self) {
        self.work(|server| copy(server, "data", "copy")).await;
    }

    /// Puts the copy in the place of the stopped server's files.
    pub(crate) async fn restore(&self) {
        self.work(|server| copy(server, "copy", "data")).await;
    }

    /// Stops every process of the server in its tracks, until the answer is dropped.
    pub(crate) async fn freeze(&self) -> Frozen {
        let data = self.0.folder.path().join("data");
        let pid = fs::read_to_string(data.join("postmaster.pid")).unwrap();
        let postmaster: u32 = pid.lines().next().unwrap().parse().unwrap();
        // First the one that would make others.
        assert!(signal(postmaster, "STOP").await);
        let mut frozen = Frozen(vec![postmaster]);
        for child in children(postmaster) {
            // One that has just ended is frozen enough.
            let sent = Command::new("kill").args(["-s", "STOP", &child.to_string()]).output();
            if sent.unwrap().status.success() {
                frozen.0.push(child);
            }
        }
        frozen
    }
}

/// Puts a copy of a folder in the place of another, if there is one: else it would end up inside that.
fn copy(server: &Server, from: &str, to: &str) {
    let place = server.folder.path().join(to);
    if place.exists() {
        fs::remove_dir_all(place).unwrap();
    }
    // As the user whose files they are.
    let cp = unprivileged(Path::new("cp"), server.folder.path()).args(["-a", from, to]).output();
    assert!(cp.unwrap().status.success(), "cp -a {from} {to}");
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat")));
        // `pid (name) state parent …`
        let stat = stat.unwrap_or_default();
        let parents = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        parents.is_some_and(|pid| pid.parse() == Ok(parent))
    };
    pids.filter(is_child).collect()
}

/// Processes that stand still; dropping this lets them go on.
pub(crate) struct Frozen(Vec<u32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in self.0.iter().rev() {
            let sent = Command::new("kill").args(["-s", "CONT", &pid.to_string()]).output();
            drop(sent);
        }
    }
}

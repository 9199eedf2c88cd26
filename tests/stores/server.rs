//! Postgres for tests: a database of one's own on the given server, or a whole server of one's own.

use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions, raw_sql};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tower_activity::{PostgresStore, store::Maintain as _};

/// A database that is dropped at the end of the test.
#[derive(Debug)]
pub(crate) struct Database {
    admin: String,
    name: String,
    /// What it was copied from, which lasts as long as any copy.
    _template: Option<Arc<Self>>,
}

impl Database {
    /// Makes a database on the server of `TEST_POSTGRES_URL`.
    pub(crate) async fn new() -> Self {
        let admin = env::var("TEST_POSTGRES_URL").expect(
            "TEST_POSTGRES_URL names no server: run scripts/test, which starts one, or set it to the \
             superuser's URL of a throw-away server",
        );
        Self::on(&admin).await
    }

    /// Makes a database with an empty log in it. Only the first of those that are there at a time is migrated, which takes
    /// twice as long as a copy.
    pub(crate) async fn migrated() -> Self {
        static TEMPLATE: Mutex<Weak<Database>> = Mutex::const_new(Weak::new());
        let mut latest = TEMPLATE.lock().await;
        let template = if let Some(template) = latest.upgrade() {
            template
        } else {
            let template = Arc::new(Self::new().await);
            let pool = sqlx::PgPool::connect(&template.url()).await.unwrap();
            PostgresStore::from_pool(pool.clone()).migrate().await.unwrap();
            pool.close().await;
            *latest = Arc::downgrade(&template);
            template
        };
        drop(latest);
        template.copied(Some(Arc::clone(&template))).await
    }

    /// Makes a database on the server at `admin`.
    pub(crate) async fn on(admin: &str) -> Self {
        let name = Self::next_name();
        execute(admin, &format!("drop database if exists {name} with (force)")).await;
        execute(admin, &format!("create database {name}")).await;
        Self { admin: admin.to_owned(), name, _template: None }
    }

    fn next_name() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("activity_test_{}_{number}", std::process::id())
    }

    /// Makes another database that holds what this one does. Whoever is connected to this one is cut off.
    pub(crate) async fn copy(&self) -> Self {
        let ended = format!(
            "select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname = '{}'",
            self.name
        );
        execute(&self.admin, &ended).await;
        self.copied(None).await
    }

    /// Copies this database, to which nobody is connected.
    async fn copied(&self, template: Option<Arc<Self>>) -> Self {
        let (admin, name) = (self.admin.clone(), Self::next_name());
        let copy = Self { admin, name, _template: template };
        execute(&self.admin, &format!("create database {} template {}", copy.name, self.name))
            .await;
        copy
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the superuser's URL of this database.
    pub(crate) fn url(&self) -> String {
        with_database(&self.admin, &self.name)
    }

    /// Returns the superuser's URL of the server.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// Returns the password in the URL.
    pub(crate) fn password(&self) -> Option<&str> {
        let (credentials, _) = self.admin.split_once("//")?.1.rsplit_once('@')?;
        Some(credentials.split_once(':')?.1)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        execute(&self.url(), sql).await;
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.expect("the test's server takes connections")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, name) = (self.admin.clone(), self.name.clone());
        // A test ends inside a runtime, where nothing may block: so on a thread of its own.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection =
                    PgConnection::connect(&admin).await.map_err(std::io::Error::other)?;
                let sql = format!("drop database if exists {name} with (force)");
                let done = raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
                done.map_err(std::io::Error::other)
            })
        })
        .join();
        if !matches!(dropped, Ok(Ok(_))) {
            eprintln!("database {} was not dropped", self.name);
        }
    }
}

/// Returns the URL with another database.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(a, q)| (a, Some(q)));
    let cut = address.rfind('/').expect("a URL has a path");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{database}{query}", &address[..cut])
}

/// Returns the URL with another host and port.
pub(crate) fn replace_host(url: &str, host: &str) -> String {
    let (scheme, rest) = url.split_once("//").expect("a URL has a scheme");
    let (authority, path) = rest.split_once('/').expect("a URL has a path");
    let user = authority.rsplit_once('@').map(|(user, _)| format!("{user}@")).unwrap_or_default();
    format!("{scheme}//{user}{host}/{path}")
}

pub(crate) async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("the test's server answers");
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the test's own statement");
}

/// Returns the folder of the server's programs.
pub(crate) fn programs() -> PathBuf {
    if let Some(folder) = env::var_os("TEST_POSTGRES_BIN").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").expect(
        "no Postgres in /usr/lib/postgresql: install one, or name its folder in TEST_POSTGRES_BIN",
    );
    let version = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
    };
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(version);
    newest.expect("no version in /usr/lib/postgresql").join("bin")
}

/// Returns the path of PgBouncer.
pub(crate) fn pgbouncer() -> PathBuf {
    env::var_os("TEST_PGBOUNCER")
        .filter(|path| !path.is_empty())
        .map_or_else(|| "/usr/sbin/pgbouncer".into(), PathBuf::from)
}

/// Makes a command that runs as a user whom Postgres accepts, in `folder`.
pub(crate) fn unprivileged(program: &Path, folder: &Path) -> Command {
    let user = env::var("TEST_POSTGRES_USER").unwrap_or_else(|_| {
        let root = fs::metadata("/proc/self").is_ok_and(|meta| {
            use std::os::unix::fs::MetadataExt as _;
            meta.uid() == 0
        });
        let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
        match (root, known.lines().any(|line| line.starts_with("postgres:"))) {
            (false, _) => String::new(),
            (true, true) => "postgres".to_owned(),
            (true, false) => "nobody".to_owned(),
        }
    });
    let mut command = if user.is_empty() {
        Command::new(program)
    } else {
        // The folder alone: what is in it is his own, and comes and goes while his server runs.
        run(Command::new("chown").arg(format!("{user}:")).arg(folder));
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--init-groups", "--"]).arg(program);
        command
    };
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {stderr}", output.status);
    output
}

/// Returns a port that was free a moment ago, below those that the kernel gives to clients: one that is
/// free because its server is down must not become a client's.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number =
            std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(number % 12_000).expect("below 12,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server of the test's own, which may be stopped and started; its end ends it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    port: u16,
}

impl Server {
    /// Makes and starts a server.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("activity-pg").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let server = Self { folder, port: free_port() };
        run(server.program("initdb").args(["-D", "data", "-U", "postgres", "-A", "trust"]).args([
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]));
        server.up();
        server
    }

    pub(crate) fn program(&self, name: &str) -> Command {
        unprivileged(&programs().join(name), self.folder.path())
    }

    /// Starts it again.
    pub(crate) fn up(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
             -c max_connections=50 -c fsync=off",
            self.port
        );
        run(self
            .program("pg_ctl")
            .args(["-D", "data", "-l", "log", "-w", "-o", &options, "start"]));
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn crash(&self) {
        run(self.program("pg_ctl").args(["-D", "data", "-m", "immediate", "-w", "stop"]));
    }

    /// Makes it read its settings again.
    pub(crate) fn reload(&self) {
        run(self.program("pg_ctl").args(["-D", "data", "reload"]));
    }

    /// Replaces a file of its data folder.
    pub(crate) fn write(&self, file: &str, content: &str) {
        fs::write(self.folder.path().join("data").join(file), content)
            .expect("a file of the server");
    }

    /// Returns the superuser's URL.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Waits until it takes connections.
    pub(crate) async fn ready(&self) {
        answers(&self.url().parse().expect("Postgres starts")).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be down already, which pg_ctl says with an exit code that is nobody's business.
        let stopped =
            self.program("pg_ctl").args(["-D", "data", "-m", "immediate", "-w", "stop"]).output();
        drop(stopped);
    }
}

/// PgBouncer in transaction mode: each transaction may run on another server connection.
#[derive(Debug)]
pub(crate) struct Bouncer {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Bouncer {
    /// Starts one that has fewer connections to the server than it has clients.
    pub(crate) async fn before(database: &Database) -> Self {
        let options: PgConnectOptions = database.url().parse().expect("PgBouncer starts");
        Self::as_user(database, options.get_username()).await
    }

    /// Starts one that logs in as `user`, whoever comes.
    pub(crate) async fn as_user(database: &Database, user: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("activity-bouncer")
            .tempdir()
            .expect("PgBouncer starts");
        let options: PgConnectOptions = database.url().parse().expect("PgBouncer starts");
        let password = database.password().map(|p| format!(" password='{p}'")).unwrap_or_default();
        let port = free_port();
        let settings = format!(
            "[databases]\n{name} = host='{host}' port={server} user='{user}'{password}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
            name = database.name(),
            host = options.get_host(),
            server = options.get_port(),
        );
        fs::write(folder.path().join("pgbouncer.ini"), settings).expect("PgBouncer starts");
        let process = unprivileged(&pgbouncer(), folder.path())
            .arg("pgbouncer.ini")
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer starts");
        let url = format!("postgres://anybody@127.0.0.1:{port}/{}", database.name());
        let bouncer = Self { process, url, _folder: folder };
        let options: PgConnectOptions = bouncer.url.parse().expect("PgBouncer starts");
        answers(&options.extra_float_digits(None)).await;
        bouncer
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        drop(killed);
    }
}

/// Waits until a server takes connections, which none of them tells by itself.
async fn answers(options: &PgConnectOptions) {
    let connect = async {
        while PgConnection::connect_with(options).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), connect).await.expect("the server answers");
}

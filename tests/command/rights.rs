//! Who may only read can read: nothing that reads migrates, folds or writes.

use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Stdio,
};

use tokio::process::Command;
use tower_activity::store::{Append as _, Maintain as _};

use crate::run::{Log, ended, record};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_postgres_asks_everything_and_writes_nothing() {
    let log = Log::postgres().await.with_three().await;
    log.run(&["migrate", "--roles"]).await.with(0);
    let database = log.database.as_ref().unwrap();
    let login = format!("{}_support", database.name());
    let made = format!("create role {login} login password 'geheim' in role activity_reader");
    database.execute(&made).await;
    let (_, address) = log.url.rsplit_once('@').unwrap();
    let url = format!("postgres://{login}:geheim@{address}");
    let run = async |arguments: &[&str]| {
        let ended = ended(log.command(arguments).env("ACTIVITY_STORE", &url)).await;
        assert!(!format!("{ended:?}").contains("geheim"), "{ended:?}");
        ended
    };
    assert_eq!(run(&["query"]).await.with(0).json().len(), 3);
    assert_eq!(run(&["tail", "--no-follow"]).await.with(0).json().len(), 3);
    assert_eq!(run(&["export"]).await.with(0).json().len(), 3);
    let counted = run(&["stats"]).await.with(0);
    assert_eq!((&counted.json()[0]["total"], counted.stderr.as_str()), (&3.into(), ""));
    assert_eq!(run(&["report", "--day", "2026-11-20"]).await.with(0).json()[0]["total"], 2);
    let looked = run(&["doctor"]).await.with(0);
    assert!(looked.stdout.contains("may only read, and does not own the log"), "{}", looked.stdout);
    for writing in [&["key", "new", "x"][..], &["migrate"], &["migrate", "--index", "text"]] {
        let refused = run(writing).await.with(3);
        assert!(refused.stderr.contains("permission denied"), "{}", refused.stderr);
        assert!(refused.stderr.contains("activity_reader"), "{}", refused.stderr);
    }
    // What nobody has folded is counted from its rows, as long as it is little.
    let many: Vec<_> =
        (4..=51_000).map(|seq| record(seq, "2026-11-20T12:00:00Z", |_| {})).collect();
    for batch in many.chunks(10_000) {
        log.append(batch).await;
    }
    let behind = run(&["stats"]).await.with(0);
    assert!(behind.stderr.contains("commits are not counted yet"), "{behind:?}");
    let counted = &behind.json()[0];
    assert_eq!((&counted["exact"], &counted["complete"]), (&false.into(), &true.into()));
    log.run(&["stats"]).await.with(0);
    assert_eq!(run(&["stats"]).await.with(0).json()[0]["total"], 51_000);
    database.execute(&format!("drop owned by {login}; drop role {login}")).await;
}

/// Where the database keeps tenants apart, whoever reads says whose records; without that there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_one_tenant_names_it() {
    let log = Log::postgres().await.with_three().await;
    for _ in 0..2 {
        let made = log.run(&["migrate", "--tenants"]).await.with(0);
        let said = &made.json()[0];
        assert_eq!((&said["tenants"], &said["roles"]), (&true.into(), &true.into()));
    }
    let people = log.run(&["migrate", "--tenants", "--output", "table"]).await.with(0);
    assert!(people.stdout.contains("tenants are kept apart"), "{}", people.stdout);
    log.run(&["stats"]).await.with(0);
    let database = log.database.as_ref().unwrap();
    let login = format!("{}_north", database.name());
    database.execute(&format!("create role {login} login in role activity_reader")).await;
    let (head, address) = log.url.split_once("//").unwrap();
    let address = address.split_once('@').map_or(address, |(_, address)| address);
    let url = format!("{head}//{login}@{address}");
    let run =
        async |arguments: &[&str]| ended(log.command(arguments).env("ACTIVITY_STORE", &url)).await;
    for (tenant, found) in [(None, 0), (Some("north"), 1), (Some("south"), 0)] {
        let with = |arguments: &[&'static str]| {
            let mut line = arguments.to_vec();
            line.extend(tenant.map(|_| "--tenant").into_iter().chain(tenant));
            line
        };
        assert_eq!(run(&with(&["query"])).await.with(0).json().len(), found);
        assert_eq!(run(&with(&["query", "tenant_id:north"])).await.with(0).json().len(), found);
        assert_eq!(run(&with(&["tail", "--no-follow"])).await.with(0).json().len(), found);
        assert_eq!(run(&with(&["export"])).await.with(0).json().len(), found);
        assert_eq!(run(&with(&["stats"])).await.with(0).json()[0]["total"], found);
        let day = run(&with(&["report", "--day", "2026-11-20"])).await.with(0);
        assert_eq!(day.json()[0]["total"], found);
    }
    let mut by_name = log.command(&["query"]);
    let by_name = by_name.env("ACTIVITY_STORE", &url).env("ACTIVITY_TENANT", "north");
    assert_eq!(ended(by_name).await.with(0).json().len(), 1);
    let refused = run(&["verify"]).await.with(3);
    assert!(refused.stderr.contains("ask as activity_auditor"), "{}", refused.stderr);
    let looked = run(&["doctor"]).await.with(0).stdout;
    assert!(looked.contains("none that this role sees"), "{looked}");
    assert!(looked.contains("sees one tenant at a time"), "{looked}");
    // The owner sees all, and may be held to one; the doctor says what it gives up.
    assert_eq!(log.run(&["query"]).await.with(0).json().len(), 3);
    assert_eq!(log.run(&["query", "--tenant", "north"]).await.with(0).json().len(), 1);
    let looked = log.run(&["doctor"]).await.with(0).stdout;
    assert!(
        looked.contains("sees all tenants, and could take away what keeps them apart"),
        "{looked}"
    );
    let grant = format!("grant activity_writer, activity_auditor to {login}");
    database.execute(&grant).await;
    let looked = run(&["doctor"]).await.with(0).stdout;
    assert!(looked.contains("questions of one are held to it"), "{looked}");
    // The proofs of a bundle need the whole of a batch: its records are asked for as those of the tenant all the same.
    log.run(&["checkpoint", "--keys", "log.keys"]).await.with(0);
    let named = "create policy named on activity.records as restrictive for select \
                 using (tenant_id = current_setting('activity.tenant', true))";
    database.execute(named).await;
    let made = run(&["bundle", "--tenant", "north", "--out", "north.zip"]).await.with(0);
    assert!(made.stderr.ends_with("activity: 1 record\n"), "{made:?}");
    database.execute("drop policy named on activity.records").await;
    database.execute("alter policy one_tenant on activity.records using (true)").await;
    let looked = run(&["doctor"]).await.with(1).stdout;
    assert!(
        looked.contains("tenants can see each other: records: the policy one_tenant"),
        "{looked}"
    );
    database.execute(&format!("drop owned by {login}; drop role {login}")).await;
    // In SQLite it is a filter.
    let log = Log::sqlite().with_three().await;
    assert_eq!(log.run(&["query", "--tenant", "north"]).await.with(0).json().len(), 1);
    assert_eq!(
        log.run(&["tail", "--no-follow", "--tenant", "south"]).await.with(0).json().len(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_and_indexes_are_made_and_may_be_asked_for_again() {
    let log = Log::postgres().await;
    for _ in 0..2 {
        let made = log.run(&["migrate", "--roles", "--index", "text,metadata"]).await.with(0);
        let said = &made.json()[0];
        assert_eq!((&said["migrated"], &said["roles"]), (&true.into(), &true.into()));
        assert_eq!(said["indexes"], serde_json::json!(["text", "metadata"]));
    }
    let people = log.run(&["migrate", "--roles", "--output", "table"]).await.with(0);
    assert!(people.stdout.contains("grant activity_writer to shop"), "{}", people.stdout);
    let mut connection = log.database.as_ref().unwrap().connect().await;
    for role in ["writer", "reader", "auditor", "privacy", "retention"] {
        let there: bool = sqlx::query_scalar("select to_regrole($1) is not null")
            .bind(format!("activity_{role}"))
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert!(there, "{role}");
    }
    let log = Log::sqlite();
    let made = log.run(&["migrate", "--index", "text"]).await.with(0);
    assert_eq!(made.json()[0]["indexes"], serde_json::json!(["text"]));
}

/// Tests may run as root, whom no mode keeps out; so as somebody else, where that is possible.
fn as_a_stranger(log: &Log, program: &Path, arguments: &[&str]) -> Command {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        return log.command(arguments);
    }
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--clear-groups", "--"]).arg(program).args(arguments);
    other.env_clear().env("ACTIVITY_STORE", &log.url).current_dir(log.folder.path());
    other.stdin(Stdio::null()).kill_on_drop(true);
    other
}

fn set_modes(folder: &Path, of_folder: u32, of_files: u32) {
    for file in std::fs::read_dir(folder).unwrap() {
        let mode = Permissions::from_mode(of_files);
        std::fs::set_permissions(file.unwrap().path(), mode).unwrap();
    }
    std::fs::set_permissions(folder, Permissions::from_mode(of_folder)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_a_file_asks_everything_and_writes_nothing() {
    let mut log = Log::sqlite().with_three().await;
    let folder = log.folder.path().to_owned();
    let elsewhere = tempfile::TempDir::new().unwrap();
    set_modes(elsewhere.path(), 0o755, 0o755);
    let program = elsewhere.path().join("activity");
    std::fs::copy(env!("CARGO_BIN_EXE_activity"), &program).unwrap();

    set_modes(&folder, 0o555, 0o444);
    let refused = ended(&mut as_a_stranger(&log, &program, &["query"])).await.with(3);
    for words in ["no service has it open", "; read it as its owner", "?immutable=true"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    let plain = log.url.clone();
    log.url.push_str("?immutable=true");
    let copy = ended(&mut as_a_stranger(&log, &program, &["query"])).await.with(0);
    assert_eq!(copy.json().len(), 3);
    log.url = plain;

    // As with a service that runs: the files beside the database are there.
    set_modes(&folder, 0o755, 0o644);
    let service = tower_activity::SqliteStore::open(&log.url).await.unwrap();
    let writer = service.connect().await.unwrap();
    service.fold(0).await.unwrap();
    set_modes(&folder, 0o555, 0o444);
    for arguments in
        [&["query"][..], &["tail", "--no-follow"], &["export"], &["stats"], &["doctor"]]
    {
        let asked = ended(&mut as_a_stranger(&log, &program, arguments)).await.with(0);
        assert!(asked.stdout.lines().count() > 0, "{asked:?}");
    }
    set_modes(&folder, 0o755, 0o644);
    drop(writer);
    service.close().await;
}

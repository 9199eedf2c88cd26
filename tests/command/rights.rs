//! Who may only read can read: nothing that reads migrates, folds or writes.

use crate::{
    run::{Log, ended},
    server::replace_host,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_postgres_asks_everything_and_writes_nothing() {
    let log = Log::postgres().await.with_three().await;
    log.run(&["migrate", "--roles"]).await.with(0);
    let database = log.database.as_ref().unwrap();
    let login = format!("{}_support", database.name());
    let made = format!("create role {login} login password 'geheim' in role activity_reader");
    database.execute(&made).await;
    let host = log.url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
    let url = replace_host(&log.url, &host).replacen(
        log.url.split("//").nth(1).unwrap().split('@').next().unwrap(),
        &format!("{login}:geheim"),
        1,
    );
    let run = async |arguments: &[&str]| {
        let ended = ended(log.command(arguments).env("ACTIVITY_STORE", &url)).await;
        assert!(!format!("{ended:?}").contains("geheim"), "{ended:?}");
        ended
    };
    assert_eq!(run(&["query"]).await.with(0).json().len(), 3);
    assert_eq!(run(&["tail", "--no-follow"]).await.with(0).json().len(), 3);
    assert_eq!(run(&["export"]).await.with(0).json().len(), 3);
    let behind = run(&["stats"]).await.with(0);
    assert!(behind.stderr.contains("commits are not counted yet"), "{}", behind.stderr);
    log.run(&["stats"]).await.with(0);
    assert_eq!(run(&["stats"]).await.with(0).json()[0]["total"], 3);
    assert_eq!(run(&["report", "--day", "2026-11-20"]).await.with(0).json()[0]["total"], 2);
    let looked = run(&["doctor"]).await.with(0);
    assert!(looked.stdout.contains("may only read, and does not own the log"), "{}", looked.stdout);
    for writing in [&["key", "new", "x"][..], &["migrate"], &["migrate", "--index", "text"]] {
        let refused = run(writing).await.with(3);
        assert!(refused.stderr.contains("permission denied"), "{}", refused.stderr);
        assert!(refused.stderr.contains("activity_reader"), "{}", refused.stderr);
    }
    database.execute(&format!("drop owned by {login}; drop role {login}")).await;
}

/// Tests may run as root, whom no mode keeps out; so as somebody else, where that is possible.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_a_file_asks_everything_and_writes_nothing() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let log = Log::sqlite().with_three().await;
    // As a service that runs: the files beside the database are there.
    let service = tower_activity::SqliteStore::open(&log.url).await.unwrap();
    let folder = log.folder.path();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        std::fs::set_permissions(file.unwrap().path(), std::fs::Permissions::from_mode(0o444))
            .unwrap();
    }
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    for arguments in
        [&["query"][..], &["tail", "--no-follow"], &["export"], &["stats"], &["doctor"]]
    {
        let mut command = log.command(arguments);
        if root {
            let binary = command.as_std().get_program().to_owned();
            let copy = folder.with_extension("bin");
            std::fs::copy(binary, &copy).unwrap();
            let mut other = tokio::process::Command::new("setpriv");
            other.args(["--reuid", "65534", "--clear-groups", "--"]).arg(&copy).args(arguments);
            other
                .env_clear()
                .env("ACTIVITY_STORE", &log.url)
                .current_dir(folder)
                .kill_on_drop(true);
            command = other;
        }
        let asked = ended(&mut command).await.with(0);
        assert!(asked.stdout.lines().count() > 0, "{asked:?}");
    }
    drop(std::fs::remove_file(folder.with_extension("bin")));
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    service.close().await;
}

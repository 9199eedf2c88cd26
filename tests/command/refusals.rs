//! What cannot be done is said with what, where and the way out; nothing is made or shown on the way.

use crate::{
    run::{Log, activity, ended},
    server::{free_port, replace_host, with_database},
};

const READING: [&[&str]; 6] = [
    &["query"],
    &["tail", "--no-follow"],
    &["stats"],
    &["report", "--day", "today"],
    &["export"],
    &["key", "list"],
];

#[tokio::test]
async fn reading_makes_no_database() {
    let log = Log::sqlite();
    for arguments in READING {
        let refused = log.run(arguments).await.with(3);
        assert!(refused.stderr.starts_with("activity: there is no log `"), "{}", refused.stderr);
        assert!(refused.stderr.contains("activity migrate") && refused.stdout.is_empty());
    }
    log.run(&["doctor"]).await.with(1);
    let made = std::fs::read_dir(log.folder.path()).unwrap().count();
    assert_eq!(made, 0, "nothing was made");
}

#[tokio::test]
async fn reading_makes_no_schema() {
    let log = Log::postgres().await;
    for arguments in READING {
        let refused = log.run(arguments).await.with(3);
        assert!(refused.stderr.contains("holds no log; `activity migrate`"), "{}", refused.stderr);
    }
    let mut connection = log.database.as_ref().unwrap().connect().await;
    let made: bool = sqlx::query_scalar("select to_regnamespace('activity') is not null")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!made);
}

on_both!(another_version_of_the_schema_is_told);

async fn another_version_of_the_schema_is_told(log: Log) {
    log.run(&["migrate"]).await.with(0);
    let newer = match &log.database {
        Some(database) => {
            database
                .execute("insert into activity.migrations (version, name) values (9999, 'later')")
                .await;
            "newer build"
        }
        None => {
            let file = rusqlite::Connection::open(log.path("activity.db")).unwrap();
            file.execute("INSERT INTO activity_migrations SELECT 9999, name, checksum, applied_at FROM activity_migrations LIMIT 1", ())
                .unwrap();
            "newer build"
        }
    };
    let refused = log.run(&["query"]).await.with(3);
    assert!(refused.stderr.contains(newer), "{}", refused.stderr);
    match &log.database {
        Some(database) => {
            database.execute("delete from activity.migrations where version > 4").await
        }
        None => {
            let file = rusqlite::Connection::open(log.path("activity.db")).unwrap();
            file.execute("DELETE FROM activity_migrations WHERE version > 1", ()).unwrap();
        }
    }
    let refused = log.run(&["query"]).await.with(3);
    assert!(refused.stderr.contains("version") && refused.stderr.contains("`activity migrate`"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_told_in_words_and_without_the_password() {
    let log = Log::postgres().await;
    let away = replace_host(&log.url, &format!("127.0.0.1:{}", free_port()));
    let missing = with_database(&log.url, "no_such_database");
    for (url, words) in [
        (away.as_str(), "nothing answers there (connection refused); see that the server runs"),
        (&missing, "there is no database `no_such_database`; make it"),
        ("postgres://ana:geheim@host.invalid/log", "see that the server runs"),
        ("postgres://ana:geheim@127.0.0.1:1/log", "connection refused"),
        ("postgres://ana:geheim@127.0.0.1:99999/log", "invalid port"),
        ("mysql://ana:geheim@127.0.0.1/log", "--store begins with `mysql://`: name a store as in"),
    ] {
        for arguments in [&["query"][..], &["migrate"], &["serve"], &["doctor"], &["tail"]] {
            let mut command = log.command(arguments);
            let ended = ended(command.env("ACTIVITY_STORE", url).env("PORT", "0")).await;
            assert!(!matches!(ended.code, Some(0 | 101)), "{ended:?}");
            let said = format!("{}{}", ended.stdout, ended.stderr);
            assert!(said.contains(words), "{url} {arguments:?}: {said}");
            assert!(!said.contains("geheim") && !said.contains("error returned from"), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_a_mistake_of_usage() {
    let log = Log::sqlite();
    log.run(&["migrate"]).await.with(0);
    for (arguments, words) in [
        (&["query", "actio:cancel"][..], "did you mean `action`?"),
        (&["query", "action:("], "column 9"),
        (&["query", "--from", "noon"], "`from`"),
        (&["query", "--tz", "Mars"], "Mars"),
        (&["report"], "--day"),
        (&["report", "--day", "20.11."], "2026-11-20"),
        (&["export", "--format", "xml"], "csv"),
        (&["migrate", "--index", "words"], "there are text, metadata"),
        (&["migrate", "--index", "metadata"], "an index of Postgres"),
        (&["migrate", "--roles"], "makes roles in Postgres"),
        (&["migrate", "--tenants"], "row-level policy"),
        (&["key", "new", "x", "--permissions", "all"], "logs.ingest"),
        (&["key", "new", " "], "NAME is empty"),
        (&["key", "new", "a\u{1b}[2Jb"], "control characters"),
        (&["rules", "explain", "GE T", "/"], "no HTTP method"),
        (&["man", "nothing"], "there is no command"),
        (&["serve", "--listen", "example.com"], "[::]"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ] {
        let refused = log.run(arguments).await.with(2);
        assert!(refused.stderr.contains(words), "{arguments:?}: {}", refused.stderr);
        assert!(refused.stdout.is_empty());
    }
}

#[tokio::test]
async fn every_command_explains_itself() {
    let folder = tempfile::TempDir::new().unwrap();
    let help = ended(&mut activity(folder.path(), &["--help"])).await.with(0).stdout;
    for command in [
        "migrate",
        "serve",
        "query",
        "tail",
        "stats",
        "report",
        "export",
        "doctor",
        "key",
        "rules",
        "completions",
        "man",
    ] {
        assert!(help.contains(command), "{command} is in the help");
        let own = ended(&mut activity(folder.path(), &[command, "--help"])).await.with(0).stdout;
        assert!(own.contains("Usage: activity ") && own.contains("--store"), "{own}");
    }
}

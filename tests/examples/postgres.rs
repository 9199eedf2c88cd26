//! The examples on the Postgres server that `TEST_POSTGRES_URL` names.

use std::env;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};
use tempfile::TempDir;

use crate::running::{Running, ends, example};

/// Makes an empty database and returns its URL.
async fn database(name: &str) -> String {
    let admin = env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL names no server: run scripts/test, which starts one, or set it to the \
         superuser's URL of a throw-away server",
    );
    let name = format!("activity_examples_{}_{name}", std::process::id());
    let mut connection = PgConnection::connect(&admin).await.expect("the server answers");
    for sql in
        [format!("drop database if exists {name} with (force)"), format!("create database {name}")]
    {
        raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("a new database");
    }
    let (server, parameters) = admin.split_once('?').unwrap_or((&admin, ""));
    let slash = server.rfind('/').filter(|at| *at > server.find("//").map_or(0, |at| at + 1));
    format!("{}/{name}?{parameters}", &server[..slash.unwrap_or(server.len())])
}

async fn drop_database(url: &str) {
    let admin = env::var("TEST_POSTGRES_URL").expect("it was there before");
    let name = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).expect("a name");
    let mut connection = PgConnection::connect(&admin).await.expect("the server answers");
    let sql = format!("drop database if exists {name} with (force)");
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the database goes");
}

#[tokio::test]
async fn the_postgres_example_keeps_what_it_was_asked() {
    let (folder, url) = (TempDir::new().unwrap(), database("postgres").await);
    let mut command = example("postgres", folder.path());
    command.env("ACTIVITY_STORE", &url);
    let app = Running::start(command).await;
    let (status, _) = app.send("POST", "/orders/55/cancel", None, None).await;
    assert_eq!(status, 200);
    let (last, lines) = app.stop_and_read("INT").await;
    assert_eq!(last, "stored 1 · dropped 0 · gaps 0");
    assert!(lines.iter().any(|line| line.ends_with(" someone cancelled order 55")), "{lines:#?}");
    drop_database(&url).await;
}

#[tokio::test]
async fn the_quickstart_runs_on_postgres_with_a_month_of_history() {
    let (folder, url) = (TempDir::new().unwrap(), database("quickstart").await);
    let command = |keys: &str| {
        let mut command = example("quickstart", folder.path());
        command.env("ACTIVITY_STORE", &url).env("ACTIVITY_KEYS", keys).arg("--demo");
        command
    };
    // A server has no place beside it for the keys.
    let (status, _, stderr) = ends(command("")).await;
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("ACTIVITY_KEYS is not set"), "{stderr}");

    let mut shop = Running::start(command("shop.keys")).await;
    assert_eq!(shop.records("action=gap").await.len(), 1);
    let token = shop.log_in("ana").await;
    shop.send("POST", "/api/orders/55/cancel", Some(&token), None).await;
    shop.line("ana cancelled order 55").await;
    assert_eq!(shop.records("action=cancel&entity_id=55").await[0]["actor_id"], "ana");
    let shown = shop.seen().join("\n");
    assert!(!shown.contains(&url) || !url.contains('@'), "no password on the screen: {shown}");
    let (last, _) = shop.stop("TERM").await;
    // That the log was looked at is a record too, and what was repeated within a minute another one.
    assert_eq!(last, "stored 4 · dropped 0 · gaps 0 · folded 1");
    drop_database(&url).await;
}

//! `activity migrate --outbox`: the outbox in the application's own database.

use serde_json::json;
use tower_activity::store::{Outbox, postgres::PostgresOutbox, sqlite::SqliteOutbox};

use crate::{
    run::{Ended, Log},
    server::Database,
};

on_both! {
    an_outbox_is_made_beside_the_log_and_in_another_database,
}

/// Asserts that there is an outbox, and nothing in it.
async fn is_empty(outbox: &impl Outbox) {
    assert_eq!(outbox.backlog().await.unwrap().rows, 0);
}

fn made(ended: Ended) {
    assert_eq!(ended.with(0).json()[0]["outbox"], json!(true));
}

async fn an_outbox_is_made_beside_the_log_and_in_another_database(log: Log) {
    let without = log.run(&["migrate"]).await.with(0);
    assert_eq!(without.json()[0]["outbox"], json!(false));
    // The application's own database is there, and is not made.
    let file = rusqlite::Connection::open(log.path("shop.db")).unwrap();
    file.execute_batch("create table orders (id integer)").unwrap();
    let shop = format!("sqlite:{}", log.path("shop.db").display());
    // Again changes nothing.
    for _ in 0..2 {
        made(log.run(&["migrate", "--outbox", &shop]).await);
        made(log.run(&["migrate", "--outbox", &log.url]).await);
    }
    is_empty(&SqliteOutbox::at(&shop).unwrap()).await;
    let database = Database::new().await;
    made(log.run(&["migrate", "--outbox", &database.url()]).await);
    is_empty(&PostgresOutbox::at(&database.url()).unwrap()).await;
    if log.database.is_some() {
        is_empty(&PostgresOutbox::at(&log.url).unwrap()).await;
    } else {
        is_empty(&SqliteOutbox::at(&log.url).unwrap()).await;
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_gets_no_outbox_and_the_password_is_not_said() {
    let log = Log::sqlite();
    for url in ["postgres://shop:geheim@127.0.0.1:9/shop", "mysql://shop:geheim@localhost/shop"] {
        let refused = log.run(&["migrate", "--outbox", url]).await;
        assert!(refused.code.is_some_and(|code| code != 0), "{refused:?}");
        assert!(!refused.stderr.is_empty() && !format!("{refused:?}").contains("geheim"));
        assert!(!log.path("activity.db").exists(), "nothing is made when something cannot be");
    }
}

//! A database of a benchmark's own.

#![allow(unreachable_pub)]

use sqlx::{Connection as _, Executor as _, PgConnection};

/// Dropped at the end.
pub struct Database {
    server: String,
    name: String,
    pub url: String,
}

impl Database {
    pub async fn create(server: &str, name: &str) -> Self {
        let name = format!("bench_{name}_{}", std::process::id());
        let mut connection = PgConnection::connect(server).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        let url = url_of(server, &name);
        Self { server: server.to_owned(), name, url }
    }

    pub async fn drop(self) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let sql = format!("drop database {} with (force)", self.name);
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
}

/// Returns the address of another database at the same server.
pub fn url_of(server: &str, name: &str) -> String {
    let (head, query) = server.split_once('?').map_or((server, ""), |(h, q)| (h, q));
    let base = head.rsplit_once('/').map_or(head, |(base, _)| base);
    format!("{base}/{name}{}{query}", if query.is_empty() { "" } else { "?" })
}

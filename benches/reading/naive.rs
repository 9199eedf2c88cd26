//! The log that one writes in an afternoon: one table, an index on each column, OFFSET and COUNT(*). It holds
//! the same records, copied out of ours.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use super::{
    PAGE, Question,
    database::url_of,
    ours::{actor, address, day, entity, tenant},
    skewed::{COMMON, RARE},
};

const COLUMNS: [&str; 16] = [
    "created_at",
    "actor_id",
    "actor_name",
    "action",
    "entity_type",
    "entity_id",
    "tenant_id",
    "outcome",
    "category",
    "status",
    "method",
    "path",
    "ip",
    "user_agent",
    "request_id",
    "metadata",
];

/// Those that a hurried author puts an index on: each one that is filtered by.
const INDEXED: [&str; 10] = [
    "created_at",
    "actor_id",
    "action",
    "entity_type",
    "entity_id",
    "tenant_id",
    "outcome",
    "category",
    "ip",
    "status",
];

pub enum Naive {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Naive {
    pub async fn ask(&mut self, question: Question, n: u64) -> u64 {
        let statements = statements(question, n, matches!(self, Self::Postgres(_)));
        let mut found = 0;
        for sql in statements {
            found = match self {
                Self::Sqlite(sqlite) => sqlite.ask(&sql),
                Self::Postgres(postgres) => postgres.ask(sql).await,
            };
        }
        found
    }
}

/// Values are written out: they are our own.
fn statements(question: Question, n: u64, postgres: bool) -> Vec<String> {
    let time = |at: tower_activity::time::Timestamp| {
        if postgres { format!("'{at}'") } else { at.as_micros().to_string() }
    };
    let page = |condition: String| {
        vec![format!(
            "select * from log where {condition} order by created_at desc limit {PAGE} offset 0"
        )]
    };
    let like = if postgres { "metadata::text ilike" } else { "metadata like" };
    let counts = |condition: &str, names: &[&str]| {
        names
            .iter()
            .map(|name| {
                format!(
                    "select {name}, count(*) from log where {condition} group by 1 \
                     order by 2 desc limit 20"
                )
            })
            .chain([format!("select count(*) from log where {condition}")])
            .collect()
    };
    match question {
        Question::Newest => page("true".into()),
        Question::ByActor => page(format!("actor_id = '{}'", actor(n))),
        Question::ByEntity => {
            page(format!("entity_type = 'order' and entity_id = '{}'", entity(n)))
        }
        Question::ActionInDay => {
            let (from, to) = day(n);
            page(format!(
                "action = 'cancel' and created_at >= {} and created_at < {}",
                time(from),
                time(to)
            ))
        }
        Question::ByTenant => page(format!("tenant_id = '{}'", tenant(n))),
        Question::ByAddress => page(format!("ip = '{}'", address(n))),
        Question::Deep => vec![format!(
            "select * from log order by created_at desc limit {PAGE} \
             offset (select count(*) / 2 - {} from log)",
            n * 1_000
        )],
        Question::RareWord => page(format!("{like} '%{RARE}%'")),
        Question::CommonWord => page(format!("{like} '%{COMMON}%'")),
        Question::CountOfAction => vec!["select count(*) from log where action = 'cancel'".into()],
        Question::CountOfActor => {
            vec![format!("select count(*) from log where actor_id = '{}'", actor(n))]
        }
        Question::Estimate => {
            vec!["select count(*) from log where path like '/api/v1/orders/%/cancel'".into()]
        }
        Question::StatsDay => {
            let (from, to) = day(n);
            let range = format!("created_at >= {} and created_at < {}", time(from), time(to));
            counts(&range, &["action", "entity_type", "outcome", "category"])
        }
        Question::StatsAll => counts("true", &["action", "entity_type", "outcome", "category"]),
        Question::Facets => counts("true", &["action", "entity_type", "outcome", "tenant_id"]),
    }
}

/// The indexes of our log that are set aside while it is filled: made at once, they are the same and take a
/// fraction of the time.
pub struct Indexes {
    db: rusqlite::Connection,
    sql: Vec<String>,
}

impl Indexes {
    pub fn set_aside(ours: &Path) -> Self {
        let db = rusqlite::Connection::open(ours).unwrap();
        let there = "select name, sql from sqlite_master where type = 'index' \
             and tbl_name = 'activity_records' and sql not like 'create unique%'";
        let mut statement = db.prepare(there).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let there: Vec<(String, String)> = rows.map(Result::unwrap).collect();
        drop(statement);
        let mut sql = Vec::new();
        for (name, made_by) in there {
            db.execute_batch(&format!("drop index {name}")).unwrap();
            sql.push(made_by);
        }
        Self { db, sql }
    }

    pub fn put_back(self) {
        for sql in &self.sql {
            self.db.execute_batch(sql).unwrap();
        }
    }
}

pub struct Sqlite(rusqlite::Connection);

impl Sqlite {
    /// Copies the records of the store at `ours` into a log of its own.
    pub fn copy(ours: &Path, naive: &Path) {
        // Under another name until it is whole.
        let unfinished = naive.with_extension("part");
        let db = rusqlite::Connection::open(&unfinished).unwrap();
        let columns = COLUMNS.join(", ");
        let theirs = columns.replace("created_at", "occurred_at");
        db.execute_batch(&format!(
            "pragma journal_mode = wal; attach '{}' as ours; \
             create table log (id integer primary key, {columns}); \
             insert into log ({columns}) select {theirs} from ours.activity_records \
                 order by occurred_at; \
             detach ours;",
            ours.display()
        ))
        .unwrap();
        for column in INDEXED {
            db.execute_batch(&format!("create index log_{column} on log ({column})")).unwrap();
        }
        db.close().unwrap();
        std::fs::rename(&unfinished, naive).unwrap();
    }

    pub fn open(naive: &Path) -> Self {
        Self(rusqlite::Connection::open(naive).unwrap())
    }

    fn ask(&self, sql: &str) -> u64 {
        let mut statement = self.0.prepare_cached(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let (mut found, mut only) = (0, 0);
        while let Some(row) = rows.next().unwrap() {
            found += 1;
            // Everything that a page shows is read.
            for column in 0..columns {
                let value: rusqlite::types::Value = row.get(column).unwrap();
                if let rusqlite::types::Value::Integer(number) = value {
                    only = number;
                }
            }
        }
        if columns == 1 { only as u64 } else { found }
    }
}

pub struct Postgres(PgConnection);

impl Postgres {
    pub async fn open(url: &str) -> Self {
        Self(PgConnection::connect(url).await.unwrap())
    }

    pub async fn copy(url: &str) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let columns = COLUMNS.join(", ");
        let theirs = columns
            .replace("created_at", "occurred_at as created_at")
            .replace("metadata", "metadata::text as metadata")
            .replace(" ip,", " host(ip) as ip,");
        connection
            .execute(AssertSqlSafe(format!(
                "create table log (id bigserial primary key, created_at timestamptz, \
                     {}); \
                 insert into log ({columns}) select {theirs} from activity.records \
                     order by occurred_at",
                COLUMNS[1..]
                    .iter()
                    .map(|name| format!(
                        "{name} {}",
                        if *name == "status" { "int" } else { "text" }
                    ))
                    .collect::<Vec<_>>()
                    .join(", ")
            )))
            .await
            .unwrap();
        for column in INDEXED {
            let sql = format!("create index on log ({column})");
            connection.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        connection.execute("vacuum analyze").await.unwrap();
    }

    async fn ask(&mut self, sql: String) -> u64 {
        let rows = self.0.fetch_all(AssertSqlSafe(sql)).await.unwrap();
        match rows.first() {
            Some(row) if row.columns_are_one() => row.get::<i64, _>(0) as u64,
            _ => rows.len() as u64,
        }
    }
}

trait Columns {
    fn columns_are_one(&self) -> bool;
}

impl Columns for sqlx::postgres::PgRow {
    fn columns_are_one(&self) -> bool {
        self.len() == 1
    }
}

/// A database of its own, dropped at the end unless it was given a name.
pub struct Database {
    server: String,
    name: String,
    url: String,
    is_kept: bool,
}

impl Database {
    /// Tells too whether the naive log, which is made last, is in it already.
    pub async fn create(server: &str, kept: Option<String>) -> (Self, bool) {
        let is_kept = kept.is_some();
        let name = kept.unwrap_or_else(|| format!("bench_reading_{}", std::process::id()));
        let mut connection = PgConnection::connect(server).await.unwrap();
        let there = sqlx::query("select 1 from pg_database where datname = $1").bind(&name);
        let is_there = there.fetch_optional(&mut connection).await.unwrap().is_some();
        if !is_there {
            connection.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        }
        let url = url_of(server, &name);
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let full = connection.fetch_one("select to_regclass('log_status_idx') is not null").await;
        let is_full = full.unwrap().get(0);
        (Self { server: server.to_owned(), name, url, is_kept }, is_full)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub async fn drop(self) {
        if self.is_kept {
            return;
        }
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let sql = format!("drop database {} with (force)", self.name);
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

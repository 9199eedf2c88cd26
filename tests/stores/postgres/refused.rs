//! Fault 53: what no login of a service, and none of those who look after the log, may do to it.

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _,
    postgres::PgConnectOptions, raw_sql,
};
use tower_activity::store::{Maintain as _, Read as _};

use super::{filled, store};
use crate::{server::execute, suite::append, table::Row};

/// Each login by its roles, with what is its own: statements that begin so are not tried.
const LOGINS: [(&[&str], &[&str]); 3] = [
    (
        &["writer", "reader", "auditor"],
        &[
            "update activity.ingest_keys",
            "delete from activity.ingest_keys",
            "update activity.verified",
        ],
    ),
    // A trigger has the last word about its updates: see `schema`.
    // What a hold kept of somebody who was erased is let go when it is lifted.
    (&["privacy"], &["delete from activity.person_rollups", "delete from activity.restricted"]),
    (&["retention"], &["delete from activity.ingest_keys", "delete from activity.restricted"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_can_change_the_log_or_what_guards_it() {
    let (database, owner) = store().await;
    append(&owner, &filled(5)).await.unwrap();
    owner.keep_tenants().await.unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let superuser = options.get_username().to_owned();
    let mut by_owner = database.connect().await;
    let tables = "select c.relname::text, (select a.attname::text from pg_attribute a \
            where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = '' order by a.attnum limit 1) from pg_class c \
        where c.relnamespace = 'activity'::regnamespace and c.relkind in ('r', 'p') order by 1";
    let tables = by_owner.fetch_all(raw_sql(tables)).await.unwrap();
    let tables: Vec<(String, String)> = tables.iter().map(|t| (t.get(0), t.get(1))).collect();
    for table in ["records", "records_2026_05", "records_2026_05_activity", "ledger_entries"] {
        assert!(tables.iter().any(|(name, _)| name == table), "{table}: {tables:?}");
    }
    let mut tried = 0;
    let mut logins = Vec::new();
    for (n, (roles, own)) in LOGINS.into_iter().enumerate() {
        let login = format!("{}_login{n}", database.name());
        database.execute(&format!("create role {login} login")).await;
        for role in roles {
            database.execute(&format!("grant activity_{role} to {login}")).await;
        }
        let mut statements: Vec<String> = [
            "set session_replication_role = replica",
            "set local session_replication_role = replica",
            "drop schema activity cascade",
            "create table activity.mine (a integer)",
            "create function activity.mine() returns integer language sql as 'select 1'",
            "create or replace function activity.seal() returns trigger language plpgsql \
                as 'begin return null; end'",
            "create or replace function activity.guard_record() returns trigger language plpgsql \
                as 'begin return new; end'",
            "alter function activity.fold(integer) security invoker",
            "drop function activity.guard_record() cascade",
            "drop trigger guard on activity.records_2026_05_activity",
            "alter table activity.ledger_entries disable trigger guard",
            "drop policy one_tenant on activity.records",
            "alter policy one_tenant on activity.records using (true)",
            "create policy mine on activity.records using (true)",
            "insert into activity.records select * from activity.records",
            "insert into activity.ledger_entries (position) values (1)",
            "insert into activity.migrations values (99, 'mine')",
            "select activity.keep_tenants()",
            "select activity.make_roles()",
            "select activity.grant_leaf('records')",
            "select activity.close_leaf('records')",
            "select activity.finish_leaf('records_2026_05_activity')",
            "select activity.add_index('records_2026_05_activity', 'text')",
            "alter role activity_reader bypassrls",
            "alter system set session_replication_role = replica",
            "copy activity.records to program 'cat'",
        ]
        .map(str::to_owned)
        .into();
        statements.push(format!("set role {superuser}"));
        statements.push(format!("set session authorization {superuser}"));
        statements.push(format!("alter role {login} superuser"));
        statements.push(format!("grant activity_privacy to {login}"));
        for (table, column) in &tables {
            statements.extend([
                format!("update activity.{table} set {column} = {column}"),
                format!("delete from activity.{table}"),
                format!("truncate activity.{table}"),
                format!("alter table activity.{table} disable trigger all"),
                format!("alter table activity.{table} disable row level security"),
                format!("alter table activity.{table} no force row level security"),
                format!("alter table activity.{table} owner to {login}"),
                format!("create rule mine as on delete to activity.{table} do instead nothing"),
                format!("drop table activity.{table} cascade"),
            ]);
        }
        statements.retain(|sql| !own.iter().any(|own| sql.starts_with(own)));
        let mut connection =
            PgConnection::connect_with(&options.clone().username(&login)).await.unwrap();
        for sql in &statements {
            let done = connection.execute(raw_sql(AssertSqlSafe(sql.as_str()))).await;
            let error = done.expect_err(sql);
            let code = error.as_database_error().unwrap().code().unwrap().into_owned();
            assert_eq!(code, "42501", "{roles:?}: {sql}: {error}");
            tried += 1;
        }
        connection.close().await.unwrap();
        logins.push(login);
    }
    Row { fault: "53 the roles against the log", runs: tried, ..Row::default() }.report();
    let facts = owner.facts().await.unwrap();
    assert!(facts.unguarded.is_empty() && facts.open_to_tenants.is_empty(), "{facts:?}");
    assert_eq!(owner.storage().await.unwrap().rows, 4);
    assert_eq!(owner.head().await.unwrap(), 1);
    by_owner.close().await.unwrap();
    let admin = database.admin().to_owned();
    drop((owner, database));
    for login in logins {
        execute(&admin, &format!("drop role {login}")).await;
    }
}

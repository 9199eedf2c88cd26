//! Postgres: the suite, and what this store promises beside it.

mod barred;
mod bouncer;
mod costs;
mod ending;
mod faults;
mod filters;
mod leaves;
mod loss;
mod refused;
mod register;
mod roles;
mod rollups;
mod schema;
mod settings;
mod tenants;

use tower_activity::{
    record::{Field, Kind, Record},
    store::{Batch, postgres::PostgresStore},
    time::Timestamp,
};

use crate::{
    counts::{Mutable, erasing, hex},
    records::full,
    server::Database,
    suite::{Fixture, PATIENCE},
    tampering::{Owned, other_word},
};

impl Fixture for Database {
    type Store = PostgresStore;

    async fn new() -> Self {
        Self::migrated().await
    }

    async fn open(&self) -> PostgresStore {
        open(&self.url()).await
    }
}

suite!(Database);

/// What takes long is asked in windows: here everything is that no index answers.
mod in_windows {
    use tower_activity::store::postgres::PostgresStore;

    use super::{Database, Fixture};

    struct InWindows(Database);

    impl Fixture for InWindows {
        type Store = PostgresStore;

        async fn new() -> Self {
            Self(Database::migrated().await)
        }

        async fn open(&self) -> PostgresStore {
            self.0.open().await.in_windows(23)
        }
    }

    suite!(@answers InWindows: pages_lead_through_everything_both_ways,);
    suite!(@pages InWindows: random_pages_over_months_are_those_of_memory,);
    suite!(@edges InWindows:
        a_page_whose_time_is_up_knows_where_to_go_on,
        a_search_whose_time_is_up_ends_where_it_is,
    );
}

suite!(@tampering Database);
#[cfg(all(feature = "archive", feature = "sqlite"))]
suite!(@archived Database);

impl Owned for Database {
    const NAME: &str = "Postgres";
    const RECORDS: &str = "activity.records";
    const LEDGER: &str = "activity.ledger_entries";
    const CHECKPOINTS: &str = "activity.checkpoints";
    const FOLDED: &str = "activity.folded_roots";
    const LEDGER_COLUMNS: &str = "position, epoch, writer_id, first_seq, last_seq, month, class, \
                                  first_at, last_at, batch_root, committed_at";

    const DOUBLES: &str = "do $$ declare c record; i regclass; begin \
         for c in select p.relid, k.conname from pg_partition_tree('activity.records') p \
             join pg_constraint k on k.conrelid = p.relid and k.contype = 'p' where p.isleaf loop \
             execute format('alter table %s drop constraint %I', c.relid::regclass, c.conname); \
         end loop; \
         for i in select x.indexrelid from pg_partition_tree('activity.records') p \
             join pg_index x on x.indrelid = p.relid and x.indisunique where p.isleaf loop \
             execute format('drop index %s', i); \
         end loop; end $$";

    async fn mend(&self) {
        let on = "do $$ declare t regclass; begin \
                 for t in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname = 'activity' and c.relkind in ('r', 'p') loop \
                     execute format('alter table %s enable trigger all', t); \
                 end loop; end $$";
        self.execute(on).await;
    }

    async fn force(&self, sql: &str) -> u64 {
        let off = "do $$ declare t regclass; begin \
                 for t in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname = 'activity' and c.relkind in ('r', 'p') loop \
                     execute format('alter table %s disable trigger all', t); \
                 end loop; end $$";
        let forced = format!("begin; {off}; {sql}; commit");
        let mut connection = self.connect().await;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(forced)).execute(&mut connection).await;
        done.expect(sql).rows_affected()
    }

    fn bytes(hex: &str) -> String {
        format!("decode('{hex}', 'hex')")
    }

    #[cfg(all(feature = "sqlite", feature = "archive"))]
    fn later(column: &str, micros: i64) -> String {
        format!("{column} + interval '{micros} microseconds'")
    }

    fn other(field: &Field, seed: u32) -> Option<String> {
        Some(match field.kind() {
            Kind::Id => "gen_random_uuid()".to_owned(),
            Kind::Time => format!("{} + interval '1 millisecond'", field.name()),
            Kind::Integer => format!("coalesce({}, 0) + 1", field.name()),
            // These say which record it is, and the class says in which table.
            Kind::Stream => return None,
            _ if field.name() == "retention_class" => return None,
            Kind::Word => other_word(field),
            Kind::Json => format!("'{{\"x\":{seed}}}'"),
            Kind::Address => format!("'10.9.8.{}'", seed % 256),
            _ => format!("'x{seed}'"),
        })
    }
}

suite!(@counts Database: random_counts_are_those_of_memory,);

impl Mutable for Database {
    async fn erase(&self, record: &Record, commitment: &[u8; 32]) {
        let bytes = format!("decode('{}', 'hex')", hex(commitment));
        self.execute(&erasing("activity.records", &bytes, record)).await;
    }

    /// Whole leaves end here, never rows.
    async fn delete(&self, _records: &[Box<Record>]) -> bool {
        false
    }
}

/// Opens a store that waits for the server as long as it takes: no statement, no lock and no transaction ends because
/// the machine is busy.
async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url).await.unwrap().with_deadline(PATIENCE)
}

/// Makes a store in a database of its own.
async fn store() -> (Database, PostgresStore) {
    let database = Database::migrated().await;
    let store = database.open().await;
    (database, store)
}

fn batch(records: &[Box<Record>]) -> Batch<'_> {
    Batch::new(records).expect("consecutive records of one stream")
}

/// Four records in which every field holds something, in the leaf of ordinary ones.
fn filled(writer_id: i64) -> Vec<Box<Record>> {
    let mut records: Vec<_> = (1..=4).map(|seq| full(writer_id, seq)).collect();
    for record in &mut records {
        record.retention_class.set("activity");
    }
    records
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time in RFC 3339")
}

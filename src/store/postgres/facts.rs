//! What a set-up stands on, for whoever looks for what is wrong with it.

use sqlx::{Row as _, query};

use super::{decode::moment, store::PostgresStore};
use crate::{store::StoreError, time::Timestamp};

/// What a set-up stands on: [`PostgresStore::facts`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresFacts {
    /// The server's version, as in `150004`.
    pub server_version: i64,
    /// Who we are there.
    pub role: String,
    /// Whether this role may do everything on the server.
    pub is_superuser: bool,
    /// Whether this role owns the log's tables, or acts for their owner: it could take the triggers away.
    pub owns_log: bool,
    /// Whether the roles of [`make_roles`](PostgresStore::make_roles) are there.
    pub has_roles: bool,
    /// Whether this role may append.
    pub may_append: bool,
    /// Whether nothing can be written now: a replica, or a database that somebody made read-only.
    pub is_read_only: bool,
    /// Whether a commit is on the disk when it is answered: `fsync` and `synchronous_commit`.
    pub is_durable: bool,
    /// The connections that the server takes.
    pub max_connections: i64,
    /// The connections that it has, as far as this role may see them.
    pub connections: i64,
    /// Parts of the log on which a trigger that makes it append-only is missing, or turned off.
    pub unguarded: Vec<String>,
    /// The server's clock.
    pub now: Timestamp,
}

/// Both triggers on each leaf and on the ledger, always on.
const UNGUARDED: &str = "\
    select coalesce(array_agg(c.relname::text order by 1), '{}') \
    from (select relid from pg_partition_tree(to_regclass('activity.records')) where isleaf \
        union all select to_regclass('activity.ledger_entries')) as log (relid) \
    join pg_class c on c.oid = log.relid and c.relkind = 'r' \
    where (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgenabled = 'A' \
        and t.tgname in ('guard', 'refuse_truncate')) < 2";

const FACTS: &str = "\
    select current_setting('server_version_num')::bigint, current_user::text, r.rolsuper, \
        pg_has_role(c.relowner, 'member'), \
        exists (select from pg_roles where rolname = 'activity_writer'), \
        has_any_column_privilege(to_regclass('activity.ledger_entries'), 'insert'), \
        pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean, \
        current_setting('fsync')::boolean and current_setting('synchronous_commit') <> 'off', \
        current_setting('max_connections')::bigint, \
        (select count(*) from pg_stat_activity where backend_type = 'client backend'), \
        clock_timestamp() \
    from pg_class c, pg_roles r \
    where c.oid = to_regclass('activity.records') and r.rolname = current_user";

impl PostgresStore {
    /// Returns what the set-up stands on, without a change to it. Any role that may read the log may ask.
    ///
    /// # Errors
    ///
    /// When the server cannot be asked.
    pub async fn facts(&self) -> Result<PostgresFacts, StoreError> {
        self.bounded("look at the set-up", async {
            let mut transaction = self.reading().await?;
            let row = query(FACTS).persistent(false).fetch_one(&mut *transaction).await?;
            let unguarded = query(UNGUARDED).persistent(false).fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            let facts = || {
                Ok::<_, sqlx::Error>(PostgresFacts {
                    server_version: row.try_get(0)?,
                    role: row.try_get(1)?,
                    is_superuser: row.try_get(2)?,
                    owns_log: row.try_get(3)?,
                    has_roles: row.try_get(4)?,
                    may_append: row.try_get(5)?,
                    is_read_only: row.try_get(6)?,
                    is_durable: row.try_get(7)?,
                    max_connections: row.try_get(8)?,
                    connections: row.try_get(9)?,
                    unguarded: unguarded.try_get(0)?,
                    now: moment(&row, 10)?.unwrap_or_default(),
                })
            };
            Ok(facts()?)
        })
        .await
    }
}

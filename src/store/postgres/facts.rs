//! What a set-up stands on, for whoever looks for what is wrong with it.

use sqlx::{AssertSqlSafe, Row as _, query};

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
    /// Whether the database keeps tenants apart: [`keep_tenants`](PostgresStore::keep_tenants).
    pub keeps_tenants: bool,
    /// Whether this role sees the records of all tenants.
    pub sees_all_tenants: bool,
    /// Whether a question of this role can be held to one tenant: that takes `activity_reader`.
    pub can_be_held: bool,
    /// Where tenants are not kept apart although they should be, in words.
    pub open_to_tenants: Vec<String>,
}

/// Whether the role that asks sees the records of all tenants.
pub(super) const SEES_ALL: &str = "\
    (not row_security_active('activity.records') or exists ( \
        select from pg_policy p where p.polrelid = to_regclass('activity.records') \
            and p.polname = 'all_tenants' \
            and (select bool_or(pg_has_role(role, 'usage')) from unnest(p.polroles) as role)))";

/// What `activity.keep_tenants` makes, and what default privileges or somebody's hand could make of it.
const OPEN: &str = "\
    with log as ( \
        select c.oid, c.relname::text, c.relrowsecurity, c.relforcerowsecurity from pg_class c \
        where c.oid in (to_regclass('activity.records'), to_regclass('activity.rollups'), \
            to_regclass('activity.person_rollups')) \
    ), policies as ( \
        select l.relname, p.polname::text, p.polcmd::text, p.polpermissive, \
            array(select coalesce(r.rolname::text, 'public') from unnest(p.polroles) as role \
                left join pg_roles r on r.oid = role) as roles, \
            pg_get_expr(p.polqual, p.polrelid) as wanted \
        from log l join pg_policy p on p.polrelid = l.oid \
    ), open (what) as ( \
        select relname || ': row-level security is off, or not forced' from log \
            where not (relrowsecurity and relforcerowsecurity) \
        union all \
        select l.relname || ': the policy one_tenant is gone, or another' from log l \
            where not exists (select from policies p where p.relname = l.relname \
                and p.polname = 'one_tenant' and p.polcmd = 'r' and p.roles = array['activity_reader'] \
                and p.wanted like '(tenant_id = (%current_setting(''activity.tenant''%' \
                and p.wanted not ilike '% or %') \
        union all \
        select relname || ': the policy ' || polname || ' lets others see all' from policies \
            where polpermissive and polname <> 'one_tenant' and (polname <> 'all_tenants' \
                or roles && array['public', 'activity_reader', 'activity_writer']) \
        union all \
        select distinct c.relname || ' can be read by ' || coalesce(r.rolname, 'everybody') \
            || ', past the policy' \
            from pg_partition_tree(to_regclass('activity.records')) t join pg_class c on c.oid = t.relid \
            left join pg_attribute col on col.attrelid = c.oid and col.attacl is not null, \
            lateral (select * from aclexplode(c.relacl) \
                union all select * from aclexplode(col.attacl)) a \
            left join pg_roles r on r.oid = a.grantee \
            where t.level > 0 and a.privilege_type = 'SELECT' and a.grantee <> c.relowner \
        union all \
        select r.rolname || ' can be held to a tenant, and reads all of them: ' \
            || case when r.rolbypassrls then 'it has BYPASSRLS' else 'it is in pg_read_all_data' end \
            from pg_roles r where not r.rolsuper \
                and pg_has_role(r.oid, to_regrole('activity_reader'), 'member') \
                and (r.rolbypassrls \
                    or coalesce(pg_has_role(r.oid, to_regrole('pg_read_all_data'), 'member'), false)) \
                and not exists (select from policies p, unnest(p.roles) as other \
                    where p.polname = 'all_tenants' and other <> 'public' \
                        and pg_has_role(r.oid, to_regrole(quote_ident(other)), 'member')) \
        union all \
        select 'the view ' || c.relname || ' shows all tenants' from pg_class c \
            where c.relnamespace = to_regnamespace('activity') and c.relkind = 'v' \
                and to_regrole('activity_reader') is not null \
                and has_table_privilege('activity_reader', c.oid, 'select') \
                and not 'security_invoker=true' = any(coalesce(c.reloptions, '{}')) \
    ) \
    select coalesce(array_agg(what order by what), '{}') from open";

/// Both triggers on each leaf, on the ledger, on its heads and those of others, on the list of who was erased and on what
/// holds keep of them, and that of the whole log, always on; and the one that gives the ledger its order.
const UNGUARDED: &str = "\
    select coalesce(array_agg(c.relname::text order by c.relname), '{}') \
    from (select relid from pg_partition_tree(to_regclass('activity.records')) where isleaf \
        union all select to_regclass('activity.ledger_entries') \
        union all select to_regclass('activity.checkpoints') \
        union all select to_regclass('activity.anchors') \
        union all select to_regclass('activity.erased_subjects') \
        union all select to_regclass('activity.restricted') \
        union select to_regclass('activity.records')) as log (relid) \
    join pg_class c on c.oid = log.relid \
        and (c.relkind = 'r' or c.oid = to_regclass('activity.records')) \
    where (select count(*) from pg_trigger t where t.tgrelid = c.oid and t.tgenabled = 'A' \
        and t.tgname in ('guard', 'guard_told', 'refuse_truncate')) < 2 \
        or c.oid = to_regclass('activity.ledger_entries') and not exists (select from pg_trigger t \
            where t.tgrelid = c.oid and t.tgenabled = 'A' and t.tgname = 'seal')";

const FACTS: &str = "\
    select current_setting('server_version_num')::bigint, current_user::text, r.rolsuper, \
        pg_has_role(c.relowner, 'member'), \
        exists (select from pg_roles where rolname = 'activity_writer'), \
        has_any_column_privilege(to_regclass('activity.ledger_entries'), 'insert'), \
        pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean, \
        current_setting('fsync')::boolean and current_setting('synchronous_commit') <> 'off', \
        current_setting('max_connections')::bigint, \
        (select count(*) from pg_stat_activity where backend_type = 'client backend'), \
        clock_timestamp(), c.relrowsecurity, \
        coalesce(pg_has_role(to_regrole('activity_reader'), 'member'), false) \
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
            let sees_all = format!("select {SEES_ALL}");
            let sees_all = query(AssertSqlSafe(sees_all))
                .persistent(false)
                .fetch_one(&mut *transaction)
                .await?;
            let open = match row.try_get::<bool, _>(11)? {
                true => {
                    query(OPEN).persistent(false).fetch_one(&mut *transaction).await?.try_get(0)?
                }
                false => Vec::new(),
            };
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
                    keeps_tenants: row.try_get(11)?,
                    can_be_held: row.try_get(12)?,
                    sees_all_tenants: sees_all.try_get(0)?,
                    open_to_tenants: open,
                })
            };
            Ok(facts()?)
        })
        .await
    }
}

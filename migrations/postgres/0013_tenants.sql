-- Tenants that the database keeps apart: `migrate --tenants`.
--
-- A transaction names its tenant (`activity.tenant`, for this transaction alone), and activity_reader sees the
-- rows of that one; without a name it sees none. The auditor, privacy, retention and the owner see all, by a
-- policy that says so. Leaves have no policy, since COPY is refused where there is one: nobody reads them.

-- Holds a transaction to a tenant. Where the database keeps tenants apart, the rest of the transaction has
-- the rights of activity_reader, whatever else its login may.
--
-- With no settings of its own: they would end with it.
create function activity.bind(tenant text) returns void
    language plpgsql
as $$
begin
    perform pg_catalog.set_config('activity.tenant', tenant, true);
    perform from pg_catalog.pg_class c
        where c.oid = pg_catalog.to_regclass('activity.records') and c.relrowsecurity;
    if not found then
        return;
    end if;
    if not pg_catalog.pg_has_role('activity_reader', 'member') then
        raise exception 'no transaction of % can be held to one tenant: grant activity_reader to it',
            current_user using errcode = '42501';
    end if;
    perform pg_catalog.set_config('role', 'activity_reader', true);
end $$;

-- What no leakproof operator finds may use no index under a policy: words, metadata, networks, actions in any
-- case. So this looks for the tenant's places of such records, in the order of a page, at most so many. It reads
-- months, which have no policy, for the tenant that the transaction names, and takes nothing but values.
create function activity.find(
    actions text[], words text, meta text, network inet, since timestamptz, until timestamptz,
    newest boolean, after_at timestamptz, after_id uuid, up_to_at timestamptz, up_to_id uuid,
    most integer
) returns table (occurred_at timestamptz, id uuid)
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
    rows 100
as $$
declare
    tenant text := nullif(current_setting('activity.tenant', true), '');
    behind text := case when newest then '<' else '>' end;
    before text := case when newest then '>=' else '<=' end;
    toward text := case when newest then 'desc' else 'asc' end;
    wanted text := 'r.tenant_id = $1';
    room integer := least(most, 10000);
    earliest timestamptz;
    latest timestamptz;
    month name;
    got integer;
begin
    if tenant is null then
        return;
    end if;
    if actions is not null then
        -- A single one keeps the order of its index.
        wanted := wanted || case cardinality(actions) when 1 then ' and lower(r.action) = ($2)[1]'
            else ' and lower(r.action) = any($2)' end;
    end if;
    if words is not null then
        wanted := wanted || ' and activity.text_lexemes(r.description, r.reason, r.entity_name,
            r.actor_name, r.impersonator_name, r.targets::text, r.metadata::text, r.changes::text)
            @@ $3::tsquery';
    end if;
    if meta is not null then
        wanted := wanted || ' and r.metadata is not null
            and activity.json_lexemes(r.metadata::text) @@ $4::tsquery';
    end if;
    if network is not null then
        wanted := wanted || ' and r.ip <<= $5';
    end if;
    if since is not null then
        wanted := wanted || ' and r.occurred_at >= $6';
    end if;
    if until is not null then
        wanted := wanted || ' and r.occurred_at < $7';
    end if;
    if after_at is not null then
        wanted := wanted || format(' and (r.occurred_at, r.id) %s ($8, $9)', behind);
    end if;
    if up_to_at is not null then
        wanted := wanted || format(' and (r.occurred_at, r.id) %s ($10, $11)', before);
    end if;
    earliest := greatest(since, case when newest then up_to_at else after_at end);
    latest := least(until, case when newest then after_at else up_to_at end);
    for month in
        select m.month from (
            select c.relname as month,
                substring(b.bound from 'FROM \(''([^'']+)''\)')::timestamptz as starts,
                substring(b.bound from 'TO \(''([^'']+)''\)')::timestamptz as ends
            from pg_inherits i join pg_class c on c.oid = i.inhrelid,
                lateral (select pg_get_expr(c.relpartbound, c.oid) as bound) b
            where i.inhparent = 'activity.records'::regclass
        ) m
        where (earliest is null or m.ends > earliest) and (latest is null or m.starts <= latest)
        order by case when newest then m.starts end desc, m.starts
    loop
        return query execute format(
            'select r.occurred_at, r.id from activity.%I r where %s
                order by r.occurred_at %s, r.id %s limit $12', month, wanted, toward, toward)
            using tenant, actions, words, meta, network, since, until, after_at, after_id, up_to_at,
                up_to_id, room;
        get diagnostics got = row_count;
        room := room - got;
        exit when room <= 0;
    end loop;
end $$;
revoke all on function activity.find(text[], text, text, inet, timestamptz, timestamptz, boolean,
    timestamptz, uuid, timestamptz, uuid, integer) from public;

create function activity.keeps_tenants() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select c.relrowsecurity from pg_class c
        where c.oid = to_regclass('activity.records')), false)
$$;
revoke all on function activity.keeps_tenants() from public;

-- Takes away the right to read a leaf, or its month, that default privileges have given: a policy guards the
-- whole log, and not whoever asks a part of it.
create function activity.close_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    given record;
begin
    for given in
        select distinct c.relname as part, a.grantee from pg_class c
            left join pg_attribute col on col.attrelid = c.oid and col.attacl is not null,
            lateral (select * from aclexplode(c.relacl)
                union all select * from aclexplode(col.attacl)) a
        -- records_2026_05, of which it is a part.
        where c.oid in (to_regclass(format('activity.%I', leaf)),
                to_regclass(format('activity.%I', left(leaf, 15))))
            and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
    loop
        execute format('revoke select on activity.%I from %s', given.part,
            case given.grantee when 0 then 'public' else given.grantee::regrole::text end);
    end loop;
end $$;
revoke all on function activity.close_leaf(text) from public;

-- A view asks with the rights of its owner, who sees all tenants, unless it says otherwise; servers before
-- version 15 know no otherwise, and there only who may see all has the views.
create function activity.close_views() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    view text;
begin
    foreach view in array array['authentication_logs', 'action_logs', 'recent_activity'] loop
        if current_setting('server_version_num')::integer >= 150000 then
            execute format('alter view activity.%I set (security_invoker = true)', view);
        else
            execute format('revoke all on activity.%I from activity_reader', view);
        end if;
    end loop;
end $$;
revoke all on function activity.close_views() from public;

-- Keeps tenants apart. Safe to repeat, and then it puts back what somebody took away. Locks the log for a moment:
-- under a short lock timeout, so that nobody queues up behind it.
create function activity.keep_tenants() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
    set client_min_messages = warning
as $$
declare
    part record;
    leaf name;
begin
    if not activity.has_roles() then
        raise exception 'the roles come first: select activity.make_roles()' using errcode = '55000';
    end if;
    for part in
        select c.relname, c.relowner::regrole::text as owner from pg_class c
        where c.relnamespace = 'activity'::regnamespace
            and c.relname in ('records', 'rollups', 'person_rollups')
        order by c.relname
    loop
        -- Each time anew, whatever stands in them: the lock is the same.
        execute format('drop policy if exists one_tenant on activity.%I', part.relname);
        execute format('drop policy if exists all_tenants on activity.%I', part.relname);
        execute format('create policy one_tenant on activity.%I for select to activity_reader using (
            tenant_id = (select nullif(current_setting(''activity.tenant'', true), '''')))', part.relname);
        execute format('create policy all_tenants on activity.%I to activity_auditor, activity_privacy,
            activity_retention, %s using (true) with check (true)', part.relname, part.owner);
        execute format('alter table activity.%I enable row level security', part.relname);
        execute format('alter table activity.%I force row level security', part.relname);
        if not pg_has_role(part.owner::regrole, 'activity_reader', 'member') then
            begin
                -- So that a service that runs as the owner can be held to a tenant too.
                execute format('grant activity_reader to %s', part.owner);
            exception when insufficient_privilege then
                null;
            end;
        end if;
    end loop;
    perform activity.close_views();
    for leaf in
        select c.relname from pg_partition_tree('activity.records') t
            join pg_class c on c.oid = t.relid
        where t.isleaf and c.relkind = 'r' order by 1
    loop
        perform activity.close_leaf(leaf);
    end loop;
end $$;
revoke all on function activity.keep_tenants() from public;

create or replace function activity.finish_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    perform activity.index_leaf(leaf);
    perform activity.index_stubs(leaf);
    perform activity.watch_leaf(leaf);
    perform activity.add_index(leaf, i.name) from activity.indexes i;
    if activity.keeps_tenants() then
        perform activity.close_leaf(leaf);
    end if;
    if activity.has_roles() then
        perform activity.grant_leaf(leaf);
    end if;
end $$;

-- The reader finds the places of its tenant's records.
create function activity.grants_0013() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant execute on function activity.find(text[], text, text, inet, timestamptz, timestamptz, boolean,
        timestamptz, uuid, timestamptz, uuid, integer) to activity_reader;
    if activity.keeps_tenants() then
        perform activity.close_views();
    end if;
end $$;
revoke all on function activity.grants_0013() from public;

select activity.grants_0013() where activity.has_roles();

insert into activity.migrations (version, name) values (13, 'tenants');

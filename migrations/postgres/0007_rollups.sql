-- Rollups: counts by hour, day and month, folded in the background from the entries of the ledger.
--
-- Hours, days and months are those of UTC. An absent field is empty text, so that it can be part of a key;
-- no field of a record is ever empty text.

-- How far the rollups have come: one row.
create table activity.rollup_progress (
    one boolean primary key default true check (one),
    position bigint not null default 0,
    -- The commit of the last entry that is folded in.
    as_of timestamptz
);
insert into activity.rollup_progress default values;

-- Each grain lies in a table of its own: what was folded by month, few rows, would otherwise stand scattered
-- among the many by hour, one to a page.
create table activity.rollups (
    grain text collate "C" not null check (grain in ('hour', 'day', 'month')),
    bucket timestamptz not null,
    tenant_id text collate "C" not null,
    category text collate "C" not null,
    entity_type text collate "C" not null,
    action text collate "C" not null,
    operation text collate "C" not null,
    outcome text collate "C" not null,
    count bigint not null,
    primary key (grain, bucket, tenant_id, category, entity_type, action, operation, outcome)
) partition by list (grain);
create table activity.rollups_hour partition of activity.rollups for values in ('hour');
create table activity.rollups_day partition of activity.rollups for values in ('day');
create table activity.rollups_month partition of activity.rollups for values in ('month');
create index on activity.rollups (grain, tenant_id, bucket);

-- What is about persons, apart, so that a person can be taken out of it.
create table activity.person_rollups (
    grain text collate "C" not null check (grain in ('hour', 'day', 'month')),
    bucket timestamptz not null,
    tenant_id text collate "C" not null,
    category text collate "C" not null,
    actor_id text collate "C" not null,
    outcome text collate "C" not null,
    count bigint not null,
    primary key (grain, bucket, tenant_id, category, actor_id, outcome)
) partition by list (grain);
create table activity.person_rollups_hour partition of activity.person_rollups
    for values in ('hour');
create table activity.person_rollups_day partition of activity.person_rollups
    for values in ('day');
create table activity.person_rollups_month partition of activity.person_rollups
    for values in ('month');
create index on activity.person_rollups (grain, tenant_id, bucket);
create index on activity.person_rollups (actor_id);

-- The numbers after one position and up to another, leaf by leaf: one scan of one index each. A stream is
-- committed in the order of its numbers, so that what a leaf has between the first and the last is all of it,
-- however often the stream went to other leaves meanwhile.
create function activity.runs(behind bigint, up_to bigint)
    returns table (
        writer_id bigint, month text, class text, first_seq bigint, last_seq bigint, records bigint
    )
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select e.writer_id, e.month, e.class, min(e.first_seq), max(e.last_seq), sum(e.count)::bigint
    from activity.ledger_entries e
    where e.position > behind and e.position <= up_to
    group by e.writer_id, e.month, e.class
$$;
revoke all on function activity.runs(bigint, bigint) from public;

-- Folds at most so many further entries in, each exactly once, and tells how far it came, where the ledger
-- stands, and whether it was this call that folded: of several processes one does.
create function activity.fold(entries integer, out folded bigint, out head bigint, out led boolean)
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
    set enable_partition_pruning = on
as $$
declare
    last bigint;
    committed timestamptz;
    run record;
    sources text := '';
begin
    led := pg_try_advisory_xact_lock(5860226710480315986);
    -- Under the lock, so that this is what the last leader left; and whoever erases meanwhile waits, and then
    -- sees that his record was counted.
    if led then
        select p.position into strict folded from activity.rollup_progress p for no key update;
    else
        select p.position into strict folded from activity.rollup_progress p;
    end if;
    select coalesce(max(e.position), 0) into head from activity.ledger_entries e;
    if not led or folded >= head then
        return;
    end if;
    select e.position, e.committed_at into strict last, committed from activity.ledger_entries e
        where e.position = least(head, folded + greatest(entries, 1));

    for run in select * from activity.runs(folded, last) loop
        sources := sources || case when sources = '' then '' else ' union all ' end || format(
            'select date_trunc(''hour'', occurred_at) as hour, tenant_id, category, entity_type,
                    action, operation, actor_id, outcome
                from activity.records
                where occurred_at >= %L::timestamptz and occurred_at < %L::timestamptz
                    and retention_class = %L
                    and writer_id = %s and seq between %s and %s',
            (run.month || '-01')::timestamptz,
            (run.month || '-01')::timestamptz + interval '1 month',
            run.class, run.writer_id, run.first_seq, run.last_seq);
    end loop;

    execute 'with counted as materialized (
            select hour, coalesce(tenant_id, '''') as tenant_id, category,
                coalesce(entity_type, '''') as entity_type, coalesce(action, '''') as action,
                operation, actor_id, outcome, count(*) as count
            from (' || sources || ') found
            group by 1, 2, 3, 4, 5, 6, 7, 8
        ), grains as materialized (
            select grain, date_trunc(grain, hour) as bucket, counted.*
            from counted, unnest(array[''hour'', ''day'', ''month'']) grain
        ), plain as (
            insert into activity.rollups as r
                (grain, bucket, tenant_id, category, entity_type, action, operation, outcome, count)
            select grain, bucket, tenant_id, category, entity_type, action, operation, outcome,
                sum(count)
            from grains group by 1, 2, 3, 4, 5, 6, 7, 8
            on conflict (grain, bucket, tenant_id, category, entity_type, action, operation, outcome)
            do update set count = r.count + excluded.count
        )
        insert into activity.person_rollups as r
            (grain, bucket, tenant_id, category, actor_id, outcome, count)
        select grain, bucket, tenant_id, category, actor_id, outcome, sum(count)
        from grains where actor_id is not null group by 1, 2, 3, 4, 5, 6
        on conflict (grain, bucket, tenant_id, category, actor_id, outcome)
        do update set count = r.count + excluded.count';
    update activity.rollup_progress set position = last, as_of = committed;
    folded := last;
end $$;
revoke all on function activity.fold(integer) from public;

-- Who is erased from a record is not counted under his name any longer: in the same transaction, so that no
-- rollup keeps what the log has given up.
create function activity.uncount_person() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
as $$
declare
    folded bigint;
    entry bigint;
    unit text;
begin
    -- No fold is at work while this is held; one that was has committed, and is seen.
    select p.position into strict folded from activity.rollup_progress p for no key update;
    select e.position into entry from activity.ledger_entries e
        where e.writer_id = old.writer_id and e.first_seq <= old.seq
        order by e.first_seq desc limit 1;
    if entry <= folded then
        foreach unit in array array['hour', 'day', 'month'] loop
            update activity.person_rollups r set count = r.count - 1
                where r.grain = unit and r.bucket = date_trunc(unit, old.occurred_at)
                    and r.tenant_id = coalesce(old.tenant_id, '') and r.category = old.category
                    and r.actor_id = old.actor_id and r.outcome = old.outcome;
            delete from activity.person_rollups r
                where r.grain = unit and r.bucket = date_trunc(unit, old.occurred_at)
                    and r.tenant_id = coalesce(old.tenant_id, '') and r.category = old.category
                    and r.actor_id = old.actor_id and r.outcome = old.outcome and r.count <= 0;
        end loop;
    end if;
    return null;
end $$;
revoke all on function activity.uncount_person() from public;

create function activity.watch_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    execute format('create trigger uncount_person after update on activity.%I for each row
            when (old.actor_id is not null and new.actor_id is null)
            execute function activity.uncount_person()', leaf);
    execute format('alter table activity.%I enable always trigger uncount_person', leaf);
end $$;
revoke all on function activity.watch_leaf(text) from public;

create or replace function activity.finish_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    perform activity.index_leaf(leaf);
    perform activity.watch_leaf(leaf);
end $$;

-- The leaves that are there. Writers wait meanwhile.
do $$
declare
    leaf name;
begin
    for leaf in
        select c.relname from pg_partition_tree('activity.records') t
            join pg_class c on c.oid = t.relid
        where t.isleaf and c.relkind = 'r' order by 1
    loop
        perform activity.watch_leaf(leaf);
    end loop;
end $$;

insert into activity.migrations (version, name) values (7, 'rollups');

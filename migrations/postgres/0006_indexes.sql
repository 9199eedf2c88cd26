-- Indexes for the questions of the API, beside the keys and the four that every leaf has.

-- Indexes that were asked for (`migrate --index text,metadata`): every leaf has them, new ones too.
create table activity.indexes (
    name text collate "C" primary key check (name in ('text', 'metadata')),
    made_at timestamptz not null default clock_timestamp()
);

-- Sparse: a record without the field costs nothing.
create function activity.index_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    -- What came from this address, or from this network?
    execute format('create index on activity.%I (ip, occurred_at, id)
            where ip is not null', leaf);
    -- What was done in this session?
    execute format('create index on activity.%I (session_id, occurred_at, id)
            where session_id is not null', leaf);
    -- What belongs to this request?
    execute format('create index on activity.%I (request_id, occurred_at, id)
            where request_id is not null', leaf);
end $$;
revoke all on function activity.index_leaf(text) from public;

-- What a new leaf gets beside that: see the files after this one.
create function activity.finish_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    perform activity.index_leaf(leaf);
end $$;
revoke all on function activity.finish_leaf(text) from public;

-- As before, and finished.
create or replace function activity.make_leaf(month text, class text) returns boolean
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
    -- Notices about what is there already are for nobody.
    set client_min_messages = warning
as $$
declare
    month_name text := 'records_' || replace(month, '-', '_');
    leaf text := activity.leaf_name(month, class);
    starts timestamptz;
    ends timestamptz;
begin
    if month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' or class is null then
        raise exception 'no leaf for month %', quote_nullable(month)
            using errcode = '22023';
    end if;
    if exists (select from pg_inherits where inhrelid = to_regclass(format('activity.%I', leaf))) then
        return false;
    end if;
    perform pg_advisory_xact_lock(5860226710480315985);
    -- Another process may have been faster.
    if exists (select from pg_inherits where inhrelid = to_regclass(format('activity.%I', leaf))) then
        return false;
    end if;

    starts := (month || '-01')::timestamptz;
    ends := starts + interval '1 month';
    if to_regclass(format('activity.%I', month_name)) is null then
        execute format(
            'create table activity.%I (like activity.records including defaults including constraints)
                partition by list (retention_class)', month_name);
        execute format(
            'create trigger refuse_truncate before truncate on activity.%I
                for each statement execute function activity.refuse_truncate()', month_name);
        execute format('alter table activity.%I enable always trigger refuse_truncate', month_name);
        execute format('alter table activity.records attach partition activity.%I
                for values from (%L) to (%L)', month_name, starts, ends);
    end if;

    -- The constraint says what the partition says: a leaf that is detached for an archive can come
    -- back without being scanned.
    execute format(
        'create table activity.%I (
            like activity.records including defaults including constraints,
            constraint leaf check (occurred_at >= %L and occurred_at < %L and retention_class = %L),
            primary key (occurred_at, id)
        )', leaf, starts, ends, class);
    -- An entry of the ledger finds its rows, and no number is there twice.
    execute format('create unique index on activity.%I (writer_id, seq)', leaf);
    -- What happened to this thing?
    execute format('create index on activity.%I (entity_id, lower(entity_type), occurred_at, id)
            where entity_id is not null', leaf);
    -- What did this actor do?
    execute format('create index on activity.%I (actor_id, occurred_at, id)
            where actor_id is not null', leaf);
    -- What happened in this tenant?
    execute format('create index on activity.%I (tenant_id, occurred_at, id)
            where tenant_id is not null', leaf);
    -- When was this done last?
    execute format('create index on activity.%I (lower(action), occurred_at, id)', leaf);
    perform activity.finish_leaf(leaf);
    execute format(
        'create trigger guard before update or delete on activity.%I
            for each row execute function activity.guard_record()', leaf);
    execute format(
        'create trigger refuse_truncate before truncate on activity.%I
            for each statement execute function activity.refuse_truncate()', leaf);
    execute format('alter table activity.%I enable always trigger guard', leaf);
    execute format('alter table activity.%I enable always trigger refuse_truncate', leaf);
    execute format('alter table activity.%I attach partition activity.%I for values in (%L)',
            month_name, leaf, class);
    return true;
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
        perform activity.index_leaf(leaf);
    end loop;
end $$;

insert into activity.migrations (version, name) values (6, 'indexes');

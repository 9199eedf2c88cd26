-- Leaves: one table per month and retention class, made ahead or when first needed.

-- The leaf's name. A class that is not a short plain word is named by its digest.
create function activity.leaf_name(month text, class text) returns text
    language sql
    immutable
    parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select 'records_' || replace(month, '-', '_') || '_' || case
        when class collate "C" ~ '^[a-z0-9_]{1,32}$' and class !~ '^x_' then class
        else 'x_' || left(encode(sha256(convert_to(class, 'UTF8')), 'hex'), 32)
    end
$$;

-- Makes a leaf unless it is there, and tells whether it did. Runs in a transaction of its own, since
-- what it locks stays locked until the end.
--
-- CREATE TABLE and ATTACH, not PARTITION OF: that would lock the parent against readers and writers.
create function activity.make_leaf(month text, class text) returns boolean
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

-- Makes the leaves of these classes for this month and the next, by the server's clock.
create function activity.make_leaves(classes text[]) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
as $$
begin
    perform activity.make_leaf(to_char(m, 'YYYY-MM'), c)
        from unnest(array[now(), date_trunc('month', now()) + interval '1 month']) m,
            unnest(classes) c;
end $$;

revoke all on function activity.leaf_name(text, text) from public;
revoke all on function activity.make_leaf(text, text) from public;
revoke all on function activity.make_leaves(text[]) from public;

insert into activity.migrations (version, name) values (3, 'leaves');

-- What ends with time: whole leaves, a month of a retention class at once.

-- How far each month and class was taken out: the records of its ledger entries up to that position are gone.
-- It follows from the log, and saves looking for what is not there.
create table activity.ended (
    month text collate "C" not null,
    class text collate "C" not null,
    position bigint not null,
    primary key (month, class)
);

-- "What does the ledger account for of this month and class?"
create index ledger_entries_unit on activity.ledger_entries (month, class, position);

-- The metadata of the record with which the log tells that records were taken out; null when there is none.
-- Read from the leaves, one by one: their owner sees all of them, whatever policy stands on the whole.
create function activity.removal_told(told_by uuid, told_at timestamptz) returns json
    language plpgsql
    stable
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
as $$
declare
    leaf name;
    told json;
begin
    for leaf in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = to_regclass(format('activity.%I', 'records_' || to_char(told_at, 'YYYY_MM')))
            and c.relkind = 'r'
        order by 1
    loop
        execute format(
            'select metadata from activity.%I
                where occurred_at >= $1 and occurred_at < $1 + interval ''1 millisecond'' and id = $2
                    and action = ''retention_run'' and category = ''system'' and origin = ''system''', leaf)
            into told using told_at, told_by;
        exit when told is not null;
    end loop;
    return told;
end $$;
revoke all on function activity.removal_told(uuid, timestamptz) from public;

-- Takes the records of a leaf out of the counts, which were folded in as far as they go.
create function activity.uncount_leaf(month text, class text, records bigint) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
as $$
declare
    kind text := split_part(class, '.', 1);
    starts timestamptz := (month || '-01')::timestamptz;
    ends timestamptz := starts + interval '1 month';
begin
    -- As a rule a class is all that there is of a category in that month: then the counts go as a whole, and
    -- the leaf need not be read.
    if (select coalesce(sum(r.count), 0) from activity.rollups r
        where r.grain = 'month' and r.bucket = starts and r.category = kind) = records
    then
        delete from activity.rollups r where r.bucket >= starts and r.bucket < ends and r.category = kind;
        delete from activity.person_rollups r
            where r.bucket >= starts and r.bucket < ends and r.category = kind;
        return;
    end if;
    execute format('with counted as materialized (
            select date_trunc(''hour'', occurred_at) as hour, coalesce(tenant_id, '''') as tenant_id, category,
                coalesce(entity_type, '''') as entity_type, coalesce(action, '''') as action,
                operation, actor_id, outcome, count(*) as count
            from activity.%I
            group by 1, 2, 3, 4, 5, 6, 7, 8
        ), grains as materialized (
            select grain, date_trunc(grain, hour) as bucket, counted.*
            from counted, unnest(array[''hour'', ''day'', ''month'']) grain
        ), plain as (
            update activity.rollups r set count = r.count - g.count
            from (select grain, bucket, tenant_id, category, entity_type, action, operation, outcome,
                    sum(count) as count
                from grains group by 1, 2, 3, 4, 5, 6, 7, 8) g
            where (r.grain, r.bucket, r.tenant_id, r.category, r.entity_type, r.action, r.operation, r.outcome)
                = (g.grain, g.bucket, g.tenant_id, g.category, g.entity_type, g.action, g.operation, g.outcome)
        )
        update activity.person_rollups r set count = r.count - g.count
        from (select grain, bucket, tenant_id, category, actor_id, outcome, sum(count) as count
            from grains where actor_id is not null group by 1, 2, 3, 4, 5, 6) g
        where (r.grain, r.bucket, r.tenant_id, r.category, r.actor_id, r.outcome)
            = (g.grain, g.bucket, g.tenant_id, g.category, g.actor_id, g.outcome)',
        activity.leaf_name(month, class));
    delete from activity.rollups r where r.bucket >= starts and r.bucket < ends and r.count <= 0;
    delete from activity.person_rollups r where r.bucket >= starts and r.bucket < ends and r.count <= 0;
end $$;
revoke all on function activity.uncount_leaf(text, text, bigint) from public;

-- How many records of the log itself place and lift holds. Read from the months, which have no policy: their
-- owner sees all of them. Volatile, so that it sees what was committed while a lock was waited for.
create function activity.holds_told() returns bigint
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    month name;
    here bigint;
    told bigint := 0;
begin
    for month in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'activity.records'::regclass and c.relkind = 'p'
        order by 1
    loop
        execute format(
            'select count(*) from activity.%I
                where retention_class = ''system'' and lower(action) in (''held'', ''released'')
                    and category = ''system'' and origin = ''system''', month)
            into here;
        told := told + here;
    end loop;
    return told;
end $$;
revoke all on function activity.holds_told() from public;

-- Takes the leaf of a month and class out, which a record in the log tells of, up to the position that it tells;
-- only as long as the log tells of no other holds than those that the caller has looked at: so many records
-- placed or lifted them.
-- The caller sets a short lock_timeout: whoever waits behind this waits as long.
create function activity.end_unit(
    unit_month text, unit_class text, first bigint, last bigint, told_by uuid, told_at timestamptz,
    holds bigint
) returns text
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
    set client_min_messages = warning
as $$
declare
    leaf text := activity.leaf_name(unit_month, unit_class);
    told json := activity.removal_told(told_by, told_at);
    folded bigint;
begin
    -- Each statement below must see what was committed while a lock was waited for.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'records are taken out READ COMMITTED' using errcode = '25001';
    end if;
    if (told ->> 'month', told ->> 'class', told ->> 'first', told ->> 'last')
        is distinct from (unit_month, unit_class, first::text, last::text)
    then
        raise exception 'no record in the log tells that % of % is taken out', unit_class, unit_month
            using errcode = 'AC005';
    end if;
    if last <= (select e.position from activity.ended e
        where e.month = unit_month and e.class = unit_class)
    then
        return 'done';
    end if;
    -- One at a time: whoever waited here looks for a leaf that the other may have taken out.
    select p.position into strict folded from activity.rollup_progress p for no key update;
    if exists (select from pg_inherits where inhrelid = to_regclass(format('activity.%I', leaf))) then
        if folded < last then
            return 'behind';
        end if;
        perform activity.uncount_leaf(unit_month, unit_class, (told ->> 'count')::bigint);
        -- Who makes leaves waits, so that none comes back in the middle; from the month down, as readers do.
        perform pg_advisory_xact_lock(5860226710480315985);
        execute format('lock table only activity.%I in access exclusive mode',
            'records_' || replace(unit_month, '-', '_'));
        execute format('lock table only activity.%I in access exclusive mode', leaf);
        -- Nobody is in the middle of an append to it now, and nobody begins one.
        if exists (select from activity.ledger_entries e
            where e.month = unit_month and e.class = unit_class and e.position > last)
        then
            raise exception 'the ledger accounts for more of % of % than was told', unit_class, unit_month
                using errcode = 'AC004';
        end if;
        -- Whoever places a hold from here on is told of what is left: he waits for these locks to count it.
        if activity.holds_told() is distinct from holds then
            raise exception 'other holds stand than those that % of % was looked at under', unit_class, unit_month
                using errcode = 'AC006';
        end if;
        execute format('drop table activity.%I', leaf);
    end if;
    insert into activity.ended as e (month, class, position) values (unit_month, unit_class, last)
        on conflict (month, class) do update set position = greatest(e.position, excluded.position);
    return 'done';
end $$;
revoke all on function activity.end_unit(text, text, bigint, bigint, uuid, timestamptz, bigint) from public;

-- Takes out the table of a month that has no leaf any more; tells whether it did. The same short lock_timeout.
create function activity.end_month(unit_month text) returns boolean
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
    set client_min_messages = warning
as $$
declare
    month_name text := 'records_' || replace(unit_month, '-', '_');
    has_leaf boolean;
begin
    if unit_month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' then
        raise exception 'no month %', quote_nullable(unit_month) using errcode = '22023';
    end if;
    perform pg_advisory_xact_lock(5860226710480315985);
    select exists (select from pg_inherits where inhparent = i.inhrelid) into has_leaf
        from pg_inherits i
        where i.inhparent = 'activity.records'::regclass
            and i.inhrelid = to_regclass(format('activity.%I', month_name));
    if not found or has_leaf then
        return false;
    end if;
    execute format('drop table activity.%I', month_name);
    return true;
end $$;
revoke all on function activity.end_month(text) from public;

-- Who looks after leaves ends them, and everybody who reads sees how far that went.
create function activity.grants_0015() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant select on activity.ended
        to activity_reader, activity_auditor, activity_privacy, activity_retention;
    grant execute on function activity.leaf_name(text, text)
        to activity_reader, activity_auditor, activity_privacy, activity_retention;
    grant execute on function
        activity.end_unit(text, text, bigint, bigint, uuid, timestamptz, bigint),
        activity.end_month(text), activity.fold(integer) to activity_retention;
end $$;
revoke all on function activity.grants_0015() from public;

select activity.grants_0015() where activity.has_roles();

insert into activity.migrations (version, name) values (15, 'retention');

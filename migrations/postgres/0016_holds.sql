-- Legal holds: what is held does not end.

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

-- As before, and only as long as the log tells of no other holds than those that the caller has looked at: so
-- many records placed or lifted them.
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
    if exists (select from pg_inherits where inhrelid = to_regclass(format('activity.%I', leaf))) then
        select p.position into strict folded from activity.rollup_progress p for no key update;
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
        if activity.holds_told() <> holds then
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

-- Whoever knows nothing of holds takes nothing out of a log that ever had one.
create or replace function activity.end_unit(
    unit_month text, unit_class text, first bigint, last bigint, told_by uuid, told_at timestamptz
) returns text
    language sql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
    select activity.end_unit(unit_month, unit_class, first, last, told_by, told_at, 0::bigint)
$$;

-- Who looks after leaves ends them.
create function activity.grants_0016() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant execute on function
        activity.end_unit(text, text, bigint, bigint, uuid, timestamptz, bigint) to activity_retention;
end $$;
revoke all on function activity.grants_0016() from public;

select activity.grants_0016() where activity.has_roles();

insert into activity.migrations (version, name) values (16, 'holds');

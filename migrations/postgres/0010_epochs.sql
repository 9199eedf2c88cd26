-- Epochs of the ledger, and what the question of completeness reads.

-- As before, and: the first batch of a writer that found the log behind what it had committed to it (a
-- backup was restored, a replica that lacks the newest commits took over) opens another epoch, unless
-- somebody did since. The writer says so with `set local activity.lost_in = 'n'`, where n is the newest
-- epoch that it has seen, 0 for none.
create or replace function activity.seal() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    stands bigint;
    head record;
    lost_in bigint;
    next_epoch bigint;
begin
    -- Each statement below must see what was committed while the lock was waited for.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'appends run READ COMMITTED' using errcode = '25001';
    end if;
    perform 1 from activity.ledger_lock for update;
    if not found then
        raise exception 'the row of activity.ledger_lock is gone' using errcode = '42P01';
    end if;

    select e.last_seq into stands from activity.ledger_entries e
        where e.writer_id = new.writer_id and e.position is not null
        order by e.first_seq desc limit 1;
    if new.first_seq <> coalesce(stands, 0) + 1 then
        -- The detail is read by the writer, so it is the number alone.
        raise exception 'the stream stands at %, and the batch begins at %',
                coalesce(stands, 0), new.first_seq
            using errcode = 'AC001', detail = coalesce(stands, 0)::text;
    end if;

    select e.position, e.epoch, e.committed_at into head from activity.ledger_entries e
        where e.position is not null
        order by e.position desc limit 1;
    next_epoch := coalesce(head.epoch, 1);
    lost_in := nullif(current_setting('activity.lost_in', true), '');
    if lost_in is not null then
        -- Once: the entries behind the first of the batch go on in its epoch.
        perform set_config('activity.lost_in', '', true);
        -- Numbers in canonical bytes stay below 2^53.
        if lost_in not between 0 and 4503599627370496 then
            raise exception 'no epoch is of number %', lost_in using errcode = '22003';
        end if;
        next_epoch := case lost_in when 0 then next_epoch + 1
            else greatest(next_epoch, lost_in + 1) end;
    end if;
    update activity.ledger_entries e
        set position = coalesce(head.position, 0) + 1,
            epoch = next_epoch,
            committed_at = greatest(clock_timestamp(), head.committed_at + interval '1 microsecond')
        where e.writer_id = new.writer_id and e.first_seq = new.first_seq;
    return null;
end $$;

-- "Does this stream go on without a break?" Answered from the index alone.
create index ledger_entries_stream on activity.ledger_entries
    (writer_id, first_seq) include (last_seq, epoch, committed_at);

-- "Which numbers does only a stub stand for?" Hardly ever any.
create function activity.index_stubs(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    execute format('create index on activity.%I (writer_id, seq)
            where outcome_reason = ''quarantined''', leaf);
end $$;
revoke all on function activity.index_stubs(text) from public;

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
    if activity.has_roles() then
        perform activity.grant_leaf(leaf);
    end if;
end $$;

do $$
declare
    leaf name;
begin
    for leaf in
        select c.relname from pg_partition_tree('activity.records') t
            join pg_class c on c.oid = t.relid where t.isleaf and c.relkind = 'r'
    loop
        perform activity.index_stubs(leaf);
    end loop;
end $$;

insert into activity.migrations (version, name) values (10, 'epochs');

-- The ledger: what each append ends in. Append-only, and the only state that there is.

-- One row that is locked and never updated: an updated row would leave a version behind per append.
create table activity.ledger_lock (
    one boolean primary key default true check (one)
);
insert into activity.ledger_lock default values;

create table activity.ledger_entries (
    -- Null only between INSERT and COMMIT; from 1 on without a gap, in the order of the commits.
    position bigint unique,
    epoch bigint,
    writer_id bigint not null,
    first_seq bigint not null check (first_seq >= 1),
    last_seq bigint not null check (last_seq >= first_seq),
    count bigint not null generated always as (last_seq - first_seq + 1) stored,
    -- The leaf: month as 2026-01, and retention class.
    month text collate "C" not null,
    class text collate "C" not null,
    first_at timestamptz not null,
    last_at timestamptz not null,
    batch_root bytea not null check (octet_length(batch_root) = 32),
    committed_at timestamptz,
    -- Entries of a stream do not overlap, so the last by first_seq is the last.
    primary key (writer_id, first_seq)
);

-- Nobody brings a position along.
create function activity.unseal() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    new.position := null;
    new.epoch := null;
    new.committed_at := null;
    return new;
end $$;

-- Deferred to COMMIT, hence run by the server alone: a client that freezes or vanishes in its
-- transaction does not hold the lock that the other writers need.
create function activity.seal() returns trigger
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    stands bigint;
    head record;
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
    update activity.ledger_entries e
        set position = coalesce(head.position, 0) + 1,
            epoch = coalesce(head.epoch, 1),
            committed_at = greatest(clock_timestamp(), head.committed_at + interval '1 microsecond')
        where e.writer_id = new.writer_id and e.first_seq = new.first_seq;
    return null;
end $$;

create function activity.guard_entry() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    probe record;
begin
    if tg_op = 'UPDATE' and old.position is null and new.position is not null then
        probe := new;
        probe.position := old.position;
        probe.epoch := old.epoch;
        probe.committed_at := old.committed_at;
        -- The generated column is not computed yet.
        probe.count := old.count;
        if not probe operator(pg_catalog.*<>) old then
            return new;
        end if;
    end if;
    raise exception 'the ledger is append-only: % refused', tg_op using errcode = 'AC002';
end $$;

create trigger unseal before insert on activity.ledger_entries
    for each row execute function activity.unseal();
create constraint trigger seal after insert on activity.ledger_entries
    deferrable initially deferred
    for each row execute function activity.seal();
create trigger guard before update or delete on activity.ledger_entries
    for each row execute function activity.guard_entry();
create trigger refuse_truncate before truncate on activity.ledger_entries
    for each statement execute function activity.refuse_truncate();
-- Also under session_replication_role = replica, which turns ordinary triggers off.
alter table activity.ledger_entries enable always trigger unseal;
alter table activity.ledger_entries enable always trigger seal;
alter table activity.ledger_entries enable always trigger guard;
alter table activity.ledger_entries enable always trigger refuse_truncate;

-- Where a stream stands, read under the locks that an append holds: a plain read while a commit is in
-- flight gives the old answer. The stream's own lock, which an append takes at its beginning, waits for
-- one whose COMMIT has not even arrived. Statement by statement, so that the last sees what the first
-- two waited for.
create function activity.stream_position(writer bigint) returns bigint
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    stands bigint;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'positions are read READ COMMITTED' using errcode = '25001';
    end if;
    perform pg_advisory_xact_lock(writer);
    perform 1 from activity.ledger_lock for update;
    if not found then
        raise exception 'the row of activity.ledger_lock is gone' using errcode = '42P01';
    end if;
    select e.last_seq into stands from activity.ledger_entries e
        where e.writer_id = writer and e.position is not null
        order by e.first_seq desc limit 1;
    return coalesce(stands, 0);
end $$;

revoke all on function activity.unseal() from public;
revoke all on function activity.seal() from public;
revoke all on function activity.guard_entry() from public;
revoke all on function activity.stream_position(bigint) from public;

insert into activity.migrations (version, name) values (2, 'ledger');

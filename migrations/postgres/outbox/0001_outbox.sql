-- The outbox: records that exist if and only if the application's own transaction commits.
--
-- For the application's database, which may be the log's as well. By hand: psql -1 -v ON_ERROR_STOP=1 with -f.
--
-- A login that records needs INSERT on activity.outbox; the worker that moves the rows into the log needs
-- SELECT, UPDATE and DELETE on it, and SELECT and UPDATE on activity.outbox_stream.

do $$
begin
    -- Not "if not exists": that asks for the right to create schemas even where this one is there.
    if to_regnamespace('activity') is null then
        create schema activity;
    end if;
end $$;

-- Apart from activity.migrations, which is the log's.
create table activity.outbox_migrations (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default clock_timestamp()
);

-- One stream for all processes that work on this outbox. Its row is locked while rows are numbered, so that
-- the numbers have no gap. Whoever holds the lease works; nothing but effort depends on it.
create table activity.outbox_stream (
    one boolean primary key default true check (one),
    writer_id bigint not null check (writer_id > 0),
    next_seq bigint not null default 1 check (next_seq > 0),
    holder bigint,
    held_until timestamptz
);

insert into activity.outbox_stream (writer_id)
select greatest(1, ('x' || left(encode(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'hex'), 16))::bit(64)::bigint
    & 9223372036854775807);

-- Rows come with the application's commits and go when the log has them, so the table is nearly empty.
create table activity.outbox (
    place bigint generated always as identity primary key,
    record_id uuid not null,
    -- Month and category: what lies in one leaf of the log is numbered together.
    leaf text collate "C" not null,
    added_at timestamptz not null default clock_timestamp(),
    -- The whole record, prepared: secrets are taken out before it comes here. Its salts go with the row, so
    -- that nothing is left of a group that is erased in the log.
    payload bytea not null,
    -- The number in the stream, and when it was given.
    seq bigint,
    claimed_at timestamptz,
    check ((seq is null) = (claimed_at is null))
)
-- What was deleted is tidied up after thousands of rows, not after a share of the few that are there.
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What is numbered, in the order of the numbers?
create unique index outbox_seq on activity.outbox (seq) where seq is not null;
-- What is not numbered yet?
create index outbox_new on activity.outbox (place) where seq is null;

insert into activity.outbox_migrations (version, name) values (1, 'outbox');

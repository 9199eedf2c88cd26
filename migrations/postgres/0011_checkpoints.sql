-- Checkpoints of the ledger.

-- The ledger's heads as they were signed, each with the roots of the whole subtrees at its edge, from which
-- the next goes on.
create table activity.checkpoints (
    number bigint primary key,
    size bigint not null check (size > 0),
    frontier bytea not null check (octet_length(frontier) % 32 = 0),
    note text not null,
    made_at timestamptz not null
);

-- Roots of whole subtrees of 2^height entries, for proofs. They follow from the entries.
create table activity.ledger_nodes (
    height integer not null check (height > 0),
    number bigint not null check (number >= 0),
    hash bytea not null check (octet_length(hash) = 32),
    primary key (height, number)
);

create function activity.guard_checkpoint() returns trigger
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    last record;
begin
    if tg_op <> 'INSERT' then
        raise exception 'checkpoints are append-only: % refused', tg_op using errcode = 'AC002';
    end if;
    select c.number, c.size into last from activity.checkpoints c order by c.number desc limit 1;
    -- Of two that make the same one, the primary key refuses the later.
    if new.number > coalesce(last.number, 0) + 1 or new.size < coalesce(last.size, 0) then
        raise exception 'checkpoints go on without gaps, and no head is behind one before it'
            using errcode = 'AC002';
    end if;
    return new;
end $$;

create trigger guard before insert or update or delete on activity.checkpoints
    for each row execute function activity.guard_checkpoint();
create trigger refuse_truncate before truncate on activity.checkpoints
    for each statement execute function activity.refuse_truncate();
alter table activity.checkpoints enable always trigger guard;
alter table activity.checkpoints enable always trigger refuse_truncate;
revoke all on function activity.guard_checkpoint() from public;

-- As before, and: whoever reads sees the checkpoints, and the writer makes them.
alter function activity.make_roles() rename to make_roles_before_checkpoints;

create function activity.grant_checkpoints() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant select on activity.checkpoints, activity.ledger_nodes
        to activity_writer, activity_reader, activity_auditor, activity_privacy, activity_retention;
    grant insert on activity.checkpoints, activity.ledger_nodes to activity_writer;
end $$;
revoke all on function activity.grant_checkpoints() from public;

create function activity.make_roles() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
    set client_min_messages = warning
as $$
begin
    perform activity.make_roles_before_checkpoints();
    perform activity.grant_checkpoints();
end $$;
revoke all on function activity.make_roles() from public;

do $$
begin
    if activity.has_roles() then
        perform activity.grant_checkpoints();
    end if;
end $$;

insert into activity.migrations (version, name) values (11, 'checkpoints');

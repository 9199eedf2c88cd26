-- What legal holds keep of people who were erased.

-- Personal groups that an erasure has taken out of their records, and that stay for as long as a hold is on them.
-- In the record stands their commitment, which proves what is kept here.
create table activity.restricted (
    number bigint generated always as identity primary key,
    -- The record.
    id uuid not null,
    writer_id bigint not null,
    seq bigint not null,
    tenant_id text collate "C",
    -- Their letters.
    groups text collate "C" not null,
    -- The record with these groups alone, and their salts.
    kept bytea not null
);
create index restricted_id on activity.restricted (id);

create function activity.guard_restricted() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'what is kept aside under a hold is never changed: % refused', tg_op
        using errcode = 'AC002';
end $$;
revoke all on function activity.guard_restricted() from public;

create trigger guard before update on activity.restricted
    for each row execute function activity.guard_restricted();
create trigger refuse_truncate before truncate on activity.restricted
    for each statement execute function activity.refuse_truncate();
alter table activity.restricted enable always trigger guard;
alter table activity.restricted enable always trigger refuse_truncate;

-- Which groups of some records are kept aside, for whoever sees these records and not what is kept. A transaction
-- that is held to a tenant is told of that one's alone.
create function activity.restricted_marks(ids uuid[]) returns table (id uuid, groups text)
    language sql
    stable
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
    select r.id, r.groups from activity.restricted r
        where r.id = any(ids)
            and (nullif(current_setting('activity.tenant', true), '') is null
                or r.tenant_id = current_setting('activity.tenant', true))
$$;
revoke all on function activity.restricted_marks(uuid[]) from public;

-- Whether anything is kept aside: who may not see it has to know that there is something.
create function activity.has_restricted() returns boolean
    language sql
    stable
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
    select exists (select from activity.restricted)
$$;
revoke all on function activity.has_restricted() from public;

-- The writer puts aside what arrives late and sees none of it, as little as a reader does; who erases puts aside and
-- lets go, who looks after leaves lets go what no hold keeps any more, and the auditor looks.
create function activity.grants_0018() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant insert on activity.restricted to activity_writer, activity_privacy;
    grant select on activity.restricted to activity_auditor, activity_privacy, activity_retention;
    grant delete on activity.restricted to activity_privacy, activity_retention;
    grant execute on function activity.restricted_marks(uuid[]), activity.has_restricted()
        to activity_writer, activity_reader, activity_auditor, activity_privacy, activity_retention;
end $$;
revoke all on function activity.grants_0018() from public;

select activity.grants_0018() where activity.has_roles();

insert into activity.migrations (version, name) values (18, 'restricted');

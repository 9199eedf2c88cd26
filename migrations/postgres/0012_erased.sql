-- Who was erased.

-- Whose records are erased, so that those which arrive late are too. A keyed digest stands for the name: the key
-- is not in the database.
create table activity.erased_subjects (
    number bigint generated always as identity primary key,
    digest text collate "C" not null,
    -- What is erased, and of which time.
    subject json not null
);

create function activity.guard_erased() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'the list of who was erased is append-only: % refused', tg_op
        using errcode = 'AC002';
end $$;
revoke all on function activity.guard_erased() from public;

-- Numbers are committed in their order: whoever has read up to one never misses a smaller one that comes later.
create function activity.queue_erased() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(5860226710480315986);
    return null;
end $$;
revoke all on function activity.queue_erased() from public;

create trigger queue before insert on activity.erased_subjects
    for each statement execute function activity.queue_erased();
create trigger guard before update or delete on activity.erased_subjects
    for each row execute function activity.guard_erased();
create trigger refuse_truncate before truncate on activity.erased_subjects
    for each statement execute function activity.refuse_truncate();
alter table activity.erased_subjects enable always trigger queue;
alter table activity.erased_subjects enable always trigger guard;
alter table activity.erased_subjects enable always trigger refuse_truncate;

-- How roles come to their rights, from here on: a migration that makes something for them defines a function
-- `activity.grants_NNNN()` of its own number, safe to repeat, and runs it at once where there are roles, with
-- `select activity.grants_NNNN() where activity.has_roles()`. make_roles runs all of them, in the order of
-- their numbers.
alter function activity.make_roles() rename to make_roles_before_0012;

create function activity.make_roles() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
    set client_min_messages = warning
as $$
declare
    given record;
begin
    perform activity.make_roles_before_0012();
    for given in
        select p.proname as name, p.proowner = m.proowner as is_ours
        from pg_proc p, pg_proc m
        where p.pronamespace = 'activity'::regnamespace and p.proname ~ '^grants_[0-9]{4}$'
            and p.prokind = 'f' and p.pronargs = 0
            and m.oid = 'activity.make_roles()'::regprocedure
        order by p.proname
    loop
        -- It would run with the rights of whoever makes roles.
        if not given.is_ours then
            raise exception 'activity.%() and activity.make_roles() have different owners: drop it, unless a migration '
                    'made it; otherwise give it to the other''s owner', given.name
                using errcode = '42501';
        end if;
        execute format('select activity.%I()', given.name);
    end loop;
end $$;
revoke all on function activity.make_roles() from public;

-- The writer asks the list, and who erases adds to it.
create function activity.grants_0012() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant select on activity.erased_subjects to activity_writer, activity_privacy, activity_auditor;
    grant insert on activity.erased_subjects to activity_privacy;
end $$;
revoke all on function activity.grants_0012() from public;

select activity.grants_0012() where activity.has_roles();

insert into activity.migrations (version, name) values (12, 'erased');

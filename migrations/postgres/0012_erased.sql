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

create trigger guard before update or delete on activity.erased_subjects
    for each row execute function activity.guard_erased();
create trigger refuse_truncate before truncate on activity.erased_subjects
    for each statement execute function activity.refuse_truncate();
alter table activity.erased_subjects enable always trigger guard;
alter table activity.erased_subjects enable always trigger refuse_truncate;

-- As before, and: the writer asks the list, and who erases adds to it.
alter function activity.make_roles() rename to make_roles_before_erased;

create function activity.grant_erased() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant select on activity.erased_subjects to activity_writer, activity_privacy, activity_auditor;
    grant insert on activity.erased_subjects to activity_privacy;
end $$;
revoke all on function activity.grant_erased() from public;

create function activity.make_roles() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
    set client_min_messages = warning
as $$
begin
    perform activity.make_roles_before_erased();
    perform activity.grant_erased();
end $$;
revoke all on function activity.make_roles() from public;

do $$
begin
    if activity.has_roles() then
        perform activity.grant_erased();
    end if;
end $$;

insert into activity.migrations (version, name) values (12, 'erased');

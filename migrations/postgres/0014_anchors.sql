-- Checkpoints of other logs, and what the last verification found.

-- Signed heads of other logs, which this database vouches for.
create table activity.anchors (
    number bigint generated always as identity primary key,
    note text not null,
    kept_at timestamptz not null
);

create function activity.guard_anchor() returns trigger
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    raise exception 'anchors are append-only: % refused', tg_op using errcode = 'AC002';
end $$;

create trigger guard before update or delete on activity.anchors
    for each row execute function activity.guard_anchor();
create trigger refuse_truncate before truncate on activity.anchors
    for each statement execute function activity.refuse_truncate();
alter table activity.anchors enable always trigger guard;
alter table activity.anchors enable always trigger refuse_truncate;
revoke all on function activity.guard_anchor() from public;

-- What the last verification found, for those who look after the service. It proves nothing.
create table activity.verified (
    one boolean primary key default true check (one),
    verified_at timestamptz not null,
    position bigint not null,
    result text not null
);

-- The writer anchors, and whoever verifies says what he found.
create function activity.grants_0014() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant select on activity.anchors, activity.verified
        to activity_writer, activity_reader, activity_auditor, activity_privacy, activity_retention;
    grant insert on activity.anchors to activity_writer;
    grant insert, update on activity.verified to activity_writer, activity_auditor;
end $$;
revoke all on function activity.grants_0014() from public;

select activity.grants_0014() where activity.has_roles();

insert into activity.migrations (version, name) values (14, 'anchors');

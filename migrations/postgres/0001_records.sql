-- The schema, the table of records, and what keeps a record as it was written.
--
-- By hand: psql -1 -v ON_ERROR_STOP=1 with -f for each file of this folder, in their order.

do $$
begin
    -- Not "if not exists": that asks for the right to create schemas even where this one is there.
    if to_regnamespace('activity') is null then
        create schema activity;
    end if;
end $$;

create table activity.migrations (
    version integer primary key,
    name text not null,
    applied_at timestamptz not null default clock_timestamp()
);

-- One column per field of a record, under the field's name. Leaves: RANGE by month, then LIST by
-- retention class, so that a policy ends whole leaves; keys and indexes are on the leaves only.
--
-- Text compares by its bytes: equal everywhere, and no index depends on a version of the C library.
-- JSON is kept as the text that was hashed: jsonb would rewrite numbers and lose duplicate keys.
create table activity.records (
    id uuid not null,
    schema_version integer not null,
    occurred_at timestamptz not null,
    recorded_at timestamptz not null,
    duration_us bigint,
    origin text collate "C" not null,
    category text collate "C" not null,
    retention_class text collate "C" not null,
    action text collate "C",
    operation text collate "C" not null,
    outcome text collate "C" not null,
    outcome_reason text collate "C",
    severity integer not null,
    tenant_id text collate "C",
    org_id text collate "C",
    channel text collate "C",
    entity_type text collate "C",
    entity_id text collate "C",
    entity_name text collate "C",
    targets json,
    actor_type text collate "C" not null,
    actor_id text collate "C",
    actor_name text collate "C",
    impersonator_id text collate "C",
    impersonator_name text collate "C",
    subject_ids json,
    auth_method text collate "C",
    credential_id text collate "C",
    session_id text collate "C",
    description text collate "C",
    reason text collate "C",
    changes json,
    metadata json,
    method text collate "C",
    route text collate "C",
    host text collate "C",
    http_version text collate "C",
    path text collate "C",
    query text collate "C",
    status integer,
    grpc_status integer,
    request_bytes bigint,
    response_bytes bigint,
    request_body text collate "C",
    response_body text collate "C",
    ip inet,
    ip_pseudonym text collate "C",
    forwarded json,
    location json,
    user_agent text collate "C",
    request_id text collate "C",
    correlation_id text collate "C",
    trace_id text collate "C",
    span_id text collate "C",
    service text collate "C",
    instance text collate "C",
    environment text collate "C",
    rule text collate "C",
    redactions json,
    truncated json,
    skewed json,
    writer_id bigint not null,
    seq bigint not null,
    identity_salt bytea,
    network_salt bytea,
    target_salt bytea,
    content_salt bytea,
    identity_commitment bytea,
    network_commitment bytea,
    target_commitment bytea,
    content_commitment bytea,
    constraint records_finite check (isfinite(occurred_at) and isfinite(recorded_at))
) partition by range (occurred_at);

-- The one change that a record may see: a personal group goes, its commitment stays in its place.
create function activity.guard_record() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    probe record;
begin
    if tg_op = 'DELETE' then
        raise exception 'records are append-only: DELETE refused' using errcode = 'AC002';
    end if;
    probe := new;

    if new.identity_commitment is distinct from old.identity_commitment then
        if old.identity_salt is null or old.identity_commitment is not null
            or octet_length(new.identity_commitment) is distinct from 32
            or new.identity_salt is not null
            or num_nonnulls(
                new.actor_id, new.actor_name, new.impersonator_id, new.impersonator_name,
                new.subject_ids, new.credential_id, new.session_id
            ) > 0
        then
            raise exception 'erasing a group empties it, and leaves its commitment'
                using errcode = 'AC002';
        end if;
        probe.identity_salt := old.identity_salt;
        probe.identity_commitment := old.identity_commitment;
        probe.actor_id := old.actor_id;
        probe.actor_name := old.actor_name;
        probe.impersonator_id := old.impersonator_id;
        probe.impersonator_name := old.impersonator_name;
        probe.subject_ids := old.subject_ids;
        probe.credential_id := old.credential_id;
        probe.session_id := old.session_id;
    end if;

    if new.network_commitment is distinct from old.network_commitment then
        if old.network_salt is null or old.network_commitment is not null
            or octet_length(new.network_commitment) is distinct from 32
            or new.network_salt is not null
            or num_nonnulls(
                new.path, new.query, new.ip, new.ip_pseudonym, new.forwarded, new.location,
                new.user_agent
            ) > 0
        then
            raise exception 'erasing a group empties it, and leaves its commitment'
                using errcode = 'AC002';
        end if;
        probe.network_salt := old.network_salt;
        probe.network_commitment := old.network_commitment;
        probe.path := old.path;
        probe.query := old.query;
        probe.ip := old.ip;
        probe.ip_pseudonym := old.ip_pseudonym;
        probe.forwarded := old.forwarded;
        probe.location := old.location;
        probe.user_agent := old.user_agent;
    end if;

    if new.target_commitment is distinct from old.target_commitment then
        if old.target_salt is null or old.target_commitment is not null
            or octet_length(new.target_commitment) is distinct from 32
            or new.target_salt is not null
            or num_nonnulls(
                new.entity_id, new.entity_name, new.targets
            ) > 0
        then
            raise exception 'erasing a group empties it, and leaves its commitment'
                using errcode = 'AC002';
        end if;
        probe.target_salt := old.target_salt;
        probe.target_commitment := old.target_commitment;
        probe.entity_id := old.entity_id;
        probe.entity_name := old.entity_name;
        probe.targets := old.targets;
    end if;

    if new.content_commitment is distinct from old.content_commitment then
        if old.content_salt is null or old.content_commitment is not null
            or octet_length(new.content_commitment) is distinct from 32
            or new.content_salt is not null
            or num_nonnulls(
                new.description, new.reason, new.changes, new.metadata, new.request_body,
                new.response_body
            ) > 0
        then
            raise exception 'erasing a group empties it, and leaves its commitment'
                using errcode = 'AC002';
        end if;
        probe.content_salt := old.content_salt;
        probe.content_commitment := old.content_commitment;
        probe.description := old.description;
        probe.reason := old.reason;
        probe.changes := old.changes;
        probe.metadata := old.metadata;
        probe.request_body := old.request_body;
        probe.response_body := old.response_body;
    end if;

    -- *<> compares the stored bytes, so that json 1.0 and 1.00 differ.
    if probe operator(pg_catalog.*<>) old then
        raise exception 'records are append-only: UPDATE refused' using errcode = 'AC002';
    end if;
    return new;
end $$;

create function activity.refuse_truncate() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'the log is append-only: TRUNCATE refused' using errcode = 'AC002';
end $$;

revoke all on function activity.guard_record() from public;
revoke all on function activity.refuse_truncate() from public;

-- TRUNCATE triggers are not cloned to partitions: leaves get their own.
create trigger refuse_truncate before truncate on activity.records
    for each statement execute function activity.refuse_truncate();
alter table activity.records enable always trigger refuse_truncate;

insert into activity.migrations (version, name) values (1, 'records');

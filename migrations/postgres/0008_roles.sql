-- Roles, for whoever wants more than one: `migrate --roles`. They cannot log in; grant them to those who do.
--
-- activity_writer appends, activity_reader and activity_auditor read (the auditor all tenants, where
-- tenants are kept apart), activity_privacy empties personal groups, activity_retention looks after leaves.
-- Who runs the migrations is the owner. No role but the writer holds a grant on a leaf, so that what holds
-- for the whole log is asked through the whole log.

create function activity.has_roles() returns boolean
    language sql
    stable
    set search_path = pg_catalog, pg_temp
as $$
    select exists (select from pg_roles where rolname = 'activity_writer')
        and has_schema_privilege('activity_writer', 'activity', 'usage')
$$;
revoke all on function activity.has_roles() from public;

create function activity.grant_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    execute format('grant insert on activity.%I to activity_writer', leaf);
end $$;
revoke all on function activity.grant_leaf(text) from public;

-- Makes the roles that are missing, and gives each what it needs. Safe to repeat. Needs the right to create
-- roles, unless they are there.
create function activity.make_roles() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
    set client_min_messages = warning
as $$
declare
    role text;
    leaf name;
    personal text;
begin
    -- Roles belong to the whole server: the lock of this database does not keep others away.
    foreach role in array array['writer', 'reader', 'auditor', 'privacy', 'retention'] loop
        role := 'activity_' || role;
        if not exists (select from pg_roles where rolname = role) then
            begin
                execute format('create role %I nologin', role);
            exception when duplicate_object or unique_violation then
                null;
            end;
        end if;
        execute format('grant usage on schema activity to %I', role);
        execute format('grant select on activity.migrations, activity.indexes to %I', role);
    end loop;

    -- The writer reads the ledger, not the log; what it is told of the log are the streams' positions.
    grant select on activity.ledger_entries to activity_writer;
    grant insert (writer_id, first_seq, last_seq, month, class, first_at, last_at, batch_root)
        on activity.ledger_entries to activity_writer;
    grant execute on function activity.stream_position(bigint), activity.make_leaf(text, text),
        activity.make_leaves(text[]), activity.fold(integer) to activity_writer;
    grant select, insert, update, delete on activity.ingest_keys to activity_writer;
    grant select on activity.api_keys to activity_writer;

    foreach role in array array['reader', 'auditor', 'privacy', 'retention'] loop
        role := 'activity_' || role;
        execute format('grant select on activity.records, activity.ledger_entries, activity.rollups,
                activity.person_rollups, activity.rollup_progress, activity.authentication_logs,
                activity.action_logs, activity.recent_activity to %I', role);
        execute format('grant execute on function activity.runs(bigint, bigint) to %I', role);
    end loop;

    -- Emptying a group, which a trigger holds to its rules.
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into personal
        from pg_attribute a
        where a.attrelid = 'activity.records'::regclass and a.attnum > 0 and not a.attisdropped
            and (a.attname like '%\_salt' or a.attname like '%\_commitment' or a.attname in (
                'actor_id', 'actor_name', 'impersonator_id', 'impersonator_name', 'subject_ids',
                'credential_id', 'session_id', 'path', 'query', 'ip', 'ip_pseudonym', 'forwarded',
                'location', 'user_agent', 'entity_id', 'entity_name', 'targets', 'description',
                'reason', 'changes', 'metadata', 'request_body', 'response_body'));
    execute format('grant update (%s) on activity.records to activity_privacy', personal);
    grant delete on activity.person_rollups to activity_privacy;
    grant delete on activity.ingest_keys to activity_retention;
    grant select (claimed_at) on activity.ingest_keys to activity_retention;

    for leaf in
        select c.relname from pg_partition_tree('activity.records') t
            join pg_class c on c.oid = t.relid
        where t.isleaf and c.relkind = 'r' order by 1
    loop
        perform activity.grant_leaf(leaf);
    end loop;
end $$;
revoke all on function activity.make_roles() from public;

create or replace function activity.finish_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    perform activity.index_leaf(leaf);
    perform activity.watch_leaf(leaf);
    if activity.has_roles() then
        perform activity.grant_leaf(leaf);
    end if;
end $$;

insert into activity.migrations (version, name) values (8, 'roles');

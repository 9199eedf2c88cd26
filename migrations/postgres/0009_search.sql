-- Indexes that are asked for: `migrate --index text,metadata`.
--
-- Both are sieves: they hold runs of ASCII letters and digits, in lower case, and whoever reads re-checks.
-- No parser of the server's is involved, whose words differ from ours, and none of its JSON, which raises
-- errors at what we keep. A run is cut at 64 letters, since a lexeme has its bounds.

create function activity.search_words(body text) returns text[]
    language sql
    immutable
    parallel safe
    cost 500
as $$
    -- K of Kelvin and I with a dot are the letters beyond ASCII whose lower case is, or begins, within.
    select pg_catalog.array_remove(pg_catalog.string_to_array(
        pg_catalog.regexp_replace(
            pg_catalog.regexp_replace(
                pg_catalog.lower(pg_catalog.replace(pg_catalog.replace(
                    body, pg_catalog.chr(8490), 'k'), pg_catalog.chr(304), 'i ') collate "C"),
                '[^a-z0-9]+', ' ', 'g'),
            '([a-z0-9]{64})[a-z0-9]+', E'\\1', 'g'),
        ' '), '')
$$;

create function activity.text_lexemes(
    description text, reason text, entity_name text, actor_name text, impersonator_name text,
    targets text, metadata text, changes text
) returns tsvector
    language sql
    immutable
    parallel safe
    cost 1000
as $$
    select pg_catalog.array_to_tsvector(activity.search_words(
        coalesce(description, '') || ' ' || coalesce(reason, '') || ' ' || coalesce(entity_name, '')
        || ' ' || coalesce(actor_name, '') || ' ' || coalesce(impersonator_name, '')
        || ' ' || coalesce(targets, '') || ' ' || coalesce(metadata, '')
        || ' ' || coalesce(changes, '')))
$$;

-- The words of JSON as it is stored; '_', which is no word, where something is escaped and may be spelt in
-- any way.
create function activity.json_lexemes(body text) returns tsvector
    language sql
    immutable
    parallel safe
    cost 1000
as $$
    select pg_catalog.array_to_tsvector(activity.search_words(body)
        || case when pg_catalog.strpos(body, pg_catalog.chr(92)) > 0 then array['_'] else '{}' end)
$$;

-- Makes an index on a leaf unless it is there.
create function activity.add_index(leaf text, name text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
declare
    expression text := case name
        when 'text' then 'activity.text_lexemes(description, reason, entity_name, actor_name,
            impersonator_name, targets::text, metadata::text, changes::text)'
        when 'metadata' then 'activity.json_lexemes(metadata::text)'
    end;
begin
    if not exists (
        select from pg_index i
        where i.indrelid = to_regclass(format('activity.%I', leaf))
            and strpos(pg_get_indexdef(i.indexrelid), split_part(expression, '(', 1)) > 0
    ) then
        execute format('create index on activity.%I using gin ((%s)) %s', leaf, expression,
            case when name = 'metadata' then 'where metadata is not null' else '' end);
        execute format('analyze activity.%I', leaf);
    end if;
end $$;
revoke all on function activity.add_index(text, text) from public;

create or replace function activity.finish_leaf(leaf text) returns void
    language plpgsql
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    perform activity.index_leaf(leaf);
    perform activity.watch_leaf(leaf);
    perform activity.add_index(leaf, i.name) from activity.indexes i;
    if activity.has_roles() then
        perform activity.grant_leaf(leaf);
    end if;
end $$;

insert into activity.migrations (version, name) values (9, 'search');

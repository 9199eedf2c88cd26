-- Nothing of a person is emptied in silence.

-- Refuses to empty a group of which no record in the log tells, `erased`, `restricted` or `addresses_expired`, that is
-- committed or of the same transaction: so activity_privacy and activity_retention, which write no records, empty nothing before
-- whoever writes has told of it. The owner is let pass: he could take this away, and what he does in silence is found by
-- whoever verifies. It asks with the rights of who empties, who reads the log.
create function activity.guard_told() returns trigger
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
    set timezone = 'UTC'
as $$
declare
    writers bigint[];
    numbers bigint[];
    letters text[];
    months text[];
    classes text[];
    told json;
begin
    if pg_has_role(current_user, (select c.relowner from pg_class c where c.oid = tg_relid), 'member') then
        return null;
    end if;
    select array_agg(b.writer_id), array_agg(b.seq), array_agg(g.letter),
            array_agg(to_char(b.occurred_at, 'YYYY-MM')), array_agg(b.retention_class)
        into writers, numbers, letters, months, classes
        from became b join was w on (w.writer_id, w.seq) = (b.writer_id, b.seq),
            lateral (values ('i', w.identity_commitment is null and b.identity_commitment is not null),
                ('n', w.network_commitment is null and b.network_commitment is not null),
                ('t', w.target_commitment is null and b.target_commitment is not null),
                ('c', w.content_commitment is null and b.content_commitment is not null)) g(letter, is_gone)
        where g.is_gone;
    -- Addresses whose time is over are told of by month and class, as far as a position of the ledger.
    if 'n' = any(letters) then
        with expired as materialized (
            select r.metadata ->> 'month' as month, r.metadata ->> 'class' as class,
                (r.metadata ->> 'first')::bigint as first, (r.metadata ->> 'last')::bigint as last
            from activity.records r
            where r.retention_class = 'system' and lower(r.action) = 'addresses_expired'
                and r.category = 'system' and r.origin = 'system'
        )
        select array_agg(u.writer), array_agg(u.number), array_agg(u.letter), array_agg(u.month),
                array_agg(u.class)
            into writers, numbers, letters, months, classes
            from unnest(writers, numbers, letters, months, classes) u(writer, number, letter, month, class)
                left join lateral (
                    select e.position, e.last_seq from activity.ledger_entries e
                    where u.letter = 'n' and e.writer_id = u.writer and e.first_seq <= u.number
                    order by e.first_seq desc limit 1
                ) at on at.last_seq >= u.number
            where u.letter <> 'n' or not exists (
                select from expired x
                where (x.month, x.class) = (u.month, u.class) and at.position between x.first and x.last);
    end if;
    -- Erasures, and what a hold keeps aside, are told of by stream and number. What is emptied now was told of a moment ago.
    for told in
        select r.metadata -> 'records' from activity.records r
        where r.retention_class = 'system' and lower(r.action) in ('erased', 'restricted')
            and r.category = 'system' and r.origin = 'system'
        order by r.occurred_at desc, r.id desc
    loop
        exit when writers is null;
        continue when json_typeof(told) is distinct from 'object';
        with runs as materialized (
            select e.key as stream, m[1]::bigint as first, coalesce(m[2], m[1])::bigint as last, m[3] as groups
            from json_each_text(told) e, unnest(string_to_array(e.value, ',')) run,
                regexp_match(run, '^([0-9]{1,18})(?:-([0-9]{1,18}))?:([intc]+)$') m
        )
        select array_agg(u.writer), array_agg(u.number), array_agg(u.letter)
            into writers, numbers, letters
            from unnest(writers, numbers, letters) u(writer, number, letter)
            where not exists (
                select from runs x
                where x.stream = u.writer::text and u.number between x.first and x.last
                    and strpos(x.groups, u.letter) > 0);
    end loop;
    if writers is not null then
        raise exception 'no record in the log tells that the record % of the stream % is emptied', numbers[1], writers[1]
            using errcode = 'AC005';
    end if;
    return null;
end $$;
revoke all on function activity.guard_told() from public;

-- Whoever is not the owner changes records through the whole log, and holds no right on a leaf.
create trigger guard_told after update on activity.records
    referencing old table as was new table as became
    for each statement execute function activity.guard_told();
alter table activity.records enable always trigger guard_told;

insert into activity.migrations (version, name) values (19, 'told');

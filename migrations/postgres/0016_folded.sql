-- Proofs that read few records of a large batch.

-- The roots of every 64 records of an entry, where it has more. They follow from the records, and are held to the
-- root in the ledger by whoever uses them, so nothing guards them: what is changed here makes a proof slower.
-- They stay when the records are gone, as the entry does.
create table activity.folded_roots (
    writer_id bigint not null,
    first_seq bigint not null,
    roots bytea not null check (octet_length(roots) % 32 = 0),
    primary key (writer_id, first_seq)
);

-- As for the nodes of the ledger's tree. The hashes tell a tenant nothing of others: what is hashed has an id of 74
-- random bits, and whatever is personal a salt; how many records there are stands in the ledger.
create function activity.grants_0016() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant select on activity.folded_roots
        to activity_writer, activity_reader, activity_auditor, activity_privacy, activity_retention;
    grant insert on activity.folded_roots to activity_writer;
end $$;
revoke all on function activity.grants_0016() from public;

select activity.grants_0016() where activity.has_roles();

insert into activity.migrations (version, name) values (16, 'folded');

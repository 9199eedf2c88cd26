-- What is emptied under the eyes of holds, and addresses that end before their records.

-- Refuses to go on where the log tells of other holds than those that the caller has looked at: so many records
-- placed or lifted them. The last thing that a transaction does which empties records: nothing is committed between
-- this and its end, so that a hold is either seen here, or stands after what is emptied was gone.
create function activity.expect_holds(told bigint) returns void
    language plpgsql
    volatile
    security definer
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    -- What was committed while the lock was waited for must be seen.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'records are emptied READ COMMITTED' using errcode = '25001';
    end if;
    perform 1 from activity.ledger_lock for update;
    if not found then
        raise exception 'the row of activity.ledger_lock is gone' using errcode = '42P01';
    end if;
    -- It reads every month, and may stand behind whoever waits to take one out, who stands behind a long reader. Nobody
    -- appends meanwhile, so the caller tries again instead.
    set local lock_timeout = 100;
    if activity.holds_told() is distinct from told then
        raise exception 'other holds stand than those that the records were looked at under' using errcode = 'AC006';
    end if;
end $$;
revoke all on function activity.expect_holds(bigint) from public;

-- Who empties records says which holds he has seen; who looks after leaves empties addresses, and nothing else of a
-- person.
create function activity.grants_0017() returns void
    language plpgsql
    set search_path = pg_catalog, activity, pg_temp
as $$
begin
    grant execute on function activity.expect_holds(bigint) to activity_privacy, activity_retention;
    grant update (path, query, ip, ip_pseudonym, forwarded, location, user_agent, network_salt, network_commitment)
        on activity.records to activity_retention;
end $$;
revoke all on function activity.grants_0017() from public;

select activity.grants_0017() where activity.has_roles();

insert into activity.migrations (version, name) values (17, 'expiry');

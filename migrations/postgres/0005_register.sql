-- The small tables beside the log: what was taken in already, and who may call.

-- A key under which a record was handed in. Claimed before the record is numbered, done when it is stored,
-- so that what is handed in twice is recorded once.
create table activity.ingest_keys (
    key bytea primary key check (octet_length(key) = 32),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    record_id uuid not null,
    claimed_at timestamptz not null,
    done boolean not null default false
);
-- Which keys may be forgotten?
create index on activity.ingest_keys (claimed_at);

-- The keys of programs that call `activity serve`. The secret part is nowhere, only its hash.
create table activity.api_keys (
    id text collate "C" primary key,
    name text not null,
    hash bytea not null check (octet_length(hash) = 32),
    permissions text[] not null,
    tenant text,
    created_at timestamptz not null,
    revoked_at timestamptz
);

insert into activity.migrations (version, name) values (5, 'register');

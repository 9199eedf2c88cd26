-- Schema version 2: what was taken in already, and who may call.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0002_register.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- Keys under which records were handed in. Keys are digests, hence in no order: they are the table itself,
-- so that each costs one place instead of two.
CREATE TABLE activity_ingest_keys (
    key BLOB PRIMARY KEY NOT NULL CHECK (length(key) = 32),
    -- What was handed in, as a digest.
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    claimed_at INTEGER NOT NULL,
    -- 1 when the record is stored.
    done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1))
) STRICT, WITHOUT ROWID;

-- "Forget what is older than this."
CREATE INDEX activity_ingest_keys_time ON activity_ingest_keys (claimed_at);

-- Keys with which programs call the API. Of the secret part only the SHA-256 is here.
CREATE TABLE activity_api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    -- A JSON array, as in `["logs.ingest"]`.
    permissions TEXT NOT NULL,
    -- Null for all tenants.
    tenant TEXT,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (2, 'register', 'd21ebacbb71c3c65c33e1f25b4a1b0af43494c92cf3fe3ade79eee1518e66585',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

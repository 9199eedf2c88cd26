-- The outbox: records that exist if and only if the application's own transaction commits.
--
-- For the application's database, which may be the log's as well. By hand, with the same result:
--
--     sqlite3 -bail app.db < migrations/sqlite/outbox/0001_outbox.sql
--
-- A released file never changes.

BEGIN IMMEDIATE;

-- Apart from activity_migrations, which is the log's.
CREATE TABLE activity_outbox_migrations (
    version INTEGER PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

-- One stream for all processes that work on this outbox. Whoever holds the lease works; nothing but effort
-- depends on it. Times are microseconds.
CREATE TABLE activity_outbox_stream (
    one INTEGER PRIMARY KEY NOT NULL DEFAULT 1 CHECK (one = 1),
    writer_id INTEGER NOT NULL CHECK (writer_id > 0),
    next_seq INTEGER NOT NULL DEFAULT 1 CHECK (next_seq > 0),
    holder INTEGER,
    held_until INTEGER
) STRICT;

INSERT INTO activity_outbox_stream (writer_id) VALUES (max(1, random() & 9223372036854775807));

-- Rows come with the application's commits and go when the log has them, so the table is nearly empty.
CREATE TABLE activity_outbox (
    -- AUTOINCREMENT: a place is never given twice, also when the table was empty in between.
    place INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    -- Month and category: what lies in one leaf of the log is numbered together.
    leaf TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    -- The whole record, prepared: secrets are taken out before it comes here. Its salts go with the row, so
    -- that nothing is left of a group that is erased in the log.
    payload BLOB NOT NULL,
    -- The number in the stream, and when it was given.
    seq INTEGER,
    claimed_at INTEGER,
    CHECK ((seq IS NULL) = (claimed_at IS NULL))
) STRICT;

-- What is numbered, in the order of the numbers?
CREATE UNIQUE INDEX activity_outbox_seq ON activity_outbox (seq) WHERE seq IS NOT NULL;
-- What is not numbered yet?
CREATE INDEX activity_outbox_new ON activity_outbox (place) WHERE seq IS NULL;

INSERT INTO activity_outbox_migrations (version, name, applied_at)
VALUES (1, 'outbox', CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

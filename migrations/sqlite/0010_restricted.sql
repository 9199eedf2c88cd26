-- Schema version 10: what legal holds keep of people who were erased.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0010_restricted.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- Personal groups that an erasure has taken out of their records, and that stay for as long as a hold is on them.
-- In the record stands their commitment, which proves what is kept here.
CREATE TABLE activity_restricted (
    number INTEGER PRIMARY KEY,
    -- The record.
    id BLOB NOT NULL CHECK (length(id) = 16),
    writer_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- Their letters.
    groups TEXT NOT NULL,
    -- The record with these groups alone, and their salts.
    kept BLOB NOT NULL
) STRICT;

CREATE INDEX activity_restricted_id ON activity_restricted (id);

CREATE TRIGGER activity_restricted_update BEFORE UPDATE ON activity_restricted
BEGIN
    SELECT RAISE(ABORT, 'activity_restricted is append-only');
END;

-- As records, under a permit that no commit can leave behind.
CREATE TRIGGER activity_restricted_delete BEFORE DELETE ON activity_restricted
WHEN NOT EXISTS (SELECT 1 FROM activity_permits WHERE retention_class = 'restricted')
BEGIN
    SELECT RAISE(ABORT, 'activity_restricted is append-only: deleting takes a permit');
END;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (10, 'restricted', 'f98b9ab8f4616c10d1a25f04cfce836977a79a3dd209095200412bcdf0c2c94e',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

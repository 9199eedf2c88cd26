-- Schema version 7: checkpoints of other logs, and what the last verification found.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0007_anchors.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- Signed heads of other logs, which this database vouches for.
CREATE TABLE activity_anchors (
    number INTEGER PRIMARY KEY,
    note TEXT NOT NULL,
    kept_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER activity_anchors_update BEFORE UPDATE ON activity_anchors
BEGIN
    SELECT RAISE(ABORT, 'activity_anchors is append-only');
END;

CREATE TRIGGER activity_anchors_delete BEFORE DELETE ON activity_anchors
BEGIN
    SELECT RAISE(ABORT, 'activity_anchors is append-only');
END;

-- What the last verification found, for those who look after the service. It proves nothing.
CREATE TABLE activity_verified (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    verified_at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    result TEXT NOT NULL
) STRICT;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (7, 'anchors', '36b57c29057554782f01eb5236c4f0788d6ed29dd979854572b5b266be38f446',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

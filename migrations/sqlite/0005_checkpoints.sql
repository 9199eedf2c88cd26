-- Schema version 5: checkpoints of the ledger.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0005_checkpoints.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- The ledger's heads as they were signed, each with the roots of the whole subtrees at its edge, from which
-- the next goes on.
CREATE TABLE activity_checkpoints (
    number INTEGER PRIMARY KEY,
    size INTEGER NOT NULL CHECK (size > 0),
    frontier BLOB NOT NULL CHECK (length(frontier) % 32 = 0),
    note TEXT NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

-- Roots of whole subtrees of 2^height entries, for proofs. They follow from the entries.
CREATE TABLE activity_ledger_nodes (
    height INTEGER NOT NULL CHECK (height > 0),
    number INTEGER NOT NULL CHECK (number >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (height, number)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER activity_checkpoints_insert BEFORE INSERT ON activity_checkpoints
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM activity_checkpoints)
  OR NEW.size < (SELECT size FROM activity_checkpoints WHERE number = NEW.number - 1)
BEGIN
    SELECT RAISE(ABORT, 'activity_checkpoints goes on without gaps, and no head is behind one before it');
END;

CREATE TRIGGER activity_checkpoints_update BEFORE UPDATE ON activity_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'activity_checkpoints is append-only');
END;

CREATE TRIGGER activity_checkpoints_delete BEFORE DELETE ON activity_checkpoints
BEGIN
    SELECT RAISE(ABORT, 'activity_checkpoints is append-only');
END;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (5, 'checkpoints', '28b5c30605293c279e1a059f3c0458062b988db8660363258208e5b1eb0007b7',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

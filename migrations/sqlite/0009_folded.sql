-- Schema version 9: proofs that read few records of a large batch.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0009_folded.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- The roots of every 64 records of an entry, where it has more. They follow from the records, and are held to the
-- root in the ledger by whoever uses them, so nothing guards them: what is changed here makes a proof slower.
-- They stay when the records are gone, as the entry does.
CREATE TABLE activity_folded_roots (
    position INTEGER PRIMARY KEY,
    roots BLOB NOT NULL CHECK (length(roots) % 32 = 0)
) STRICT;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (9, 'folded', '7817642d8533eb292bde7f568dca1396f17002908ab703a7e3bdcdd5f4859370',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

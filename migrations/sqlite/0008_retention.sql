-- Schema version 8: what ends with time.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0008_retention.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- How far each month and retention class was taken out: the records of its ledger entries up to that position
-- are gone. It follows from the log, and saves looking for what is not there.
CREATE TABLE activity_ended (
    month TEXT NOT NULL,
    class TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (month, class)
) STRICT, WITHOUT ROWID;

-- "What does the ledger account for of this month and class?"
CREATE INDEX activity_ledger_unit ON activity_ledger (month, class, position);

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (8, 'retention', '8d895ad765bf2ac47bfff23fd98b016affd1f96871ff3b245f7bbbb3d46267f0',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

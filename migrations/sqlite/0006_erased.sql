-- Schema version 6: who was erased.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0006_erased.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- Whose records are erased, so that those which arrive late are too. A keyed digest stands for the name: the key
-- is not in the database.
CREATE TABLE activity_erased_subjects (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    -- JSON: what is erased, and of which time.
    subject TEXT NOT NULL
) STRICT;

CREATE TRIGGER activity_erased_subjects_update BEFORE UPDATE ON activity_erased_subjects
BEGIN
    SELECT RAISE(ABORT, 'activity_erased_subjects is append-only');
END;

CREATE TRIGGER activity_erased_subjects_delete BEFORE DELETE ON activity_erased_subjects
BEGIN
    SELECT RAISE(ABORT, 'activity_erased_subjects is append-only');
END;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (6, 'erased', 'c7001b0355047e68208aa781285448e58919be3a29ed7ae009c48bcd23334e96',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

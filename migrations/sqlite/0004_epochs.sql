-- Schema version 4: epochs of the ledger, and what the question of completeness reads.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0004_epochs.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- As before, and: an epoch never ends in an older one.
DROP TRIGGER activity_ledger_insert;
CREATE TRIGGER activity_ledger_insert BEFORE INSERT ON activity_ledger
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM activity_ledger)
  OR NEW.first_seq IS NOT (
      SELECT coalesce(max(last_seq), 0) + 1 FROM activity_ledger WHERE writer_id = NEW.writer_id)
  OR NEW.committed_at <= (SELECT committed_at FROM activity_ledger WHERE position = NEW.position - 1)
  OR NEW.epoch < coalesce((SELECT epoch FROM activity_ledger WHERE position = NEW.position - 1), 1)
BEGIN
    SELECT RAISE(ABORT, 'activity_ledger goes on without gaps, in the order of the commits');
END;

-- "Does this stream go on without a break?" Answered from the index alone.
CREATE INDEX activity_ledger_whole
    ON activity_ledger (writer_id, first_seq, last_seq, epoch, committed_at);

-- "Which numbers does only a stub stand for?" Hardly ever any.
CREATE INDEX activity_records_stubs ON activity_records (writer_id, seq)
    WHERE outcome_reason = 'quarantined';

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (4, 'epochs', '05dd313bd50c88e0580fec3e047fb5369f2a67f81a8653eac6f7e6febc28b0e8',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

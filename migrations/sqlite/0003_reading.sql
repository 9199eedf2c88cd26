-- Schema version 3: what reading needs: indexes, and counts that are folded in behind the writers.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0003_reading.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

-- Each goes on by time, so that a page is read off it in order. Records without the value cost nothing.
-- "What happened in this tenant?"
CREATE INDEX activity_records_tenant ON activity_records (tenant_id, occurred_at)
    WHERE tenant_id IS NOT NULL;
-- "What happened to things of this kind?" Of one thing, activity_records_entity knows.
CREATE INDEX activity_records_kind ON activity_records (entity_type, occurred_at)
    WHERE entity_type IS NOT NULL;
-- "What came from this address?"
CREATE INDEX activity_records_ip ON activity_records (ip, occurred_at) WHERE ip IS NOT NULL;
-- "What did this session do?"
CREATE INDEX activity_records_session ON activity_records (session_id, occurred_at)
    WHERE session_id IS NOT NULL;
-- "What did this request do?"
CREATE INDEX activity_records_request ON activity_records (request_id, occurred_at)
    WHERE request_id IS NOT NULL;
CREATE INDEX activity_records_correlation ON activity_records (correlation_id, occurred_at)
    WHERE correlation_id IS NOT NULL;

-- How far each fold has come: the rollups, and the indexes of words.
CREATE TABLE activity_folds (
    name TEXT PRIMARY KEY NOT NULL,
    -- The last ledger entry that is folded in whole.
    position INTEGER NOT NULL,
    -- Of the entry after it, the last number that is folded in; 0 for none.
    seq INTEGER NOT NULL,
    -- The last row that is folded in: rows are made in the order of the commits.
    last_row INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO activity_folds (name, position, seq, last_row) VALUES ('rollups', 0, 0, 0);

-- Numbers of records by hour (grain 1), day (2) and month (3) in UTC. A record is counted under its tenant,
-- and once more under the empty name, which stands for all of them. An absent value is an empty text.
CREATE TABLE activity_rollup (
    grain INTEGER NOT NULL,
    tenant_id TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    category TEXT NOT NULL,
    entity_type TEXT NOT NULL COLLATE NOCASE,
    action TEXT NOT NULL COLLATE NOCASE,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (grain, tenant_id, bucket, category, entity_type COLLATE BINARY,
        action COLLATE BINARY, operation, outcome)
) STRICT, WITHOUT ROWID;

-- The same by person, by day and month; under the record's own tenant alone. What is erased of a person
-- goes from here in the same transaction.
CREATE TABLE activity_rollup_persons (
    grain INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    actor_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    category TEXT NOT NULL,
    entity_type TEXT NOT NULL COLLATE NOCASE,
    action TEXT NOT NULL COLLATE NOCASE,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (grain, bucket, actor_id, tenant_id, category, entity_type COLLATE BINARY,
        action COLLATE BINARY, operation, outcome)
) STRICT, WITHOUT ROWID;

-- What is deleted or erased is not counted any longer. Before the row goes: after it, the fold may be set back
-- behind it (see the last trigger), in an order that SQLite does not promise.
CREATE TRIGGER activity_rollup_deleted BEFORE DELETE ON activity_records
WHEN OLD.rowid <= (SELECT last_row FROM activity_folds WHERE name = 'rollups')
BEGIN
    UPDATE activity_rollup SET records = records - 1
    WHERE grain = 1 AND tenant_id IN ('', coalesce(OLD.tenant_id, ''))
        AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 3600000000 + 3600000000) % 3600000000
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup
    WHERE grain = 1 AND tenant_id IN ('', coalesce(OLD.tenant_id, ''))
        AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 3600000000 + 3600000000) % 3600000000
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
    UPDATE activity_rollup SET records = records - 1
    WHERE grain = 2 AND tenant_id IN ('', coalesce(OLD.tenant_id, ''))
        AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 86400000000 + 86400000000) % 86400000000
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup
    WHERE grain = 2 AND tenant_id IN ('', coalesce(OLD.tenant_id, ''))
        AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 86400000000 + 86400000000) % 86400000000
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
    UPDATE activity_rollup SET records = records - 1
    WHERE grain = 3 AND tenant_id IN ('', coalesce(OLD.tenant_id, ''))
        AND bucket = unixepoch((min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch', 'start of month') * 1000000
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup
    WHERE grain = 3 AND tenant_id IN ('', coalesce(OLD.tenant_id, ''))
        AND bucket = unixepoch((min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch', 'start of month') * 1000000
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
    UPDATE activity_rollup_persons SET records = records - 1
    WHERE grain = 2 AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 86400000000 + 86400000000) % 86400000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup_persons
    WHERE grain = 2 AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 86400000000 + 86400000000) % 86400000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
    UPDATE activity_rollup_persons SET records = records - 1
    WHERE grain = 3 AND bucket = unixepoch((min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch', 'start of month') * 1000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup_persons
    WHERE grain = 3 AND bucket = unixepoch((min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch', 'start of month') * 1000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
END;

CREATE TRIGGER activity_rollup_erased AFTER UPDATE OF actor_id ON activity_records
WHEN OLD.actor_id IS NOT NULL AND NEW.actor_id IS NULL
    AND OLD.rowid <= (SELECT last_row FROM activity_folds WHERE name = 'rollups')
BEGIN
    UPDATE activity_rollup_persons SET records = records - 1
    WHERE grain = 2 AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 86400000000 + 86400000000) % 86400000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup_persons
    WHERE grain = 2 AND bucket = min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 86400000000 + 86400000000) % 86400000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
    UPDATE activity_rollup_persons SET records = records - 1
    WHERE grain = 3 AND bucket = unixepoch((min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch', 'start of month') * 1000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome;
    DELETE FROM activity_rollup_persons
    WHERE grain = 3 AND bucket = unixepoch((min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
            - (min(max(OLD.occurred_at, -62135596800000000), 253402300799999999)
                % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch', 'start of month') * 1000000
        AND actor_id = OLD.actor_id AND tenant_id = coalesce(OLD.tenant_id, '')
        AND category = OLD.category AND entity_type = coalesce(OLD.entity_type, '') COLLATE BINARY
        AND action = coalesce(OLD.action, '') COLLATE BINARY
        AND operation = OLD.operation AND outcome = OLD.outcome
        AND records <= 0;
END;

-- A row's number is given again when the last rows are deleted: no fold may then have come further than
-- the rows.
CREATE TRIGGER activity_folds_deleted AFTER DELETE ON activity_records
WHEN OLD.rowid >= (SELECT min(last_row) FROM activity_folds)
BEGIN
    UPDATE activity_folds
    SET last_row = min(last_row, coalesce((SELECT max(rowid) FROM activity_records), 0));
END;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (3, 'reading', '8e787c1f0e9b346da44682c806d58c19c47e901c86c66da4cbb4d21929918a48',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

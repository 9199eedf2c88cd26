-- Schema version 1: records, ledger, permits and the views on them.
--
-- The store applies this file when it opens a database. By hand, with the same result:
--
--     sqlite3 -bail activity.db < migrations/sqlite/0001_records.sql
--
-- A released file never changes: the last statement records the SHA-256 of what stands above it.

BEGIN IMMEDIATE;

CREATE TABLE activity_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    -- SHA-256, in hex, of the file up to the line that inserts this row.
    checksum TEXT NOT NULL,
    -- Microseconds since 1970, as every time in these tables.
    applied_at INTEGER NOT NULL
) STRICT;

-- One row per record. Ids and salts are bytes: with its index, an id as text would take 40 bytes more
-- in each row. The views below show ids and times as people read them.
CREATE TABLE activity_records (
    id BLOB NOT NULL,
    schema_version INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    duration_us INTEGER,
    origin TEXT NOT NULL,
    category TEXT NOT NULL,
    retention_class TEXT,
    action TEXT COLLATE NOCASE,
    operation TEXT NOT NULL,
    outcome TEXT NOT NULL,
    outcome_reason TEXT,
    severity INTEGER NOT NULL,
    tenant_id TEXT,
    org_id TEXT,
    channel TEXT,
    entity_type TEXT COLLATE NOCASE,
    entity_id TEXT,
    entity_name TEXT,
    targets TEXT,
    actor_type TEXT NOT NULL,
    actor_id TEXT,
    actor_name TEXT,
    impersonator_id TEXT,
    impersonator_name TEXT,
    subject_ids TEXT,
    auth_method TEXT,
    credential_id TEXT,
    session_id TEXT,
    description TEXT,
    reason TEXT,
    changes TEXT,
    metadata TEXT,
    method TEXT,
    route TEXT,
    host TEXT,
    http_version TEXT,
    path TEXT,
    query TEXT,
    status INTEGER,
    grpc_status INTEGER,
    request_bytes INTEGER,
    response_bytes INTEGER,
    request_body TEXT,
    response_body TEXT,
    ip TEXT,
    ip_pseudonym TEXT,
    forwarded TEXT,
    location TEXT,
    user_agent TEXT,
    request_id TEXT,
    correlation_id TEXT,
    trace_id TEXT,
    span_id TEXT,
    service TEXT,
    instance TEXT,
    environment TEXT,
    rule TEXT,
    redactions TEXT,
    truncated TEXT,
    skewed TEXT,
    writer_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    -- Null when the group is empty or was erased.
    identity_salt BLOB CHECK (length(identity_salt) = 16),
    network_salt BLOB CHECK (length(network_salt) = 16),
    target_salt BLOB CHECK (length(target_salt) = 16),
    content_salt BLOB CHECK (length(content_salt) = 16),
    -- Kept in place of a group that was erased; recomputed from the group otherwise.
    identity_commitment BLOB CHECK (length(identity_commitment) = 32),
    network_commitment BLOB CHECK (length(network_commitment) = 32),
    target_commitment BLOB CHECK (length(target_commitment) = 32),
    content_commitment BLOB CHECK (length(content_commitment) = 32),
    CHECK (identity_salt IS NULL OR identity_commitment IS NULL),
    CHECK (network_salt IS NULL OR network_commitment IS NULL),
    CHECK (target_salt IS NULL OR target_commitment IS NULL),
    CHECK (content_salt IS NULL OR content_commitment IS NULL)
) STRICT;

-- "Newest first", "between these times", and one record by its id, whose milliseconds are the time.
-- Unique, so that the order of the pages has no ties.
CREATE UNIQUE INDEX activity_records_time ON activity_records (occurred_at, id);
-- "The records of this ledger entry."
CREATE UNIQUE INDEX activity_records_stream ON activity_records (writer_id, seq);
-- "What happened to this thing?" Records that touch no thing cost nothing here.
CREATE INDEX activity_records_entity ON activity_records (entity_type, entity_id, occurred_at)
    WHERE entity_type IS NOT NULL;
-- "What did this person do?" Anonymous records cost nothing here.
CREATE INDEX activity_records_actor ON activity_records (actor_id, occurred_at)
    WHERE actor_id IS NOT NULL;
-- "The last failed logins, the last deletions": rare among the many, so that walking back in time
-- would read the whole log.
CREATE INDEX activity_records_action ON activity_records (action, occurred_at);

-- What each append left: the tree of proofs, the order of the commits, and the only place that knows
-- how far a stream has come.
CREATE TABLE activity_ledger (
    position INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    writer_id INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count = last_seq - first_seq + 1 AND count > 0),
    -- The leaf that the records lie in: YYYY-MM in UTC, and the retention class.
    month TEXT NOT NULL,
    class TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    batch_root BLOB NOT NULL CHECK (length(batch_root) = 32),
    committed_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX activity_ledger_stream ON activity_ledger (writer_id, last_seq);

-- Whoever may delete writes a permit, deletes, and takes the permit back, all in one transaction: the
-- foreign key, which no row can satisfy, refuses a commit with a permit left behind (with
-- `PRAGMA foreign_keys` on, as every connection of ours has it).
CREATE TABLE activity_permits (
    permit INTEGER PRIMARY KEY CHECK (permit > 0),
    retention_class TEXT NOT NULL,
    -- Records of that class that occurred earlier may go.
    before INTEGER NOT NULL,
    ends INTEGER NOT NULL DEFAULT 0 CHECK (ends = 0)
        REFERENCES activity_permits (permit) DEFERRABLE INITIALLY DEFERRED
) STRICT;

-- `INSERT OR REPLACE` fires this trigger only on a connection with `PRAGMA recursive_triggers` on, as
-- every one of ours that writes has it. A trigger that looked for the row in the way before each insert
-- would refuse it everywhere, and costs a third of the rows per second; the ledger shows what was
-- replaced.
CREATE TRIGGER activity_records_delete BEFORE DELETE ON activity_records
WHEN NOT EXISTS (
    SELECT 1 FROM activity_permits
    WHERE retention_class IS OLD.retention_class AND OLD.occurred_at < before
)
BEGIN
    SELECT RAISE(ABORT, 'activity_records is append-only: deleting takes a permit');
END;

CREATE TRIGGER activity_records_sealed BEFORE UPDATE OF
    id, schema_version, occurred_at, recorded_at, duration_us, origin, category, retention_class,
    action, operation, outcome, outcome_reason, severity, tenant_id, org_id, channel, entity_type,
    actor_type, auth_method, method, route, host, http_version, status, grpc_status,
    request_bytes, response_bytes, request_id, correlation_id, trace_id, span_id, service,
    instance, environment, rule, redactions, truncated, skewed, writer_id, seq
ON activity_records
BEGIN
    SELECT RAISE(ABORT, 'activity_records is append-only');
END;

-- Each personal group stays as it is, or is erased as a whole, once: its commitment takes the place of
-- its fields and its salt.
CREATE TRIGGER activity_records_groups BEFORE UPDATE ON activity_records
WHEN NOT (
    NEW.rowid IS OLD.rowid
    AND (
        (NEW.identity_salt, NEW.identity_commitment, NEW.actor_id, NEW.actor_name,
         NEW.impersonator_id, NEW.impersonator_name, NEW.subject_ids, NEW.credential_id,
         NEW.session_id)
     IS (OLD.identity_salt, OLD.identity_commitment, OLD.actor_id, OLD.actor_name,
         OLD.impersonator_id, OLD.impersonator_name, OLD.subject_ids, OLD.credential_id,
         OLD.session_id)
       OR (OLD.identity_salt IS NOT NULL AND NEW.identity_salt IS NULL
          AND length(NEW.identity_commitment) = 32
          AND coalesce(NEW.actor_id, NEW.actor_name, NEW.impersonator_id, NEW.impersonator_name,
              NEW.subject_ids, NEW.credential_id, NEW.session_id) IS NULL)
    )
    AND (
        (NEW.network_salt, NEW.network_commitment, NEW.path, NEW.query, NEW.ip, NEW.ip_pseudonym,
         NEW.forwarded, NEW.location, NEW.user_agent)
     IS (OLD.network_salt, OLD.network_commitment, OLD.path, OLD.query, OLD.ip, OLD.ip_pseudonym,
         OLD.forwarded, OLD.location, OLD.user_agent)
       OR (OLD.network_salt IS NOT NULL AND NEW.network_salt IS NULL
          AND length(NEW.network_commitment) = 32
          AND coalesce(NEW.path, NEW.query, NEW.ip, NEW.ip_pseudonym, NEW.forwarded,
              NEW.location, NEW.user_agent) IS NULL)
    )
    AND (
        (NEW.target_salt, NEW.target_commitment, NEW.entity_id, NEW.entity_name, NEW.targets)
     IS (OLD.target_salt, OLD.target_commitment, OLD.entity_id, OLD.entity_name, OLD.targets)
       OR (OLD.target_salt IS NOT NULL AND NEW.target_salt IS NULL
          AND length(NEW.target_commitment) = 32
          AND coalesce(NEW.entity_id, NEW.entity_name, NEW.targets) IS NULL)
    )
    AND (
        (NEW.content_salt, NEW.content_commitment, NEW.description, NEW.reason, NEW.changes,
         NEW.metadata, NEW.request_body, NEW.response_body)
     IS (OLD.content_salt, OLD.content_commitment, OLD.description, OLD.reason, OLD.changes,
         OLD.metadata, OLD.request_body, OLD.response_body)
       OR (OLD.content_salt IS NOT NULL AND NEW.content_salt IS NULL
          AND length(NEW.content_commitment) = 32
          AND coalesce(NEW.description, NEW.reason, NEW.changes, NEW.metadata, NEW.request_body,
              NEW.response_body) IS NULL)
    )
)
BEGIN
    SELECT RAISE(ABORT, 'activity_records is append-only: a personal group can only be erased');
END;

CREATE TRIGGER activity_ledger_insert BEFORE INSERT ON activity_ledger
WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM activity_ledger)
  OR NEW.first_seq IS NOT (
      SELECT coalesce(max(last_seq), 0) + 1 FROM activity_ledger WHERE writer_id = NEW.writer_id)
  OR NEW.committed_at <= (SELECT committed_at FROM activity_ledger WHERE position = NEW.position - 1)
BEGIN
    SELECT RAISE(ABORT, 'activity_ledger goes on without gaps, in the order of the commits');
END;

CREATE TRIGGER activity_ledger_update BEFORE UPDATE ON activity_ledger
BEGIN
    SELECT RAISE(ABORT, 'activity_ledger is append-only');
END;

CREATE TRIGGER activity_ledger_delete BEFORE DELETE ON activity_ledger
BEGIN
    SELECT RAISE(ABORT, 'activity_ledger is append-only');
END;

-- Logins, logouts and credentials.
CREATE VIEW activity_authentication_logs AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', occurred_at / 1000000, 'unixepoch')
        || printf('.%06dZ', occurred_at % 1000000) AS occurred_at,
    category, action, outcome, outcome_reason, actor_type, actor_id, actor_name, impersonator_id,
    entity_type, entity_id, entity_name, description, tenant_id, ip, user_agent, method, route,
    status, duration_us, session_id, request_id,
    substr(lower(hex(id)), 1, 8) || '-' || substr(lower(hex(id)), 9, 4) || '-'
        || substr(lower(hex(id)), 13, 4) || '-' || substr(lower(hex(id)), 17, 4) || '-'
        || substr(lower(hex(id)), 21) AS id
FROM activity_records
WHERE category = 'authentication';

-- What was done to what.
CREATE VIEW activity_action_logs AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', occurred_at / 1000000, 'unixepoch')
        || printf('.%06dZ', occurred_at % 1000000) AS occurred_at,
    category, action, outcome, outcome_reason, actor_type, actor_id, actor_name, impersonator_id,
    entity_type, entity_id, entity_name, description, tenant_id, ip, user_agent, method, route,
    status, duration_us, session_id, request_id,
    substr(lower(hex(id)), 1, 8) || '-' || substr(lower(hex(id)), 9, 4) || '-'
        || substr(lower(hex(id)), 13, 4) || '-' || substr(lower(hex(id)), 17, 4) || '-'
        || substr(lower(hex(id)), 21) AS id
FROM activity_records
WHERE category IN ('activity', 'administration', 'consent');

-- The newest thousand records of any category.
CREATE VIEW activity_recent_activity AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', occurred_at / 1000000, 'unixepoch')
        || printf('.%06dZ', occurred_at % 1000000) AS occurred_at,
    category, action, outcome, outcome_reason, actor_type, actor_id, actor_name, impersonator_id,
    entity_type, entity_id, entity_name, description, tenant_id, ip, user_agent, method, route,
    status, duration_us, session_id, request_id,
    substr(lower(hex(id)), 1, 8) || '-' || substr(lower(hex(id)), 9, 4) || '-'
        || substr(lower(hex(id)), 13, 4) || '-' || substr(lower(hex(id)), 17, 4) || '-'
        || substr(lower(hex(id)), 21) AS id
FROM activity_records
ORDER BY activity_records.occurred_at DESC, activity_records.id DESC
LIMIT 1000;

INSERT INTO activity_migrations (version, name, checksum, applied_at)
VALUES (1, 'records', '55ec4f23c96dbb5d719922204baf8cea102cd620718a71e66c41b7f0286f223c',
    CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER));

COMMIT;

-- Views for people with psql: every field, without salts and commitments.

-- Logins, logouts, credentials.
create view activity.authentication_logs as
select
    id, schema_version, occurred_at, recorded_at, duration_us, origin, category, retention_class,
    action, operation, outcome, outcome_reason, severity, tenant_id, org_id, channel, entity_type,
    entity_id, entity_name, targets, actor_type, actor_id, actor_name, impersonator_id,
    impersonator_name, subject_ids, auth_method, credential_id, session_id, description, reason,
    changes, metadata, method, route, host, http_version, path, query, status, grpc_status,
    request_bytes, response_bytes, request_body, response_body, ip, ip_pseudonym, forwarded,
    location, user_agent, request_id, correlation_id, trace_id, span_id, service, instance,
    environment, rule, redactions, truncated, skewed, writer_id, seq
from activity.records
where category = 'authentication';

-- What was done to what.
create view activity.action_logs as
select
    id, schema_version, occurred_at, recorded_at, duration_us, origin, category, retention_class,
    action, operation, outcome, outcome_reason, severity, tenant_id, org_id, channel, entity_type,
    entity_id, entity_name, targets, actor_type, actor_id, actor_name, impersonator_id,
    impersonator_name, subject_ids, auth_method, credential_id, session_id, description, reason,
    changes, metadata, method, route, host, http_version, path, query, status, grpc_status,
    request_bytes, response_bytes, request_body, response_body, ip, ip_pseudonym, forwarded,
    location, user_agent, request_id, correlation_id, trace_id, span_id, service, instance,
    environment, rule, redactions, truncated, skewed, writer_id, seq
from activity.records
where category in ('activity', 'administration', 'consent');

-- The last 24 hours, whatever the category.
create view activity.recent_activity as
select
    id, schema_version, occurred_at, recorded_at, duration_us, origin, category, retention_class,
    action, operation, outcome, outcome_reason, severity, tenant_id, org_id, channel, entity_type,
    entity_id, entity_name, targets, actor_type, actor_id, actor_name, impersonator_id,
    impersonator_name, subject_ids, auth_method, credential_id, session_id, description, reason,
    changes, metadata, method, route, host, http_version, path, query, status, grpc_status,
    request_bytes, response_bytes, request_body, response_body, ip, ip_pseudonym, forwarded,
    location, user_agent, request_id, correlation_id, trace_id, span_id, service, instance,
    environment, rule, redactions, truncated, skewed, writer_id, seq
from activity.records
where occurred_at > now() - interval '24 hours';

insert into activity.migrations (version, name) values (4, 'views');

-- Views for people with psql.

-- Logins, logouts and credentials.
create view activity.authentication_logs as
select
    occurred_at, category, action, outcome, outcome_reason, actor_type, actor_id, actor_name,
    impersonator_id, entity_type, entity_id, entity_name, description, tenant_id, ip, user_agent,
    method, route, status, duration_us, session_id, request_id, id
from activity.records
where category = 'authentication';

-- What was done to what.
create view activity.action_logs as
select
    occurred_at, category, action, outcome, outcome_reason, actor_type, actor_id, actor_name,
    impersonator_id, entity_type, entity_id, entity_name, description, tenant_id, ip, user_agent,
    method, route, status, duration_us, session_id, request_id, id
from activity.records
where category in ('activity', 'administration', 'consent');

-- The newest thousand records of any category.
create view activity.recent_activity as
select
    occurred_at, category, action, outcome, outcome_reason, actor_type, actor_id, actor_name,
    impersonator_id, entity_type, entity_id, entity_name, description, tenant_id, ip, user_agent,
    method, route, status, duration_us, session_id, request_id, id
from activity.records
order by records.occurred_at desc, records.id desc
limit 1000;

insert into activity.migrations (version, name) values (4, 'views');

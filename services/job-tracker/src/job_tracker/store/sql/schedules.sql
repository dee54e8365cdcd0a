-- name: lock_due
-- Schedules whose next run is due, of the types and chains that this version knows.
SELECT schedule_id, tenant, account, cron, every_seconds, timezone, anchor, jitter_seconds, catch_up, catch_up_limit,
       next_run_at
FROM tracker.schedule
WHERE next_run_at <= %(now)s AND (job_type = ANY(%(types)s) OR chain = ANY(%(chains)s))
ORDER BY next_run_at, schedule_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- name: accounts
-- Those of some tenants, and some single ones.
SELECT tenant, account FROM accounts.api_accounts
WHERE tenant = ANY(%(tenants)s)
   OR (tenant, account) IN (SELECT * FROM unnest(%(of_tenants)s::text[], %(accounts)s::text[]))
ORDER BY tenant, account

-- name: insert_runs
INSERT INTO tracker.schedule_run (schedule_id, account, planned_at, state, reason, in_turn, not_before, run_id)
SELECT * FROM unnest(
    %(schedule_ids)s::text[], %(accounts)s::text[], %(planned_at)s::timestamptz[], %(states)s::text[],
    %(reasons)s::text[], %(in_turn)s::boolean[], %(not_before)s::timestamptz[], %(run_ids)s::text[])
ON CONFLICT DO NOTHING

-- name: move_next_runs
UPDATE tracker.schedule AS s SET next_run_at = moved.next_run_at
FROM unnest(%(schedule_ids)s::text[], %(next_runs)s::timestamptz[]) AS moved (schedule_id, next_run_at)
WHERE s.schedule_id = moved.schedule_id

-- name: pause
UPDATE tracker.schedule SET paused = true, paused_reason = %(reason)s, next_run_at = NULL WHERE schedule_id = %(schedule_id)s

-- name: lock_runs
-- Runs to decide, and whether the run before each of them is still at work: it is not sent yet, one of its jobs is not
-- finished, or a job of it is not in the table and may still come.
SELECT r.schedule_id, r.account, r.planned_at, r.in_turn, r.run_id, s.tenant, s.job_type, s.chain,
       s.params, s.paused, before.planned_at AS busy_since
FROM tracker.schedule_run AS r
JOIN tracker.schedule AS s USING (schedule_id)
LEFT JOIN LATERAL (
    SELECT f.planned_at, f.state, f.run_id, f.job_types, f.sent_at
    FROM tracker.schedule_run AS f
    WHERE f.schedule_id = r.schedule_id AND f.account = r.account AND f.planned_at < r.planned_at AND f.state <> 'skipped'
    ORDER BY f.planned_at DESC
    LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT coalesce(bool_or(j.state IN ('queued', 'running')), false) AS unfinished,
           NOT last.job_types <@ coalesce(array_agg(j.job_type), '{}') AS missing,
           coalesce(max(j.updated_at), last.sent_at) AS seen_at
    FROM tracker.job AS j
    WHERE j.chain = last.run_id
) AS jobs ON last.state = 'sent'
LEFT JOIN LATERAL (
    SELECT last.planned_at
    WHERE last.state <> 'sent' OR jobs.unfinished
       OR (jobs.missing AND greatest(jobs.seen_at, last.sent_at) > %(now)s - %(comes_within)s::interval)
) AS before ON true
WHERE r.state = 'planned' AND r.not_before <= %(now)s AND (s.job_type = ANY(%(types)s) OR s.chain = ANY(%(chains)s))
ORDER BY r.not_before, r.schedule_id, r.account, r.planned_at
LIMIT %(limit)s
FOR UPDATE OF r SKIP LOCKED

-- name: decide_run
UPDATE tracker.schedule_run
SET state = %(state)s, reason = %(reason)s, job_ids = %(job_ids)s, job_types = %(job_types)s, services = %(services)s,
    events = %(events)s
WHERE schedule_id = %(schedule_id)s AND account = %(account)s AND planned_at = %(planned_at)s

-- name: postpone_runs
UPDATE tracker.schedule_run AS r SET not_before = %(not_before)s
FROM unnest(%(schedule_ids)s::text[], %(accounts)s::text[], %(planned_at)s::timestamptz[])
    AS late (schedule_id, account, planned_at)
WHERE r.schedule_id = late.schedule_id AND r.account = late.account AND r.planned_at = late.planned_at

-- name: lock_requests
SELECT r.schedule_id, r.account, r.planned_at, s.tenant, r.services, r.events
FROM tracker.schedule_run AS r
JOIN tracker.schedule AS s USING (schedule_id)
WHERE r.state = 'requested' AND r.not_before <= %(now)s
ORDER BY r.not_before, r.schedule_id, r.account, r.planned_at
LIMIT %(limit)s
FOR UPDATE OF r SKIP LOCKED

-- name: mark_sent
UPDATE tracker.schedule_run AS r SET state = 'sent', sent_at = %(now)s, services = '{}', events = '{}'
FROM unnest(%(schedule_ids)s::text[], %(accounts)s::text[], %(planned_at)s::timestamptz[])
    AS acknowledged (schedule_id, account, planned_at)
WHERE r.schedule_id = acknowledged.schedule_id AND r.account = acknowledged.account
  AND r.planned_at = acknowledged.planned_at

-- name: tick
INSERT INTO tracker.scheduler (instance, started_at, ticked_at) VALUES (%(instance)s, now(), now())
ON CONFLICT (instance) DO UPDATE SET ticked_at = excluded.ticked_at

-- name: delete_instance
DELETE FROM tracker.scheduler WHERE instance = %(instance)s

-- name: delete_old_instances
DELETE FROM tracker.scheduler WHERE ticked_at < now() - interval '1 day'

-- name: delete_old_runs
DELETE FROM tracker.schedule_run WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM tracker.schedule_run
    WHERE planned_at < %(before)s AND state IN ('sent', 'skipped') LIMIT %(rows)s))

-- name: last_tick
SELECT max(ticked_at) AS ticked_at, (SELECT count(*) FROM tracker.api_schedulers) AS instances,
       EXISTS (SELECT FROM tracker.schedule WHERE NOT paused) AS needed
FROM tracker.scheduler

-- name: has_account
SELECT 1 FROM accounts.api_accounts
WHERE tenant = %(tenant)s AND (%(account)s::text IS NULL OR account = %(account)s) LIMIT 1

-- name: insert
INSERT INTO tracker.schedule (schedule_id, tenant, account, job_type, chain, params, cron, every_seconds, timezone, anchor,
    jitter_seconds, catch_up, catch_up_limit, paused, paused_reason, next_run_at, created_by, created_at, updated_by, updated_at)
VALUES (%(schedule_id)s, %(tenant)s, %(account)s, %(job_type)s, %(chain)s, %(params)s, %(cron)s, %(every_seconds)s,
    %(timezone)s, %(anchor)s, %(jitter_seconds)s, %(catch_up)s, %(catch_up_limit)s, %(paused)s, %(paused_reason)s,
    %(next_run_at)s, %(actor)s, %(now)s, %(actor)s, %(now)s)
ON CONFLICT DO NOTHING

-- name: lock
SELECT * FROM tracker.schedule WHERE schedule_id = %(schedule_id)s FOR UPDATE

-- name: one
SELECT * FROM tracker.schedule WHERE schedule_id = %(schedule_id)s

-- name: update
UPDATE tracker.schedule
SET params = %(params)s, cron = %(cron)s, every_seconds = %(every_seconds)s, timezone = %(timezone)s, anchor = %(anchor)s,
    jitter_seconds = %(jitter_seconds)s, catch_up = %(catch_up)s, catch_up_limit = %(catch_up_limit)s, paused = %(paused)s,
    paused_reason = %(paused_reason)s, next_run_at = %(next_run_at)s, updated_by = %(actor)s, updated_at = %(now)s
WHERE schedule_id = %(schedule_id)s

-- name: delete
DELETE FROM tracker.schedule WHERE schedule_id = %(schedule_id)s

-- name: of_tenant
-- Those that run for all accounts of a tenant.
SELECT * FROM tracker.schedule WHERE tenant = %(tenant)s AND account IS NULL ORDER BY created_at, schedule_id

-- name: last_runs
SELECT account, planned_at, state, reason, job_ids, run_id, sent_at
FROM tracker.schedule_run
WHERE schedule_id = %(schedule_id)s
ORDER BY planned_at DESC, account
LIMIT %(limit)s

-- name: jobs_of_runs
SELECT chain, job_id, job_type, state, outcome, status FROM tracker.job
WHERE chain = ANY(%(run_ids)s) AND tenant = %(tenant)s AND NOT deleted
ORDER BY chain, created_at, job_id

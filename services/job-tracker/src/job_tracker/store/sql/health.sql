-- name: services
-- The services whose views exist: a service creates its own when it first starts.
SELECT service FROM unnest(%(services)s::text[]) AS service
WHERE to_regclass(service || '.api_inbox') IS NOT NULL AND to_regclass(service || '.api_holds') IS NOT NULL

-- name: paused
-- Which of these jobs are paused at a service. Jobs that it owns count before it has consumed their requests: it may be
-- down while its queue is paused.
SELECT asked.job_id
FROM unnest(%(job_ids)s::text[], %(tenants)s::text[], %(accounts)s::text[], %(owned)s::boolean[])
    AS asked (job_id, tenant, account, owned)
LEFT JOIN {inbox} AS inbox ON inbox.job_id = asked.job_id
WHERE (asked.owned OR inbox.job_id IS NOT NULL) AND inbox.state IS DISTINCT FROM 'finished'
  AND (inbox.paused OR EXISTS (
      SELECT FROM {holds} AS hold
      WHERE hold.kind = 'queue'
         OR (hold.kind = 'account' AND hold.tenant = asked.tenant AND hold.account = asked.account)))

-- name: deferred
-- Jobs that sleep in their rows, which give no sign of life before they wake.
-- As JSON: during an upgrade a service of the last release may have a view without the column.
SELECT inbox.job_id, (to_jsonb(inbox) ->> 'not_before')::timestamptz AS not_before FROM {inbox} AS inbox
WHERE inbox.job_id = ANY(%(job_ids)s::text[]) AND inbox.state = 'queued'
  AND to_jsonb(inbox) ->> 'not_before' IS NOT NULL

-- name: newest
-- The newest request, start, progress or resumption of each job, and the newest resumption of each account and queue,
-- since `since`: an older one changes no health, and so only a few days of the history are read.
SELECT asked.subject, asked.tenant, asked.account, newest.type, newest.appended_at
FROM unnest(%(subjects)s::text[], %(tenants)s::text[], %(accounts)s::text[])
    AS asked (subject, tenant, account)
CROSS JOIN LATERAL (
    SELECT e.type, e.appended_at FROM tracker.event AS e
    WHERE e.job_id = asked.subject AND e.appended_at >= %(since)s
      AND (asked.tenant IS NULL OR e.tenant = asked.tenant) AND (asked.account IS NULL OR e.account = asked.account)
      AND e.type IN ('job.requested.v1', 'job.started.v1', 'job.progress.v1', 'job.resume.v1')
    ORDER BY e.appended_at DESC LIMIT 1
) AS newest

-- name: puller_inbox
SELECT tenant, account,
       count(*) FILTER (WHERE state = 'queued') AS queued,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state <> 'finished' AND paused) AS paused,
       extract(epoch FROM now() - min(requested_at) FILTER (WHERE state = 'queued' AND NOT paused))
           AS oldest_waiting_seconds
FROM puller.api_inbox WHERE state <> 'finished'
GROUP BY tenant, account ORDER BY tenant, account LIMIT 1000

-- name: puller_holds
SELECT kind, tenant, account, requested_by, reason, since FROM puller.api_holds ORDER BY since LIMIT 1000

-- name: matcher_inbox
SELECT tenant, account,
       count(*) FILTER (WHERE state = 'queued') AS queued,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state <> 'finished' AND paused) AS paused,
       extract(epoch FROM now() - min(requested_at) FILTER (WHERE state = 'queued' AND NOT paused))
           AS oldest_waiting_seconds
FROM matcher.api_inbox WHERE state <> 'finished'
GROUP BY tenant, account ORDER BY tenant, account LIMIT 1000

-- name: matcher_holds
SELECT kind, tenant, account, requested_by, reason, since FROM matcher.api_holds ORDER BY since LIMIT 1000

-- name: syncer_inbox
SELECT tenant, account,
       count(*) FILTER (WHERE state = 'queued') AS queued,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state <> 'finished' AND paused) AS paused,
       extract(epoch FROM now() - min(requested_at) FILTER (WHERE state = 'queued' AND NOT paused))
           AS oldest_waiting_seconds
FROM syncer.api_inbox WHERE state <> 'finished'
GROUP BY tenant, account ORDER BY tenant, account LIMIT 1000

-- name: syncer_holds
SELECT kind, tenant, account, requested_by, reason, since FROM syncer.api_holds ORDER BY since LIMIT 1000

-- name: inbox
-- {view} is the api_inbox of one service.
SELECT tenant, account,
       count(*) FILTER (WHERE state = 'queued') AS queued,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state <> 'finished' AND paused) AS paused,
       extract(epoch FROM now() - min(requested_at) FILTER (WHERE state = 'queued' AND NOT paused))
           AS oldest_waiting_seconds
FROM {view} WHERE state <> 'finished'
GROUP BY tenant, account ORDER BY tenant, account LIMIT 1000

-- name: holds
SELECT kind, tenant, account, requested_by, reason, since FROM {view} ORDER BY since LIMIT 1000

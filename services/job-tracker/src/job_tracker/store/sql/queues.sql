-- name: inbox
-- {view} is the api_inbox of one service; `scope` narrows to the tenants that the caller may see.
SELECT tenant, account,
       count(*) FILTER (WHERE state = 'queued') AS queued,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state <> 'finished' AND paused) AS paused,
       extract(epoch FROM now() - min(requested_at) FILTER (WHERE state = 'queued' AND NOT paused))
           AS oldest_waiting_seconds
FROM {view} WHERE state <> 'finished'{scope}
GROUP BY tenant, account ORDER BY tenant, account LIMIT 1000

-- name: holds
SELECT kind, tenant, account, requested_by, reason, since FROM {view} WHERE true{scope} ORDER BY since LIMIT 1000

-- name: waiting
-- {view} is the api_waiting of one service: jobs and chain steps that its present version cannot read.
SELECT kind, job_type, reason, count(*) AS count, min(since) AS since
FROM {view} WHERE true{scope}
GROUP BY kind, job_type, reason ORDER BY min(since), kind, job_type, reason LIMIT 1000

-- name: waiting_reasons
SELECT DISTINCT reason FROM {view} WHERE job_id = %(job_id)s ORDER BY reason

-- name: job
-- `scope` narrows a statement to the tenants that its caller may see; empty for all tenants.
SELECT * FROM tracker.job WHERE job_id = %(job_id)s AND NOT deleted{scope}

-- name: history
DECLARE history NO SCROLL CURSOR FOR
SELECT * FROM tracker.event
WHERE job_id = %(job_id)s AND NOT EXISTS (SELECT FROM tracker.job WHERE job_id = %(job_id)s AND deleted){scope}
ORDER BY appended_at, topic, partition, "offset"
LIMIT %(most)s

-- name: more_history
FETCH 100 FROM history

-- name: items
-- The first items of a job that fit, in the order of a bounded scan; its last row; and one beyond, if any. Only the
-- field of an event that API answers show is "held" with a text: inside of texts quotation marks are escaped.
-- Bodies are read of the first row that fits, and of others as long as they have no more than `most_bytes` together.
SELECT event_id, at, item, action, attempt, response_ms, worker, fits, looked,
       CASE WHEN passed <= %(most_bytes)s OR passed = bytes THEN body END AS body
FROM (
    SELECT *, sum(bytes) FILTER (WHERE fits) OVER (ORDER BY at, event_id) AS passed
    FROM (
        SELECT *, (%(actions)s::text[] IS NULL OR action = ANY(%(actions)s)) AND (NOT %(held)s OR body LIKE '%%"held":"%%') AS fits,
               row_number() OVER (ORDER BY at, event_id) AS looked
        FROM (
            SELECT event_id, at, item, action, attempt, response_ms, worker, body, octet_length(body) AS bytes
            FROM tracker.item
            WHERE job_id = %(job_id)s AND NOT EXISTS (SELECT FROM tracker.job WHERE job_id = %(job_id)s AND deleted){scope}
              AND (at, event_id) > (coalesce(%(after_at)s::timestamptz, '-infinity'), coalesce(%(after_id)s, ''))
            ORDER BY at, event_id
            LIMIT %(scanned)s + 1
        ) AS first
    ) AS judged
) AS summed
WHERE fits OR looked >= %(scanned)s
ORDER BY at, event_id
LIMIT %(most)s

-- name: end_bodies
-- The end registers of those few jobs of a list that have an error: the bodies may be large.
SELECT job_id, e_body FROM tracker.job WHERE job_id = ANY(%(job_ids)s) AND e_body IS NOT NULL

-- name: chain
-- Only `columns` are read: the bodies of a row may be large.
SELECT {columns} FROM tracker.job WHERE chain = %(chain)s AND NOT deleted{scope} ORDER BY created_at, job_id LIMIT %(most)s

-- name: children
SELECT {columns} FROM tracker.job WHERE parent = %(job_id)s AND NOT deleted{scope} ORDER BY created_at, job_id LIMIT %(most)s

-- name: parents
SELECT {columns} FROM tracker.job WHERE job_id = ANY(%(job_ids)s) AND NOT deleted{scope} ORDER BY created_at, job_id

-- name: request_topics
-- Where a job was requested, as far as the history reaches.
SELECT DISTINCT topic FROM tracker.event WHERE job_id = %(job_id)s AND type = 'job.requested.v1' ORDER BY topic

-- name: jobs_by_id
SELECT * FROM tracker.job WHERE job_id = ANY(%(job_ids)s) AND NOT deleted ORDER BY created_at, job_id

-- name: retries
-- All retries: up to the first job, then down to every retry of it.
WITH RECURSIVE up AS (
    SELECT job_id, retry_of, 0 AS depth FROM tracker.job WHERE job_id = %(job_id)s
    UNION
    SELECT j.job_id, j.retry_of, up.depth + 1 FROM tracker.job AS j JOIN up ON j.job_id = up.retry_of
    WHERE up.depth < 100
),
down AS (
    SELECT job_id, 0 AS depth FROM (SELECT job_id FROM up ORDER BY depth DESC LIMIT 1) AS first
    UNION
    SELECT j.job_id, down.depth + 1 FROM tracker.job AS j JOIN down ON j.retry_of = down.job_id
    WHERE down.depth < 100 AND NOT j.deleted
)
SELECT DISTINCT {columns} FROM tracker.job AS j JOIN down USING (job_id) WHERE NOT j.deleted{scope} ORDER BY j.created_at, j.job_id LIMIT %(most)s

-- name: rollup_totals
-- Jobs of some tenants (empty: of all together), accounts (empty: of all together), types and statuses (null: of any), created on
-- some UTC days (-infinity: on all). Of single days the rollups keep no accounts.
SELECT coalesce(sum(jobs), 0)::bigint AS rows, true AS whole
FROM tracker.rollup
WHERE {tenants} AND account = ANY(%(accounts)s) AND day >= %(first)s::date AND day <= %(last)s::date
  AND (%(types)s::text[] IS NULL OR job_type = ANY(%(types)s))
  AND (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s))

-- name: stats
SELECT job_type, status, sum(jobs) AS jobs, sum(processed) AS processed, sum(successful) AS successful,
       sum(failed) AS failed, sum(skipped) AS skipped, sum(duration_ms) AS duration_ms
FROM tracker.rollup
WHERE {tenants} AND account = '' AND day >= %(first)s::date AND day <= %(last)s::date
  AND (%(type)s::text IS NULL OR job_type = %(type)s)
GROUP BY job_type, status HAVING sum(jobs) <> 0
ORDER BY job_type, status

-- name: stats_by_day
SELECT day, status, sum(jobs) AS jobs
FROM tracker.rollup
WHERE {tenants} AND account = '' AND day >= %(first)s::date AND day <= %(last)s::date
  AND (%(type)s::text IS NULL OR job_type = %(type)s)
GROUP BY day, status HAVING sum(jobs) <> 0
ORDER BY day DESC, status

-- name: account_exists
SELECT 1 FROM accounts.api_accounts WHERE tenant = %(tenant)s AND account = %(account)s LIMIT 1

-- name: accounts_named
-- The accounts that a request may mean which names a tenant or an account, both or none.
SELECT tenant, account FROM accounts.api_accounts
WHERE (%(tenant)s::text IS NULL OR tenant = %(tenant)s) AND (%(account)s::text IS NULL OR account = %(account)s){scope}
ORDER BY tenant, account LIMIT %(most)s

-- name: tenants_named
-- The tenants that a request may mean which names one or none; two are enough to know that it must name one.
SELECT DISTINCT tenant FROM accounts.api_accounts WHERE (%(tenant)s::text IS NULL OR tenant = %(tenant)s){scope} LIMIT 2

-- name: has_failed_items
SELECT 1 FROM syncer.api_failed_items
WHERE tenant = %(tenant)s AND account = %(account)s AND platform = %(platform)s
  AND (%(job_id)s::text IS NULL OR %(job_id)s = ANY(failed_in))
  AND (%(category)s::text IS NULL OR category = %(category)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
LIMIT 1

-- name: status_counts
SELECT status, sum(jobs) AS jobs FROM tracker.rollup WHERE tenant = '' AND account = '' AND day = '-infinity' GROUP BY status

-- name: product_names
-- The titles of these records. One by one: a page shows few of them.
SELECT keys.*, shown.title, shown.sku
FROM unnest(%(tenants)s::text[], %(accounts)s::text[], %(platforms)s::text[], %(ids)s::text[])
    AS keys (tenant, account, platform, id),
LATERAL (
    SELECT concat_ws(' / ', title, variant_title) AS title, sku FROM puller.api_products
    WHERE tenant = keys.tenant AND account = keys.account AND platform = keys.platform AND variant_id = keys.id
    LIMIT 1
) AS shown

-- name: customer_names
SELECT keys.*, shown.name AS title, NULL AS sku
FROM unnest(%(tenants)s::text[], %(accounts)s::text[], %(platforms)s::text[], %(ids)s::text[])
    AS keys (tenant, account, platform, id),
LATERAL (
    SELECT name FROM puller.api_customers
    WHERE tenant = keys.tenant AND account = keys.account AND platform = keys.platform AND customer_id = keys.id
    LIMIT 1
) AS shown

-- name: reconciliations
SELECT tenant, account, platform, job_id, completed_at, checked, drifted, drift_stock, drift_price, missing,
       not_compared, oldest_since
FROM syncer.api_reconciliations
WHERE (tenant, account) IN (SELECT * FROM unnest(%(tenants)s::text[], %(accounts)s::text[]))
ORDER BY tenant, account, platform

-- name: claim_key
INSERT INTO tracker.api_key (tenant, key, request_hash, job_id, chain, event_time)
VALUES (%(tenant)s, %(key)s, %(request_hash)s, %(job_id)s, %(chain)s, %(event_time)s)
-- The update returns an existing row, and locks it against retention.
ON CONFLICT (tenant, key) DO UPDATE SET key = excluded.key
RETURNING request_hash, job_id, chain, event_time, token

-- name: held_key
SELECT 1 FROM tracker.api_key WHERE tenant = %(tenant)s AND key = %(key)s

-- name: settle_key
UPDATE tracker.api_key SET token = %(token)s WHERE tenant = %(tenant)s AND key = %(key)s AND token IS NULL

-- name: stage_jobs
-- The rows of a large batch wait here for the merge. COPY is forty times quicker than sending them as parameters.
CREATE TEMPORARY TABLE job_stage ON COMMIT DELETE ROWS AS
SELECT
    job_id, r_time, r_id, r_body, tenant, account, job_type, chain, parent, batch, priority, retry_of,
    requested_by, s_attempt, s_seq, s_body, s_at, s_worker, s_total, p_attempt, p_seq, p_body, p_at,
    p_phase, p_total, p_processed, p_successful, p_failed, p_skipped, e_attempt, e_seq, e_body, e_at,
    e_outcome, e_total, e_processed, e_successful, e_failed, e_skipped, e_duration_ms, e_error_category,
    d_time, d_id
FROM job WITH NO DATA;
-- A large batch is sorted and counted in memory.
SET work_mem TO '32MB';
-- The merge of a small one is not planned anew: that delays what becomes visible.
SET plan_cache_mode TO force_generic_plan

-- name: copy_jobs
COPY job_stage FROM STDIN (FORMAT binary)

-- name: staged
-- NOT MATERIALIZED: it is read twice, and a copy of it would cost more than reading.
WITH staged AS NOT MATERIALIZED (SELECT * FROM job_stage),

-- name: sent
-- A few rows come as JSON: one way to the server less, and at the commit no stage that must be emptied.
WITH staged AS MATERIALIZED (SELECT * FROM json_populate_recordset(NULL::job_stage, %(rows)s::json)),

-- name: merge_jobs
-- Follows `staged` or `sent`. The fold's maxima in SQL, register by register. A merge that changes nothing writes nothing.
-- Jobs come sorted by id, so that two projectors lock rows in one order. What the rows were before
-- and are after feeds the rollups in the same statement.
merged AS (
    INSERT INTO job (
        job_id, r_time, r_id, r_body, tenant, account, job_type, chain, parent, batch, priority, retry_of,
        requested_by, s_attempt, s_seq, s_body, s_at, s_worker, s_total, p_attempt, p_seq, p_body, p_at,
        p_phase, p_total, p_processed, p_successful, p_failed, p_skipped, e_attempt, e_seq, e_body, e_at,
        e_outcome, e_total, e_processed, e_successful, e_failed, e_skipped, e_duration_ms, e_error_category,
        d_time, d_id
    )
    SELECT * FROM staged WHERE d_id IS NULL ORDER BY job_id
    ON CONFLICT (job_id) DO UPDATE SET
        -- request: the smaller (time, id) wins, then the greater bytes
        r_time = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.r_time ELSE job.r_time END,
        r_id = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.r_id ELSE job.r_id END,
        r_body = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.r_body ELSE job.r_body END,
        tenant = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.tenant ELSE job.tenant END,
        account = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.account ELSE job.account END,
        job_type = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.job_type ELSE job.job_type END,
        chain = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.chain ELSE job.chain END,
        parent = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.parent ELSE job.parent END,
        batch = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.batch ELSE job.batch END,
        priority = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.priority ELSE job.priority END,
        retry_of = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.retry_of ELSE job.retry_of END,
        requested_by = CASE WHEN ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body)) THEN excluded.requested_by ELSE job.requested_by END,
        -- start: the greater (attempt, seq) wins, then the greater bytes
        s_attempt = CASE WHEN (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body) THEN excluded.s_attempt ELSE job.s_attempt END,
        s_seq = CASE WHEN (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body) THEN excluded.s_seq ELSE job.s_seq END,
        s_body = CASE WHEN (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body) THEN excluded.s_body ELSE job.s_body END,
        s_at = CASE WHEN (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body) THEN excluded.s_at ELSE job.s_at END,
        s_worker = CASE WHEN (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body) THEN excluded.s_worker ELSE job.s_worker END,
        s_total = CASE WHEN (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body) THEN excluded.s_total ELSE job.s_total END,
        -- progress, likewise
        p_attempt = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_attempt ELSE job.p_attempt END,
        p_seq = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_seq ELSE job.p_seq END,
        p_body = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_body ELSE job.p_body END,
        p_at = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_at ELSE job.p_at END,
        p_phase = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_phase ELSE job.p_phase END,
        p_total = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_total ELSE job.p_total END,
        p_processed = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_processed ELSE job.p_processed END,
        p_successful = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_successful ELSE job.p_successful END,
        p_failed = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_failed ELSE job.p_failed END,
        p_skipped = CASE WHEN (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body) THEN excluded.p_skipped ELSE job.p_skipped END,
        -- end, likewise
        e_attempt = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_attempt ELSE job.e_attempt END,
        e_seq = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_seq ELSE job.e_seq END,
        e_body = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_body ELSE job.e_body END,
        e_at = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_at ELSE job.e_at END,
        e_outcome = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_outcome ELSE job.e_outcome END,
        e_total = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_total ELSE job.e_total END,
        e_processed = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_processed ELSE job.e_processed END,
        e_successful = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_successful ELSE job.e_successful END,
        e_failed = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_failed ELSE job.e_failed END,
        e_skipped = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_skipped ELSE job.e_skipped END,
        e_duration_ms = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_duration_ms ELSE job.e_duration_ms END,
        e_error_category = CASE WHEN (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body) THEN excluded.e_error_category ELSE job.e_error_category END
    WHERE job.d_id IS NULL AND (
       ((excluded.r_time, excluded.r_id) < (job.r_time, job.r_id) OR ((excluded.r_time, excluded.r_id) = (job.r_time, job.r_id) AND excluded.r_body > job.r_body))
       OR (excluded.s_attempt, excluded.s_seq, excluded.s_body) > (job.s_attempt, job.s_seq, job.s_body)
       OR (excluded.p_attempt, excluded.p_seq, excluded.p_body) > (job.p_attempt, job.p_seq, job.p_body)
       OR (excluded.e_attempt, excluded.e_seq, excluded.e_body) > (job.e_attempt, job.e_seq, job.e_body))
    RETURNING
        old.tenant AS old_tenant, old.account AS old_account, old.job_type AS old_job_type, old.status AS old_status,
        old.created_at AS old_created_at, old.processed AS old_processed, old.successful AS old_successful,
        old.failed AS old_failed, old.skipped AS old_skipped, old.e_duration_ms AS old_duration_ms,
        new.tenant, new.account, new.job_type, new.status, new.created_at, new.processed, new.successful, new.failed,
        new.skipped, new.e_duration_ms AS duration_ms
),
buried AS (
    -- A tombstone empties the row for good, whatever comes later; of several the earliest stays.
    INSERT INTO job (
        job_id, r_time, r_id, r_body, tenant, account, job_type, chain, parent, batch, d_time, d_id
    )
    SELECT job_id, r_time, r_id, r_body, tenant, account, job_type, chain, parent, batch, d_time, d_id
    FROM staged WHERE d_id IS NOT NULL ORDER BY job_id
    ON CONFLICT (job_id) DO UPDATE SET
        r_time = excluded.r_time, r_id = excluded.r_id, r_body = excluded.r_body, tenant = excluded.tenant,
        account = excluded.account, job_type = excluded.job_type, chain = excluded.chain, parent = excluded.parent,
        batch = excluded.batch, priority = NULL, retry_of = NULL, requested_by = NULL,
        s_attempt = DEFAULT, s_seq = DEFAULT, s_body = DEFAULT, s_at = NULL, s_worker = NULL, s_total = NULL,
        p_attempt = DEFAULT, p_seq = DEFAULT, p_body = DEFAULT, p_at = NULL, p_phase = NULL, p_total = NULL,
        p_processed = NULL, p_successful = NULL, p_failed = NULL, p_skipped = NULL,
        e_attempt = DEFAULT, e_seq = DEFAULT, e_body = DEFAULT, e_at = NULL, e_outcome = NULL, e_total = NULL,
        e_processed = NULL, e_successful = NULL, e_failed = NULL, e_skipped = NULL, e_duration_ms = NULL,
        e_error_category = NULL, d_time = excluded.d_time, d_id = excluded.d_id
    WHERE job.d_id IS NULL OR (excluded.d_time, excluded.d_id) < (job.d_time, job.d_id)
       OR ((excluded.d_time, excluded.d_id) = (job.d_time, job.d_id) AND excluded.r_body > job.r_body)
    RETURNING
        old.tenant AS old_tenant, old.account AS old_account, old.job_type AS old_job_type, old.status AS old_status,
        old.created_at AS old_created_at, old.processed AS old_processed, old.successful AS old_successful,
        old.failed AS old_failed, old.skipped AS old_skipped, old.e_duration_ms AS old_duration_ms,
        old.d_id IS NOT NULL AS was_buried
)

-- name: batch_changes
-- Follows `merge_jobs`.
, gone AS (
    SELECT old_tenant, old_account, old_job_type, old_status, old_created_at, old_processed, old_successful,
           old_failed, old_skipped, old_duration_ms
    FROM merged WHERE old_tenant IS NOT NULL
    UNION ALL
    SELECT old_tenant, old_account, old_job_type, old_status, old_created_at, old_processed, old_successful,
           old_failed, old_skipped, old_duration_ms
    FROM buried WHERE old_tenant IS NOT NULL AND NOT was_buried
),
-- What came and what went, summed apart: sums of bigint are several times as quick as those of numeric, and there is
-- no bigint for the negative of the least one.
changes AS (
    SELECT tenant, account, job_type, status, tracker.utc_day(created_at) AS day, 1 AS jobs,
           processed, successful, failed, skipped, coalesce(duration_ms, 0) AS duration_ms,
           0::bigint AS old_processed, 0::bigint AS old_successful, 0::bigint AS old_failed, 0::bigint AS old_skipped,
           0::bigint AS old_duration_ms
    FROM merged
    UNION ALL
    SELECT old_tenant, old_account, old_job_type, old_status, tracker.utc_day(old_created_at), -1,
           0, 0, 0, 0, 0, old_processed, old_successful, old_failed, old_skipped, coalesce(old_duration_ms, 0)
    FROM gone
)

-- name: all_jobs
-- All that there are, as if they came now; the rollups must be empty.
WITH changes AS (
    SELECT tenant, account, job_type, status, tracker.utc_day(created_at) AS day, count(*) AS jobs,
           sum(processed) AS processed, sum(successful) AS successful, sum(failed) AS failed, sum(skipped) AS skipped,
           sum(coalesce(e_duration_ms, 0)) AS duration_ms,
           0 AS old_processed, 0 AS old_successful, 0 AS old_failed, 0 AS old_skipped, 0 AS old_duration_ms
    FROM job WHERE NOT deleted
    GROUP BY 1, 2, 3, 4, 5
)

-- name: roll
-- Follows `batch_changes` or `all_jobs`. Besides each tenant's days: all days of a tenant and of each of its accounts,
-- each day of the whole house, and all days of it.
, rolled AS (
    INSERT INTO rollup AS rollup (
        tenant, account, job_type, status, day, jobs, processed, successful, failed, skipped, duration_ms
    )
    SELECT coalesce(tenant, ''), coalesce(account, ''), coalesce(job_type, ''), status, coalesce(day, '-infinity'),
           sum(jobs), sum(processed) - sum(old_processed), sum(successful) - sum(old_successful),
           sum(failed) - sum(old_failed), sum(skipped) - sum(old_skipped), sum(duration_ms) - sum(old_duration_ms)
    FROM changes
    GROUP BY status, GROUPING SETS (
        (tenant, job_type, day), (tenant, job_type), (job_type, day), (job_type), (tenant, account))
    HAVING (sum(jobs), sum(processed), sum(successful), sum(failed), sum(skipped), sum(duration_ms))
        <> (0, sum(old_processed), sum(old_successful), sum(old_failed), sum(old_skipped), sum(old_duration_ms))
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (tenant, account, job_type, status, day) DO UPDATE SET
        jobs = rollup.jobs + excluded.jobs,
        processed = rollup.processed + excluded.processed,
        successful = rollup.successful + excluded.successful,
        failed = rollup.failed + excluded.failed,
        skipped = rollup.skipped + excluded.skipped,
        duration_ms = rollup.duration_ms + excluded.duration_ms
    RETURNING 1
)

-- name: changed
SELECT (SELECT count(*) FROM merged) + (SELECT count(*) FROM buried) AS changed

-- name: rolled
SELECT count(*) AS rolled FROM rolled

-- name: copy_history
COPY event (
    appended_at, topic, partition, "offset", job_id, event_id, type, at, source, tenant, chain, parent, traceparent,
    job_type, account, attempt, seq, phase, outcome, worker, total, processed, successful, failed, skipped, body
) FROM STDIN (FORMAT binary)

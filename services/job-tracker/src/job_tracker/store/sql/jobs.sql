-- name: stage_jobs
-- The staging table of large batches. COPY is forty times faster than parameters.
CREATE TEMPORARY TABLE job_stage ON COMMIT DELETE ROWS AS
SELECT {columns} FROM job WITH NO DATA;
-- A large batch is sorted and counted in memory.
SET work_mem TO '32MB';
-- The merge of a small batch uses a cached plan: planning would delay its visibility.
SET plan_cache_mode TO force_generic_plan

-- name: copy_jobs
COPY job_stage FROM STDIN (FORMAT binary)

-- name: staged
-- NOT MATERIALIZED: it is read twice, and a copy of it would cost more than reading.
WITH staged AS NOT MATERIALIZED (SELECT * FROM job_stage),

-- name: sent
-- A few rows come as JSON: one round trip less, and no staging table to truncate at the commit.
WITH staged AS MATERIALIZED (SELECT * FROM json_populate_recordset(NULL::job_stage, %(rows)s::json)),

-- name: request_wins
(({new}.r_time, {new}.r_id) < ({old}.r_time, {old}.r_id) OR (({new}.r_time, {new}.r_id) = ({old}.r_time, {old}.r_id) AND {new}.r_body > {old}.r_body))

-- name: register_wins
({new}.{register}_attempt, {new}.{register}_seq, {new}.{register}_body) > ({old}.{register}_attempt, {old}.{register}_seq, {old}.{register}_body)

-- name: merge_jobs
-- Follows `staged` or `sent`. The fold's maxima in SQL, register by register: each takes all its columns from the row
-- whose key wins. A merge that changes nothing writes nothing.
-- Jobs come sorted by id, so that two projectors lock rows in one order. What the rows were before
-- and are after feeds the rollups in the same statement.
merged AS (
    INSERT INTO job ({columns})
    SELECT * FROM staged WHERE d_id IS NULL ORDER BY job_id
    ON CONFLICT (job_id) DO UPDATE SET
        {assignments}
    WHERE job.d_id IS NULL AND (
       {any_wins})
    RETURNING
        old.tenant AS old_tenant, old.account AS old_account, old.job_type AS old_job_type, old.status AS old_status,
        old.created_at AS old_created_at, old.processed AS old_processed, old.successful AS old_successful,
        old.failed AS old_failed, old.skipped AS old_skipped, old.e_duration_ms AS old_duration_ms,
        new.tenant, new.account, new.job_type, new.status, new.created_at, new.processed, new.successful, new.failed,
        new.skipped, new.e_duration_ms AS duration_ms
),
tombstones AS (
    -- A tombstone empties the row for good, whatever comes later; of several the earliest stays. All registers of a
    -- staged tombstone but the request are absent (CHECK tombstone_whole).
    INSERT INTO job ({columns})
    SELECT * FROM staged WHERE d_id IS NOT NULL ORDER BY job_id
    ON CONFLICT (job_id) DO UPDATE SET {replacements}
    WHERE job.d_id IS NULL OR (excluded.d_time, excluded.d_id) < (job.d_time, job.d_id)
       OR ((excluded.d_time, excluded.d_id) = (job.d_time, job.d_id) AND excluded.r_body > job.r_body)
    RETURNING
        old.tenant AS old_tenant, old.account AS old_account, old.job_type AS old_job_type, old.status AS old_status,
        old.created_at AS old_created_at, old.processed AS old_processed, old.successful AS old_successful,
        old.failed AS old_failed, old.skipped AS old_skipped, old.e_duration_ms AS old_duration_ms,
        old.d_id IS NOT NULL AS was_deleted
)

-- name: batch_changes
-- Follows `merge_jobs`.
, replaced AS (
    SELECT old_tenant, old_account, old_job_type, old_status, old_created_at, old_processed, old_successful,
           old_failed, old_skipped, old_duration_ms
    FROM merged WHERE old_tenant IS NOT NULL
    UNION ALL
    SELECT old_tenant, old_account, old_job_type, old_status, old_created_at, old_processed, old_successful,
           old_failed, old_skipped, old_duration_ms
    FROM tombstones WHERE old_tenant IS NOT NULL AND NOT was_deleted
),
-- New and old values, summed separately: sums of bigint are several times faster than those of numeric, and the least
-- bigint has no negative.
changes AS (
    SELECT tenant, account, job_type, status, tracker.utc_day(created_at) AS day, 1 AS jobs,
           processed, successful, failed, skipped, coalesce(duration_ms, 0) AS duration_ms,
           0::bigint AS old_processed, 0::bigint AS old_successful, 0::bigint AS old_failed, 0::bigint AS old_skipped,
           0::bigint AS old_duration_ms
    FROM merged
    UNION ALL
    SELECT old_tenant, old_account, old_job_type, old_status, tracker.utc_day(old_created_at), -1,
           0, 0, 0, 0, 0, old_processed, old_successful, old_failed, old_skipped, coalesce(old_duration_ms, 0)
    FROM replaced
)

-- name: all_jobs
-- All jobs as changes; the rollups must be empty.
WITH changes AS (
    SELECT tenant, account, job_type, status, tracker.utc_day(created_at) AS day, count(*) AS jobs,
           sum(processed) AS processed, sum(successful) AS successful, sum(failed) AS failed, sum(skipped) AS skipped,
           sum(coalesce(e_duration_ms, 0)) AS duration_ms,
           0 AS old_processed, 0 AS old_successful, 0 AS old_failed, 0 AS old_skipped, 0 AS old_duration_ms
    FROM job WHERE NOT deleted
    GROUP BY 1, 2, 3, 4, 5
)

-- name: roll
-- Follows `batch_changes` or `all_jobs`. Besides each day of a tenant: all days of a tenant and of each of its
-- accounts, each day of all tenants, and all days of all tenants.
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
SELECT (SELECT count(*) FROM merged) + (SELECT count(*) FROM tombstones) AS changed

-- name: rolled
SELECT count(*) AS rolled FROM rolled

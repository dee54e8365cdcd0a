-- A deleted job leaves a tombstone: late events find it, and never bring the job back.

ALTER TABLE tracker.job
    ADD COLUMN d_time timestamptz,
    ADD COLUMN d_id text COLLATE "C",
    ADD COLUMN deleted boolean GENERATED ALWAYS AS (d_id IS NOT NULL) STORED,
    ALTER COLUMN state SET EXPRESSION AS (
        CASE WHEN d_id IS NOT NULL THEN 'deleted'
             WHEN e_attempt >= 0 THEN 'finished'
             WHEN s_attempt >= 0 OR p_attempt >= 0 THEN 'running'
             ELSE 'queued' END),
    ALTER COLUMN status SET EXPRESSION AS (
        CASE WHEN d_id IS NOT NULL THEN 'DELETED' ELSE
            CASE e_outcome
                 WHEN 'success' THEN 'COMPLETED'
                 WHEN 'partial' THEN 'MIXED'
                 WHEN 'failure' THEN 'FAILED'
                 WHEN 'error' THEN 'FAILED'
                 WHEN 'timeout' THEN 'FAILED'
                 WHEN 'cancelled' THEN 'CANCELLED'
                 WHEN 'skipped' THEN 'CANCELLED'
                 ELSE CASE WHEN s_attempt >= 0 OR p_attempt >= 0 THEN 'RUNNING' ELSE 'PENDING' END
            END
        END),
    ALTER COLUMN created_at SET EXPRESSION AS (
        coalesce(nullif(r_time, timestamptz '9999-12-31 23:59:59.999999+00'), least(s_at, p_at, e_at), d_time)),
    ALTER COLUMN updated_at SET EXPRESSION AS (
        greatest(nullif(r_time, timestamptz '9999-12-31 23:59:59.999999+00'), s_at, p_at, e_at, d_time)),
    ADD CONSTRAINT tombstone_whole CHECK (
        (d_time IS NULL) = (d_id IS NULL)
        AND (d_id IS NULL OR (s_attempt = -1 AND p_attempt = -1 AND e_attempt = -1 AND r_id = '')));

CREATE OR REPLACE FUNCTION tracker.rollup_differences()
RETURNS TABLE (tenant text, job_type text, status text, day date, kept bigint, counted bigint)
LANGUAGE sql STABLE AS $body$
    WITH counted AS (
        SELECT j.tenant, j.job_type, j.status, tracker.utc_day(j.created_at) AS day, count(*) AS jobs,
               sum(j.processed) AS processed, sum(j.successful) AS successful, sum(j.failed) AS failed,
               sum(j.skipped) AS skipped, sum(coalesce(j.e_duration_ms, 0)) AS duration_ms
        FROM tracker.job j WHERE NOT j.deleted GROUP BY 1, 2, 3, 4
    )
    SELECT tenant, job_type, status, day, coalesce(r.jobs, 0), coalesce(c.jobs, 0)
    FROM (SELECT * FROM tracker.rollup WHERE rollup.jobs <> 0) r
    FULL JOIN counted c USING (tenant, job_type, status, day)
    WHERE (r.jobs, r.processed, r.successful, r.failed, r.skipped, r.duration_ms)
        IS DISTINCT FROM (c.jobs, c.processed, c.successful, c.failed, c.skipped, c.duration_ms)
$body$;

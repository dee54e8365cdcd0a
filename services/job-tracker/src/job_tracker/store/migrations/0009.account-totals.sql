-- An account's total is a row, as a tenant's is: counting its jobs for each first page costs more the more it has.

ALTER TABLE tracker.rollup
    ADD COLUMN account text COLLATE "C" NOT NULL DEFAULT '',
    DROP CONSTRAINT rollup_pkey,
    ADD PRIMARY KEY (tenant, account, job_type, status, day);
COMMENT ON COLUMN tracker.rollup.account IS 'Empty: all accounts together. Of one account only all types and days together are kept: type empty, day -infinity.';

DROP FUNCTION tracker.rollup_differences();

-- The rollups as they should be, counted anew from the jobs.
CREATE FUNCTION tracker.counted_rollups()
RETURNS TABLE (tenant text, account text, job_type text, status text, day date, jobs bigint, processed numeric,
               successful numeric, failed numeric, skipped numeric, duration_ms numeric)
LANGUAGE sql STABLE AS $body$
    WITH by_day AS (
        SELECT j.tenant, j.account, j.job_type, j.status, tracker.utc_day(j.created_at) AS day, count(*) AS jobs,
               sum(j.processed) AS processed, sum(j.successful) AS successful, sum(j.failed) AS failed,
               sum(j.skipped) AS skipped, sum(coalesce(j.e_duration_ms, 0)) AS duration_ms
        FROM tracker.job j WHERE NOT j.deleted GROUP BY 1, 2, 3, 4, 5
    )
    SELECT coalesce(b.tenant, ''), coalesce(b.account, ''), coalesce(b.job_type, ''), b.status,
           coalesce(b.day, '-infinity'), sum(b.jobs)::bigint, sum(b.processed), sum(b.successful), sum(b.failed),
           sum(b.skipped), sum(b.duration_ms)
    FROM by_day b
    GROUP BY b.status, GROUPING SETS (
        (b.tenant, b.job_type, b.day), (b.tenant, b.job_type), (b.job_type, b.day), (b.job_type),
        (b.tenant, b.account))
$body$;

CREATE FUNCTION tracker.rollup_differences()
RETURNS TABLE (tenant text, account text, job_type text, status text, day date, kept bigint, counted bigint)
LANGUAGE sql STABLE AS $body$
    SELECT tenant, account, job_type, status, day, coalesce(r.jobs, 0), coalesce(c.jobs, 0)
    FROM (SELECT * FROM tracker.rollup WHERE rollup.jobs <> 0) r
    FULL JOIN tracker.counted_rollups() c USING (tenant, account, job_type, status, day)
    WHERE (r.jobs, r.processed, r.successful, r.failed, r.skipped, r.duration_ms)
        IS DISTINCT FROM (c.jobs, c.processed, c.successful, c.failed, c.skipped, c.duration_ms)
$body$;

INSERT INTO tracker.rollup (tenant, account, job_type, status, day, jobs, processed, successful, failed, skipped, duration_ms)
SELECT * FROM tracker.counted_rollups() WHERE account <> '';

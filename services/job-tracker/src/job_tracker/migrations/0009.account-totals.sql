-- An account's total is a row, as a tenant's is: counting its jobs for each first page costs more the more it has.

ALTER TABLE tracker.rollup
    ADD COLUMN account text COLLATE "C" NOT NULL DEFAULT '',
    DROP CONSTRAINT rollup_pkey,
    ADD PRIMARY KEY (tenant, account, job_type, status, day);
COMMENT ON COLUMN tracker.rollup.account IS 'Empty: all accounts together. Of one account only all types and days together are kept: type empty, day -infinity.';

INSERT INTO tracker.rollup (tenant, account, job_type, status, day, jobs, processed, successful, failed, skipped, duration_ms)
SELECT tenant, account, '', status, '-infinity', count(*), sum(processed), sum(successful), sum(failed), sum(skipped),
       sum(coalesce(e_duration_ms, 0))
FROM tracker.job WHERE NOT deleted GROUP BY tenant, account, status;

DROP FUNCTION tracker.rollup_differences();
CREATE FUNCTION tracker.rollup_differences()
RETURNS TABLE (tenant text, account text, job_type text, status text, day date, kept bigint, counted bigint)
LANGUAGE sql STABLE AS $body$
    WITH by_day AS (
        SELECT j.tenant, j.account, j.job_type, j.status, tracker.utc_day(j.created_at) AS day, count(*) AS jobs,
               sum(j.processed) AS processed, sum(j.successful) AS successful, sum(j.failed) AS failed,
               sum(j.skipped) AS skipped, sum(coalesce(j.e_duration_ms, 0)) AS duration_ms
        FROM tracker.job j WHERE NOT j.deleted GROUP BY 1, 2, 3, 4, 5
    ),
    counted AS (
        SELECT coalesce(b.tenant, '') AS tenant, coalesce(b.account, '') AS account,
               coalesce(b.job_type, '') AS job_type, b.status, coalesce(b.day, '-infinity') AS day,
               sum(b.jobs)::bigint AS jobs, sum(b.processed) AS processed, sum(b.successful) AS successful,
               sum(b.failed) AS failed, sum(b.skipped) AS skipped, sum(b.duration_ms) AS duration_ms
        FROM by_day b
        GROUP BY b.status, GROUPING SETS (
            (b.tenant, b.job_type, b.day), (b.tenant, b.job_type), (b.job_type, b.day), (b.job_type),
            (b.tenant, b.account))
    )
    SELECT tenant, account, job_type, status, day, coalesce(r.jobs, 0), coalesce(c.jobs, 0)
    FROM (SELECT * FROM tracker.rollup WHERE rollup.jobs <> 0) r
    FULL JOIN counted c USING (tenant, account, job_type, status, day)
    WHERE (r.jobs, r.processed, r.successful, r.failed, r.skipped, r.duration_ms)
        IS DISTINCT FROM (c.jobs, c.processed, c.successful, c.failed, c.skipped, c.duration_ms)
$body$;

-- A group that has no jobs left must have no sums left either.

CREATE OR REPLACE FUNCTION tracker.rollup_differences()
RETURNS TABLE (tenant text, account text, job_type text, status text, day date, kept bigint, counted bigint)
LANGUAGE sql STABLE AS $body$
    SELECT tenant, account, job_type, status, day, coalesce(r.jobs, 0), coalesce(c.jobs, 0)
    FROM (
        SELECT * FROM tracker.rollup AS kept
        WHERE (kept.jobs, kept.processed, kept.successful, kept.failed, kept.skipped, kept.duration_ms)
            IS DISTINCT FROM (0, 0, 0, 0, 0, 0)
    ) r
    FULL JOIN tracker.counted_rollups() c USING (tenant, account, job_type, status, day)
    WHERE (r.jobs, r.processed, r.successful, r.failed, r.skipped, r.duration_ms)
        IS DISTINCT FROM (c.jobs, c.processed, c.successful, c.failed, c.skipped, c.duration_ms)
$body$;

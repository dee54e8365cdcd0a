-- The indexes of the lists; domain/list_plans.py says which list each serves.
--
-- They ascend and are read backwards: rows come in the order of time, and an index that grows at its right end
-- splits its pages nearly full. Tombstones are in none. No column that each progress changes is in any of them.

DROP INDEX tracker.job_newest;
DROP INDEX tracker.job_by_status;
DROP INDEX tracker.job_by_type;
DROP INDEX tracker.job_by_account;
DROP INDEX tracker.job_by_chain;
DROP INDEX tracker.job_by_parent;
DROP INDEX tracker.job_by_retry_of;

CREATE INDEX job_newest ON tracker.job (created_at, job_id) WHERE NOT deleted;
CREATE INDEX job_by_status ON tracker.job (tenant, status, created_at, job_id) WHERE NOT deleted;
CREATE INDEX job_by_type ON tracker.job (tenant, job_type, status, created_at, job_id) WHERE NOT deleted;
CREATE INDEX job_by_account ON tracker.job (tenant, account, status, created_at, job_id) WHERE NOT deleted;
CREATE INDEX job_by_chain ON tracker.job (chain, created_at, job_id) WHERE NOT deleted;
CREATE INDEX job_by_parent ON tracker.job (parent, created_at, job_id) WHERE NOT deleted AND parent IS NOT NULL;
CREATE INDEX job_by_retry_of ON tracker.job (retry_of, created_at, job_id) WHERE NOT deleted AND retry_of IS NOT NULL;

-- The lists are planned once for any tenant, account or type. What is counted in a table where one of them has
-- nearly all rows would let the planner walk another order and filter, which for the others never ends.
ALTER TABLE tracker.job
    ALTER COLUMN tenant SET (n_distinct = 50),
    ALTER COLUMN account SET (n_distinct = 50),
    ALTER COLUMN job_type SET (n_distinct = 20),
    ALTER COLUMN status SET (n_distinct = 6),
    ALTER COLUMN chain SET (n_distinct = 1000),
    ALTER COLUMN parent SET (n_distinct = 1000);

CREATE INDEX dead_letter_by_consumer ON tracker.dead_letter (consumer, appended_at, topic, partition, "offset");

-- Statistics of all days, and of the whole house, are rows of their own: they cost the same after ten years.
COMMENT ON COLUMN tracker.rollup.tenant IS 'Empty: all tenants together.';
COMMENT ON COLUMN tracker.rollup.day IS 'UTC day of created_at; -infinity: all days together.';

INSERT INTO tracker.rollup (tenant, job_type, status, day, jobs, processed, successful, failed, skipped, duration_ms)
SELECT coalesce(tenant, ''), job_type, status, coalesce(day, '-infinity'), sum(jobs), sum(processed), sum(successful),
       sum(failed), sum(skipped), sum(duration_ms)
FROM tracker.rollup
GROUP BY job_type, status, CUBE (tenant, day)
HAVING grouping(tenant) + grouping(day) > 0;

CREATE OR REPLACE FUNCTION tracker.rollup_differences()
RETURNS TABLE (tenant text, job_type text, status text, day date, kept bigint, counted bigint)
LANGUAGE sql STABLE AS $body$
    WITH by_day AS (
        SELECT j.tenant, j.job_type, j.status, tracker.utc_day(j.created_at) AS day, count(*) AS jobs,
               sum(j.processed) AS processed, sum(j.successful) AS successful, sum(j.failed) AS failed,
               sum(j.skipped) AS skipped, sum(coalesce(j.e_duration_ms, 0)) AS duration_ms
        FROM tracker.job j WHERE NOT j.deleted GROUP BY 1, 2, 3, 4
    ),
    counted AS (
        SELECT coalesce(b.tenant, '') AS tenant, b.job_type, b.status, coalesce(b.day, '-infinity') AS day,
               sum(b.jobs)::bigint AS jobs, sum(b.processed) AS processed, sum(b.successful) AS successful,
               sum(b.failed) AS failed, sum(b.skipped) AS skipped, sum(b.duration_ms) AS duration_ms
        FROM by_day b GROUP BY b.job_type, b.status, CUBE (b.tenant, b.day)
    )
    SELECT tenant, job_type, status, day, coalesce(r.jobs, 0), coalesce(c.jobs, 0)
    FROM (SELECT * FROM tracker.rollup WHERE rollup.jobs <> 0) r
    FULL JOIN counted c USING (tenant, job_type, status, day)
    WHERE (r.jobs, r.processed, r.successful, r.failed, r.skipped, r.duration_ms)
        IS DISTINCT FROM (c.jobs, c.processed, c.successful, c.failed, c.skipped, c.duration_ms)
$body$;

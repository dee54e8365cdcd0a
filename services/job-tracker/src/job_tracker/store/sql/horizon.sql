-- name: rules
SELECT in_force_from, days, floor FROM tracker.horizon_rule ORDER BY in_force_from

-- name: insert_rule
-- One that is not in force yet may be replaced.
INSERT INTO tracker.horizon_rule (in_force_from, days, floor) VALUES (%(in_force_from)s, %(days)s, %(floor)s)
ON CONFLICT (in_force_from) DO UPDATE SET days = excluded.days, floor = excluded.floor

-- name: horizon
SELECT ended_before, swept FROM tracker.job_horizon

-- name: move_horizon
INSERT INTO tracker.job_horizon (ended_before) VALUES (%(ended_before)s)
ON CONFLICT (single) DO UPDATE SET ended_before = excluded.ended_before, swept = false
WHERE job_horizon.ended_before < excluded.ended_before

-- name: record_sweep
UPDATE tracker.job_horizon SET swept = %(swept)s, sweeps = sweeps + %(deleted)s::int

-- name: unread
-- Partitions of which it is not known that everything appended before a moment has been read.
SELECT topic, partition
FROM (SELECT * FROM tracker.consumer_offset WHERE projection = %(projection)s) AS o
FULL JOIN (SELECT * FROM tracker.partition_end WHERE topic = ANY (%(topics)s::text[])) AS e USING (topic, partition)
WHERE coalesce(greatest(o.applied_at, e.reached_at), '-infinity') < %(until)s
ORDER BY topic, partition

-- name: is_forgotten
-- What the horizon means, of the row `j`. A row of progress events alone, without a request, a start or an end, is what
-- a worker without a lease may have sent of a job that was forgotten: a week later no more comes.
(((j.e_attempt >= 0 OR j.deleted) AND j.updated_at < %(ended_before)s)
 OR (j.r_id = '' AND j.s_attempt < 0 AND j.e_attempt < 0 AND NOT j.deleted
     AND j.updated_at < %(ended_before)s::timestamptz + interval '7 days'))

-- name: delete_forgotten
-- Looks at some of the oldest jobs behind a place, and deletes those that are forgotten. A row that a projector is
-- changing is left to the next sweep. The rollups change in the same statement.
WITH oldest AS MATERIALIZED (
    SELECT job_id, created_at FROM job
    WHERE NOT deleted AND created_at < %(ended_before)s AND (created_at, job_id) > (%(after_at)s, %(after_id)s)
    ORDER BY created_at, job_id LIMIT %(rows)s
),
forgotten AS MATERIALIZED (
    SELECT j.job_id FROM oldest JOIN job AS j USING (job_id) WHERE {is_forgotten} FOR UPDATE OF j SKIP LOCKED
),
gone AS (
    DELETE FROM job USING forgotten WHERE job.job_id = forgotten.job_id
    RETURNING
        job.tenant, job.account, job.job_type, job.status, job.created_at, job.deleted, job.processed,
        job.successful, job.failed, job.skipped, job.e_duration_ms
)

-- name: delete_forgotten_tombstones
DELETE FROM job WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM job WHERE deleted AND d_time < %(ended_before)s LIMIT %(rows)s FOR UPDATE SKIP LOCKED))

-- name: delete_empty_rollups
-- Days of which no job is left.
DELETE FROM rollup WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM rollup
    WHERE day > '-infinity' AND day < %(ended_before)s::date
      AND (jobs, processed, successful, failed, skipped, duration_ms) IS NOT DISTINCT FROM (0, 0, 0, 0, 0, 0)
    LIMIT %(rows)s FOR UPDATE SKIP LOCKED))

-- name: delete_forgotten_of_shadow
-- `job` is the table of a shadow. What a sweep has not deleted yet from the live table stays here too. With `lossy`, the
-- log may have lost the end of a job: then one that the live table does not know was forgotten.
WITH gone AS (
    DELETE FROM job AS j
    WHERE ({is_forgotten} OR (%(lossy)s AND j.updated_at < %(ended_before)s))
      AND NOT EXISTS (SELECT FROM tracker.job AS live WHERE live.job_id = j.job_id)
    RETURNING
        j.tenant, j.account, j.job_type, j.status, j.created_at, j.deleted, j.processed, j.successful, j.failed,
        j.skipped, j.e_duration_ms
)

-- name: forgotten_changes
-- Follows one that deletes.
, changes AS (
    SELECT tenant, account, job_type, status, tracker.utc_day(created_at) AS day, -1 AS jobs,
           0::bigint AS processed, 0::bigint AS successful, 0::bigint AS failed, 0::bigint AS skipped,
           0::bigint AS duration_ms, processed AS old_processed, successful AS old_successful, failed AS old_failed,
           skipped AS old_skipped, coalesce(e_duration_ms, 0) AS old_duration_ms
    FROM gone WHERE NOT deleted
)

-- name: deleted
SELECT count(*) AS deleted FROM gone

-- name: deleted_of_oldest
-- How many were looked at and deleted, and the place of the last one.
SELECT (SELECT count(*) FROM oldest) AS looked, (SELECT count(*) FROM gone) AS deleted, last.created_at, last.job_id
FROM (SELECT created_at, job_id FROM oldest ORDER BY created_at DESC, job_id DESC LIMIT 1) AS last

-- name: any_left
SELECT EXISTS (SELECT FROM job AS j WHERE NOT deleted AND created_at < %(ended_before)s AND {is_forgotten})

-- name: kept_jobs
-- Jobs with rows that events from before the horizon have made: request and other times may differ by two days.
SELECT job_id FROM tracker.job
WHERE NOT deleted AND created_at < %(ended_before)s::timestamptz + interval '2 days'
  AND least(r_time, s_at, p_at, e_at) < %(ended_before)s

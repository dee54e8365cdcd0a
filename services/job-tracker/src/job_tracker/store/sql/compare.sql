-- name: count
SELECT count(*) FROM job

-- name: range_end
-- The last id of the next range. Unqualified names: the connection decides between the live table and a shadow.
SELECT max(job_id), count(*) FROM (
    SELECT job_id FROM job
    WHERE job_id > %(after)s AND (
        %(threshold)s::bigint IS NULL OR %(threshold)s > (
            'x' || left(encode(sha256(convert_to(%(seed)s::text || ':' || job_id, 'UTF8')), 'hex'), 8))::bit(32)::bigint)
    ORDER BY job_id LIMIT %(most)s) AS following

-- name: range_hash
-- Every column of every row of a range, generated ones too: 64 bits of each row, summed. That takes an eighth of
-- the time of a hash of the rows' text. In all types of this table equal values are identical.
SELECT count(*), coalesce(sum(hash_record_extended(j, 0)), 0)
FROM job AS j
WHERE job_id > %(after)s AND (%(upto)s::text IS NULL OR job_id <= %(upto)s) AND (
    %(threshold)s::bigint IS NULL OR %(threshold)s > (
        'x' || left(encode(sha256(convert_to(%(seed)s::text || ':' || job_id, 'UTF8')), 'hex'), 8))::bit(32)::bigint)

-- name: range_rows
SELECT * FROM job
WHERE job_id > %(after)s AND (%(upto)s::text IS NULL OR job_id <= %(upto)s) AND (
    %(threshold)s::bigint IS NULL OR %(threshold)s > (
        'x' || left(encode(sha256(convert_to(%(seed)s::text || ':' || job_id, 'UTF8')), 'hex'), 8))::bit(32)::bigint)
ORDER BY job_id

-- name: rollups
SELECT * FROM rollup
WHERE (jobs, processed, successful, failed, skipped, duration_ms) IS DISTINCT FROM (0, 0, 0, 0, 0, 0)
ORDER BY tenant, account, job_type, status, day

-- name: counted_rollups
SELECT * FROM counted_rollups()
ORDER BY tenant COLLATE "C", account COLLATE "C", job_type COLLATE "C", status COLLATE "C", day

-- name: history_days
-- With `hashed` a hash as in `range_hash`, which takes three times as long; without, the planner leaves it out. The
-- history of deleted jobs is left out: retention deletes it at some time.
SELECT topic, partition, tracker.utc_day(appended_at) AS day, count(*) AS events,
       sum(CASE WHEN %(hashed)s THEN hash_record_extended(event, 0) END) AS hash
FROM event
WHERE appended_at >= %(since)s AND NOT EXISTS (SELECT FROM job WHERE job.job_id = event.job_id AND job.deleted)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3

-- name: history_rows
SELECT * FROM event
WHERE topic = %(topic)s AND partition = %(partition)s AND appended_at >= %(since)s
  AND appended_at >= %(day)s::date AND appended_at < %(day)s::date + 1
  AND NOT EXISTS (SELECT FROM job WHERE job.job_id = event.job_id AND job.deleted)
ORDER BY "offset"

-- name: dead_letters
SELECT * FROM dead_letter
WHERE consumer = 'job-tracker' AND topic = ANY (%(topics)s::text[]) AND appended_at >= %(since)s
ORDER BY topic, partition, "offset"

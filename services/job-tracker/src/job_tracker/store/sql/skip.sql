-- name: applied
SELECT topic, partition, applied_at FROM consumer_offset WHERE projection = %(projection)s

-- name: affected
-- All events of a job are in one partition of a topic. For a job without any in this topic the partition is unknown.
SELECT job_id, status, updated_at, count(*) OVER () FROM job AS j
WHERE state <> 'finished' AND NOT deleted AND (%(until)s::timestamptz IS NULL OR updated_at < %(until)s)
  AND (
      EXISTS (SELECT FROM event AS e WHERE e.job_id = j.job_id AND e.topic = %(topic)s AND e.partition = %(partition)s)
      OR NOT EXISTS (SELECT FROM event AS e WHERE e.job_id = j.job_id AND e.topic = %(topic)s))
ORDER BY updated_at, job_id LIMIT %(most)s

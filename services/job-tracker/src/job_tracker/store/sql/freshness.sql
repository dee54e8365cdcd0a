-- name: freshness
-- One row, one snapshot: the time of the database, the watermarks of the partitions, the last heartbeats. `epoch`
-- changes when the job table is swapped for a rebuilt one, and when a sweep has deleted rows of it.
SELECT now() AS now,
'tracker.job'::regclass::oid::bigint + coalesce((SELECT sweeps << 32 FROM tracker.job_horizon), 0) AS epoch,
(SELECT ended_before FROM tracker.job_horizon) AS horizon,
(
    SELECT coalesce(json_agg(json_build_array(
        topic, partition, coalesce(next_offset, 0), applied_at, end_offset, checked_at, reached_at,
        coalesce(late_events, 0)
    ) ORDER BY topic, partition), '[]')::text
    FROM (SELECT * FROM tracker.consumer_offset WHERE projection = %(projection)s) AS o
    FULL JOIN (SELECT * FROM tracker.partition_end WHERE topic = ANY(%(topics)s)) AS e USING (topic, partition)
) AS partitions,
(
    SELECT coalesce(json_agg(json_build_array(
        instance, state, detail, beat_at, now() - beat_at < %(alive_within)s
    ) ORDER BY beat_at DESC), '[]')::text
    FROM tracker.projector WHERE projection = %(projection)s
) AS projectors,
(
    SELECT coalesce(json_agg(json_build_array(topic, partition, reason, since) ORDER BY topic, partition), '[]')::text
    FROM tracker.log_fault WHERE projection = %(projection)s
) AS faults

-- name: positions
SELECT topic, partition, next_offset FROM tracker.consumer_offset WHERE projection = %(projection)s

-- name: horizon
SELECT ended_before FROM tracker.job_horizon

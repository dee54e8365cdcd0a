-- name: changed_jobs
-- The jobs of the events in these ranges of the log. Control events of unknown jobs have no row.
SELECT {columns}, deleted
FROM tracker.job
WHERE job_id = ANY(ARRAY(
    SELECT DISTINCT told.job_id
    FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(lows)s::bigint[], %(highs)s::bigint[])
        AS range (topic, partition, low, high)
    CROSS JOIN LATERAL (
        SELECT e.job_id FROM tracker.event AS e
        WHERE e.topic = range.topic AND e.partition = range.partition
          AND e."offset" >= range.low AND e."offset" < range.high
    ) AS told
))

-- name: accounted_offsets
-- How many offsets of these ranges are accounted for: records that the history still holds, dead letters, and offsets
-- that never held a record.
SELECT coalesce(sum(history.n + dead.n + empty.n), 0)::bigint AS held
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(lows)s::bigint[], %(highs)s::bigint[])
    AS range (topic, partition, low, high)
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM tracker.event AS e
    WHERE e.topic = range.topic AND e.partition = range.partition
      AND e."offset" >= range.low AND e."offset" < range.high
) AS history
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM tracker.dead_letter AS d
    WHERE d.topic = range.topic AND d.partition = range.partition
      AND d."offset" >= range.low AND d."offset" < range.high AND d.consumer = 'job-tracker'
) AS dead
CROSS JOIN LATERAL (
    SELECT coalesce(sum(least(o.next_offset, range.high) - greatest(o.first_offset, range.low)), 0) AS n
    FROM tracker.empty_offsets AS o
    WHERE o.projection = %(projection)s AND o.topic = range.topic AND o.partition = range.partition
      AND o.first_offset < range.high AND o.next_offset > range.low
) AS empty

-- name: positions
SELECT o.topic, o.partition, o.next_offset, o.applied_at, e.end_offset, e.checked_at
FROM tracker.consumer_offset AS o LEFT JOIN tracker.partition_end AS e USING (topic, partition)
WHERE o.projection = %(projection)s

-- name: projectors
SELECT state, detail, instance, beat_at, now() - beat_at < %(alive_within)s AS alive, now() AS now
FROM tracker.projector WHERE projection = %(projection)s
ORDER BY beat_at DESC

-- name: behind
-- The positions of a token that the projection has not reached yet.
SELECT wanted.topic, wanted.partition
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[]) AS wanted (topic, partition, next_offset)
LEFT JOIN tracker.consumer_offset AS o
    ON o.projection = %(projection)s AND o.topic = wanted.topic AND o.partition = wanted.partition
WHERE coalesce(o.next_offset, 0) < wanted.next_offset

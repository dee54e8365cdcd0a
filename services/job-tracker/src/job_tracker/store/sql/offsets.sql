-- name: live_positions
SELECT topic, partition, topic_id, first_offset, next_offset
FROM tracker.consumer_offset WHERE projection = %(projection)s ORDER BY topic, partition

-- name: live_earlier
SELECT topic, partition, topic_id, first_offset, next_offset
FROM tracker.earlier_stretch WHERE projection = %(projection)s ORDER BY topic, partition, first_offset

-- name: lock_positions
-- Every projector compares and sets these rows before it writes, so all of them wait for the lock.
SELECT topic, partition, topic_id, first_offset, next_offset
FROM tracker.consumer_offset WHERE projection = %(projection)s ORDER BY topic, partition FOR UPDATE

-- name: set_positions
INSERT INTO consumer_offset (projection, topic, partition, topic_id, first_offset, next_offset)
SELECT %(projection)s, * FROM unnest(
    %(topics)s::text[], %(partitions)s::int[], %(topic_ids)s::text[], %(first_offsets)s::bigint[],
    %(next_offsets)s::bigint[])
ON CONFLICT (projection, topic, partition) DO UPDATE
SET topic_id = excluded.topic_id, first_offset = excluded.first_offset, next_offset = excluded.next_offset

-- name: insert_earlier
INSERT INTO earlier_stretch (projection, topic, partition, topic_id, first_offset, next_offset)
SELECT %(projection)s, topic, partition, %(topic_id)s, first_offset, next_offset
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(first_offsets)s::bigint[], %(next_offsets)s::bigint[])
    AS read (topic, partition, first_offset, next_offset)
ON CONFLICT (projection, topic, partition, topic_id, first_offset) DO UPDATE
SET next_offset = greatest(earlier_stretch.next_offset, excluded.next_offset)

-- name: delete_empty
DELETE FROM empty_offsets
WHERE projection = %(projection)s
  AND (topic, partition) IN (SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]))

-- name: delete_positions
DELETE FROM tracker.consumer_offset
WHERE projection = %(projection)s
  AND (topic, partition) IN (SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]))

-- name: delete_projection
DELETE FROM tracker.consumer_offset WHERE projection = %(projection)s

-- name: delete_ends
-- The ends of logs that no longer exist. A running projector stores the present ones within a second.
DELETE FROM tracker.partition_end AS known
WHERE (topic, partition) IN (SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]))

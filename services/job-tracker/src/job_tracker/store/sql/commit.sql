-- name: positions
-- The positions of a projection. Read on assignment, and again after another owner has moved them.
SELECT topic, partition, topic_id, next_offset FROM consumer_offset
WHERE projection = %(projection)s AND (topic, partition) IN (
    SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]))

-- name: begin_positions
-- A partition seen for the first time starts at the oldest record that the broker still holds.
INSERT INTO consumer_offset (projection, topic, partition, topic_id, next_offset, first_offset)
SELECT %(projection)s, topic, partition, topic_id, oldest, oldest FROM unnest(
    %(topics)s::text[], %(partitions)s::int[], %(topic_ids)s::text[], %(offsets)s::bigint[]
) AS begun (topic, partition, topic_id, oldest)
ON CONFLICT (projection, topic, partition) DO NOTHING

-- name: move_positions
-- Compare and set, locked in one order. A partition without a returned row was moved by another owner.
WITH held AS (
    SELECT o.topic, o.partition, moved.next_offset, moved.applied_at
    FROM consumer_offset AS o
    JOIN unnest(
        %(topics)s::text[], %(partitions)s::int[], %(expected)s::bigint[], %(next_offsets)s::bigint[],
        %(applied_at)s::timestamptz[]
    ) AS moved (topic, partition, expected, next_offset, applied_at)
        ON moved.topic = o.topic AND moved.partition = o.partition
    WHERE o.projection = %(projection)s AND o.next_offset = moved.expected
    ORDER BY o.topic, o.partition
    FOR UPDATE OF o
)
UPDATE consumer_offset AS o
SET next_offset = held.next_offset, applied_at = coalesce(held.applied_at, o.applied_at)
FROM held
WHERE o.projection = %(projection)s AND o.topic = held.topic AND o.partition = held.partition
RETURNING o.topic, o.partition

-- name: insert_empty_offsets
INSERT INTO empty_offsets (projection, topic, partition, first_offset, next_offset)
SELECT %(projection)s, * FROM unnest(
    %(topics)s::text[], %(partitions)s::int[], %(lows)s::bigint[], %(highs)s::bigint[])
ON CONFLICT (projection, topic, partition, first_offset) DO UPDATE
SET next_offset = greatest(empty_offsets.next_offset, excluded.next_offset)

-- name: count_late
UPDATE consumer_offset SET late_events = late_events + %(events)s
WHERE projection = %(projection)s AND topic = %(topic)s AND partition = %(partition)s

-- name: insert_dead_letter
-- A recreated topic assigns the same offsets to other records: the newer dead letter stays, in any order of arrival.
INSERT INTO dead_letter (
    topic, partition, "offset", consumer, appended_at, reason, job_id, key, value, value_bytes
)
VALUES (
    %(topic)s, %(partition)s, %(offset)s, %(consumer)s, %(appended_at)s, %(reason)s, %(job_id)s, %(key)s, %(value)s,
    %(value_bytes)s
)
ON CONFLICT (topic, partition, "offset", consumer) DO UPDATE
SET appended_at = excluded.appended_at, reason = excluded.reason, job_id = excluded.job_id, key = excluded.key,
    value = excluded.value, value_bytes = excluded.value_bytes
WHERE dead_letter.appended_at < excluded.appended_at

-- name: insert_faults
INSERT INTO log_fault (projection, topic, partition, reason)
SELECT %(projection)s, * FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(reasons)s::text[])
ON CONFLICT (projection, topic, partition) DO UPDATE SET reason = excluded.reason
WHERE log_fault.reason <> excluded.reason

-- name: delete_partition_faults
-- These partitions are read again.
DELETE FROM log_fault
WHERE projection = %(projection)s AND (topic, partition) IN (
    SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[]))

-- name: delete_topic_faults
-- The broker has these topics, with so many partitions.
DELETE FROM log_fault AS f
USING unnest(%(topics)s::text[], %(counts)s::int[]) AS found (topic, partitions)
WHERE f.projection = %(projection)s AND f.topic = found.topic AND (f.partition = -1 OR f.partition >= found.partitions)

-- name: insert_heartbeat
INSERT INTO projector (projection, instance, state, detail, beat_at)
VALUES (%(projection)s, %(instance)s, %(state)s, %(detail)s, now())
ON CONFLICT (projection, instance) DO UPDATE
SET state = excluded.state, detail = excluded.detail, beat_at = excluded.beat_at

-- name: delete_old_heartbeats
DELETE FROM projector WHERE beat_at < now() - interval '1 hour'

-- name: terminate_silent_sessions
-- PostgreSQL does not check transaction_timeout while it waits for the data of a COPY: an owner that is paused in the
-- middle of one would keep its row locks from the next owner.
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(application_name)s
  AND state = 'active' AND wait_event = 'ClientRead' AND xact_start < now() - %(after)s

-- name: delete_heartbeat
DELETE FROM projector WHERE projection = %(projection)s AND instance = %(instance)s

-- name: insert_partition_ends
-- `asked_at` is the time before the request to Kafka: records appended after its response are not counted.
INSERT INTO partition_end AS known (topic, partition, end_offset, checked_at, reached_at)
SELECT e.topic, e.partition, e.end_offset, %(asked_at)s,
       CASE WHEN o.next_offset >= e.end_offset THEN %(asked_at)s END
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(ends)s::bigint[]) AS e (topic, partition, end_offset)
LEFT JOIN consumer_offset AS o
    ON o.projection = %(projection)s AND o.topic = e.topic AND o.partition = e.partition
ORDER BY e.topic, e.partition
ON CONFLICT (topic, partition) DO UPDATE
SET end_offset = greatest(known.end_offset, excluded.end_offset),
    checked_at = greatest(known.checked_at, excluded.checked_at),
    reached_at = greatest(known.reached_at, excluded.reached_at)

-- name: now
SELECT now()

-- name: ensure_event_days
SELECT tracker.ensure_event_days((now() AT TIME ZONE 'UTC')::date - 1, 5)

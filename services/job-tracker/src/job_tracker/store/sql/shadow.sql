-- name: table_options
SELECT array_to_string(reloptions, ', '), pg_get_partkeydef(oid) FROM pg_class WHERE oid = %(table)s::regclass

-- name: keys
-- Primary and unique keys.
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %(table)s::regclass AND contype IN ('p', 'u') ORDER BY conname

-- name: indexes
-- All other indexes: it is cheaper to build them after the load.
SELECT pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = %(table)s::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))
ORDER BY indexrelid

-- name: indexed_columns
SELECT attname FROM pg_attribute
WHERE attrelid = %(table)s::regclass
  AND attnum IN (SELECT unnest(indkey) FROM pg_index WHERE indrelid = %(table)s::regclass)
ORDER BY attnum

-- name: day_tables
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = %(table)s::regclass ORDER BY c.relname

-- name: first_day_before
-- The first day of the live history, if it lies before one; days have a table each, but for those of the default table.
SELECT least(
    (
        SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD'))
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'tracker.event'::regclass AND c.relname ~ '^event_[0-9]{8}$'
          AND c.relname < 'event_' || to_char(%(since)s::date, 'YYYYMMDD')
    ),
    (SELECT min(tracker.utc_day(appended_at)) FROM tracker.event_default WHERE appended_at < %(since)s::date)
)

-- name: older_readers
-- Transactions that read a state older than the shadow's last commit: they would not see all of it. Projectors
-- that wait for the positions are left out: their next statement takes a new snapshot.
SELECT pid, application_name, xact_start FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
  AND pid <> %(own)s AND backend_xmin IS NOT NULL AND xact_start <= %(since)s
  AND NOT coalesce(wait_event_type = 'Lock' AND wait_event IN ('transactionid', 'tuple', 'advisory'), false)

-- name: lock_days
SELECT pg_advisory_xact_lock(1247040835)

-- name: copy_dead_letters
-- Without those that retention has deleted: the log may still hold their records.
INSERT INTO tracker.dead_letter SELECT * FROM tracker_rebuild.dead_letter WHERE appended_at >= %(since)s
ON CONFLICT (topic, partition, "offset", consumer) DO UPDATE
SET appended_at = excluded.appended_at, reason = excluded.reason, job_id = excluded.job_id, key = excluded.key,
    value = excluded.value, value_bytes = excluded.value_bytes

-- name: delete_dead_letters
DELETE FROM tracker.dead_letter AS live
WHERE consumer = 'job-tracker' AND topic = ANY (%(topics)s::text[])
  AND NOT EXISTS (
      SELECT FROM tracker_rebuild.dead_letter AS shadow
      WHERE (shadow.topic, shadow.partition, shadow."offset", shadow.consumer)
          = (live.topic, live.partition, live."offset", live.consumer))

-- name: delete_positions
-- Positions of partitions that the broker no longer has, and the earlier ranges of the replaced table.
-- Streams restart after a swap, so they do not read the empty offsets before it.
WITH earlier AS (DELETE FROM tracker.earlier_stretch WHERE projection = %(projection)s),
empty AS (DELETE FROM tracker.empty_offsets WHERE projection = %(projection)s)
DELETE FROM tracker.consumer_offset AS live
WHERE projection = %(projection)s AND NOT EXISTS (
    SELECT FROM tracker_rebuild.consumer_offset AS shadow
    WHERE (shadow.projection, shadow.topic, shadow.partition) = (live.projection, live.topic, live.partition))

-- name: copy_earlier
INSERT INTO tracker.earlier_stretch SELECT * FROM tracker_rebuild.earlier_stretch

-- name: copy_positions
-- The projectors continue at their positions; a position that has changed is read again.
INSERT INTO tracker.consumer_offset AS live (projection, topic, partition, topic_id, first_offset, next_offset, applied_at)
SELECT projection, topic, partition, topic_id, first_offset, next_offset, applied_at
FROM tracker_rebuild.consumer_offset
ON CONFLICT (projection, topic, partition) DO UPDATE
SET topic_id = excluded.topic_id, first_offset = excluded.first_offset, next_offset = excluded.next_offset,
    applied_at = coalesce(excluded.applied_at, live.applied_at)
WHERE (live.topic_id, live.first_offset, live.next_offset)
    IS DISTINCT FROM (excluded.topic_id, excluded.first_offset, excluded.next_offset)

-- name: stage_ahead
-- Live rows of which the shadow, made from an incomplete log, knows less. The merge then takes the greater of each
-- register, as it does with events. `job` is the table of the shadow: the search path decides.
INSERT INTO job_stage
SELECT {columns}
FROM tracker.job AS live LEFT JOIN job AS again USING (job_id)
WHERE live.job_id <> ALL (%(but)s::text[]) AND (
    again.job_id IS NULL
    OR (live.d_id IS NOT NULL AND (again.d_id IS NULL OR (live.d_time, live.d_id) < (again.d_time, again.d_id)))
    OR (live.d_id IS NULL AND again.d_id IS NULL AND (
       {any_wins})))

-- name: rows_ahead
SELECT live.job_id, CASE WHEN live.deleted THEN 'DELETED' ELSE live.status END,
       CASE WHEN again.deleted THEN 'DELETED' ELSE again.status END
FROM job_stage JOIN tracker.job AS live USING (job_id) LEFT JOIN job AS again USING (job_id)
ORDER BY job_id LIMIT %(most)s

-- name: history_days
SELECT DISTINCT tracker.utc_day(appended_at) FROM tracker.event
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" >= %(low)s AND "offset" < %(high)s
  AND appended_at >= %(since)s

-- name: copy_history
INSERT INTO event
SELECT * FROM tracker.event
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" >= %(low)s AND "offset" < %(high)s
  AND appended_at >= %(since)s AND job_id <> ALL (%(but)s::text[])
ON CONFLICT DO NOTHING

-- name: copy_kept_dead_letters
INSERT INTO dead_letter
SELECT * FROM tracker.dead_letter
WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" >= %(low)s AND "offset" < %(high)s
  AND consumer = 'job-tracker'
ON CONFLICT DO NOTHING

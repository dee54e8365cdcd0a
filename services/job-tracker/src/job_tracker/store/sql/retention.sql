-- name: try_lock
-- One process at a time.
SELECT pg_try_advisory_lock(1247040836)

-- name: lock
-- The same lock: who holds it keeps sweeps away.
SELECT pg_advisory_lock(1247040836)

-- name: unlock
-- After a failed sweep the lock is released with its connection.
SELECT pg_advisory_unlock(1247040836)

-- name: old_days
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass AND c.relname ~ '^event_[0-9]{8}$' AND c.relname < %(first_kept)s
ORDER BY c.relname

-- name: delete_default_history
-- Records of days that had no table of their own.
DELETE FROM event_default WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM event_default WHERE appended_at < %(before)s LIMIT %(rows)s))

-- name: delete_items
DELETE FROM item WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM item WHERE appended_at < %(before)s ORDER BY appended_at LIMIT %(rows)s))

-- name: delete_dead_letters
DELETE FROM dead_letter WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM dead_letter WHERE appended_at < %(before)s ORDER BY appended_at LIMIT %(rows)s))

-- name: delete_keys
DELETE FROM api_key WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM api_key WHERE created_at < %(before)s LIMIT %(rows)s))

-- name: delete_empty_offsets
-- Only resumed streams read them, and not from further back.
DELETE FROM empty_offsets WHERE ctid = ANY (ARRAY(
    SELECT e.ctid FROM empty_offsets AS e JOIN consumer_offset AS o USING (projection, topic, partition)
    WHERE e.next_offset < o.next_offset - %(reach)s LIMIT %(rows)s))

-- name: delete_deleted_history
-- Deleted jobs keep their tombstones only; `since` leaves out those that no new event can reach any more.
DELETE FROM event AS e USING (
    SELECT e.topic, e.partition, e."offset", e.appended_at
    FROM job AS j JOIN event AS e ON e.job_id = j.job_id
    WHERE j.deleted AND j.d_time >= %(since)s LIMIT %(rows)s
) AS orphan
WHERE (e.topic, e.partition, e."offset", e.appended_at)
    = (orphan.topic, orphan.partition, orphan."offset", orphan.appended_at)

-- name: delete_deleted_items
DELETE FROM item WHERE event_id = ANY (ARRAY(
    SELECT i.event_id FROM job AS j JOIN item AS i ON i.job_id = j.job_id
    WHERE j.deleted AND j.d_time >= %(since)s LIMIT %(rows)s))

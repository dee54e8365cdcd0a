-- name: install
-- Every change of a job's row is looked at in its own transaction: no sample can miss one.
CREATE SCHEMA IF NOT EXISTS chaos;
CREATE TABLE IF NOT EXISTS chaos.regress (at timestamptz DEFAULT clock_timestamp(), invariant text, job_id text, said text);
CREATE OR REPLACE FUNCTION chaos.look() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    rank_before integer := array_position(ARRAY['queued', 'running', 'finished', 'deleted'], OLD.state);
    rank_after integer := array_position(ARRAY['queued', 'running', 'finished', 'deleted'], NEW.state);
BEGIN
    IF NEW.deleted AND rank_after >= rank_before THEN
        RETURN NULL; -- a tombstone empties every register
    END IF;
    IF rank_after < rank_before OR NEW.attempt < OLD.attempt
        OR (NEW.e_attempt, NEW.e_seq, NEW.e_body) < (OLD.e_attempt, OLD.e_seq, OLD.e_body)
        OR (NEW.p_attempt, NEW.p_seq, NEW.p_body) < (OLD.p_attempt, OLD.p_seq, OLD.p_body)
        OR (NEW.s_attempt, NEW.s_seq, NEW.s_body) < (OLD.s_attempt, OLD.s_seq, OLD.s_body)
        OR (NEW.r_time, NEW.r_id) > (OLD.r_time, OLD.r_id) THEN
        INSERT INTO chaos.regress (invariant, job_id, said)
        VALUES ('I3', OLD.job_id, OLD.state || ' attempt ' || OLD.attempt || ' became ' || NEW.state || ' attempt ' || NEW.attempt);
    END IF;
    IF NEW.job_id LIKE 'tame-%' AND (
        NEW.processed > NEW.total
        OR (NEW.attempt = OLD.attempt AND OLD.p_attempt = NEW.p_attempt AND NEW.processed < OLD.processed)) THEN
        INSERT INTO chaos.regress (invariant, job_id, said)
        VALUES ('I4', OLD.job_id, OLD.processed || ' became ' || NEW.processed || ' of ' || NEW.total);
    END IF;
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER chaos_look AFTER UPDATE ON tracker.job FOR EACH ROW EXECUTE FUNCTION chaos.look();
CREATE OR REPLACE FUNCTION chaos.look_at_item() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO chaos.regress (invariant, job_id, said) VALUES ('I3', OLD.job_id, 'item ' || OLD.event_id || ' was deleted');
    ELSIF NEW.body < OLD.body THEN
        INSERT INTO chaos.regress (invariant, job_id, said)
        VALUES ('I3', OLD.job_id, 'item ' || OLD.event_id || ' fell to lesser bytes');
    END IF;
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER chaos_look AFTER UPDATE OR DELETE ON tracker.item FOR EACH ROW EXECUTE FUNCTION chaos.look_at_item()

-- name: regress
SELECT invariant, job_id, said FROM chaos.regress ORDER BY at LIMIT 20

-- name: positions
SELECT projection, topic, partition, next_offset FROM tracker.consumer_offset

-- name: torn
-- I7 in one snapshot: below its position every record of a partition is history or a dead letter, above it none is.
-- The topic of items keeps no history, so of that one can only be seen that nothing lies above the position.
SELECT o.topic, o.partition, o.next_offset, kept.records, kept.last
FROM tracker.consumer_offset AS o
CROSS JOIN LATERAL (
    SELECT count(*) AS records, coalesce(max("offset"), -1) AS last
    FROM (
        SELECT "offset" FROM tracker.event AS e WHERE e.topic = o.topic AND e.partition = o.partition
        UNION ALL
        SELECT "offset" FROM tracker.dead_letter AS d
        WHERE d.topic = o.topic AND d.partition = o.partition AND d.consumer = 'job-tracker'
    ) AS either
) AS kept
WHERE o.projection LIKE '%tracker-jobs' AND (kept.records, kept.last) <> (o.next_offset, o.next_offset - 1)
UNION ALL
SELECT o.topic, o.partition, o.next_offset, kept.records, kept.last
FROM tracker.consumer_offset AS o
JOIN (
    SELECT topic, partition, count(*) AS records, max("offset") AS last
    FROM (
        SELECT topic, partition, "offset" FROM tracker.item
        UNION ALL
        SELECT topic, partition, "offset" FROM tracker.dead_letter WHERE consumer = 'job-tracker'
    ) AS either
    GROUP BY topic, partition
) AS kept ON kept.topic = o.topic AND kept.partition = o.partition
WHERE o.projection LIKE '%tracker-items' AND kept.last >= o.next_offset

-- name: visible
(SELECT job.tenant FROM tracker.job WHERE job.job_id = listed_dead_letter.job_id) = ANY(%(scope_tenants)s)

-- name: acknowledgements
-- The acknowledgements of the dead letters of a page.
SELECT a.topic, a.partition, a."offset", a.consumer, a.acknowledged_by, a.reason, a.acknowledged_at
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[], %(consumers)s::text[])
    AS shown (topic, partition, "offset", consumer)
JOIN tracker.dead_letter_ack AS a USING (topic, partition, "offset", consumer)

-- name: acknowledge
-- The indexes of positions without a dead letter, and the number of new acknowledgements. All are written, or none.
WITH asked AS (
    SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[], %(consumers)s::text[])
        WITH ORDINALITY AS one (topic, partition, "offset", consumer, number)
),
known AS (
    SELECT asked.number, d.topic, d.partition, d."offset", d.consumer, d.appended_at
    FROM asked LEFT JOIN (SELECT * FROM tracker.dead_letter AS listed_dead_letter WHERE true{scope}) AS d
        USING (topic, partition, "offset", consumer)
),
written AS (
    INSERT INTO tracker.dead_letter_ack AS held (topic, partition, "offset", consumer, appended_at, acknowledged_by, reason)
    SELECT DISTINCT topic, partition, "offset", consumer, appended_at, %(acknowledged_by)s, %(reason)s FROM known
    WHERE NOT EXISTS (SELECT FROM known WHERE topic IS NULL)
    ON CONFLICT (topic, partition, "offset", consumer) DO UPDATE
    SET appended_at = excluded.appended_at, acknowledged_by = excluded.acknowledged_by, reason = excluded.reason,
        acknowledged_at = excluded.acknowledged_at
    -- The first acknowledgement of a dead letter stays.
    WHERE held.appended_at <> excluded.appended_at
    RETURNING 1
)
SELECT ARRAY(SELECT number::int - 1 FROM known WHERE topic IS NULL ORDER BY number) AS unknown,
       (SELECT count(*)::int FROM written) AS acknowledged

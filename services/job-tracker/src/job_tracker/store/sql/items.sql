-- name: stage_items
CREATE TEMPORARY TABLE item_stage ON COMMIT DELETE ROWS AS
SELECT {columns} FROM item WITH NO DATA

-- name: copy_items
COPY item_stage FROM STDIN (FORMAT binary)

-- name: unstage_deleted
-- Deleted jobs keep their tombstones only.
DELETE FROM item_stage USING job WHERE job.job_id = item_stage.job_id AND job.deleted

-- name: merge_items
-- Copies of one event id keep the greater bytes, and of equal ones the smaller position.
INSERT INTO item ({columns})
SELECT * FROM item_stage ORDER BY event_id
ON CONFLICT (event_id) DO UPDATE SET {replacements}
WHERE excluded.body > item.body
   OR (excluded.body = item.body
       AND (excluded.topic, excluded.partition, excluded."offset") < (item.topic, item.partition, item."offset"))

-- name: stage_items
CREATE TEMPORARY TABLE item_stage ON COMMIT DELETE ROWS AS
SELECT
    event_id, topic, partition, "offset", appended_at, job_id, at, tenant, account, job_type, attempt, item, action,
    response_ms, worker, error_category, body
FROM item WITH NO DATA

-- name: copy_items
COPY item_stage FROM STDIN (FORMAT binary)

-- name: unstage_deleted
-- Deleted jobs keep their tombstones only.
DELETE FROM item_stage USING job WHERE job.job_id = item_stage.job_id AND job.deleted

-- name: merge_items
-- Copies of one event id keep the greater bytes, and of equal ones the smaller position.
INSERT INTO item (
    event_id, topic, partition, "offset", appended_at, job_id, at, tenant, account, job_type, attempt, item, action,
    response_ms, worker, error_category, body
)
SELECT * FROM item_stage ORDER BY event_id
ON CONFLICT (event_id) DO UPDATE SET
    topic = excluded.topic, partition = excluded.partition, "offset" = excluded."offset",
    appended_at = excluded.appended_at, job_id = excluded.job_id, at = excluded.at, tenant = excluded.tenant,
    account = excluded.account, job_type = excluded.job_type, attempt = excluded.attempt, item = excluded.item,
    action = excluded.action, response_ms = excluded.response_ms, worker = excluded.worker,
    error_category = excluded.error_category, body = excluded.body
WHERE excluded.body > item.body
   OR (excluded.body = item.body
       AND (excluded.topic, excluded.partition, excluded."offset") < (item.topic, item.partition, item."offset"))

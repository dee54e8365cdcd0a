-- The indexes of the lists; domain/list_plans.py says which list each serves.
--
-- They ascend and are read backwards: rows come in the order of time, and an index that grows at its right end
-- splits its pages nearly full. No column that each progress changes is in any of them.

DROP INDEX tracker.job_newest;
DROP INDEX tracker.job_by_status;
DROP INDEX tracker.job_by_type;
DROP INDEX tracker.job_by_account;
DROP INDEX tracker.job_by_chain;
DROP INDEX tracker.job_by_parent;
DROP INDEX tracker.job_by_retry_of;

CREATE INDEX job_newest ON tracker.job (created_at, job_id);
CREATE INDEX job_by_status ON tracker.job (tenant, status, created_at, job_id);
CREATE INDEX job_by_type ON tracker.job (tenant, job_type, status, created_at, job_id);
CREATE INDEX job_by_account ON tracker.job (tenant, account, status, created_at, job_id);
CREATE INDEX job_by_chain ON tracker.job (chain, created_at, job_id);
CREATE INDEX job_by_parent ON tracker.job (parent, created_at, job_id) WHERE parent IS NOT NULL;
CREATE INDEX job_by_retry_of ON tracker.job (retry_of, created_at, job_id) WHERE retry_of IS NOT NULL;

-- The lists are planned once for any tenant, account or type. What is counted in a table where one of them has
-- nearly all rows would let the planner walk another order and filter, which for the others never ends.
ALTER TABLE tracker.job
    ALTER COLUMN tenant SET (n_distinct = 50),
    ALTER COLUMN account SET (n_distinct = 50),
    ALTER COLUMN job_type SET (n_distinct = 20),
    ALTER COLUMN status SET (n_distinct = 6),
    ALTER COLUMN chain SET (n_distinct = -0.3),
    ALTER COLUMN parent SET (n_distinct = -0.3),
    ALTER COLUMN retry_of SET (n_distinct = -0.3);

CREATE INDEX dead_letter_by_consumer ON tracker.dead_letter (consumer, appended_at, topic, partition, "offset");

-- Where a table begins in each partition, so that a rebuild knows what it would lose.
--
-- A partition that was begun before this column was there counts as begun at 0, the cautious answer.

ALTER TABLE tracker.consumer_offset ADD COLUMN first_offset bigint NOT NULL DEFAULT 0 CHECK (first_offset >= 0);
COMMENT ON COLUMN tracker.consumer_offset.first_offset IS 'The first record that the table has read: the oldest that the broker, or the archive, held then.';

-- What retention looks for.
CREATE INDEX item_by_age ON tracker.item (appended_at);
CREATE INDEX job_deleted ON tracker.job (d_time) WHERE deleted;

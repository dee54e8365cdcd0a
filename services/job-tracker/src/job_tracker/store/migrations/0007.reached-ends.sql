-- A partition that was idle for an hour and has just got an event is not an hour old.

ALTER TABLE tracker.partition_end ADD COLUMN reached_at timestamptz;
COMMENT ON COLUMN tracker.partition_end.checked_at IS 'Database time just before Kafka was asked for the end.';
COMMENT ON COLUMN tracker.partition_end.reached_at IS 'The last checked_at whose end had been read already.';

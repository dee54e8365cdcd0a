-- A table may hold several stretches of one partition that its log does not hold any more: one in front of each gap.

ALTER TABLE tracker.earlier_stretch
    DROP CONSTRAINT earlier_stretch_pkey,
    ADD PRIMARY KEY (projection, topic, partition, topic_id, first_offset);
COMMENT ON TABLE tracker.earlier_stretch IS 'What the tables hold besides consumer_offset''s stretches: of a topic that was recreated since, and from before a gap that was skipped or accepted.';

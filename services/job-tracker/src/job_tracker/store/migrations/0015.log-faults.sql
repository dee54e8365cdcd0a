-- What a projector cannot read: a topic that the broker does not have, or a partition that does not hold the position.

CREATE TABLE tracker.log_fault (
    projection text NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, topic, partition)
);
COMMENT ON TABLE tracker.log_fault IS 'Nothing of what is named here is fresher than `since`. All else is read on.';
COMMENT ON COLUMN tracker.log_fault.partition IS '-1: the whole topic is missing.';

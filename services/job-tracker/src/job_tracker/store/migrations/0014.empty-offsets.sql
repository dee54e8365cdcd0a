-- Offsets that hold no record: transaction markers, and what a transaction took back. Who counts the records between two
-- positions must not take them for a loss.

CREATE TABLE tracker.empty_offsets (
    projection text NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset > first_offset),
    PRIMARY KEY (projection, topic, partition, first_offset)
);
COMMENT ON TABLE tracker.empty_offsets IS 'Written in the transaction that moves the position past them; kept as far back as a live stream can be resumed.';

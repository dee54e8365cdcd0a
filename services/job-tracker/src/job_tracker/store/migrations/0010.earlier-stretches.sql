-- What a rebuilt table holds from an archive alone, so that a rebuild without that archive knows what it would lose.

CREATE TABLE tracker.earlier_stretch (
    projection text NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    first_offset bigint NOT NULL CHECK (first_offset >= 0),
    next_offset bigint NOT NULL CHECK (next_offset > first_offset),
    PRIMARY KEY (projection, topic, partition, topic_id)
);
COMMENT ON TABLE tracker.earlier_stretch IS 'What the tables hold besides consumer_offset''s stretches: of a topic that was recreated since, and from before a gap that --accept-loss accepted.';

-- Dead letters by topic and by job, and what people say of those that they have looked at.

CREATE INDEX dead_letter_by_topic ON tracker.dead_letter (topic, appended_at, partition, "offset", consumer);
CREATE INDEX dead_letter_by_job ON tracker.dead_letter (job_id, appended_at, topic, partition, "offset", consumer)
WHERE job_id IS NOT NULL;

-- The lists are planned once for any consumer, topic or job; see 0006.
ALTER TABLE tracker.dead_letter
    ALTER COLUMN consumer SET (n_distinct = 50),
    ALTER COLUMN topic SET (n_distinct = 50),
    ALTER COLUMN job_id SET (n_distinct = 1000);

CREATE TABLE tracker.dead_letter_ack (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    consumer text NOT NULL,
    appended_at timestamptz NOT NULL,
    acknowledged_by text NOT NULL,
    reason text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, "offset", consumer),
    FOREIGN KEY (topic, partition, "offset", consumer) REFERENCES tracker.dead_letter ON DELETE CASCADE
);
COMMENT ON TABLE tracker.dead_letter_ack IS 'Written by the API alone; the projectors and a rebuild write dead_letter, and an acknowledgement goes with its letter.';
COMMENT ON COLUMN tracker.dead_letter_ack.appended_at IS 'That of the letter: a topic that was made anew gives its place to another record, which nobody has looked at.';

CREATE VIEW tracker.listed_dead_letter AS
SELECT d.*, CASE WHEN EXISTS (
    SELECT FROM tracker.dead_letter_ack AS a
    WHERE a.topic = d.topic AND a.partition = d.partition AND a."offset" = d."offset" AND a.consumer = d.consumer
      AND a.appended_at = d.appended_at
) THEN 'true' ELSE 'false' END AS acknowledged
FROM tracker.dead_letter AS d;

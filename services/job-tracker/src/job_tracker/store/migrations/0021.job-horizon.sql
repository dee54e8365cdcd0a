-- The retention horizon of finished jobs; domain/horizon.py says what it means.

CREATE TABLE tracker.horizon_rule (
    in_force_from timestamptz PRIMARY KEY,
    days integer NOT NULL CHECK (days > 0),
    floor timestamptz NOT NULL
);
COMMENT ON TABLE tracker.horizon_rule IS 'One row for each change of JOBTRAIL_JOB_DAYS. A rule is stored a day before it is in force, so every projector has read it by then.';
COMMENT ON COLUMN tracker.horizon_rule.in_force_from IS 'For events whose LogAppendTime is not before this; until then the former rule applies.';
COMMENT ON COLUMN tracker.horizon_rule.floor IS 'The latest horizon of the former rules: a horizon never moves back.';

CREATE TABLE tracker.job_horizon (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    ended_before timestamptz NOT NULL,
    swept boolean NOT NULL DEFAULT false,
    sweeps bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN tracker.job_horizon.ended_before IS 'The table forgets jobs that ended before this midnight (UTC); it never moves back.';
COMMENT ON COLUMN tracker.job_horizon.swept IS 'Whether the rows of all of them are deleted.';
COMMENT ON COLUMN tracker.job_horizon.sweeps IS 'Sweeps that deleted rows: streams begin again after each.';

ALTER TABLE tracker.consumer_offset ADD COLUMN late_events bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN tracker.consumer_offset.late_events IS 'Events that came when their own time was behind the horizon already; they are in the history and change no row.';

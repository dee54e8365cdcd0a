-- Schedules, their runs, and the schedulers at work.

CREATE TABLE tracker.schedule (
    schedule_id text COLLATE "C" PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL CHECK (tenant <> ''),
    account text COLLATE "C" CHECK (account <> ''),
    job_type text COLLATE "C",
    chain text COLLATE "C",
    params text NOT NULL,
    cron text,
    every_seconds integer CHECK (every_seconds >= 60),
    timezone text NOT NULL,
    anchor timestamptz NOT NULL,
    jitter_seconds integer NOT NULL CHECK (jitter_seconds >= 0),
    catch_up text NOT NULL CHECK (catch_up IN ('skip', 'one', 'all')),
    catch_up_limit integer NOT NULL CHECK (catch_up_limit >= 1),
    paused boolean NOT NULL DEFAULT false,
    paused_reason text NOT NULL DEFAULT '',
    next_run_at timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_by text NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT one_target CHECK ((job_type IS NULL) <> (chain IS NULL)),
    CONSTRAINT one_timing CHECK ((cron IS NULL) <> (every_seconds IS NULL))
);
COMMENT ON COLUMN tracker.schedule.account IS 'NULL: all accounts that the tenant has when the schedule runs.';
COMMENT ON COLUMN tracker.schedule.params IS 'JSON as it was given: jsonb would write large numbers in another way.';
COMMENT ON COLUMN tracker.schedule.anchor IS 'An interval counts from here.';
COMMENT ON COLUMN tracker.schedule.next_run_at IS 'The planned instant that is decided next; all earlier ones are. NULL: paused, or there is none.';

CREATE INDEX schedule_due ON tracker.schedule (next_run_at) WHERE next_run_at IS NOT NULL;
CREATE INDEX schedule_newest ON tracker.schedule (created_at DESC, schedule_id DESC);
CREATE INDEX schedule_by_tenant ON tracker.schedule (tenant, created_at DESC, schedule_id DESC);
CREATE INDEX schedule_by_account ON tracker.schedule (tenant, account, created_at DESC, schedule_id DESC);

CREATE TABLE tracker.schedule_run (
    schedule_id text COLLATE "C" NOT NULL REFERENCES tracker.schedule ON DELETE CASCADE,
    account text COLLATE "C" NOT NULL,
    planned_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'requested', 'sent', 'skipped')),
    reason text NOT NULL DEFAULT '',
    in_turn boolean NOT NULL DEFAULT false,
    not_before timestamptz NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    job_ids text[] NOT NULL DEFAULT '{}',
    job_types text[] NOT NULL DEFAULT '{}',
    services text[] NOT NULL DEFAULT '{}',
    events text[] NOT NULL DEFAULT '{}',
    sent_at timestamptz,
    PRIMARY KEY (schedule_id, planned_at, account)
);
COMMENT ON COLUMN tracker.schedule_run.account IS 'Empty: a run of all accounts that was skipped before it was divided.';
COMMENT ON COLUMN tracker.schedule_run.in_turn IS 'Waits for the run before it instead of being skipped: it was missed and is made up.';
COMMENT ON COLUMN tracker.schedule_run.not_before IS 'Decided, or sent once more, at this time at the earliest.';
COMMENT ON COLUMN tracker.schedule_run.run_id IS 'The chain of its jobs.';
COMMENT ON COLUMN tracker.schedule_run.job_types IS 'All job types of the run, so that its end can be seen in the job table.';
COMMENT ON COLUMN tracker.schedule_run.events IS 'The requests as they are sent, one for each of services; removed when Kafka has acknowledged them.';

CREATE INDEX schedule_run_waiting ON tracker.schedule_run (state, not_before) WHERE state IN ('planned', 'requested');
CREATE INDEX schedule_run_by_account ON tracker.schedule_run (schedule_id, account, planned_at);
CREATE INDEX schedule_run_oldest ON tracker.schedule_run (planned_at);

CREATE TABLE tracker.scheduler (
    instance text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    ticked_at timestamptz NOT NULL
);
COMMENT ON TABLE tracker.scheduler IS 'The schedulers at work, in the time of PostgreSQL.';

CREATE VIEW tracker.api_schedulers AS
SELECT instance, started_at, ticked_at FROM tracker.scheduler WHERE ticked_at > now() - interval '10 seconds';
COMMENT ON VIEW tracker.api_schedulers IS 'Those at work. A turn that waits for Kafka takes up to 6 seconds.';

-- The job table, its history, and where each projection stands in the log.
--
-- Text that decides a comparison is collated "C": bytes decide, as they do in the fold in Python.

CREATE TABLE tracker.consumer_offset (
    projection text NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    next_offset bigint NOT NULL CHECK (next_offset >= 0),
    applied_at timestamptz,
    PRIMARY KEY (projection, topic, partition)
);
COMMENT ON TABLE tracker.consumer_offset IS 'Moves in the transaction that writes the rows; Kafka''s own committed offsets only feed lag tools.';
COMMENT ON COLUMN tracker.consumer_offset.topic_id IS 'A topic recreated under its name has another id: then the projector stops, it never skips.';
COMMENT ON COLUMN tracker.consumer_offset.applied_at IS 'LogAppendTime of the last record below next_offset.';

-- Four registers, each with its key and its content; absent: attempt and seq -1, body ''.
CREATE TABLE tracker.job (
    job_id text COLLATE "C" PRIMARY KEY,

    r_time timestamptz NOT NULL,
    r_id text COLLATE "C" NOT NULL,
    r_body text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    job_type text COLLATE "C" NOT NULL,
    chain text COLLATE "C" NOT NULL,
    parent text COLLATE "C",
    batch text,
    priority text,
    retry_of text COLLATE "C",
    requested_by text,

    s_attempt integer NOT NULL DEFAULT -1,
    s_seq bigint NOT NULL DEFAULT -1,
    s_body text COLLATE "C" NOT NULL DEFAULT '',
    s_at timestamptz,
    s_worker text,
    s_total bigint,

    p_attempt integer NOT NULL DEFAULT -1,
    p_seq bigint NOT NULL DEFAULT -1,
    p_body text COLLATE "C" NOT NULL DEFAULT '',
    p_at timestamptz,
    p_phase text,
    p_total bigint,
    p_processed bigint,
    p_successful bigint,
    p_failed bigint,
    p_skipped bigint,

    e_attempt integer NOT NULL DEFAULT -1,
    e_seq bigint NOT NULL DEFAULT -1,
    e_body text COLLATE "C" NOT NULL DEFAULT '',
    e_at timestamptz,
    e_outcome text,
    e_total bigint,
    e_processed bigint,
    e_successful bigint,
    e_failed bigint,
    e_skipped bigint,
    e_duration_ms bigint,
    e_error_category text,

    state text GENERATED ALWAYS AS (
        CASE WHEN e_attempt >= 0 THEN 'finished'
             WHEN s_attempt >= 0 OR p_attempt >= 0 THEN 'running'
             ELSE 'queued' END) STORED,
    outcome text GENERATED ALWAYS AS (e_outcome) STORED,
    status text GENERATED ALWAYS AS (
        CASE e_outcome
             WHEN 'success' THEN 'COMPLETED'
             WHEN 'partial' THEN 'MIXED'
             WHEN 'failure' THEN 'FAILED'
             WHEN 'error' THEN 'FAILED'
             WHEN 'timeout' THEN 'FAILED'
             WHEN 'cancelled' THEN 'CANCELLED'
             WHEN 'skipped' THEN 'CANCELLED'
             ELSE CASE WHEN s_attempt >= 0 OR p_attempt >= 0 THEN 'RUNNING' ELSE 'PENDING' END
        END) STORED,
    attempt integer GENERATED ALWAYS AS (greatest(s_attempt, p_attempt, e_attempt, 0)) STORED,
    total bigint GENERATED ALWAYS AS (
        CASE WHEN e_attempt >= 0 THEN e_total WHEN p_attempt >= 0 THEN p_total ELSE s_total END) STORED,
    processed bigint GENERATED ALWAYS AS (coalesce(e_processed, p_processed, 0)) STORED,
    successful bigint GENERATED ALWAYS AS (coalesce(e_successful, p_successful, 0)) STORED,
    failed bigint GENERATED ALWAYS AS (coalesce(e_failed, p_failed, 0)) STORED,
    skipped bigint GENERATED ALWAYS AS (coalesce(e_skipped, p_skipped, 0)) STORED,
    requested_at timestamptz GENERATED ALWAYS AS (
        nullif(r_time, timestamptz '9999-12-31 23:59:59.999999+00')) STORED,
    created_at timestamptz NOT NULL GENERATED ALWAYS AS (
        coalesce(nullif(r_time, timestamptz '9999-12-31 23:59:59.999999+00'), least(s_at, p_at, e_at))) STORED,
    updated_at timestamptz NOT NULL GENERATED ALWAYS AS (
        greatest(nullif(r_time, timestamptz '9999-12-31 23:59:59.999999+00'), s_at, p_at, e_at)) STORED,

    -- The guards of the fold once more. No event that passes the contract can break one.
    CONSTRAINT start_whole CHECK (
        (s_attempt = -1 AND s_seq = -1 AND s_body = '' AND s_at IS NULL AND s_worker IS NULL AND s_total IS NULL)
        OR (s_attempt >= 0 AND s_seq >= 0 AND s_body <> '' AND s_at IS NOT NULL AND s_worker IS NOT NULL
            AND (s_total IS NULL OR s_total >= 0))),
    CONSTRAINT progress_whole CHECK (
        (p_attempt = -1 AND p_seq = -1 AND p_body = '' AND p_at IS NULL AND p_phase IS NULL AND p_total IS NULL
            AND p_processed IS NULL AND p_successful IS NULL AND p_failed IS NULL AND p_skipped IS NULL)
        OR (p_attempt >= 0 AND p_seq >= 0 AND p_body <> '' AND p_at IS NOT NULL AND p_phase IS NOT NULL
            AND coalesce(p_total, 0) >= 0 AND p_processed >= 0 AND p_successful >= 0 AND p_failed >= 0
            AND p_skipped >= 0)),
    CONSTRAINT end_whole CHECK (
        (e_attempt = -1 AND e_seq = -1 AND e_body = '' AND e_at IS NULL AND e_outcome IS NULL AND e_total IS NULL
            AND e_processed IS NULL AND e_successful IS NULL AND e_failed IS NULL AND e_skipped IS NULL
            AND e_duration_ms IS NULL AND e_error_category IS NULL)
        OR (e_attempt >= 0 AND e_seq >= 0 AND e_body <> '' AND e_at IS NOT NULL
            AND e_outcome IN ('success', 'partial', 'failure', 'error', 'timeout', 'cancelled', 'skipped')
            AND coalesce(e_total, 0) >= 0 AND e_processed >= 0 AND e_successful >= 0 AND e_failed >= 0
            AND e_skipped >= 0 AND e_duration_ms >= 0)),
    CONSTRAINT request_whole CHECK (
        r_body <> '' AND tenant <> '' AND account <> '' AND job_type <> '' AND chain <> '')
) WITH (fillfactor = 70);

CREATE INDEX job_newest ON tracker.job (created_at DESC, job_id DESC);
CREATE INDEX job_by_status ON tracker.job (tenant, status, created_at DESC, job_id DESC);
CREATE INDEX job_by_type ON tracker.job (tenant, job_type, created_at DESC, job_id DESC);
CREATE INDEX job_by_account ON tracker.job (tenant, account, created_at DESC, job_id DESC);
CREATE INDEX job_by_chain ON tracker.job (chain, created_at DESC, job_id DESC);
CREATE INDEX job_by_parent ON tracker.job (parent) WHERE parent IS NOT NULL;
CREATE INDEX job_by_retry_of ON tracker.job (retry_of) WHERE retry_of IS NOT NULL;

-- Every valid record of the log at its position, as columns. `body` holds what no column holds.
CREATE TABLE tracker.event (
    appended_at timestamptz NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    source text NOT NULL,
    tenant text NOT NULL,
    chain text NOT NULL,
    parent text,
    traceparent text,
    job_type text,
    account text,
    attempt integer,
    seq bigint,
    phase text,
    outcome text,
    worker text,
    total bigint,
    processed bigint,
    successful bigint,
    failed bigint,
    skipped bigint,
    body text NOT NULL,
    PRIMARY KEY (topic, partition, "offset", appended_at)
) PARTITION BY RANGE (appended_at);
COMMENT ON COLUMN tracker.event.appended_at IS 'The broker''s LogAppendTime: no worker''s clock decides in which day a record lies.';
CREATE INDEX event_by_job ON tracker.event (job_id, appended_at);
CREATE TABLE tracker.event_default PARTITION OF tracker.event DEFAULT;

CREATE TABLE tracker.dead_letter (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    consumer text NOT NULL,
    appended_at timestamptz NOT NULL,
    reason text NOT NULL,
    job_id text COLLATE "C",
    key bytea,
    value bytea,
    value_bytes bigint NOT NULL,
    PRIMARY KEY (topic, partition, "offset", consumer)
);
COMMENT ON TABLE tracker.dead_letter IS 'Keyed by the position of the refused record and by who refused it, so copies of one letter are one row.';
COMMENT ON COLUMN tracker.dead_letter.appended_at IS 'LogAppendTime of the refused record; of the letter itself where another service refused it.';
CREATE INDEX dead_letter_newest ON tracker.dead_letter (appended_at, topic, partition, "offset", consumer);

-- Counts of final rows. Sums are numeric: a bigint could overflow on counters that are valid one by one.
CREATE TABLE tracker.rollup (
    tenant text COLLATE "C" NOT NULL,
    job_type text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    day date NOT NULL,
    jobs bigint NOT NULL,
    processed numeric NOT NULL,
    successful numeric NOT NULL,
    failed numeric NOT NULL,
    skipped numeric NOT NULL,
    duration_ms numeric NOT NULL,
    PRIMARY KEY (tenant, job_type, status, day)
) WITH (fillfactor = 50);
COMMENT ON COLUMN tracker.rollup.day IS 'UTC day of created_at.';

CREATE FUNCTION tracker.utc_day(moment timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN (moment AT TIME ZONE 'UTC')::date;

-- Where the rollup and a GROUP BY of the table disagree: no row means it is right.
CREATE FUNCTION tracker.rollup_differences()
RETURNS TABLE (tenant text, job_type text, status text, day date, kept bigint, counted bigint)
LANGUAGE sql STABLE AS $body$
    WITH counted AS (
        SELECT j.tenant, j.job_type, j.status, tracker.utc_day(j.created_at) AS day, count(*) AS jobs,
               sum(j.processed) AS processed, sum(j.successful) AS successful, sum(j.failed) AS failed,
               sum(j.skipped) AS skipped, sum(coalesce(j.e_duration_ms, 0)) AS duration_ms
        FROM tracker.job j GROUP BY 1, 2, 3, 4
    )
    SELECT tenant, job_type, status, day, coalesce(r.jobs, 0), coalesce(c.jobs, 0)
    FROM (SELECT * FROM tracker.rollup WHERE rollup.jobs <> 0) r
    FULL JOIN counted c USING (tenant, job_type, status, day)
    WHERE (r.jobs, r.processed, r.successful, r.failed, r.skipped, r.duration_ms)
        IS DISTINCT FROM (c.jobs, c.processed, c.successful, c.failed, c.skipped, c.duration_ms)
$body$;

-- How far each partition reaches, and who is at work: what freshness is measured by.
CREATE TABLE tracker.partition_end (
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    end_offset bigint NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE tracker.projector (
    projection text NOT NULL,
    instance text NOT NULL,
    state text NOT NULL,
    detail text NOT NULL,
    beat_at timestamptz NOT NULL,
    PRIMARY KEY (projection, instance)
) WITH (fillfactor = 50);

-- Makes the history's day partitions. Rows of a day that already lie in the default partition stay there.
CREATE FUNCTION tracker.ensure_event_days(first date, days integer) RETURNS integer
LANGUAGE plpgsql AS $body$
DECLARE
    day date;
    made integer := 0;
    part text;
BEGIN
    PERFORM pg_advisory_xact_lock(1247040835);
    FOR day IN SELECT first + n FROM generate_series(0, days - 1) AS n LOOP
        part := 'event_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('tracker.' || part) IS NOT NULL;
        CONTINUE WHEN EXISTS (
            SELECT FROM tracker.event_default
            WHERE appended_at >= day::timestamp AT TIME ZONE 'UTC'
              AND appended_at < (day + 1)::timestamp AT TIME ZONE 'UTC');
        EXECUTE 'CREATE TABLE tracker.' || part || ' (LIKE tracker.event INCLUDING ALL)';
        EXECUTE 'ALTER TABLE tracker.event ATTACH PARTITION tracker.' || part || ' FOR VALUES FROM ('''
            || day::text || ' 00:00:00+00'') TO (''' || (day + 1)::text || ' 00:00:00+00'')';
        made := made + 1;
    END LOOP;
    RETURN made;
END
$body$;

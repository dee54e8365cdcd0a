-- The sync log, and the API's own idempotency keys.

CREATE TABLE tracker.item (
    event_id text COLLATE "C" PRIMARY KEY,
    topic text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    appended_at timestamptz NOT NULL,
    job_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    tenant text NOT NULL,
    account text NOT NULL,
    job_type text NOT NULL,
    attempt integer NOT NULL CHECK (attempt >= 0),
    item text COLLATE "C" NOT NULL,
    action text NOT NULL,
    response_ms bigint CHECK (response_ms >= 0),
    worker text NOT NULL,
    error_category text,
    body text COLLATE "C" NOT NULL
);
COMMENT ON TABLE tracker.item IS 'One row an item event id; copies of one id keep the greater bytes, whatever came first.';
CREATE INDEX item_by_job ON tracker.item (job_id, at, event_id);

CREATE TABLE tracker.api_key (
    tenant text NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    job_id text NOT NULL,
    chain text NOT NULL,
    event_time timestamptz NOT NULL,
    token text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
COMMENT ON COLUMN tracker.api_key.token IS 'Null until Kafka acknowledged the request; then the answer is repeated from here.';

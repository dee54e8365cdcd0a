-- The work of a match job: its inputs as they were when it was planned, and the pieces that agents score.

create table snapshot (
    job_id    text collate "C" not null,
    side      text not null check (side in ('nhanh', 'shopify')),
    record_id text collate "C" not null,
    record    jsonb not null,
    primary key (job_id, side, record_id)
);

-- A chunk is a range of the Nhanh side in the order of record_id: positions first_position to last_position, both
-- counted. `result` is written once. `tries` counts how often an agent began, `times_sent` how often Kafka got it.
create table chunk (
    job_id         text collate "C" not null,
    chunk_no       integer not null check (chunk_no >= 0),
    first_position integer not null check (first_position >= 0),
    last_position  integer not null check (last_position >= first_position),
    times_sent     integer not null default 1 check (times_sent >= 1),
    sent_at        timestamptz not null default now(),
    tries          integer not null default 0 check (tries >= 0),
    result         jsonb,
    failure        text,
    finished_at    timestamptz,
    finished_by    text,
    primary key (job_id, chunk_no),
    check ((finished_at is not null) = (result is not null or failure is not null))
);

create index chunk_open on chunk (job_id) where finished_at is null;

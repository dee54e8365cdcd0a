-- The rows of a worker service. Unqualified names: the connection's search_path decides the schema.

create table inbox (
    job_id           text collate "C" primary key,
    tenant           text not null,
    account          text not null,
    job_type         text not null,
    chain            text not null,
    priority         smallint not null,
    requested_at     timestamptz not null,
    received_at      timestamptz not null default now(),
    request          text not null,
    state            text not null default 'queued' check (state in ('queued', 'running', 'finished')),
    paused           boolean not null default false,
    cancel_requested text,
    attempt          integer not null default 0 check (attempt >= 0),
    lease_owner      text,
    lease_until      timestamptz,
    cursor           jsonb,
    tally            jsonb,
    spent_ms         bigint not null default 0 check (spent_ms >= 0),
    outcome          text,
    finished_at      timestamptz,
    check ((state = 'finished') = (outcome is not null)),
    check ((state = 'finished') = (finished_at is not null))
);

create index inbox_claim on inbox (priority desc, requested_at, job_id) where state <> 'finished';
create index inbox_running on inbox (tenant, account, job_type) where state = 'running';

-- What is paused beyond single jobs.
create table hold (
    kind         text not null check (kind in ('account', 'queue')),
    tenant       text not null,
    account      text not null,
    requested_by text not null,
    reason       text not null,
    since        timestamptz not null default now(),
    primary key (kind, tenant, account)
);

-- Control messages already obeyed: a replay of the topic must not pause or cancel again.
create table control_seen (
    event_id text collate "C" primary key,
    seen_at  timestamptz not null default now()
);

-- Messages that must reach Kafka; a row goes when the broker has acknowledged it.
create table outbox (
    id    bigint generated always as identity primary key,
    topic text not null,
    key   text,
    value text not null
);

-- Finished parents of jobs that this service will run next.
create table chain_note (
    chain       text not null,
    child_type  text not null,
    parent_type text not null,
    parent_id   text collate "C" not null,
    outcome     text not null,
    finished_at timestamptz not null,
    primary key (chain, child_type, parent_type, parent_id)
);

create table chain_child (
    job_id  text collate "C" primary key,
    made_at timestamptz not null default now()
);

create view api_inbox as
select job_id, tenant, account, job_type, priority, state, paused, cancel_requested, requested_at, received_at,
       lease_owner, lease_until, attempt
from inbox;

create view api_holds as
select kind, tenant, account, requested_by, reason, since
from hold;

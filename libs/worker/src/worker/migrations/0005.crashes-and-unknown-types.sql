-- Attempts that end without a step of the checkpoint are counted, and a request or chain step that this version cannot
-- read is kept until a version comes that can.

alter table inbox
    -- Whether the present attempt has moved the checkpoint.
    add column stepped boolean not null default false,
    -- Attempts in a row that ran alone in their process, ended with it, and had not moved the checkpoint.
    add column crashes smallint not null default 0 check (crashes >= 0),
    -- Attempts in a row that PostgreSQL refused for now (deadlock, time-out, full disk) before a step of the checkpoint.
    add column failures smallint not null default 0 check (failures >= 0),
    -- A process died while it ran this job, perhaps beside others: until a step of the checkpoint it runs alone.
    add column suspect boolean not null default false,
    -- The lease owner that died last: jobs with the same one ran together.
    add column crashed_owner text,
    add column not_before timestamptz,
    -- Why this job waits for another version, and the contract versions that cannot read its request.
    add column waiting_reason text,
    add column unread_by text[] not null default '{}';

create index inbox_crashed on inbox (crashed_owner) where crashed_owner is not null;
create index inbox_lease on inbox (lease_until) where state = 'running';

-- Ends of parents with a step whose type this version does not know. Every service keeps them for itself: when its
-- version knows the type, the service that owns it follows the step, and the others delete their row.
create table kept_step (
    parent_id   text collate "C" primary key,
    tenant      text not null,
    account     text not null,
    chain       text not null,
    child_types text[] not null,
    finished    text not null,
    appended_at timestamptz not null,
    kept_at     timestamptz not null default now()
);

-- What waits for another version: jobs of the inbox, and steps that follow a finished parent (`job_id`).
create view api_waiting as
select 'job' as kind, job_id, tenant, account, job_type, waiting_reason as reason, received_at as since
from inbox
where waiting_reason is not null and state <> 'finished'
union all
select 'step', parent_id, tenant, account, child_type, 'this version does not know the job type ' || child_type, kept_at
from kept_step, unnest(child_types) as child_type;

create or replace view api_inbox as
select job_id, tenant, account, job_type, priority, state, paused, cancel_requested, requested_at, received_at,
       lease_owner, lease_until, attempt, crashes, failures, not_before, waiting_reason
from inbox;

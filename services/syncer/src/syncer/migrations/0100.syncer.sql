-- What the syncer plans, intends, has written and has said to the platforms. Unqualified names: search_path decides.

-- What we wrote last to a platform's record, field by field: the value itself for prices and stock, a hash of it for
-- everything personal. `pending`: what a batch is about to write; it becomes `fields` with the batch's outcome.
create table written (
    tenant     text not null,
    account    text not null,
    kind       text not null check (kind in ('product', 'customer')),
    shopify_id text collate "C" not null,
    nhanh_id   text collate "C" not null,
    fields     jsonb not null default '{}',
    pending    jsonb not null default '{}',
    job_id     text not null,
    written_at timestamptz,
    primary key (tenant, account, kind, shopify_id)
);

-- The items that a job found to differ, in the order and the batches in which they are written. Fixed when the job
-- is planned, so that a resumed attempt sends the same batches.
create table plan_item (
    job_id     text collate "C" not null,
    position   integer not null check (position >= 0),
    batch      integer not null check (batch >= 0),
    nhanh_id   text not null,
    shopify_id text not null,
    content    jsonb not null,
    primary key (job_id, position)
);

create index plan_item_batch on plan_item (job_id, batch, position);

-- What a batch is about to send, stored before it is sent: an attempt that finds an intent repeats exactly that.
create table intent (
    job_id  text collate "C" not null,
    batch   integer not null,
    step    integer not null check (step in (1, 2)),
    content jsonb not null,
    made_at timestamptz not null default now(),
    primary key (job_id, batch)
);

create index intent_age on intent (made_at);

-- Every HTTP exchange with a platform, without secrets, for 14 days.
create table exchange (
    id            bigint generated always as identity primary key,
    job_id        text collate "C" not null,
    batch         integer,
    at            timestamptz not null default now(),
    method        text not null,
    url           text not null,
    request_body  text not null,
    status        integer,
    response_body text not null,
    duration_ms   double precision not null,
    error         text
);

create index exchange_age on exchange (at);
create index exchange_job on exchange (job_id, id);

create view api_written as
select tenant, account, kind, nhanh_id, shopify_id,
       case when kind = 'product' then fields else '{}'::jsonb end as fields,
       job_id, written_at
from written
where fields <> '{}';

comment on view api_written is
    'What was last written to a shop or found right there. fields: prices and stock by name; none for customers, of '
    'whom only hashes are kept.';

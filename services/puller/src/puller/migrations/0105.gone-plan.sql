-- What a pull found missing and was not allowed to mark as gone: a confirmation names the plan, and approves exactly that.

create table gone_plan (
    token      text primary key,
    tenant     text not null,
    account    text not null,
    platform   text not null,
    kind       text not null,
    record_ids text[] not null,
    made_at    timestamptz not null default now()
);
create index gone_plan_age on gone_plan (made_at);
comment on table gone_plan is
    'Records that a stopped pull would have marked as gone; kept for 14 days. A record seen after made_at is not approved.';

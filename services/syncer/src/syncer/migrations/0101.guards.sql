-- What was written field by field, so that the guards see an hour of an account and a sync can be taken back; and the
-- changes that a stopped or held run has shown, so that a confirmation lets exactly these through.

-- Stored with the intent, before the write; `written_at` follows with the outcome, and a refused field is deleted.
-- known: the item was known before, so it counts for the share of an hour. approved: a person has confirmed it.
create table written_change (
    job_id      text collate "C" not null,
    shopify_id  text collate "C" not null,
    field       text not null,
    tenant      text not null,
    account     text not null,
    kind        text not null check (kind in ('product', 'customer')),
    nhanh_id    text collate "C" not null,
    before      text,
    after       text not null,
    known       boolean not null,
    approved    boolean not null,
    sold_out    boolean not null,
    intended_at timestamptz not null default now(),
    written_at  timestamptz,
    primary key (job_id, shopify_id, field)
);
comment on table written_change is 'Values in plain text, personal ones too; kept for 14 days, as plans and exchanges are.';

create index written_change_recent on written_change (tenant, account, kind, intended_at);
create index written_change_age on written_change (intended_at);

create table plan_token (
    token    text primary key,
    job_id   text not null,
    tenant   text not null,
    account  text not null,
    kind     text not null check (kind in ('product', 'customer')),
    made_at  timestamptz not null default now()
);

create index plan_token_age on plan_token (made_at);

-- before, after: as `written.fields` keeps values, personal ones as a hash.
create table shown_change (
    token      text not null references plan_token on delete cascade,
    shopify_id text collate "C" not null,
    field      text not null,
    before     text not null,
    after      text not null,
    primary key (token, shopify_id, field)
);

create index plan_item_shop on plan_item (job_id, shopify_id);

-- What the matcher decided, and what people decided instead. Unqualified names: search_path is the schema.

create table match (
    tenant     text not null,
    account    text not null,
    kind       text not null check (kind in ('product', 'customer')),
    nhanh_id   text collate "C" not null,
    shopify_id text collate "C" not null,
    status     text not null check (status in ('auto', 'review', 'confirmed', 'rejected')),
    method     text not null check (method in ('sku', 'barcode', 'title', 'phone', 'email', 'manual')),
    score      double precision not null check (score >= 0 and score <= 1),
    job_id     text not null,
    updated_at timestamptz not null default now(),
    primary key (tenant, account, kind, nhanh_id, shopify_id)
);

-- One-to-one: a linked record has one partner, whoever linked it.
create unique index match_nhanh_once on match (tenant, account, kind, nhanh_id)
    where status in ('auto', 'confirmed');
create unique index match_shopify_once on match (tenant, account, kind, shopify_id)
    where status in ('auto', 'confirmed');
create index match_by_shopify on match (tenant, account, kind, shopify_id);

create view api_matches as
select tenant, account, kind, nhanh_id, shopify_id, status, method, score, job_id, updated_at
from match;

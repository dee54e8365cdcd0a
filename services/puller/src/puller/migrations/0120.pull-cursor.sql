-- Up to which change each list of a shop has been read: where the next incremental pull begins.

create table pull_cursor (
    tenant   text not null,
    account  text not null,
    platform text not null,
    kind     text not null check (
        kind in ('products', 'stock', 'customers', 'orders', 'bills', 'deleted_orders', 'deleted_bills')
    ),
    shop     text not null,
    mark     timestamptz not null,
    job_id   text not null,
    moved_at timestamptz not null default now(),
    primary key (tenant, account, platform, kind)
);
comment on table pull_cursor is
    'What the platform''s clock stamped before `mark` is in the catalogue. A mark only moves forward, in the transaction of '
    'a pull''s last page. It is one of `shop` alone: an account that is connected to another shop begins anew.';

-- Which records a sync must not trust: the last pull could not read them, or the last complete pull did not see them.

alter table record add column unread boolean not null default false;
comment on column record.unread is 'The last pull that listed it could not read it; its content is of an earlier pull.';

create table complete_pull (
    tenant      text not null,
    account     text not null,
    platform    text not null,
    kind        text not null,
    job_id      text not null,
    began       timestamptz not null,
    finished_at timestamptz not null default now(),
    primary key (tenant, account, platform, kind)
);
comment on table complete_pull is
    'The last pull of each shelf that asked for everything and came to its end; what was last seen before it began is stale.';

create or replace view api_products as
select v.tenant, v.account, v.platform, v.product_id, v.variant_id,
       coalesce(p.title, v.name) as title,
       -- Where the platform names no options, what a child's name says beyond its parent's.
       coalesce(
           v.options,
           case
               when v.name is null or p.title is null or v.name = p.title then null
               when starts_with(v.name, p.title) then nullif(btrim(substr(v.name, length(p.title) + 1), ' -/,|'), '')
               else v.name
           end
       ) as variant_title,
       coalesce(v.brand, p.brand) as brand,
       coalesce(v.model, p.model) as model,
       coalesce(v.description, p.description) as description,
       v.sku, v.barcode, v.price, v.vat_mode, v.currency, v.stock, v.inventory_item_id,
       coalesce(v.status, p.status) as status,
       r.seen_at as pulled_at, r.changed_at,
       v.prices,
       case when r.unread then 'unread' when r.seen_at < c.began then 'unseen' end as stale
from variant v
left join lateral (
    select seen_at, changed_at, unread from record
    where tenant = v.tenant and account = v.account and platform = v.platform
      and kind = 'product' and record_id = v.record_id
    limit 1
) r on true
left join lateral (
    select title, brand, model, description, status from product
    where tenant = v.tenant and account = v.account and platform = v.platform and product_id = v.product_id
    limit 1
) p on true
left join lateral (
    select began from complete_pull
    where tenant = v.tenant and account = v.account and platform = v.platform and kind = 'product'
    limit 1
) c on true
where v.listed;

create or replace view api_customers as
select c.tenant, c.account, c.platform, c.customer_id, c.name, c.phone, c.email, c.phones, c.address, c.city,
       c.totals, c.updated_at, r.seen_at as pulled_at,
       case when r.unread then 'unread' when r.seen_at < w.began then 'unseen' end as stale
from customer c
left join lateral (
    select seen_at, unread from record
    where tenant = c.tenant and account = c.account and platform = c.platform
      and kind = 'customer' and record_id = c.customer_id
    limit 1
) r on true
left join lateral (
    select began from complete_pull
    where tenant = c.tenant and account = c.account and platform = c.platform and kind = 'customer'
    limit 1
) w on true
where c.listed;

comment on column api_products.stale is
    'Null: as of the last pull. ''unread'': the last pull could not read it. ''unseen'': the last complete pull did not list it.';
comment on column api_customers.stale is 'As api_products.stale.';

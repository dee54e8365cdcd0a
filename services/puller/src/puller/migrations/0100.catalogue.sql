-- What the platforms hold, as of the last pull. Unqualified names: the connection's search_path decides the schema.
-- A record is what a platform lists: a Nhanh product/list or customer/list item, a Shopify product with all its
-- variants, a Shopify customer. Its content stands in the other tables under the same (…, kind, record_id).

create table record (
    tenant       text not null,
    account      text not null,
    platform     text not null,
    kind         text not null check (kind in ('product', 'customer')),
    record_id    text collate "C" not null,
    content_hash text,                              -- null: seen, but never yet readable
    seen_by_job  text not null,                     -- counts a record once a job, however often it is read
    seen_at      timestamptz not null,
    changed_at   timestamptz not null,
    gone_at      timestamptz,                       -- the platform no longer lists it
    primary key (tenant, account, platform, kind, record_id)
);

create table product (
    tenant      text not null,
    account     text not null,
    platform    text not null,
    product_id  text collate "C" not null,          -- the record's own id
    title       text not null,
    brand       text,
    model       text,
    description text,
    status      text,
    primary key (tenant, account, platform, product_id)
);

create table variant (
    tenant            text not null,
    account           text not null,
    platform          text not null,
    variant_id        text collate "C" not null,
    record_id         text collate "C" not null,    -- a Nhanh child is a record itself, a Shopify variant is not
    product_id        text collate "C" not null,    -- may be unknown here: a filtered pull gives children alone
    name              text,                         -- a full name of its own (Nhanh's children)
    options           text,                         -- what tells it from its siblings: 'XL / đỏ'
    brand             text,
    model             text,
    description       text,
    status            text,
    sku               text,
    barcode           text,
    price             numeric,
    prices            jsonb not null,
    vat_mode          smallint,
    currency          text,
    stock             numeric,
    inventory_item_id text,
    primary key (tenant, account, platform, variant_id)
);

create index variant_record on variant (tenant, account, platform, record_id);
create index variant_product on variant (tenant, account, platform, product_id);
create index variant_sku on variant (tenant, account, platform, sku);
create index variant_barcode on variant (tenant, account, platform, barcode);

create table stock (
    tenant     text not null,
    account    text not null,
    platform   text not null,
    variant_id text collate "C" not null,
    place_id   text collate "C" not null,           -- a Nhanh depot, a Shopify location
    record_id  text collate "C" not null,
    available  numeric,                             -- sellable now; null: the platform does not say
    primary key (tenant, account, platform, variant_id, place_id)
);

create index stock_record on stock (tenant, account, platform, record_id);

create table customer (
    tenant      text not null,
    account     text not null,
    platform    text not null,
    customer_id text collate "C" not null,
    name        text,
    phone       text,                               -- as the platform has it
    phones      text[] not null,                    -- all numbers, in one form where they can be read
    email       text,
    address     text,
    city        text,
    totals      jsonb not null,
    updated_at  timestamptz,
    primary key (tenant, account, platform, customer_id)
);

create index customer_phones on customer using gin (phones);

create view api_products as
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
       v.prices
from variant v
join record r
    on r.tenant = v.tenant and r.account = v.account and r.platform = v.platform
   and r.kind = 'product' and r.record_id = v.record_id
left join product p
    on p.tenant = v.tenant and p.account = v.account and p.platform = v.platform and p.product_id = v.product_id
where r.gone_at is null;

comment on view api_products is
    'One row a sellable variant. vat_mode as Nhanh gives it: 1 = price includes VAT, 2 = VAT comes on top. '
    'prices: every price by the names of the price rule (retail, retail_vat, old, wholesale, import, import_vat, '
    'avg_cost; Shopify: retail, old), numbers in the shop''s currency.';

create view api_stock as
select s.tenant, s.account, s.platform, s.variant_id, s.place_id, s.available
from stock s
join record r
    on r.tenant = s.tenant and r.account = s.account and r.platform = s.platform
   and r.kind = 'product' and r.record_id = s.record_id
where r.gone_at is null;

create view api_customers as
select c.tenant, c.account, c.platform, c.customer_id, c.name, c.phone, c.email, c.phones, c.address, c.city,
       c.totals, c.updated_at, r.seen_at as pulled_at
from customer c
join record r
    on r.tenant = c.tenant and r.account = c.account and r.platform = c.platform
   and r.kind = 'customer' and r.record_id = c.customer_id
where r.gone_at is null;

comment on view api_customers is
    'phone: as the platform has it. phones: every number of the customer, +84… where a Vietnamese number can be read, '
    'else the text itself. totals: total_amount, points, level, last_bought and the like, as far as the platform tells.';

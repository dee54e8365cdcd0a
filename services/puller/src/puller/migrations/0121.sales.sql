-- Orders and retail bills with their lines. Of the buyer the platform's id alone is kept: no name, phone or address.

create table sales_document (
    tenant       text not null,
    account      text not null,
    platform     text not null,
    kind         text not null check (kind in ('order', 'bill')),
    document_id  text collate "C" not null,
    order_id     text collate "C",                  -- of a bill that belongs to an order
    depot_id     text,
    customer_id  text,
    type         integer,
    type_word    text,
    status       integer,
    status_word  text,
    channel      integer,
    channel_word text,
    total        numeric not null,
    currency     text not null,
    discount     numeric,
    ship_fee     numeric,
    dated        date,                              -- of a bill
    created_at   timestamptz,
    updated_at   timestamptz,
    deleted_at   timestamptz,
    content_hash text not null,
    seen_by_job  text not null,                     -- counts a document once a job, however often it is read
    changed_at   timestamptz not null,
    primary key (tenant, account, platform, kind, document_id)
);
create index sales_document_order on sales_document (tenant, account, platform, order_id) where order_id is not null;
create index sales_document_created on sales_document (tenant, account, platform, created_at);
comment on table sales_document is
    'total: the sum of the lines, VAT and discount of each included. discount, ship_fee: of the whole, as the platform '
    'has them. status, type, channel: the platform''s numbers; their words where it documents them.';

create table sales_line (
    tenant      text not null,
    account     text not null,
    platform    text not null,
    kind        text not null,
    document_id text collate "C" not null,
    line        integer not null,                   -- from 1, in the order of the platform
    product_id  text,
    code        text,
    name        text,
    quantity    numeric,
    price       numeric,
    discount    numeric,
    vat_percent numeric,
    total       numeric not null,
    primary key (tenant, account, platform, kind, document_id, line),
    foreign key (tenant, account, platform, kind, document_id)
        references sales_document (tenant, account, platform, kind, document_id) on delete cascade
);

create view api_orders as
select d.tenant, d.account, d.platform, d.kind, d.document_id,
       case d.kind when 'order' then d.document_id else d.order_id end as order_id,
       bills.bill_ids,
       d.depot_id, d.customer_id, d.type, d.type_word, d.status, d.status_word, d.channel, d.channel_word,
       d.total, d.currency, d.discount, d.ship_fee, d.dated, d.created_at, d.updated_at, d.deleted_at, d.changed_at
from sales_document d
left join lateral (
    select coalesce(array_agg(b.document_id order by b.document_id), '{}') as bill_ids
    from sales_document b
    where d.kind = 'order' and b.tenant = d.tenant and b.account = d.account and b.platform = d.platform
      and b.order_id = d.document_id and b.kind = 'bill' and b.deleted_at is null
) bills on true
where d.kind = 'order' or not exists (
    select from sales_document o
    where o.tenant = d.tenant and o.account = d.account and o.platform = d.platform and o.kind = 'order'
      and o.document_id = d.order_id and o.deleted_at is null
);
comment on view api_orders is
    'One row a sale: each order, and each retail bill that belongs to no stored order. bill_ids: the bills of an order, '
    'which are no rows of their own, so that nothing counts twice. Rows with deleted_at are no sales any more. Returns '
    '(type 1 of a bill, 14 of an order) are rows with a positive total.';

create view api_order_lines as
select tenant, account, platform, kind, document_id, line, product_id, code, name, quantity, price, discount,
       vat_percent, total
from sales_line;
comment on view api_order_lines is 'The lines of the rows of api_orders, by kind and document_id.';

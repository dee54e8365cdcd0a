-- Whether the platform still lists a record stands beside its content too. So lists and their counts read one table
-- in the order of one index, however many records there are, and whatever the planner believes of a join.

alter table variant add column listed boolean not null default true;
alter table customer add column listed boolean not null default true;
comment on column variant.listed is 'Whether record.gone_at is null; kept by a trigger of record.';
comment on column customer.listed is 'Whether record.gone_at is null; kept by a trigger of record.';

update variant v set listed = false
from record r
where r.gone_at is not null and r.kind = 'product'
  and (r.tenant, r.account, r.platform, r.record_id) = (v.tenant, v.account, v.platform, v.record_id);

update customer c set listed = false
from record r
where r.gone_at is not null and r.kind = 'customer'
  and (r.tenant, r.account, r.platform, r.record_id) = (c.tenant, c.account, c.platform, c.customer_id);

create function record_listed() returns trigger
language plpgsql as $body$
begin
    execute format(
        case new.kind
            when 'product' then 'update %I.variant set listed = $1 where tenant = $2 and account = $3 and platform = $4 and record_id = $5'
            else 'update %I.customer set listed = $1 where tenant = $2 and account = $3 and platform = $4 and customer_id = $5'
        end,
        tg_table_schema)
    using new.gone_at is null, new.tenant, new.account, new.platform, new.record_id;
    return null;
end
$body$;

create trigger record_listed after update of gone_at on record
for each row when ((old.gone_at is null) <> (new.gone_at is null))
execute function record_listed();

drop index variant_product;
create index variant_product on variant (tenant, account, platform, product_id, variant_id) where listed;
create index customer_listed on customer (tenant, account, platform, customer_id) where listed;

-- A page looks up what it shows row by row: a join of whole accounts would cost more the more an account has.
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
       v.prices
from variant v
left join lateral (
    select seen_at, changed_at from record
    where tenant = v.tenant and account = v.account and platform = v.platform
      and kind = 'product' and record_id = v.record_id
    limit 1
) r on true
left join lateral (
    select title, brand, model, description, status from product
    where tenant = v.tenant and account = v.account and platform = v.platform and product_id = v.product_id
    limit 1
) p on true
where v.listed;

create or replace view api_customers as
select c.tenant, c.account, c.platform, c.customer_id, c.name, c.phone, c.email, c.phones, c.address, c.city,
       c.totals, c.updated_at, r.seen_at as pulled_at
from customer c
left join lateral (
    select seen_at from record
    where tenant = c.tenant and account = c.account and platform = c.platform
      and kind = 'customer' and record_id = c.customer_id
    limit 1
) r on true
where c.listed;

create view api_product_keys as select tenant, account, platform, product_id, variant_id from variant where listed;
create view api_customer_keys as select tenant, account, platform, customer_id from customer where listed;
comment on view api_product_keys is 'One row a sellable variant, as api_products; for counting.';
comment on view api_customer_keys is 'One row a customer, as api_customers; for counting.';

-- name: see_records
-- Every record of a page is seen at once. The answer says what each one is to this job: 'repeated' was counted
-- before, 'failed' could not be read (no hash), and `write` tells whether its content must be written.
with incoming as (
    select record_id, content_hash
    from unnest(%(record_ids)s::text[], %(hashes)s::text[]) as i (record_id, content_hash)
), before as (
    select r.record_id, r.content_hash, r.seen_by_job, r.gone_at
    from record r
    join incoming using (record_id)
    where r.tenant = %(tenant)s and r.account = %(account)s and r.platform = %(platform)s and r.kind = %(kind)s
), written as (
    insert into record as r
        (tenant, account, platform, kind, record_id, content_hash, unread, seen_by_job, seen_at, changed_at)
    select %(tenant)s, %(account)s, %(platform)s, %(kind)s, record_id, content_hash, content_hash is null,
           %(job_id)s, now(), now()
    from incoming
    on conflict (tenant, account, platform, kind, record_id) do update
    set content_hash = coalesce(excluded.content_hash, r.content_hash),
        unread = excluded.unread,
        seen_by_job = excluded.seen_by_job,
        seen_at = excluded.seen_at,
        changed_at = case
            when r.gone_at is not null or r.content_hash is distinct from coalesce(excluded.content_hash, r.content_hash)
            then excluded.changed_at else r.changed_at
        end,
        gone_at = null
)
select i.record_id,
       case
           when b.seen_by_job = %(job_id)s then 'repeated'
           when i.content_hash is null then 'failed'
           when b.content_hash is null or b.gone_at is not null then 'created'
           when b.content_hash <> i.content_hash then 'updated'
           else 'unchanged'
       end as verdict,
       i.content_hash is not null and b.content_hash is distinct from i.content_hash as write
from incoming i
left join before b using (record_id)

-- name: put_products
with incoming as (
    select *
    from json_to_recordset(%(rows)s::json) as i
        (product_id text, title text, brand text, model text, description text, status text)
), dropped as (
    delete from product p
    where p.tenant = %(tenant)s and p.account = %(account)s and p.platform = %(platform)s
      and p.product_id = any(%(record_ids)s)
      and not exists (select from incoming i where i.product_id = p.product_id)
)
insert into product (tenant, account, platform, product_id, title, brand, model, description, status)
select %(tenant)s, %(account)s, %(platform)s, product_id, title, brand, model, description, status
from incoming
on conflict (tenant, account, platform, product_id) do update
set title = excluded.title, brand = excluded.brand, model = excluded.model, description = excluded.description,
    status = excluded.status

-- name: put_variants
with incoming as (
    select *
    from json_to_recordset(%(rows)s::json) as i
        (variant_id text, record_id text, product_id text, name text, options text, brand text, model text,
         description text, status text, sku text, barcode text, price numeric, prices jsonb, vat_mode smallint,
         currency text, stock numeric, inventory_item_id text)
), dropped as (
    delete from variant v
    where v.tenant = %(tenant)s and v.account = %(account)s and v.platform = %(platform)s
      and v.record_id = any(%(record_ids)s)
      and not exists (select from incoming i where i.variant_id = v.variant_id)
)
insert into variant
    (tenant, account, platform, variant_id, record_id, product_id, name, options, brand, model, description, status,
     sku, barcode, price, prices, vat_mode, currency, stock, inventory_item_id)
select %(tenant)s, %(account)s, %(platform)s, variant_id, record_id, product_id, name, options, brand, model,
       description, status, sku, barcode, price, prices, vat_mode, currency, stock, inventory_item_id
from incoming
on conflict (tenant, account, platform, variant_id) do update
set record_id = excluded.record_id, product_id = excluded.product_id, name = excluded.name,
    options = excluded.options, brand = excluded.brand, model = excluded.model, description = excluded.description,
    status = excluded.status, sku = excluded.sku, barcode = excluded.barcode, price = excluded.price,
    prices = excluded.prices, vat_mode = excluded.vat_mode, currency = excluded.currency, stock = excluded.stock,
    inventory_item_id = excluded.inventory_item_id,
    listed = true  -- it may have come from a record that is gone

-- name: put_stock
with incoming as (
    select *
    from json_to_recordset(%(rows)s::json) as i (variant_id text, place_id text, record_id text, available numeric)
), dropped as (
    delete from stock s
    where s.tenant = %(tenant)s and s.account = %(account)s and s.platform = %(platform)s
      and s.record_id = any(%(record_ids)s)
      and not exists (select from incoming i where i.variant_id = s.variant_id and i.place_id = s.place_id)
)
insert into stock (tenant, account, platform, variant_id, place_id, record_id, available)
select %(tenant)s, %(account)s, %(platform)s, variant_id, place_id, record_id, available
from incoming
on conflict (tenant, account, platform, variant_id, place_id) do update
set record_id = excluded.record_id, available = excluded.available

-- name: put_customers
insert into customer
    (tenant, account, platform, customer_id, name, phone, phones, email, address, city, totals, updated_at)
select %(tenant)s, %(account)s, %(platform)s, customer_id, name, phone, phones, email, address, city, totals, updated_at
from json_to_recordset(%(rows)s::json) as i
    (customer_id text, name text, phone text, phones text[], email text, address text, city text, totals jsonb,
     updated_at timestamptz)
on conflict (tenant, account, platform, customer_id) do update
set name = excluded.name, phone = excluded.phone, phones = excluded.phones, email = excluded.email,
    address = excluded.address, city = excluded.city, totals = excluded.totals, updated_at = excluded.updated_at

-- name: missing
-- Records that no pull has seen since `began`: those that the plan `token` does not approve, those that it does; and
-- how many records there are with those. A plan approves nothing that was seen again after it was made.
with plan as (
    select record_ids, made_at from gone_plan
    where token = %(token)s and tenant = %(tenant)s and account = %(account)s and platform = %(platform)s
      and kind = %(kind)s
)
select count(*) filter (where missing and not approved), count(*) filter (where missing and approved), count(*)
from (
    select seen_at < %(began)s as missing,
           coalesce(seen_at <= (select made_at from plan), false)
               and record_id in (select unnest(record_ids) from plan) as approved
    from record
    where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
      and gone_at is null
) records

-- name: mark_delisted
update record
set gone_at = now(), changed_at = now()
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
  and gone_at is null and seen_at < %(began)s

-- name: mark_approved_delisted
with plan as (
    select record_ids, made_at from gone_plan
    where token = %(token)s and tenant = %(tenant)s and account = %(account)s and platform = %(platform)s
      and kind = %(kind)s
)
update record
set gone_at = now(), changed_at = now()
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
  and gone_at is null and seen_at < %(began)s
  and seen_at <= (select made_at from plan) and record_id in (select unnest(record_ids) from plan)

-- name: delete_old_plans
delete from gone_plan where made_at < now() - interval '14 days'

-- name: plan_delisted
insert into gone_plan (token, tenant, account, platform, kind, record_ids)
select %(token)s, %(tenant)s, %(account)s, %(platform)s, %(kind)s, coalesce(array_agg(record_id), '{}')
from record
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
  and gone_at is null and seen_at < %(began)s
on conflict (token) do update set record_ids = excluded.record_ids, made_at = excluded.made_at

-- name: knows_plan
select exists (
    select from gone_plan
    where token = %(token)s and tenant = %(tenant)s and account = %(account)s and platform = %(platform)s
      and kind = %(kind)s and made_at >= now() - interval '14 days'
)

-- name: note_complete_pull
insert into complete_pull as c (tenant, account, platform, kind, job_id, began)
values (%(tenant)s, %(account)s, %(platform)s, %(kind)s, %(job_id)s, %(began)s)
on conflict (tenant, account, platform, kind) do update
set job_id = excluded.job_id, began = excluded.began, finished_at = excluded.finished_at
where c.began <= excluded.began

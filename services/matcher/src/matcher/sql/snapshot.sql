-- name: take_product
insert into snapshot (job_id, side, record_id, record)
select %(job_id)s, platform, variant_id,
       jsonb_strip_nulls(jsonb_build_object(
           'title', title, 'variant_title', variant_title, 'brand', brand, 'model', model,
           'description', left(description, 4000), 'sku', sku, 'barcode', barcode
       ))
from puller.api_products
where tenant = %(tenant)s and account = %(account)s and platform in ('nhanh', 'shopify')

-- name: take_customer
insert into snapshot (job_id, side, record_id, record)
select %(job_id)s, platform, customer_id,
       jsonb_strip_nulls(jsonb_build_object(
           'name', name, 'phone', phone, 'phones', coalesce(to_jsonb(phones), '[]'), 'email', email,
           'updated_at', updated_at
       ))
from puller.api_customers
where tenant = %(tenant)s and account = %(account)s and platform in ('nhanh', 'shopify')

-- name: sizes
select count(*) filter (where side = 'nhanh'), count(*) filter (where side = 'shopify')
from snapshot where job_id = %(job_id)s

-- name: both_present
-- How many of the pairs have both their records in the snapshot.
select count(*)
from unnest(%(nhanh_ids)s::text[], %(shopify_ids)s::text[]) as pair (nhanh_id, shopify_id)
where exists (select from snapshot where job_id = %(job_id)s and side = 'nhanh' and record_id = nhanh_id)
  and exists (select from snapshot where job_id = %(job_id)s and side = 'shopify' and record_id = shopify_id)

-- name: presence
-- Of each pair: whether the snapshot has its record of Nhanh, and its record of Shopify.
select pair.nhanh_id, pair.shopify_id, n.record_id is not null, s.record_id is not null
from unnest(%(nhanh_ids)s::text[], %(shopify_ids)s::text[]) as pair (nhanh_id, shopify_id)
left join snapshot n on n.job_id = %(job_id)s and n.side = 'nhanh' and n.record_id = pair.nhanh_id
left join snapshot s on s.job_id = %(job_id)s and s.side = 'shopify' and s.record_id = pair.shopify_id

-- name: records
select side, record_id, record from snapshot where job_id = %(job_id)s

-- name: drop
delete from snapshot where job_id = %(job_id)s

-- name: drop_finished
-- What cancelled and broken jobs have left behind.
delete from snapshot s using inbox i where i.job_id = s.job_id and i.state = 'finished'

-- name: product_exists
select exists (
    select from puller.api_products
    where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and variant_id = %(record_id)s
)

-- name: customer_exists
select exists (
    select from puller.api_customers
    where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and customer_id = %(record_id)s
)

-- name: count_pairs
select count(*)
from matcher.api_matches
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and status in ('auto', 'confirmed')
  and (%(only)s::text[] is null or hub_id = any(%(only)s))

-- name: product_pairs
-- Mapped variants behind a shop's variant id, in the order of products, so that one product's variants are neighbours.
select m.hub_id, m.remote_id, n.variant_id is not null as on_nhanh, n.prices, n.vat_mode,
       s.price as shop_price, s.currency, s.pulled_at, s.product_id as group_id,
       n.title, n.variant_title, n.sku, s.title as shop_title, s.variant_title as shop_variant_title,
       s.sku as shop_sku, n.stale as hub_stale, s.stale as shop_stale, m.method,
       w.fields as written, w.pending, w.written_at
from matcher.api_matches m
left join puller.api_products n
    on n.tenant = m.tenant and n.account = m.account and n.platform = 'nhanh' and n.variant_id = m.hub_id
left join puller.api_products s
    on s.tenant = m.tenant and s.account = m.account and s.platform = 'shopify' and s.variant_id = m.remote_id
left join written w
    on w.tenant = m.tenant and w.account = m.account and w.kind = m.kind and w.remote_id = m.remote_id
where m.tenant = %(tenant)s and m.account = %(account)s and m.kind = 'product' and m.status in ('auto', 'confirmed')
  and (%(only)s::text[] is null or m.hub_id = any(%(only)s))
order by s.product_id collate "C" nulls last, m.remote_id collate "C"

-- name: customer_pairs
select m.hub_id, m.remote_id, n.customer_id is not null as on_nhanh, n.name, n.phones, n.email, n.totals,
       s.customer_id is not null as on_shopify, s.name as shop_name, s.phone as shop_phone, s.email as shop_email,
       s.pulled_at, m.remote_id as group_id, n.stale as hub_stale, s.stale as shop_stale, m.method,
       w.fields as written, w.pending, w.written_at
from matcher.api_matches m
left join puller.api_customers n
    on n.tenant = m.tenant and n.account = m.account and n.platform = 'nhanh' and n.customer_id = m.hub_id
left join puller.api_customers s
    on s.tenant = m.tenant and s.account = m.account and s.platform = 'shopify' and s.customer_id = m.remote_id
left join written w
    on w.tenant = m.tenant and w.account = m.account and w.kind = m.kind and w.remote_id = m.remote_id
where m.tenant = %(tenant)s and m.account = %(account)s and m.kind = 'customer' and m.status in ('auto', 'confirmed')
  and (%(only)s::text[] is null or m.hub_id = any(%(only)s))
order by m.remote_id collate "C"

-- name: stock
select variant_id, place_id, available
from puller.api_stock
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and variant_id = any(%(ids)s)
order by variant_id, place_id

-- name: places
-- The depots and locations at which the account's records have stock.
select platform, place_id
from puller.api_stock
where tenant = %(tenant)s and account = %(account)s
group by 1, 2
order by 1, place_id collate "C"

-- name: has_depot
select exists (
    select from puller.api_stock
    where tenant = %(tenant)s and account = %(account)s and platform = 'nhanh' and place_id = any(%(depots)s)
)

-- name: contact_holders
-- Who has the given contacts: every customer of the shop, and of Nhanh's customers the first and the last by id.
select lower(btrim(s.email)) as contact, 'shopify' as platform, s.customer_id as holder
from puller.api_customers s
where s.tenant = %(tenant)s and s.account = %(account)s and s.platform = 'shopify'
  and lower(btrim(s.email)) = any(%(emails)s)
union
select s.phone, 'shopify', s.customer_id
from puller.api_customers s
where s.tenant = %(tenant)s and s.account = %(account)s and s.platform = 'shopify' and s.phone = any(%(phones)s)
union
select found.contact, 'nhanh', unnest(array[found.first, found.last])
from (
    select lower(btrim(n.email)) as contact, min(n.customer_id) as first, max(n.customer_id) as last
    from puller.api_customers n
    where n.tenant = %(tenant)s and n.account = %(account)s and n.platform = 'nhanh'
      and lower(btrim(n.email)) = any(%(emails)s)
    group by 1
    union all
    select number, min(n.customer_id), max(n.customer_id)
    from puller.api_customers n, unnest(n.phones) as number
    where n.tenant = %(tenant)s and n.account = %(account)s and n.platform = 'nhanh'
      and n.phones && %(phones)s::text[] and number = any(%(phones)s)
    group by 1
) found

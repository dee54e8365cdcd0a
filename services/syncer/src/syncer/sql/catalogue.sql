-- name: linked
-- The matches `m` of a scope.
m.tenant = %(tenant)s and m.account = %(account)s and m.kind = %(kind)s and m.platform = %(platform)s
  and m.status in ('auto', 'confirmed') and (%(only)s::text[] is null or m.hub_id = any(%(only)s))
  and (not %(failed)s or exists (
      select from failed_item f
      where f.tenant = m.tenant and f.account = m.account and f.kind = m.kind and f.platform = m.platform
        and f.hub_id = m.hub_id and f.remote_id = m.remote_id
        and (%(failed_in)s::text is null or %(failed_in)s = any(f.failed_in))
        and (%(category)s::text is null or f.category = %(category)s)
  ))

-- name: count_pairs
select count(*)
from matcher.api_matches m
where {linked}

-- name: product_pairs
-- Matched variants in the order of the channel's products, so that one product's variants are neighbours, or the least
-- recently synced first. A release that knows no `synced_item` leaves written_at alone.
select m.hub_id, m.remote_id, h.variant_id is not null as on_hub, h.prices, h.vat_mode,
       r.price as remote_price, r.currency, r.pulled_at, r.product_id as group_id,
       h.title, h.variant_title, h.sku, r.title as remote_title, r.variant_title as remote_variant_title,
       r.sku as remote_sku, h.stale as hub_stale, r.stale as remote_stale, m.method,
       w.fields as written, w.pending, w.written_at
from matcher.api_matches m
left join puller.api_products h
    on h.tenant = m.tenant and h.account = m.account and h.platform = %(hub)s and h.variant_id = m.hub_id
left join puller.api_products r
    on r.tenant = m.tenant and r.account = m.account and r.platform = %(platform)s and r.variant_id = m.remote_id
left join written w
    on w.tenant = m.tenant and w.account = m.account and w.kind = m.kind and w.platform = m.platform
    and w.remote_id = m.remote_id
left join synced_item s
    on s.tenant = m.tenant and s.account = m.account and s.kind = m.kind and s.platform = m.platform
    and s.remote_id = m.remote_id and s.hub_id = m.hub_id
where {linked}
order by case when %(oldest_first)s then greatest(s.synced_at, case w.hub_id when m.hub_id then w.written_at end) end
         nulls first,
         r.product_id collate "C" nulls last, m.remote_id collate "C"

-- name: customer_pairs
select m.hub_id, m.remote_id, h.customer_id is not null as on_hub, h.name, h.phones, h.email, h.totals,
       r.customer_id is not null as on_channel, r.name as remote_name, r.phone as remote_phone,
       r.email as remote_email, r.pulled_at, m.remote_id as group_id, h.stale as hub_stale, r.stale as remote_stale,
       m.method, w.fields as written, w.pending, w.written_at
from matcher.api_matches m
left join puller.api_customers h
    on h.tenant = m.tenant and h.account = m.account and h.platform = %(hub)s and h.customer_id = m.hub_id
left join puller.api_customers r
    on r.tenant = m.tenant and r.account = m.account and r.platform = %(platform)s and r.customer_id = m.remote_id
left join written w
    on w.tenant = m.tenant and w.account = m.account and w.kind = m.kind and w.platform = m.platform
    and w.remote_id = m.remote_id
left join synced_item s
    on s.tenant = m.tenant and s.account = m.account and s.kind = m.kind and s.platform = m.platform
    and s.remote_id = m.remote_id and s.hub_id = m.hub_id
where {linked}
order by case when %(oldest_first)s then greatest(s.synced_at, case w.hub_id when m.hub_id then w.written_at end) end
         nulls first,
         m.remote_id collate "C"

-- name: product_in_hub
select variant_id from puller.api_products
where tenant = %(tenant)s and account = %(account)s and platform = %(hub)s and variant_id = any(%(ids)s)

-- name: customer_in_hub
select customer_id from puller.api_customers
where tenant = %(tenant)s and account = %(account)s and platform = %(hub)s and customer_id = any(%(ids)s)

-- name: stock
select variant_id, place_id, available
from puller.api_stock
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and variant_id = any(%(ids)s)
order by variant_id, place_id

-- name: places
-- The hub's depots and the channel's locations at which the account's records have stock.
select platform, place_id
from puller.api_stock
where tenant = %(tenant)s and account = %(account)s and platform in (%(hub)s, %(platform)s)
group by 1, 2
order by 1, place_id collate "C"

-- name: has_depot
select exists (
    select from puller.api_stock
    where tenant = %(tenant)s and account = %(account)s and platform = %(hub)s and place_id = any(%(depots)s)
)

-- name: contact_holders
-- Who has the given contacts: every customer of the channel, and of the hub's customers the first and the last by id.
select lower(btrim(r.email)) as contact, r.platform, r.customer_id as holder
from puller.api_customers r
where r.tenant = %(tenant)s and r.account = %(account)s and r.platform = %(platform)s
  and lower(btrim(r.email)) = any(%(emails)s)
union
select r.phone, r.platform, r.customer_id
from puller.api_customers r
where r.tenant = %(tenant)s and r.account = %(account)s and r.platform = %(platform)s and r.phone = any(%(phones)s)
union
select found.contact, %(hub)s, unnest(array[found.first, found.last])
from (
    select lower(btrim(h.email)) as contact, min(h.customer_id) as first, max(h.customer_id) as last
    from puller.api_customers h
    where h.tenant = %(tenant)s and h.account = %(account)s and h.platform = %(hub)s
      and lower(btrim(h.email)) = any(%(emails)s)
    group by 1
    union all
    select number, min(h.customer_id), max(h.customer_id)
    from puller.api_customers h, unnest(h.phones) as number
    where h.tenant = %(tenant)s and h.account = %(account)s and h.platform = %(hub)s
      and h.phones && %(phones)s::text[] and number = any(%(phones)s)
    group by 1
) found

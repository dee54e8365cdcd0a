-- name: complete_pull
select began, extract(epoch from now() - began)::bigint
from puller.api_complete_pulls
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s

-- name: links
select count(*) from match
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and status in ('auto', 'confirmed')

-- name: replaced
-- Links whose record of the channel is no longer listed, with what was known of it and what the hub's record says now.
select m.hub_id, m.remote_id, m.status, m.method, m.score, k.about as old,
       case when h.variant_id is not null then jsonb_build_object(
           'title', h.title, 'variant_title', h.variant_title, 'sku', h.sku, 'barcode', h.barcode) end as hub
from match m
left join puller.api_products r
    on r.tenant = m.tenant and r.account = m.account and r.platform = m.platform and r.variant_id = m.remote_id
left join puller.api_products h
    on h.tenant = m.tenant and h.account = m.account and h.platform = %(hub)s and h.variant_id = m.hub_id
left join known_record k
    on k.tenant = m.tenant and k.account = m.account and k.kind = m.kind and k.platform = m.platform
   and k.side = m.platform and k.record_id = m.remote_id
where m.tenant = %(tenant)s and m.account = %(account)s and m.kind = %(kind)s and m.platform = %(platform)s
  and m.status in ('auto', 'confirmed') and r.variant_id is null
order by m.hub_id

-- name: unlinked
-- Records of the channel that the last pull read and that no match links.
select r.variant_id, r.title, r.variant_title, r.sku, r.barcode
from puller.api_products r
where r.tenant = %(tenant)s and r.account = %(account)s and r.platform = %(platform)s and r.stale is null
  and not exists (
      select from match m
      where m.tenant = r.tenant and m.account = r.account and m.kind = %(kind)s and m.platform = r.platform
        and m.remote_id = r.variant_id and m.status in ('auto', 'confirmed')
  )
order by r.variant_id

-- name: drop_settled
-- Suggestions for a confirmed record whose partner is listed again.
delete from match s
using match c
where s.tenant = %(tenant)s and s.account = %(account)s and s.kind = %(kind)s and s.platform = %(platform)s
  and s.status = 'review' and c.status = 'confirmed'
  and (c.tenant, c.account, c.kind, c.platform, c.hub_id) = (s.tenant, s.account, s.kind, s.platform, s.hub_id)
  and not c.remote_id = any(%(gone)s)

-- name: drop_suggestions
delete from match
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and status = 'review' and (hub_id = %(hub_id)s or remote_id = %(remote_id)s)

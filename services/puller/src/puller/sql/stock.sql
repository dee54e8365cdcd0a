-- name: compare_stock
select i.variant_id,
       case
           when v.variant_id is null then
               case when exists (
                   select from record r
                   where r.tenant = %(tenant)s and r.account = %(account)s and r.platform = %(platform)s
                     and r.kind = 'product' and r.record_id = i.variant_id and r.gone_at is null
               ) then 'unchanged' else 'unknown' end
           when v.stock is distinct from i.stock or stored.places is distinct from i.places then 'updated'
           else 'unchanged'
       end as verdict
from json_to_recordset(%(rows)s::json) as i (variant_id text, stock numeric, places jsonb)
left join variant v
    on v.tenant = %(tenant)s and v.account = %(account)s and v.platform = %(platform)s
   and v.variant_id = i.variant_id and v.listed
left join lateral (
    select coalesce(jsonb_object_agg(s.place_id, s.available), '{}') as places
    from stock s
    where s.tenant = v.tenant and s.account = v.account and s.platform = v.platform and s.variant_id = v.variant_id
) stored on true

-- name: drop_places
delete from stock s
using json_to_recordset(%(rows)s::json) as i (variant_id text, places jsonb)
where s.tenant = %(tenant)s and s.account = %(account)s and s.platform = %(platform)s
  and s.variant_id = i.variant_id and not i.places ? s.place_id

-- name: put_places
insert into stock (tenant, account, platform, variant_id, place_id, record_id, available)
select %(tenant)s, %(account)s, %(platform)s, v.variant_id, place.key, v.record_id, place.value::numeric
from json_to_recordset(%(rows)s::json) as i (variant_id text, places jsonb)
join variant v
    on v.tenant = %(tenant)s and v.account = %(account)s and v.platform = %(platform)s and v.variant_id = i.variant_id
cross join lateral jsonb_each_text(i.places) as place
on conflict (tenant, account, platform, variant_id, place_id) do update
set record_id = excluded.record_id, available = excluded.available

-- name: put_stock_of_variants
update variant v set stock = i.stock
from json_to_recordset(%(rows)s::json) as i (variant_id text, stock numeric)
where v.tenant = %(tenant)s and v.account = %(account)s and v.platform = %(platform)s and v.variant_id = i.variant_id

-- name: note_stock_change
-- No content has this hash. Were the old one kept, a pull that reads the quantities of before again would find the
-- record unchanged, and would leave those that were written here.
update record r set content_hash = 'stock', changed_at = now()
where r.tenant = %(tenant)s and r.account = %(account)s and r.platform = %(platform)s and r.kind = 'product'
  and r.content_hash is not null
  and r.record_id in (
      select v.record_id from variant v
      where v.tenant = %(tenant)s and v.account = %(account)s and v.platform = %(platform)s
        and v.variant_id = any(%(variant_ids)s)
  )

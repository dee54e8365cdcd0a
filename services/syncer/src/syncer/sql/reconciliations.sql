-- name: linked_after
-- The next linked pairs behind a channel's id, in the order of the index of links.
select hub_id, remote_id
from matcher.api_matches
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and status in ('auto', 'confirmed') and remote_id > %(after)s
order by remote_id
limit %(limit)s

-- name: forget
-- Of these records, the fields that no longer differ.
delete from drift d
where d.tenant = %(tenant)s and d.account = %(account)s and d.platform = %(platform)s and d.remote_id = any(%(ids)s)
  and (d.remote_id, d.field) not in (select * from unnest(%(drifted_ids)s::text[], %(fields)s::text[]))

-- name: note
-- A record that is linked with another one of the hub drifts anew.
insert into drift as d (tenant, account, platform, remote_id, field, hub_id)
select %(tenant)s, %(account)s, %(platform)s, found.remote_id, found.field, found.hub_id
from unnest(%(drifted_ids)s::text[], %(fields)s::text[], %(hub_ids)s::text[]) as found (remote_id, field, hub_id)
on conflict (tenant, account, platform, remote_id, field) do update
set since = case when d.hub_id = excluded.hub_id then d.since else excluded.since end, hub_id = excluded.hub_id
returning remote_id, since

-- name: forget_unlinked
-- What is not linked any more.
delete from drift d
where d.tenant = %(tenant)s and d.account = %(account)s and d.platform = %(platform)s
  and not exists (
      select from matcher.api_matches m
      where m.tenant = d.tenant and m.account = d.account and m.kind = 'product' and m.platform = d.platform
        and m.status in ('auto', 'confirmed') and m.remote_id = d.remote_id and m.hub_id = d.hub_id
  )

-- name: complete
insert into reconciliation
    (tenant, account, platform, job_id, completed_at, checked, drifted, drift_stock, drift_price, missing, not_compared,
     oldest_since)
select %(tenant)s, %(account)s, %(platform)s, %(job_id)s, now(), %(checked)s, %(drifted)s, %(drift_stock)s,
       %(drift_price)s, %(missing)s, %(not_compared)s, min(d.since)
from drift d
where d.tenant = %(tenant)s and d.account = %(account)s and d.platform = %(platform)s
on conflict (tenant, account, platform) do update
set job_id = excluded.job_id, completed_at = excluded.completed_at, checked = excluded.checked,
    drifted = excluded.drifted, drift_stock = excluded.drift_stock, drift_price = excluded.drift_price,
    missing = excluded.missing, not_compared = excluded.not_compared, oldest_since = excluded.oldest_since

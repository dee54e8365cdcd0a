-- name: lock
-- One at a time of an account and kind: the check of a batch and the storing of its intent. The key is the last
-- release's, too.
select pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'guard', %(tenant)s::text, %(account)s::text, %(kind)s::text), 0))

-- name: intend
insert into written_change
    (job_id, remote_id, field, tenant, account, kind, platform, hub_id, before, after, known, approved, sold_out)
values (%(job_id)s, %(remote_id)s, %(field)s, %(tenant)s, %(account)s, %(kind)s, %(platform)s, %(hub_id)s, %(before)s,
        %(after)s, %(known)s, %(approved)s, %(sold_out)s)
on conflict (job_id, remote_id, field) do update
set before = excluded.before, after = excluded.after, approved = excluded.approved, sold_out = excluded.sold_out,
    intended_at = excluded.intended_at, written_at = null

-- name: confirm
update written_change set written_at = now()
where job_id = %(job_id)s and remote_id = %(remote_id)s and field = any(%(fields)s)

-- name: refuse
delete from written_change
where job_id = %(job_id)s and remote_id = %(remote_id)s and field = any(%(fields)s)

-- name: last_hour
-- Items of the channel that the account's syncs have changed within the last hour, without those of the plan or the
-- batch that is checked.
select count(distinct c.remote_id) filter (where c.known and c.field not like 'nhanh.%%'),
       count(distinct c.remote_id) filter (where c.sold_out)
from written_change c
where c.tenant = %(tenant)s and c.account = %(account)s and c.kind = %(kind)s and c.platform = %(platform)s
  and c.intended_at > now() - interval '1 hour' and not c.approved
  and not exists (
      select from plan_item p
      where p.job_id = %(job_id)s and p.remote_id = c.remote_id
        and (%(batch)s::integer is null or p.batch = %(batch)s)
  )

-- name: totals
-- Matched items of the channel, those that are known, and those that have stock in the channel by the last pull.
select count(*) as mapped, count(*) filter (where w.fields <> '{}') as known,
       count(*) filter (
           where m.kind = 'product' and exists (
               select from puller.api_stock s
               where s.tenant = m.tenant and s.account = m.account and s.platform = m.platform
                 and s.variant_id = m.remote_id and s.available > 0
           )
       ) as stocked
from matcher.api_matches m
left join written w
    on w.tenant = m.tenant and w.account = m.account and w.kind = m.kind and w.platform = m.platform
    and w.remote_id = m.remote_id
where m.tenant = %(tenant)s and m.account = %(account)s and m.kind = %(kind)s and m.platform = %(platform)s
  and m.status in ('auto', 'confirmed')

-- name: of_job
-- What a job has written, or was about to write, for a revert: in the order of items, with their titles and SKUs.
select c.remote_id, c.hub_id, c.kind, w.fields as written, w.pending, w.written_at,
       jsonb_object_agg(c.field, jsonb_build_array(c.before, c.after)) as changes,
       p.title, p.variant_title, p.sku
from written_change c
left join written w
    on w.tenant = c.tenant and w.account = c.account and w.kind = c.kind and w.platform = c.platform
    and w.remote_id = c.remote_id
left join lateral (
    select title, variant_title, sku from puller.api_products
    where tenant = c.tenant and account = c.account and platform = c.platform and variant_id = c.remote_id
    limit 1
) p on c.kind = 'product'
where c.job_id = %(reverted)s and c.tenant = %(tenant)s and c.account = %(account)s and c.kind = %(kind)s
  and (%(only)s::text[] is null or c.hub_id = any(%(only)s))
group by c.remote_id, c.hub_id, c.kind, w.fields, w.pending, w.written_at, p.title, p.variant_title, p.sku
order by c.remote_id collate "C"

-- name: kinds_of_job
select kind, platform
from written_change
where job_id = %(reverted)s and tenant = %(tenant)s and account = %(account)s
group by kind, platform
order by kind desc

-- name: ids_of_job
select distinct hub_id
from written_change
where job_id = %(reverted)s and tenant = %(tenant)s and account = %(account)s and hub_id = any(%(only)s)

-- name: count_of_job
select count(distinct remote_id)
from written_change
where job_id = %(reverted)s and tenant = %(tenant)s and account = %(account)s and kind = %(kind)s
  and (%(only)s::text[] is null or hub_id = any(%(only)s))

-- name: being_written
select distinct c.remote_id
from written_change c
where c.tenant = %(tenant)s and c.account = %(account)s and c.kind = %(kind)s and c.platform = %(platform)s
  and c.remote_id = any(%(ids)s) and c.written_at is null and c.job_id <> %(job_id)s
  and exists (select from job_state j where j.job_id = c.job_id and j.state = 'running')

-- name: prune
with old as (
    select job_id, remote_id, field from written_change where intended_at < now() - %(keep)s order by intended_at
    limit %(rows)s
)
delete from written_change c using old
where (c.job_id, c.remote_id, c.field) = (old.job_id, old.remote_id, old.field)

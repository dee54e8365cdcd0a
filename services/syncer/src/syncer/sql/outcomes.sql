-- name: stage
-- What a job has found out about items, until `settle` stores it at the end of the transaction.
create temporary table if not exists staged_outcome (
    hub_id    text collate "C" not null,
    remote_id text collate "C" not null,
    synced    boolean not null,
    fields    jsonb,
    category  text,
    code      text,
    message   text
) on commit delete rows

-- name: copy_stage
copy staged_outcome (hub_id, remote_id, synced, fields, category, code, message) from stdin

-- name: agree
-- The last pull found these values. written_at stays: the pull is newer.
insert into written (tenant, account, kind, platform, remote_id, hub_id, fields, job_id)
select %(tenant)s, %(account)s, %(kind)s, %(platform)s, remote_id, hub_id, fields, %(job_id)s
from staged_outcome where fields is not null
order by remote_id
on conflict (tenant, account, kind, platform, remote_id) do update
set fields = written.fields || excluded.fields, hub_id = excluded.hub_id, job_id = excluded.job_id
-- What another job has written since the plan began is newer than the pull.
where written.pending = '{}' and (written.written_at is null or written.written_at < now() - interval '1 minute')

-- name: mark_synced
insert into synced_item (tenant, account, kind, platform, remote_id, hub_id, synced_at)
select %(tenant)s, %(account)s, %(kind)s, %(platform)s, remote_id, hub_id, now()
from staged_outcome where synced
order by remote_id
on conflict (tenant, account, kind, platform, remote_id) do update
set hub_id = excluded.hub_id, synced_at = greatest(synced_item.synced_at, excluded.synced_at)

-- name: forget_failures
-- A plan takes long: what another job has found out since this transaction began is newer. So it is below.
delete from failed_item f using staged_outcome s
where f.tenant = %(tenant)s and f.account = %(account)s and f.kind = %(kind)s and f.platform = %(platform)s
  and f.hub_id = s.hub_id and f.remote_id = s.remote_id and s.category is null and f.failed_at <= now()

-- name: note_failures
insert into failed_item
    (tenant, account, kind, platform, hub_id, remote_id, job_id, category, code, message, failed_at, times, failed_in)
select %(tenant)s, %(account)s, %(kind)s, %(platform)s, hub_id, remote_id, %(job_id)s, category, code, message, now(), 1,
       array[%(job_id)s]
from staged_outcome s
where category is not null
  and not exists (
      select from synced_item i
      where i.tenant = %(tenant)s and i.account = %(account)s and i.kind = %(kind)s and i.platform = %(platform)s
        and i.remote_id = s.remote_id and i.hub_id = s.hub_id and i.synced_at > now()
  )
order by hub_id, remote_id
on conflict (tenant, account, kind, platform, hub_id, remote_id) do update
set job_id = excluded.job_id, category = excluded.category, code = excluded.code, message = excluded.message,
    failed_at = excluded.failed_at, times = failed_item.times + 1,
    failed_in = (failed_item.failed_in || excluded.failed_in)[greatest(1, cardinality(failed_item.failed_in) - 18):]

-- name: forget_unlinked
delete from failed_item f
where f.tenant = %(tenant)s and f.account = %(account)s and f.kind = %(kind)s and f.platform = %(platform)s
  and not exists (
      select from matcher.api_matches m
      where m.tenant = f.tenant and m.account = f.account and m.kind = f.kind and m.platform = f.platform
        and m.hub_id = f.hub_id and m.remote_id = f.remote_id and m.status in ('auto', 'confirmed')
  )

-- name: count_failed
select count(*)
from failed_item f
where f.tenant = %(tenant)s and f.account = %(account)s and f.kind = %(kind)s and f.platform = %(platform)s
  and (%(failed_in)s::text is null or %(failed_in)s = any(f.failed_in))
  and (%(category)s::text is null or f.category = %(category)s)

-- name: unlinked
-- Failed items whose match was deleted or moved since.
select f.hub_id, f.remote_id
from failed_item f
where f.tenant = %(tenant)s and f.account = %(account)s and f.kind = %(kind)s and f.platform = %(platform)s
  and (%(failed_in)s::text is null or %(failed_in)s = any(f.failed_in))
  and (%(category)s::text is null or f.category = %(category)s)
  and not exists (
      select from matcher.api_matches m
      where m.tenant = f.tenant and m.account = f.account and m.kind = f.kind and m.platform = f.platform
        and m.hub_id = f.hub_id and m.remote_id = f.remote_id and m.status in ('auto', 'confirmed')
  )
order by f.hub_id, f.remote_id

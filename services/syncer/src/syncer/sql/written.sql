-- name: load
select remote_id, fields, pending, written_at
from written
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and remote_id = any(%(ids)s)

-- name: mark_pending
insert into written (tenant, account, kind, platform, remote_id, hub_id, pending, job_id)
values (%(tenant)s, %(account)s, %(kind)s, %(platform)s, %(remote_id)s, %(hub_id)s, %(pending)s, %(job_id)s)
on conflict (tenant, account, kind, platform, remote_id) do update
set pending = written.pending || excluded.pending, hub_id = excluded.hub_id, job_id = excluded.job_id

-- name: confirm
-- up_to_date: every field is as it should be. Otherwise written_at stays, so that the next plan goes by the pull.
-- A field that was sent and not answered stays pending.
insert into written (tenant, account, kind, platform, remote_id, hub_id, fields, job_id, written_at)
values (%(tenant)s, %(account)s, %(kind)s, %(platform)s, %(remote_id)s, %(hub_id)s, %(fields)s, %(job_id)s,
        case when %(up_to_date)s then clock_timestamp() end)
on conflict (tenant, account, kind, platform, remote_id) do update
set fields = written.fields || excluded.fields, pending = written.pending - %(ended)s::text[],
    hub_id = excluded.hub_id,
    job_id = excluded.job_id, written_at = coalesce(excluded.written_at, written.written_at)

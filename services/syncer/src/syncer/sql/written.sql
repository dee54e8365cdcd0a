-- name: load
select remote_id, fields, pending, written_at
from written
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and remote_id = any(%(ids)s)

-- name: pend
insert into written (tenant, account, kind, remote_id, hub_id, pending, job_id)
values (%(tenant)s, %(account)s, %(kind)s, %(remote_id)s, %(hub_id)s, %(pending)s, %(job_id)s)
on conflict (tenant, account, kind, remote_id) do update
set pending = written.pending || excluded.pending, hub_id = excluded.hub_id, job_id = excluded.job_id

-- name: agree
-- A pull shows these values right. The time stays: the pull itself is the newer word.
insert into written (tenant, account, kind, remote_id, hub_id, fields, job_id)
values (%(tenant)s, %(account)s, %(kind)s, %(remote_id)s, %(hub_id)s, %(fields)s, %(job_id)s)
on conflict (tenant, account, kind, remote_id) do update
set fields = written.fields || excluded.fields, hub_id = excluded.hub_id, job_id = excluded.job_id

-- name: settle
-- `fresh`: every field is as it should be. Otherwise the time stays, so that the next plan believes the pull.
-- What was sent and never answered stays pending.
insert into written (tenant, account, kind, remote_id, hub_id, fields, job_id, written_at)
values (%(tenant)s, %(account)s, %(kind)s, %(remote_id)s, %(hub_id)s, %(fields)s, %(job_id)s,
        case when %(fresh)s then clock_timestamp() end)
on conflict (tenant, account, kind, remote_id) do update
set fields = written.fields || excluded.fields, pending = written.pending - %(settled)s::text[],
    hub_id = excluded.hub_id,
    job_id = excluded.job_id, written_at = coalesce(excluded.written_at, written.written_at)

-- name: lock
-- One at a time of an account and kind: an automatic run or a person's edit. The key is the last release's, too.
select pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'match', %(tenant)s::text, %(account)s::text, %(kind)s::text), 0))

-- name: all
select hub_id, remote_id, status, method, score, reason
from match where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s

-- name: touching
-- Every row of either record.
select hub_id, remote_id, status, method, score, reason
from match
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and (hub_id = %(hub_id)s or remote_id = %(remote_id)s)

-- name: put
insert into match (tenant, account, kind, platform, hub_id, remote_id, status, method, score, reason, job_id)
values (%(tenant)s, %(account)s, %(kind)s, %(platform)s, %(hub_id)s, %(remote_id)s, %(status)s, %(method)s,
    %(score)s, %(reason)s, %(job_id)s)
on conflict (tenant, account, kind, platform, hub_id, remote_id) do update
set status = excluded.status, method = excluded.method, score = excluded.score, reason = excluded.reason,
    job_id = excluded.job_id, updated_at = now()

-- name: delete
delete from match
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and hub_id = %(hub_id)s and remote_id = %(remote_id)s

-- name: account_exists
select exists (select from accounts.api_accounts where tenant = %(tenant)s and account = %(account)s)

-- name: former
select hub_id, remote_id, method from former_link
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s

-- name: put_former
insert into former_link (tenant, account, kind, platform, hub_id, remote_id, method)
values (%(tenant)s, %(account)s, %(kind)s, %(platform)s, %(hub_id)s, %(remote_id)s, %(method)s)
on conflict (tenant, account, kind, platform, hub_id, remote_id) do update set method = excluded.method

-- name: delete_former
delete from former_link
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s and platform = %(platform)s
  and hub_id = %(hub_id)s and remote_id = %(remote_id)s

-- name: settings
select settings from accounts.api_accounts where tenant = %(tenant)s and account = %(account)s

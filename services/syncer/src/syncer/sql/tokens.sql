-- name: put_token
insert into plan_token (token, job_id, tenant, account, kind, platform)
values (%(token)s, %(job_id)s, %(tenant)s, %(account)s, %(kind)s, %(platform)s)
on conflict (token) do nothing

-- name: put_change
insert into shown_change (token, remote_id, field, before, after)
values (%(token)s, %(remote_id)s, %(field)s, %(before)s, %(after)s)
on conflict (token, remote_id, field) do update set before = excluded.before, after = excluded.after

-- name: exists
select exists (
    select from plan_token
    where token = %(token)s and tenant = %(tenant)s and account = %(account)s
      and kind = any(%(kinds)s) and platform = %(platform)s
)

-- name: changes
select remote_id, field, before, after from shown_change where token = %(token)s

-- name: prune
with old as (
    select token from plan_token where made_at < now() - %(keep)s order by made_at limit %(rows)s
)
delete from plan_token t using old where t.token = old.token

-- name: lock
-- An automatic run and a person's edit of one account and kind stand in line.
select pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'match', %(tenant)s::text, %(account)s::text, %(kind)s::text), 0))

-- name: all
select nhanh_id, shopify_id, status, method, score, reason
from match where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s

-- name: touching
-- Every row of either record.
select nhanh_id, shopify_id, status, method, score, reason
from match
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s
  and (nhanh_id = %(nhanh_id)s or shopify_id = %(shopify_id)s)

-- name: put
insert into match (tenant, account, kind, nhanh_id, shopify_id, status, method, score, reason, job_id)
values (%(tenant)s, %(account)s, %(kind)s, %(nhanh_id)s, %(shopify_id)s, %(status)s, %(method)s, %(score)s, %(reason)s,
    %(job_id)s)
on conflict (tenant, account, kind, nhanh_id, shopify_id) do update
set status = excluded.status, method = excluded.method, score = excluded.score, reason = excluded.reason,
    job_id = excluded.job_id, updated_at = now()

-- name: delete
delete from match
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s
  and nhanh_id = %(nhanh_id)s and shopify_id = %(shopify_id)s

-- name: account_exists
select exists (select from accounts.api_accounts where tenant = %(tenant)s and account = %(account)s)

-- name: former
select nhanh_id, shopify_id, method from former_link
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s

-- name: keep_former
insert into former_link (tenant, account, kind, nhanh_id, shopify_id, method)
values (%(tenant)s, %(account)s, %(kind)s, %(nhanh_id)s, %(shopify_id)s, %(method)s)
on conflict (tenant, account, kind, nhanh_id, shopify_id) do update set method = excluded.method

-- name: forget_former
delete from former_link
where tenant = %(tenant)s and account = %(account)s and kind = %(kind)s
  and nhanh_id = %(nhanh_id)s and shopify_id = %(shopify_id)s

-- name: settings
select settings from accounts.api_accounts where tenant = %(tenant)s and account = %(account)s

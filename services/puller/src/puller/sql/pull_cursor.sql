-- name: mark
select mark from pull_cursor
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s
  and shop = %(shop)s

-- name: advance
insert into pull_cursor as c (tenant, account, platform, kind, shop, mark, job_id)
values (%(tenant)s, %(account)s, %(platform)s, %(kind)s, %(shop)s, %(mark)s, %(job_id)s)
on conflict (tenant, account, platform, kind) do update
set shop = excluded.shop, mark = excluded.mark, job_id = excluded.job_id, moved_at = excluded.moved_at
where c.shop <> excluded.shop or c.mark < excluded.mark

-- name: last_complete_pull
select finished_at, began from complete_pull
where tenant = %(tenant)s and account = %(account)s and platform = %(platform)s and kind = %(kind)s

-- name: delete_plan
delete from plan_item where job_id = %(job_id)s

-- name: put_plan_item
insert into plan_item (job_id, position, batch, platform, hub_id, remote_id, content)
values (%(job_id)s, %(position)s, %(batch)s, %(platform)s, %(hub_id)s, %(remote_id)s, %(content)s)

-- name: batch
-- A plan of a release without guards does not say which items were known.
select case when p.content ? 'known' then p.content else p.content || jsonb_build_object('known', exists (
    select from written w
    where w.tenant = %(tenant)s and w.account = %(account)s and w.kind = %(kind)s and w.platform = %(platform)s
      and w.remote_id = p.remote_id and w.fields <> '{}'
)) end
from plan_item p where p.job_id = %(job_id)s and p.batch = %(batch)s order by p.position

-- name: put_intent
insert into intent (job_id, batch, step, content)
values (%(job_id)s, %(batch)s, %(step)s, %(content)s)
on conflict (job_id, batch) do update set step = excluded.step, content = excluded.content

-- name: intent
select content from intent where job_id = %(job_id)s and batch = %(batch)s

-- name: prune_plans
-- Personal values stand in plans, so they go with the exchanges.
with old as (
    select p.job_id, p.position
    from plan_item p
    join job_state i on i.job_id = p.job_id
    where i.finished_at < now() - %(keep)s
    limit %(rows)s
)
delete from plan_item p using old where p.job_id = old.job_id and p.position = old.position

-- name: prune_intents
with old as (
    select t.job_id, t.batch
    from intent t
    join job_state i on i.job_id = t.job_id
    where i.finished_at < now() - %(keep)s
    limit %(rows)s
)
delete from intent t using old where t.job_id = old.job_id and t.batch = old.batch

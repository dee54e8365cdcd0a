-- name: scored
-- The records of the hub whose chunks the job has scored, without those that are only compared with.
select s.record_id
from (
    select record_id, context, row_number() over (order by record_id) - 1 as position
    from snapshot where job_id = %(job_id)s and side = %(hub)s
) s
join chunk c on c.job_id = %(job_id)s and s.position between c.first_position and c.last_position
where not s.context

-- name: others
-- The stored candidates of records of the hub that are still there and were not scored again.
select l.candidates::text
from candidate_list l
where l.tenant = %(tenant)s and l.account = %(account)s and l.kind = %(kind)s and l.platform = %(platform)s
  and not l.hub_id = any(%(scored)s)
  and exists (
      select from known_record k
      where k.tenant = l.tenant and k.account = l.account and k.kind = l.kind and k.platform = l.platform
        and k.side = %(hub)s and k.record_id = l.hub_id and k.digest is not null
  )

-- name: delete_others
-- What is not among the new lists, of a record that was scored or is no longer there.
delete from candidate_list l
where l.tenant = %(tenant)s and l.account = %(account)s and l.kind = %(kind)s and l.platform = %(platform)s
  and not exists (select from incoming_list i where i.hub_id = l.hub_id)
  and (
      l.hub_id = any(%(scored)s)
      or not exists (
          select from known_record k
          where k.tenant = l.tenant and k.account = l.account and k.kind = l.kind and k.platform = l.platform
            and k.side = %(hub)s and k.record_id = l.hub_id and k.digest is not null
      )
  )

-- name: incoming_list
create temp table incoming_list (
    hub_id text collate "C" primary key, remote_ids text[] collate "C", candidates jsonb
) on commit drop

-- name: put
insert into candidate_list as l (tenant, account, kind, platform, hub_id, remote_ids, candidates)
select %(tenant)s, %(account)s, %(kind)s, %(platform)s, hub_id, remote_ids, candidates from incoming_list
on conflict (tenant, account, kind, platform, hub_id) do update
set remote_ids = excluded.remote_ids, candidates = excluded.candidates
where l.candidates <> excluded.candidates

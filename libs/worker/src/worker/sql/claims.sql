-- name: note_crashes
-- A lease that expired: the process died, or was paused or disconnected for long. Its jobs ran together, so a crash is
-- counted for a job that ran alone, and once for a suspect that ran beside jobs which had all made progress; after that
-- it runs alone. `crashed_owner` groups jobs of one process whose leases do not expire at the same moment.
with dead as (
    select i.job_id,
           (
               select count(*) = 1 or (i.suspect and i.crashes = 0 and count(*) filter (where not n.stepped) = 1)
               from inbox n
               where (n.state = 'running' and n.lease_owner = i.lease_owner) or n.crashed_owner = i.lease_owner
           ) as alone
    from inbox i
    where i.state = 'running' and i.lease_until <= now()
    order by i.tenant, i.account  -- as everybody locks accounts
    for update of i skip locked
)
update inbox i
set state = 'queued', lease_owner = null, lease_until = null, crashed_owner = i.lease_owner, suspect = true,
    crashes = case when i.stepped then 0 when dead.alone then i.crashes + 1 else i.crashes end
from dead
where i.job_id = dead.job_id
returning i.job_id, i.attempt, i.crashes

-- name: wake
-- Deferred rows whose time has come. No lock is waited for: what is skipped is woken by the next call.
with due as materialized (
    select i.job_id, i.tenant, i.account from inbox i
    where i.state = 'queued' and i.not_before <= now()
    order by i.not_before
    limit %(rows)s
    for update skip locked
), free as materialized (
    select q.tenant, q.account from account_queue q
    where (q.tenant, q.account) in (select due.tenant, due.account from due)
    for update skip locked
)
update inbox i set not_before = null
from due join free using (tenant, account)
where i.job_id = due.job_id

-- name: unkeyed
-- Rows that a process of an older release has inserted.
select job_id, job_type, priority, request from inbox
where state <> 'finished' and concurrency_key is null
order by tenant, account, job_id
limit %(rows)s
for update skip locked

-- name: set_key
update inbox
set concurrency_key = %(concurrency_key)s, concurrency_limit = %(concurrency_limit)s,
    turn = least(greatest(requested_at, received_at - interval '1 day'), received_at) + %(ageing)s,
    kept = %(version)s = any(unread_by)
where job_id = %(job_id)s

-- name: wake_kept
-- What other versions could not read and this one has not looked at.
update inbox set kept = false where state = 'queued' and kept and not (%(version)s = any(unread_by))

-- name: claim_end
-- A row that only needs its end written (cancelled, or crashed too often): whether paused or not, of whatever type.
with candidate as (
    select i.job_id from inbox i
    where i.state = 'queued'
      and (i.cancel_requested is not null or i.crashes > 0)
      and (
          i.cancel_requested is not null
          or i.crashes >= coalesce((%(attempts)s::jsonb ->> i.job_type)::integer, %(default_attempts)s)
      )
    order by i.requested_at, i.job_id
    for update skip locked
    limit 1
)
update inbox i
set state = 'running', stepped = false, not_before = null, waiting_reason = null, deferred_reason = null,
    lease_owner = %(owner)s, lease_until = now() + %(lease)s
from candidate
where i.job_id = candidate.job_id
returning {columns}

-- name: lock_next_account
-- The account whose turn it is. An account that another process holds at this moment is passed over.
select q.tenant, q.account, q.next_turn as turn from account_queue q
where q.next_turn is not null and q.running < %(per_account)s
  and (q.next_turn, q.tenant, q.account) > (%(turn)s, %(tenant)s, %(account)s)
  and not exists (select from hold h where h.kind = 'queue')
order by q.next_turn, q.tenant, q.account
limit 1
for update skip locked

-- name: claim
-- The row of the locked account whose turn it is, if there is one that this process can run. `stepped` is still that
-- of the last attempt: one that made progress has ended the wait.
with candidate as (
    select c.job_id from claimable c
    where c.job_id in (
        select h.job_id from claimable_heads(%(tenant)s, %(account)s, %(job_types)s, %(version)s) as h
    )
    order by c.turn, c.job_id
    for update skip locked
    limit 1
)
update inbox i
set state = 'running', attempt = i.attempt + 1, stepped = false, not_before = null, waiting_reason = null,
    deferred_reason = null, lease_owner = %(owner)s, lease_until = now() + %(lease)s,
    deferrals = case when i.stepped then 0 else i.deferrals end,
    waited_ms = case when i.stepped then 0 else i.waited_ms end,
    waiting_since = case when i.stepped then null else i.waiting_since end
from candidate
where i.job_id = candidate.job_id
returning {columns}
